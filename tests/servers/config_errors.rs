//! What is wrong with a configuration is said in one message, and the exit code is 78.

use crate::duet;
use anyhow::{Result, ensure};
use std::process::Command;

const GOOD: &str = r#"
[pair]
name = "orders"

[forward]
source = "eu-west"
target = "us-east"

[region.eu-west]
url = "redis://127.0.0.1:7001"

[region.us-east]
url = "redis://127.0.0.1:7002"
"#;

/// Runs with this configuration, and expects every word in a message that also names the file.
fn is_refused(toml: &str, environment: &[(&str, &str)], words: &[&str]) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("pair.toml");
    std::fs::write(&file, toml)?;
    let mut command = Command::new(duet());
    command.arg("run").arg("--config").arg(&file).envs(environment.iter().copied());
    let output = command.output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(78), "{}: {message}", output.status);
    ensure!(message.trim().lines().count() == 1, "one message, in one line: {message}");
    ensure!(environment.iter().any(|(name, _)| message.contains(name)) || message.contains("pair.toml"), "{message}");
    for word in words {
        ensure!(message.contains(word), "no {word} in: {message}");
    }
    Ok(())
}

#[test]
fn an_unknown_key_is_named_with_what_was_meant() -> Result<()> {
    is_refused(&GOOD.replace("target =", "targte ="), &[], &["targte", "target"])?;
    is_refused(&format!("{GOOD}\n[heartbeat]\nintervall = \"1s\"\n"), &[], &["heartbeat.intervall", "interval"])
}

#[test]
fn a_wrong_type_is_named_with_the_right_one() -> Result<()> {
    is_refused(&format!("{GOOD}\n[apply]\nin_flight = \"many\"\n"), &[], &["apply.in_flight", "number"])
}

#[test]
fn a_value_out_of_bounds_is_named() -> Result<()> {
    is_refused(&format!("{GOOD}\n[heartbeat]\ninterval = \"1h\"\n"), &[], &["heartbeat.interval", "10s"])
}

#[test]
fn the_same_server_as_both_regions_is_refused() -> Result<()> {
    is_refused(&GOOD.replace("7002", "7001"), &[], &["region"])?;
    let spelled_differently = GOOD.replace("127.0.0.1:7002", "localhost:7001");
    is_refused(&spelled_differently, &[], &["region"])
}

#[test]
fn an_address_that_does_not_resolve_is_refused() -> Result<()> {
    is_refused(&GOOD.replace("127.0.0.1:7002", "no-such-host.invalid:7002"), &[], &["no-such-host.invalid"])
}

#[test]
fn a_missing_region_is_named() -> Result<()> {
    is_refused(&GOOD.replace("[region.us-east]", "[region.us-west]"), &[], &["us-east"])
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() -> Result<()> {
    is_refused(&GOOD.replace("[forward]", "[forward"), &[], &["line 5"])
}

#[test]
fn a_password_file_that_is_not_there_is_named() -> Result<()> {
    let toml = GOOD.replace("[region.us-east]", "[region.us-east]\npassword_file = \"/no/such/file\"");
    is_refused(&toml, &[], &["password_file", "/no/such/file"])
}

#[test]
fn a_wrong_variable_is_named() -> Result<()> {
    is_refused(GOOD, &[("DUET__APPLY__IN_FLIGHT", "many")], &["DUET__APPLY__IN_FLIGHT"])
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("pair.toml");
    for toml in [
        GOOD.replace("redis://127.0.0.1:7001", "redis://user:s3cr3t-word@127.0.0.1:7001/no/database"),
        GOOD.replace("[region.us-east]", "[region.us-east]\npasswrod = \"s3cr3t-word\""),
        GOOD.replace("[region.us-east]", "[region.us-east]\npassword = s3cr3t-word"),
    ] {
        std::fs::write(&file, toml)?;
        let output = Command::new(duet()).arg("run").arg("--config").arg(&file).output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(output.status.code() == Some(78) && !said.contains("s3cr3t-word"), "{said}");
    }
    Ok(())
}

#[test]
fn a_file_that_is_not_there_is_named() -> Result<()> {
    let output = Command::new(duet()).args(["run", "--config", "/no/such/pair.toml"]).output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(78) && message.contains("/no/such/pair.toml"), "{message}");
    Ok(())
}

#[test]
fn help_is_there_for_the_program_and_each_subcommand() -> Result<()> {
    for args in [&["--help"][..], &["run", "--help"], &["status", "--help"]] {
        let output = Command::new(duet()).args(args).output()?;
        let help = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success() && help.contains("Usage: duet"), "{help}");
    }
    Ok(())
}

#[test]
fn orders_from_other_machines_need_a_token() -> Result<()> {
    for listen in ["0.0.0.0:8781", "[::]:8781", "192.0.2.1:8781"] {
        let open = format!("{GOOD}\n[admin]\nlisten = \"{listen}\"\n");
        is_refused(&open, &[], &["admin.listen", "other machines", "admin.token_file"])?;
    }
    let lost = format!("{GOOD}\n[admin]\nlisten = \"0.0.0.0:0\"\ntoken_file = \"/nowhere/token\"\n");
    is_refused(&lost, &[], &["admin.token_file", "/nowhere/token"])
}
