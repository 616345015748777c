//! A secret is never printed, logged or shown.

use super::*;

const SECRET: &str = "hunter2";

fn file_with(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

fn password(text: &str, variables: &[(&str, &str)]) -> String {
    with(text, variables).unwrap().source().password.as_ref().unwrap().expose_secret().to_owned()
}

#[test]
fn a_password_comes_from_the_key_the_file_or_the_url() {
    let file = file_with("hunter2\n");
    let path = file.path().display().to_string();
    let in_key = MINIMAL.replace("[region.eu-west]", "[region.eu-west]\npassword = \"hunter2\"");
    let in_url = MINIMAL.replace("redis://127.0.0.1:7001", "redis://copier:hunter2@127.0.0.1:7001");
    assert_eq!(password(&in_key, &[]), SECRET);
    assert_eq!(password(&in_url, &[]), SECRET);
    assert_eq!(with(&in_url, &[]).unwrap().source().username.as_deref(), Some("copier"));
    assert_eq!(password(MINIMAL, &[("DUET__REGION__EU_WEST__PASSWORD_FILE", &path)]), SECRET);
}

#[test]
fn two_passwords_for_one_region_are_refused() {
    let both = "password = \"hunter2\"\npassword_file = \"/x\"";
    assert_says(&message("region.eu-west", both), &["`region.eu-west.password_file` is set, and so is `password`"]);
    let text = MINIMAL.replace("redis://127.0.0.1:7001", "redis://:hunter2@127.0.0.1:7001");
    for key in ["PASSWORD", "PASSWORD_FILE"] {
        let variable = format!("DUET__REGION__EU_WEST__{key}");
        let message = with(&text, &[(&variable, SECRET)]).unwrap_err().to_string();
        assert_says(&message, &[&variable, "a password in the url"]);
    }
    let text = MINIMAL.replace("redis://127.0.0.1:7001", "redis://copier@127.0.0.1:7001");
    let message = with(&text, &[("DUET__REGION__EU_WEST__USERNAME", "other")]).unwrap_err().to_string();
    assert_says(&message, &["`region.eu-west.username` is set, and so is a user in the url"]);
}

#[test]
fn a_password_file_that_cannot_be_used_is_named_without_its_content() {
    assert_says(
        &message("region.eu-west", "password_file = \"/nowhere/secret\""),
        &["`region.eu-west.password_file` names the file /nowhere/secret, which cannot be opened: No such file"],
    );
    let long = file_with(&SECRET.repeat(1000));
    let line = format!("password_file = \"{}\"", long.path().display());
    let message = message("region.eu-west", &line);
    assert_says(&message, &["is longer than 4096 bytes"]);
    assert!(!message.contains(SECRET), "{message}");
}

#[test]
fn the_configuration_can_be_printed() {
    let text = MINIMAL
        .replace("[region.eu-west]", "[region.eu-west]\npassword = \"hunter2\"")
        .replace("redis://127.0.0.1:7002", "redis://:hunter2@127.0.0.1:7002");
    let config = with(&text, &[]).unwrap();
    let printed = format!("{config:?} {config:#?}");
    assert!(printed.contains("eu-west") && !printed.contains(SECRET), "{printed}");
}

/// Whatever is wrong with the line, file or variable that holds a secret.
#[test]
fn no_mistake_around_a_secret_shows_it() {
    for line in [
        "password = hunter2",
        "password = \"hunter2",
        "password = 'hunter2",
        "password \"hunter2\"",
        "password = \"hunter2\" x",
        "password = \"\\hunter2\"",
        "password = \"hunter2\\q\"",
        "password = \"\"\"hunter2",
        "password = \"hunter2\"\npassword = \"hunter2\"",
        "password = [\"hunter2\"]",
        "password = { hunter2 = 1 }",
        "password = 1979-13-hunter2",
        "pasword = \"hunter2\"",
        "username = \"hunter2\"\nusername = \"hunter2\"",
        "password = \"hunter2\"\npassword_file = \"/x\"",
        "password_file = [\"hunter2\"]",
    ] {
        let message = message("region.eu-west", line);
        assert!(!message.contains(SECRET), "{line}: {message}");
    }
    for url in [
        "hunter2@host:1",
        "redis://:hunter2@",
        "redis://:hunter2@host:99999",
        "redis://:hunter2@host/0",
        "redis://:hunter2@host?x=hunter2",
        "rediss://:hunter2@host/0",
        "hunter2://host",
        "redis://:hunter2%ff@host",
        "redis://:hunter2#@host",
    ] {
        let message = replaced("redis://127.0.0.1:7001", url);
        assert!(!message.contains(SECRET), "{url}: {message}");
    }
    for name in ["DUET__REGION__EU_WEST__PASSWRD", "DUET__REGION__EU_WEST__URL", "DUET__REGION__EU_WEST", "DUET__LOG"] {
        let message = with(MINIMAL, &[(name, SECRET)]).unwrap_err().to_string();
        assert!(!message.contains(SECRET), "{name}: {message}");
    }
}
