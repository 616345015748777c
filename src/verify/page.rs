//! A result as a page to look at: one file, without scripts.

use std::fmt::Write;

use super::{Cause, Difference, Finding, Summary, Verdict};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1c2430}\
h1{font-size:1.4rem}table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;vertical-align:top;\
padding:.35rem .6rem;border-bottom:1px solid #dde3ea}th{background:#f2f5f8}code{font:13px ui-monospace,monospace;\
overflow-wrap:anywhere}.equal{color:#136c34}.different,.unfinished{color:#a3231f}.quiet{color:#5b6675}\
@media(prefers-color-scheme:dark){body{background:#14181d;color:#dde3ea}th{background:#20262d}td,th{border-color:#333b45}\
.equal{color:#67c587}.different,.unfinished{color:#f0827c}.quiet{color:#9aa5b1}}";
/// Differing parts of a key that are shown.
const PARTS: usize = 10;
/// Bytes of a text that are shown.
const SHOWN: usize = 120;

/// The page of a run; `findings` are all that differs, or the first of it.
pub fn page(summary: &Summary, findings: &[Finding]) -> String {
    let mut page = String::new();
    let [source, target] = &summary.regions;
    let (class, title) = match summary.verdict() {
        Verdict::Equal => ("equal", format!("{source} and {target} are equal")),
        Verdict::Different => ("different", format!("{source} and {target} differ in {} keys", summary.different)),
        Verdict::Unfinished => ("unfinished", "the comparison did not come to its end".to_owned()),
    };
    let pair = escaped(&summary.pair);
    let _infallible = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{pair}: {}</title><style>{STYLE}</style></head>\n\
         <body><h1 class=\"{class}\">{pair}: {}</h1>\n",
        escaped(&title),
        escaped(&title)
    );
    if let Some(error) = &summary.error {
        let _infallible = writeln!(page, "<p class=\"different\">{}</p>", escaped(error));
    }
    let _infallible = writeln!(
        page,
        "<p>{} keys compared in {:.1} s, beginning {:.0}. {} looked different at first; {} differ; {} were never seen \
         still.</p>\n<p class=\"quiet\">{}</p>",
        summary.keys,
        summary.seconds,
        summary.started_at,
        summary.suspected,
        summary.different,
        summary.undecided,
        if summary.fenced {
            "Each difference was looked at again after both links had passed the moment at which it was seen."
        } else {
            "The links did not move, or were not waited for: what was on its way may be among the differences."
        }
    );
    if !findings.is_empty() {
        rows(&mut page, summary, findings);
    }
    page.push_str("</body></html>\n");
    page
}

fn rows(page: &mut String, summary: &Summary, findings: &[Finding]) {
    let [source, target] = summary.regions.each_ref().map(|region| escaped(region));
    let _infallible = writeln!(
        page,
        "<table><thead><tr><th>database</th><th>key</th><th>difference</th><th>{source}</th><th>{target}</th>\
         <th>where, why</th></tr></thead><tbody>"
    );
    for finding in findings {
        let sides = finding.sights.each_ref().map(|sight| {
            if sight.exists() { format!("{}, {}", escaped(&sight.kind), sight.length) } else { "-".to_owned() }
        });
        let cause = finding.cause.map(Cause::name).unwrap_or_default();
        let _infallible = writeln!(
            page,
            "<tr><td>{}</td><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td>{} {}<br>{}</td></tr>",
            finding.name.0,
            text(&finding.name.1),
            finding.class,
            sides[0],
            sides[1],
            escaped(cause),
            escaped(&finding.reason),
            parts(finding)
        );
    }
    page.push_str("</tbody></table>\n");
    if (findings.len() as u64) < summary.different {
        let _infallible = writeln!(
            page,
            "<p class=\"quiet\">The first {} of {}. The file of --output has all.</p>",
            findings.len(),
            summary.different
        );
    }
}

fn parts(finding: &Finding) -> String {
    let mut shown = Vec::new();
    for difference in &finding.differences {
        match difference {
            Difference::Part(part) => {
                let [left, right] = part.values.each_ref().map(|value| match value {
                    Some(value) => format!("<code>{}</code>", text(value)),
                    None => "nothing".to_owned(),
                });
                shown.push(format!("{} <code>{}</code>: {left} | {right}", part.kind, escaped(&part.shown_name())));
            }
            Difference::Ttl([left, right]) => {
                let [left, right] =
                    [left, right].map(|at| at.map_or_else(|| "for ever".to_owned(), |at| at.to_string()));
                shown.push(format!("until: {left} | {right}"));
            }
            Difference::Length([left, right]) => shown.push(format!("length: {left} | {right}")),
            Difference::Missing { .. } | Difference::Type(_) | Difference::Digest(_) => {}
        }
    }
    let more = shown.len().saturating_sub(PARTS);
    shown.truncate(PARTS);
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join("<br>")
}

fn text(bytes: &[u8]) -> String {
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let dots = if shown.len() < bytes.len() { "..." } else { "" };
    format!("{}{dots}", escaped(&shown.escape_ascii().to_string()))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Mode, Plan, Sight};
    use jiff::Timestamp;

    #[test]
    fn nothing_of_a_key_is_taken_for_html() {
        let sights = [Sight { kind: "string".into(), ..Sight::default() }, Sight::none()];
        let differences = vec![Difference::Missing { side: 1, other: 0 }];
        let name = (0, b"<script>alert(1)</script>".to_vec());
        let finding = Finding::new(name, sights, differences, 2, ([0; 2], &Plan::default()));
        let summary = Summary {
            pair: "a<b".into(),
            regions: ["west".into(), "east".into()],
            mode: Mode::Full,
            sample: 1.0,
            started_at: Timestamp::UNIX_EPOCH,
            seconds: 1.0,
            keys: 1,
            seen: [1, 0],
            bytes: 0,
            suspected: 1,
            fenced: true,
            different: 1,
            classes: Default::default(),
            undecided: 0,
            error: None,
        };
        let page = page(&summary, &[finding]);
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;") && page.contains("a&lt;b"), "{page}");
        assert!(page.contains("differ in 1 keys"));
    }
}
