//! The report of a drill: a page to print, for those who were not there.

use super::Drill;

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:48em;margin:2em auto;padding:0 1em}table{border-collapse:collapse;\
                     width:100%}td,th{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}h1{font-size:1.4em}\
                     @media print{body{margin:0}}";

/// The page, in HTML; it needs nothing from elsewhere.
pub fn page(pair: &str, drill: &Drill) -> String {
    let mut rows = String::new();
    for (name, value) in facts(drill) {
        rows.push_str(&format!("<tr><th>{}</th><td>{}</td></tr>\n", escaped(&name), escaped(&value)));
    }
    let mut lines = String::new();
    for line in &drill.history {
        let action = line.action.map_or_else(String::new, |action| format!("{action:?}").to_lowercase());
        lines.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            line.time,
            escaped(&action),
            escaped(&line.by),
            escaped(&line.text)
        ));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Failover drill of {0}</title><style>{STYLE}</style>\
         </head><body>\n<h1>Failover drill: pair {1}, {0}</h1>\n<table>\n{rows}</table>\n<h2>What happened</h2>\n<table>\n\
         <tr><th>time (UTC)</th><th>order</th><th>by</th><th>result</th></tr>\n{lines}</table>\n</body></html>\n",
        escaped(&drill.from),
        escaped(pair)
    )
}

/// What the report says, by name, for the page and for a terminal.
pub fn facts(drill: &Drill) -> Vec<(String, String)> {
    let mut facts = vec![
        ("region that is left".to_owned(), drill.from.clone()),
        ("region that takes over".to_owned(), drill.to.clone()),
        ("stands at".to_owned(), drill.step.to_string()),
        ("began".to_owned(), drill.started.to_string()),
    ];
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    if drill.lost {
        add("lost", "the region did not answer: its writers could not be stopped".to_owned());
    }
    if let Some(fence) = &drill.fence {
        add("writers stopped", format!("since {}, last renewed {}, {} gaps", fence.since, fence.renewed, fence.gaps));
    }
    if let Some(proof) = &drill.proof {
        let text = format!(
            "{} of {} bytes of its history applied after {} ms; {} bytes were on their way at the fence",
            proof.applied.min(proof.offset),
            proof.offset,
            proof.waited_ms,
            proof.behind
        );
        add("proof of the drain", text);
    }
    add(
        "RPO (not across at the fence)",
        drill.rpo_bytes.map_or_else(|| "not known".to_owned(), |bytes| format!("{bytes} bytes")),
    );
    add("RTO (writers stopped to promoted)", drill.rto_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")));
    if let Some(found) = &drill.comparison {
        let [here, there] = found.keys;
        let text = format!("{found}; {} holds {here} keys, {} holds {there}", drill.from, drill.to);
        add("comparison", text);
    }
    for what in &drill.unproven {
        add("NOT proven", what.clone());
    }
    facts
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
