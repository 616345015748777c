//! Each mistake gets one message with place, key and remedy.

use super::*;

#[test]
fn an_unknown_key_is_named_with_the_one_that_was_meant() {
    assert_eq!(
        message("forward", "existng_keys = \"keep\""),
        "pair.toml: `forward.existng_keys` is not a known key. Did you mean `existing_keys`?"
    );
    assert_says(
        &message("pair", "batch_bytes = 3"),
        &["`pair.batch_bytes` is not", "Did you mean `apply.batch_bytes`?"],
    );
    assert_says(&message("pair", "zzz = 3"), &["`pair.zzz` is not", "Known here: name, reserved_prefix"]);
    assert_says(&message("regions", "a = 3"), &["`regions` is not a known section", "`region`"]);
    assert_says(
        &message("region.eu-west", "pasword_file = \"x\""),
        &["`region.eu-west.pasword_file`", "`password_file`"],
    );
}

#[test]
fn a_wrong_type_is_named_without_the_value() {
    assert_says(
        &message("apply", "in_flight = \"many\""),
        &["`apply.in_flight` has a value of the wrong type", "number"],
    );
    assert_says(&message("apply", "in_flight = -1"), &["`apply.in_flight`", "wrong type", "0 or more"]);
    assert_says(&message("apply", "in_flight = 1.5"), &["`apply.in_flight`", "wrong type"]);
    assert_says(&message("increments", "publish = \"yes\""), &["`increments.publish`", "true or false"]);
    assert_says(&message("heartbeat", "interval = 250"), &["`heartbeat.interval`", "text in quotes"]);
    assert_says(&replaced("name = \"orders\"", "name = [\"orders\"]"), &["`pair.name`", "wrong type"]);
    assert_says(&with("http = 3", &[]).unwrap_err().to_string(), &["`http`", "a section"]);
}

#[test]
fn a_missing_key_is_named_with_an_example_and_its_variable() {
    assert_eq!(
        replaced("name = \"orders\"", ""),
        "pair.toml: `pair.name` is missing. Add `name = \"orders\"` below [pair], or set DUET__PAIR__NAME"
    );
    assert_says(&replaced("source = \"eu-west\"", ""), &["`forward.source` is missing"]);
    assert_says(
        &replaced("url = \"redis://127.0.0.1:7001\"", ""),
        &["`region.eu-west.url` is missing", "redis://host:port", "DUET__REGION__EU_WEST__URL"],
    );
    assert_says(&with("", &[]).unwrap_err().to_string(), &["`pair.name` is missing"]);
}

#[test]
fn a_pair_has_two_different_regions() {
    assert_says(
        &replaced("target = \"us-east\"", "target = \"us-west\""),
        &["`forward.target` names no region", "`eu-west`, `us-east`", "[region.us-west]"],
    );
    assert_says(&replaced("target = \"us-east\"", "target = \"eu-west\""), &["`forward.target` is the same region"]);
    assert_says(&message("region.third", "url = \"redis://h:1\""), &["`region.third` is a third region", "Remove it"]);
    assert_says(&message("region.\"a b\"", "url = \"redis://h:1\""), &["`region.a b` has no valid name"]);
    assert_says(
        &replaced("[region.us-east]\nurl = \"redis://127.0.0.1:7002\"", ""),
        &["`forward.target` names no region"],
    );
}

#[test]
fn a_url_says_host_and_port_and_nothing_without_effect() {
    for (url, part) in [
        ("http://127.0.0.1:7002", "does not begin with redis:// or rediss://"),
        ("redis://127.0.0.1:7002/0", "all databases are copied"),
        ("127.0.0.1:7002", "Write it as \"redis://host:port\""),
    ] {
        assert_says(&replaced("redis://127.0.0.1:7002", url), &["pair.toml: `region.us-east.url` ", part]);
    }
}

#[test]
fn tls_is_asked_for_by_the_url_and_its_files_belong_together() {
    assert_says(
        &message("region.eu-west", "ca_file = \"/ca.pem\""),
        &["`region.eu-west.ca_file` is set, but the url does not ask for TLS", "rediss://"],
    );
    let by_tls = |more: &str| replaced("redis://127.0.0.1:7002", &format!("rediss://127.0.0.1:7002\"\n{more}"));
    assert_says(
        &by_tls("ca_file = \"/nowhere/ca.pem"),
        &["`region.us-east.url` asks for TLS, but /nowhere/ca.pem cannot be read"],
    );
    assert_says(&by_tls("key_file = \"/it.key"), &["`region.us-east.key_file` is set, but no `certificate_file`"]);
    assert_says(&by_tls("server_name = \"a b"), &["`region.us-east.server_name` is not a name"]);
    assert_says(
        &message("http", "certificate_file = \"/it.pem\""),
        &["`http.certificate_file` is set, but no `key_file`", "Set `key_file`"],
    );
}

#[test]
fn a_choice_lists_what_it_takes() {
    assert_eq!(
        message("forward", "existing_keys = \"replace\""),
        "pair.toml: `forward.existing_keys` has a value that it does not take. \
         It takes \"fail\" or \"overwrite\" or \"keep\""
    );
    assert_says(&message("log", "level = \"loud\""), &["`log.level`", "\"info\""]);
}

