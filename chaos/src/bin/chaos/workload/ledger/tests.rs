use super::*;
use std::time::Duration;

fn held(keys: &[(&str, &str, &[&str])]) -> Contents {
    let entry = |kind: &str, items: &[&str]| Entry {
        kind: kind.to_owned(),
        items: items.iter().map(|item| item.as_bytes().to_vec()).collect(),
        counters: None,
        expires_ms: None,
        field_expiry_ms: BTreeMap::new(),
    };
    keys.iter().map(|(key, kind, items)| ((0, key.as_bytes().to_vec()), entry(kind, items))).collect()
}

fn sure() -> Fate {
    Fate::Sure(Instant::now())
}

#[test]
fn an_acknowledged_element_must_be_there_once_and_an_unknown_one_may_be() {
    let mut ledger = Ledger::default();
    ledger.added(Side::West, "l", "a", sure());
    ledger.added(Side::East, "l", "b", Fate::Maybe);
    for (items, wrong) in [
        (&["a"] as &[&str], None),
        (&["b", "a"], None),
        (&["b"], Some("1 lost")),
        (&["a", "a"], Some("a is there twice")),
        (&["a", "c"], Some("c was never written")),
    ] {
        let said = ledger.judge(&held(&[("l", "list", items)]));
        assert_eq!(said.len(), usize::from(wrong.is_some()), "{said:?}");
        assert!(wrong.is_none_or(|part| said[0].contains(part)), "{said:?}");
    }
}

#[test]
fn what_was_removed_must_not_come_back_and_what_a_blind_pop_may_have_taken_may_be_missing() {
    let mut ledger = Ledger::default();
    ledger.added(Side::West, "s", "a", sure());
    ledger.added(Side::West, "s", "b", sure());
    ledger.removed("s", "a", sure());
    assert_eq!(ledger.any_sure(Side::West, "s", 5).as_deref(), Some("b"));
    assert_eq!(ledger.any_sure(Side::East, "s", 0), None);
    assert!(ledger.judge(&held(&[("s", "set", &["b"])])).is_empty());
    assert_eq!(ledger.judge(&held(&[("s", "set", &["a", "b"])])).len(), 1);
    assert_eq!(ledger.judge(&held(&[])).len(), 1);
    ledger.popped_blindly("s");
    assert!(ledger.judge(&held(&[])).is_empty());
}

#[test]
fn a_sum_lies_between_what_is_sure_and_what_may_be() {
    let mut ledger = Ledger::default();
    ledger.increased(Side::West, "n", 5, sure());
    ledger.increased(Side::East, "n", 2, Fate::Maybe);
    for (value, right) in [("4", false), ("5", true), ("6", true), ("7", true), ("8", false)] {
        assert_eq!(ledger.judge(&held(&[("n", "string", &[value])])).is_empty(), right, "{value}");
    }
}

#[test]
fn a_register_holds_the_last_sure_value_or_one_that_may_have_come() {
    let mut ledger = Ledger::default();
    ledger.set(Side::West, "r", "1", sure());
    ledger.set(Side::West, "r", "2", sure());
    ledger.set(Side::West, "r", "3", Fate::Maybe);
    for (value, right) in [("1", false), ("2", true), ("3", true), ("4", false)] {
        assert_eq!(ledger.judge(&held(&[("r", "string", &[value])])).is_empty(), right, "{value}");
    }
}

#[test]
fn transactions_are_whole_and_counters_count_what_is_there() {
    let mut ledger = Ledger::default();
    ledger.twins("a", "b");
    ledger.counted("n", "ids");
    let whole =
        held(&[("a", "string", &["7"]), ("b", "string", &["7"]), ("n", "string", &["2"]), ("ids", "set", &["x", "y"])]);
    assert!(ledger.judge(&whole).is_empty());
    let torn =
        held(&[("a", "string", &["7"]), ("b", "string", &["8"]), ("n", "string", &["3"]), ("ids", "set", &["x", "y"])]);
    assert_eq!(ledger.judge(&torn).len(), 2);
}

#[test]
fn what_a_server_lost_is_unknown_from_then_on_and_what_was_before_is_not() {
    let mut ledger = Ledger::default();
    let before = Instant::now();
    let since = before + Duration::from_secs(1);
    let after = Fate::Sure(before + Duration::from_secs(2));
    ledger.added(Side::West, "l", "old", Fate::Sure(before));
    ledger.added(Side::West, "l", "new", after);
    ledger.added(Side::East, "l", "other", after);
    ledger.over(Side::West, "gone", after);
    ledger.lost(Side::West, since);
    assert_eq!(ledger.count(), (2, 1));
    let contents = held(&[("l", "list", &["old", "other"]), ("gone", "string", &["1"])]);
    assert!(ledger.judge(&contents).is_empty());
    assert_eq!(ledger.judge(&held(&[("l", "list", &["other"])])).len(), 1);
}
