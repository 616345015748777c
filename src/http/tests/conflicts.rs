//! `/conflicts` and `/why`.

use super::*;

#[test]
fn conflicts_are_given_newest_last_and_counted() {
    let (_board, journal, server) = start_with_journal();
    for number in 1..=5 {
        journal.record(record(number, "user:7"));
    }
    journal.record(Record { done: Done::Reconciled, unit: Unit::Lifetime, ..record(6, "other k") });
    finish(&journal);
    let (code, body) = json(&server, "/conflicts?limit=2&key=user:7");
    assert_eq!(code, 200);
    let ids: Vec<_> = body["conflicts"].as_array().unwrap().iter().map(|conflict| conflict["id"].clone()).collect();
    assert_eq!(ids, ["0000000000000004", "0000000000000005"]);
    assert_eq!((&body["matching"], &body["total"], &body["dropped"]), (&5.into(), &6.into(), &0.into()));
    assert_eq!(body["counts"]["replayed"], 5);
    assert_eq!(body["counts"]["by_unit"]["lifetime"], 1);
    for (parameters, expected) in [
        ("key=other%20k", 1),
        ("done=reconciled", 1),
        ("done=dropped", 0),
        ("since=10m", 6),
        ("since=2999-01-01T00:00:00Z", 0),
        ("after=0000000000000004", 2),
        ("id=0000000000000003", 1),
        ("db=1", 0),
    ] {
        let (_, body) = json(&server, &format!("/conflicts?{parameters}"));
        assert_eq!(body["conflicts"].as_array().unwrap().len(), expected, "{parameters}");
    }
    let (_, status) = json(&server, "/status");
    assert_eq!((&status["conflicts"]["replayed"], &status["conflicts"]["reconciled"]), (&5.into(), &1.into()));
    server.stop();
}

#[test]
fn why_tells_the_last_conflicts_of_a_key_and_which_region_won() {
    let (_board, journal, server) = start_with_journal();
    journal.record(record(1, "user:7"));
    journal.record(record(2, "user:8"));
    finish(&journal);
    let (code, body) = json(&server, "/why?key=user:7&db=0");
    assert_eq!((code, &body["key"], &body["last_origin"]["region"]), (200, &"user:7".into(), &"us-east".into()));
    assert_eq!(body["conflicts"].as_array().unwrap().len(), 1);
    let (_, body) = json(&server, "/why?key=nothing");
    assert_eq!((&body["last_origin"], &body["conflicts"]), (&Value::Null, &Value::Array(Vec::new())));
    server.stop();
}

#[test]
fn a_parameter_that_is_not_understood_is_named() {
    let (_board, server) = start();
    for (path, part) in [
        ("/conflicts?since=yesterday", "since: write how long ago, as 10m"),
        ("/conflicts?limit=many", "limit: "),
        ("/conflicts?done=lost", "done takes replayed, dropped, reconciled, held"),
        ("/conflicts?id=7", "id: an id has 16 hexadecimal digits"),
        ("/conflicts?keys=x", "keys"),
        ("/why?db=0", "key is missing"),
    ] {
        let (code, body) = json(&server, path);
        assert_eq!(code, 400, "{path}");
        assert!(body["error"].as_str().unwrap().contains(part), "{path}: {body}");
    }
    server.stop();
}
