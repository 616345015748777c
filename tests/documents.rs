//! What an operator looks up is there: each code that the program can show; and each link between documents leads somewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const REMEDIES: &str = include_str!("../docs/remedies.md");

fn files(place: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What stands in quotes after `before`, wherever that is in the source, as far as it looks like a code.
fn quoted_after(source: &str, before: &str) -> Vec<String> {
    let after = source.split(before).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let words = after.filter_map(|rest| rest.split('"').next());
    words.filter(|word| is_code(word)).map(str::to_owned).collect()
}

fn is_code(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The codes that the sources name, without those of their tests.
fn codes() -> BTreeSet<String> {
    let source = Path::new(REPOSITORY).join("src");
    let mut codes = BTreeSet::new();
    for file in files(&source, "rs").iter().filter(|file| !file.to_str().unwrap().contains("tests")) {
        let text = fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for before in ["Refused::new(", "code: ", "const STALLED: &str = "] {
            codes.extend(quoted_after(text, before));
        }
        if file.ends_with("src/http/actions.rs") {
            codes.extend(quoted_after(text, "StatusCode::SERVICE_UNAVAILABLE,"));
            codes.extend(quoted_after(text, "StatusCode::UNAUTHORIZED,"));
            codes.extend(quoted_after(text, "StatusCode::METHOD_NOT_ALLOWED,"));
            codes.extend(quoted_after(text, "StatusCode::UNSUPPORTED_MEDIA_TYPE,"));
            codes.extend(quoted_after(text, "no(forbidden,"));
        }
        if file.ends_with("src/remedy.rs") {
            codes.extend(quoted_after(text, "("));
        }
    }
    codes
}

/// What has a section, or a row of a table, of its own.
fn explained() -> BTreeSet<String> {
    let heads = REMEDIES.lines().filter_map(|line| match line.strip_prefix("### ") {
        Some(head) => Some(head),
        None => line.strip_prefix("| ").and_then(|row| row.split(" |").next()),
    });
    let codes = heads.flat_map(|head| head.split('`').skip(1).step_by(2));
    codes.filter(|code| is_code(code)).map(str::to_owned).collect()
}

#[test]
fn each_code_that_the_program_shows_has_its_section_and_no_others_do() {
    const STATES: [&str; 7] = ["connecting", "full_sync", "streaming", "halted", "paused", "held", "stopped"];
    let (shown, explained) = (codes(), explained());
    let kinds = fs::read_to_string(Path::new(REPOSITORY).join("src/remedy.rs")).unwrap().matches("Kind::").count();
    assert!(shown.len() > kinds, "{} codes are found, of {kinds} kinds of faults and more: {shown:?}", shown.len());
    let missing: Vec<_> = shown.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/remedies.md does not explain {missing:?}");
    let unknown = explained.iter().filter(|code| !shown.contains(*code) && !STATES.contains(&code.as_str()));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&String>::new(), "docs/remedies.md explains what nothing shows");
    assert!(STATES.iter().all(|state| explained.contains(*state)), "a state is not explained");
}

/// The name that a heading has in an address, as GitHub gives it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn each_link_between_documents_leads_to_a_file_and_a_heading() {
    let mut documents = files(&Path::new(REPOSITORY).join("docs"), "md");
    documents.push(Path::new(REPOSITORY).join("README.md"));
    let mut broken = Vec::new();
    for document in &documents {
        let text = fs::read_to_string(document).unwrap();
        // In code, brackets mean something else.
        let prose: String = text.split("```").step_by(2).collect();
        for target in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            let leads = match fs::read_to_string(&file) {
                Ok(there) => heading.is_empty() || anchors(&there).contains(heading),
                Err(_) => heading.is_empty() && file.exists(),
            };
            if !leads {
                broken.push(format!("{}: {target}", document.file_name().unwrap().display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}
