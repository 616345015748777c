//! Any key can come from the environment.

use super::*;

#[test]
fn a_variable_wins_over_the_file() {
    let config = with(
        MINIMAL,
        &[
            ("DUET__PAIR__NAME", "from-environment"),
            ("DUET__APPLY__IN_FLIGHT", "17"),
            ("DUET__INCREMENTS__PUBLISH", "true"),
            ("DUET__HEARTBEAT__INTERVAL", "1s"),
            ("DUET_CONFIG", "not a setting"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.pair.name.as_str(), "from-environment");
    assert_eq!((config.apply.in_flight, config.increments.publish), (17, true));
    assert_eq!(config.heartbeat.interval, Duration::from_secs(1));
}

#[test]
fn an_underscore_stands_for_the_dash_of_a_region_and_case_does_not_matter() {
    let text = MINIMAL.replace("eu-west", "EU-west_1");
    let config = with(&text, &[("DUET__REGION__EU_WEST_1__USERNAME", "copier")]).unwrap();
    assert_eq!(config.source().name.as_str(), "EU-west_1");
    assert_eq!(config.source().username.as_deref(), Some("copier"));
    assert_eq!(config.target().username, None);
}

#[test]
fn a_whole_configuration_fits_into_the_environment() {
    let config = with(
        "",
        &[
            ("DUET__PAIR__NAME", "orders"),
            ("DUET__FORWARD__SOURCE", "eu-west"),
            ("DUET__FORWARD__TARGET", "us-east"),
            ("DUET__REGION__EU_WEST__URL", "redis://127.0.0.1:7001"),
            ("DUET__REGION__US_EAST__URL", "redis://127.0.0.1:7002"),
        ],
    )
    .unwrap();
    assert_eq!(config.source().name.as_str(), "eu-west");
}

#[test]
fn a_password_of_digits_stays_as_it_is() {
    let config = with(MINIMAL, &[("DUET__REGION__EU_WEST__PASSWORD", "007")]).unwrap();
    assert_eq!(config.source().password.as_ref().unwrap().expose_secret(), "007");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    assert_eq!(with(MINIMAL, &[("DUET__PAIR__NAME", "")]).unwrap().pair.name.as_str(), "orders");
}

#[test]
fn a_mistake_names_the_variable_and_not_the_file() {
    for (name, value, parts) in [
        ("DUET__APPLY__IN_FLIGHT", "many", ["`apply.in_flight` has a value of the wrong type", "number"]),
        ("DUET__APPLY__IN_FLIGHT", "0", ["`apply.in_flight` is 0", "1 to 512"]),
        ("DUET__APPLY__INFLIGHT", "7", ["`apply.inflight` is not a known key", "Did you mean `in_flight`?"]),
        ("DUET__INCREMENTS__PUBLISH", "yes", ["`increments.publish`", "true or false"]),
        ("DUET__REGION__EU_WEST__URL", "http://h:1", ["`region.eu-west.url`", "rediss://"]),
        ("DUET__REGION__EUWEST__URL", "redis://h:1", ["`region.euwest` is a third region", "Remove it"]),
        ("DUET__PAIR", "orders", ["`pair`", "a section"]),
        ("DUET__PAIR__NAME__X", "orders", ["`pair.name", ""]),
        ("DUET__", "x", ["names no key", "conf/full.toml"]),
        ("DUET__A..B", "x", ["names no key", "conf/full.toml"]),
        ("DUET__PAIR[999999999999999]", "x", ["names no key", "conf/full.toml"]),
    ] {
        let message = with(MINIMAL, &[(name, value)]).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
        assert_says(&message, &parts);
    }
}
