//! Holds `chaos/README.md` to the truth: each case has a line, and each name in it is there.

use crate::fault::{Fault, TABLE};
use std::collections::BTreeSet;
use std::path::Path;

const README: &str = include_str!("../../../README.md");
/// So many cases are listed.
const CASES: usize = 38;

/// The lines of the table of cases: number and what stands behind it.
fn cases() -> Vec<(usize, &'static str)> {
    let row = |line: &'static str| {
        let (number, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
        Some((number.parse().ok()?, rest))
    };
    README.lines().filter_map(row).collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a name like `module::part::test` is one of a file below `tests/servers` or `tests/simulation`.
fn is_a_test(name: &str) -> bool {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let Some((module, test)) = name.rsplit_once("::") else { return false };
    let file = module.replace("::", "/");
    let holds =
        |path: String, what: &str| std::fs::read_to_string(tests.join(path)).is_ok_and(|text| text.contains(what));
    let is_promise = module == "promises" && tests.join(format!("simulation/promises/{test}.rs")).is_file();
    is_promise || holds(format!("servers/{file}.rs"), &format!("fn {test}("))
}

#[test]
fn each_case_has_a_line() {
    let numbers: Vec<usize> = cases().into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (1..=CASES).collect::<Vec<_>>());
}

#[test]
fn each_name_in_the_table_is_a_fault_or_a_test() {
    for (number, row) in cases() {
        let (_, played) = row.split_once(" | ").unwrap();
        let names = quoted(played).filter(|name| name.contains("::") || Fault::by_name(name).is_some());
        let mut found = 0;
        for name in names {
            assert!(
                Fault::by_name(name).is_some() || is_a_test(name),
                "case {number} names {name}, which is not there"
            );
            found += 1;
        }
        assert!(found > 0, "nothing plays case {number}");
    }
}

#[test]
fn each_fault_is_named() {
    let named: BTreeSet<&str> = quoted(README).collect();
    let missing: Vec<_> = TABLE.iter().map(|kind| kind.name).filter(|name| !named.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
