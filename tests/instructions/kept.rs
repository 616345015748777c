//! Counting under callgrind, and comparing with what is kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::cases;

/// By how much a count may differ from the kept one: hashes are seeded anew in each run, and the C library copies memory
/// by other instructions on other processors.
const MARGIN: f64 = 0.05;
/// The same where another compiler has built it.
const MARGIN_OF_COMPILERS: f64 = 0.3;
/// How the kept figures are renewed.
const RENEW: &str = "DUET_KEEP=1 cargo test --test instructions";

/// What is kept.
#[derive(Deserialize)]
struct Kept {
    /// The compiler that built what was counted.
    compiler: String,
    /// Instructions of each case.
    instructions: BTreeMap<String, u64>,
}

#[test]
fn no_work_takes_more_instructions_than_is_kept() {
    let (compiler, counted) = (compiler(), cases::ALL.map(|case| (case.to_owned(), count(case))));
    if std::env::var_os("DUET_KEEP").is_some() {
        let lines: String = counted.iter().map(|(case, count)| format!("{case} = {count}\n")).collect();
        let text = format!("# Written by: {RENEW}\ncompiler = \"{compiler}\"\n\n[instructions]\n{lines}");
        std::fs::write(place(), text).expect("a file in the sources");
        return;
    }
    let kept: Kept = toml::from_str(&std::fs::read_to_string(place()).expect("kept figures")).expect("figures");
    let margin = if kept.compiler == compiler { MARGIN } else { MARGIN_OF_COMPILERS };
    let found = differences(&kept.instructions, &counted.into(), margin);
    assert!(
        found.is_empty(),
        "{}\nkept for {}, counted for {compiler}, margin {:.0} %. If it is meant to be so: {RENEW}",
        found.join("\n"),
        kept.compiler,
        margin * 100.0
    );
}

#[test]
fn a_figure_beyond_the_margin_is_told_and_one_within_is_not() {
    let figures = |count| BTreeMap::from([("case".to_owned(), count)]);
    let found = |counted| differences(&figures(1000), &figures(counted), 0.05);
    assert_eq!(found(1060), ["case: 1060 instructions, 1000 are kept: 6.0 % more"]);
    assert_eq!(found(900), ["case: 900 instructions, 1000 are kept: 10.0 % less"]);
    assert!(found(1049).is_empty() && found(951).is_empty());
    assert_eq!(differences(&BTreeMap::new(), &figures(1), 0.05), ["case: 1 instructions, none are kept"]);
}

/// What lies beyond the margin. Less is told too: kept figures that are too high would hide what comes later.
fn differences(kept: &BTreeMap<String, u64>, counted: &BTreeMap<String, u64>, margin: f64) -> Vec<String> {
    let difference = |(case, count): (&String, &u64)| {
        let Some(before) = kept.get(case) else { return Some(format!("{case}: {count} instructions, none are kept")) };
        let more = *count as f64 / *before as f64 - 1.0;
        let way = if more > 0.0 { "more" } else { "less" };
        let percent = more.abs() * 100.0;
        (more.abs() > margin).then(|| format!("{case}: {count} instructions, {before} are kept: {percent:.1} % {way}"))
    };
    counted.iter().filter_map(difference).collect()
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions/kept.toml")
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().expect("rustc");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs the test of this name under callgrind; tells the instructions below [`super::under_count`].
fn count(case: &str) -> u64 {
    let place = tempfile::tempdir().expect("a directory");
    let out = place.path().join("callgrind");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*under_count*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("cases::{case}"), "--test-threads", "1"])
        .output()
        .expect("valgrind is installed by `make setup`");
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{case}: {told}");
    let counted = std::fs::read_to_string(out).expect("what callgrind wrote");
    let totals = counted.lines().find_map(|line| line.strip_prefix("totals: ")).expect("totals");
    let count = totals.trim().parse().expect("a count");
    assert!(count > 1_000_000, "{case}: {count} instructions: what is to be counted was not found");
    count
}