#[test]
fn every_bound_is_told() {
    assert_says(
        &message("heartbeat", "interval = \"1ms\""),
        &["`heartbeat.interval` is out of its bounds", "50ms to 10s"],
    );
    assert_says(
        &message("heartbeat", "interval = \"often\""),
        &["`heartbeat.interval` is not a duration", "\"250ms\""],
    );
    assert_says(&message("heartbeat", "expire = \"1s\"\ninterval = \"500ms\""), &["`heartbeat.expire`", "4 times"]);
    assert_says(&message("retry", "first = \"5s\"\nmost = \"1s\""), &["`retry.most` is less than `retry.first`"]);
    assert_says(&message("apply", "in_flight = 0"), &["`apply.in_flight` is 0", "It takes 1 to 512"]);
    assert_says(&message("full_sync", "value_bytes = 99999999999"), &["`full_sync.value_bytes`", "16777216"]);
    assert_says(&replaced("\"orders\"", "\"my orders\""), &["`pair.name` is not a name", "letters"]);
    assert_says(&message("pair", "reserved_prefix = \"{x}\""), &["`pair.reserved_prefix` is not a prefix"]);
    assert_says(&message("pair", "reserved_prefix = \"\""), &["`pair.reserved_prefix` is not a prefix"]);
    assert_says(&replaced("127.0.0.1:8780", "8780"), &["`http.listen` is not an address", "\"127.0.0.1:8780\""]);
}

#[test]
fn a_policy_names_a_region_of_the_pair() {
    assert_eq!(
        message("conflicts", "policy = \"region:eu\""),
        "pair.toml: `conflicts.policy` names no region of this pair. It takes \"last-update-wins\" or \"hold\" or \
         \"region:eu-west\" or \"region:us-east\""
    );
    assert_says(&message("conflicts", "policy = \"first\""), &["`conflicts.policy` has a value that it does not take"]);
    assert_says(&message("conflicts", "journal = \"\""), &["`conflicts.journal` is empty", "directory"]);
    assert_says(&message("conflicts", "journal_bytes = 7"), &["`conflicts.journal_bytes` is 7", "1048576"]);
    assert_says(&message("clock", "skew_limit = \"2h\""), &["`clock.skew_limit` is out of its bounds", "1ms to 1h"]);
    assert_says(&message("clock", "beyond = \"stop\""), &["`clock.beyond`", "\"alarm\" or \"hold\""]);
    assert_says(&message("deletes", "expiry = \"guess\""), &["`deletes.expiry`", "\"compare\""]);
}

#[test]
fn a_prefix_is_checked_like_any_other_section() {
    let prefix =
        |lines: &str| with(&format!("{MINIMAL}\n[[conflicts.prefix]]\n{lines}\n"), &[]).unwrap_err().to_string();
    assert_says(&prefix("policy = \"hold\""), &["`conflicts.prefix.prefix` is missing"]);
    assert_says(&prefix("prefix = \"a\""), &["`conflicts.prefix.policy` is missing"]);
    assert_says(&prefix("prefix = \"\"\npolicy = \"hold\""), &["`conflicts.prefix.prefix` is empty"]);
    assert_says(&prefix("prefix = 3"), &["`conflicts.prefix.prefix` has a value of the wrong type"]);
    assert_says(&prefix("prefx = \"a\""), &["`conflicts.prefix.prefx` is not a known key", "`prefix`"]);
    assert_says(
        &prefix("prefix = \"a\"\npolicy = \"hold\"\n[[conflicts.prefix]]\nprefix = \"a\"\npolicy = \"hold\""),
        &["`conflicts.prefix.prefix` is \"a\" twice", "Keep one"],
    );
    assert_says(
        &message("conflicts", "prefix = \"a\""),
        &["`conflicts.prefix` has a value of the wrong type", "[[...]]"],
    );
    assert_says(
        &message("conflicts", "prefix = [1]"),
        &["`conflicts.prefix` has a value of the wrong type", "[[...]]"],
    );
    assert!(with(MINIMAL, &[("DUET__CONFLICTS__PREFIX", "a")]).is_err());
}

#[test]
fn a_line_that_is_not_toml_is_named_by_its_number() {
    assert_says(&replaced("[http]", "[http"), &["pair.toml, line 18: is not TOML", "Correct this line"]);
    assert_says(&replaced("[http]", "[pair]"), &["is not TOML (duplicate key"]);
}

#[test]
fn a_key_that_looks_like_a_place_in_a_list_takes_no_memory() {
    assert_says(&with("\"pair[999999999999999]\" = 1", &[]).unwrap_err().to_string(), &["is not a known key"]);
    assert_says(&message("pair", "\"name[999999999999999]\" = 1"), &["is not a known key"]);
}

proptest::proptest! {
    #[test]
    fn whatever_the_file_and_the_url_say_the_answer_is_a_message(text in "[\\[\\]a-z=\"'.#{}0-9:/@%\n -]{0,80}", url in ".{0,60}") {
        assert!(with(&text, &[]).is_err());
        let _either = with(MINIMAL, &[("DUET__REGION__EU_WEST__URL", &url)]);
    }
}
