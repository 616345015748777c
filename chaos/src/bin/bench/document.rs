//! Figures in a document: what stands between two marks is replaced.

use anyhow::{Context, Result};
use std::path::Path;

const BEGIN: &str = "<!-- figures -->\n";
const END: &str = "<!-- end of figures -->\n";
/// The heading of the table that comes first.
const FIRST: &str = "\n### Aims\n";

/// Puts what was printed between the marks of `file`.
pub(crate) fn renew(file: &Path, printed: &str) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new("")).to_string_lossy();
    let renewed = renewed(&text, &figures(printed, &folder));
    let renewed = renewed.with_context(|| format!("{} lacks {BEGIN} or {END}", file.display()))?;
    Ok(std::fs::write(file, renewed)?)
}

/// The heading, the aims, and then all else, with links that lead from a document in `folder`.
fn figures(printed: &str, folder: &str) -> String {
    let (rest, aims) = printed.split_once(FIRST).unwrap_or((printed, ""));
    let (heading, rest) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let aims = if aims.is_empty() { String::new() } else { format!("{FIRST}{aims}") };
    format!("{heading}\n{aims}\n{rest}").replace(&format!("]({folder}/"), "](")
}

fn renewed(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}\n\n{END}{after}", figures.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_come_first_and_links_lead_from_the_document() {
        let printed = "when and what\n\n### One\n\n| a |\n\n![p](docs/pictures/p.svg)\n\n### Aims\n\n| reached |\n";
        let figures = figures(printed, "docs");
        assert_eq!(figures, "when and what\n\n### Aims\n\n| reached |\n\n### One\n\n| a |\n\n![p](pictures/p.svg)\n");
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let renewed = renewed(&document, "new\n").expect("both marks");
        assert_eq!(renewed, format!("before\n{BEGIN}new\n\n{END}after\n"));
        assert_eq!(super::renewed("no marks", ""), None);
    }
}
