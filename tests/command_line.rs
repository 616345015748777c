//! What a person types, and the exit code that it gets: the real program, without any server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const MINIMAL: &str = include_str!("../conf/minimal.toml");
const PROGRAM: &str = env!("CARGO_BIN_EXE_duet");
/// More than any start or stop may take.
const DEADLINE: Duration = Duration::from_secs(10);

fn duet(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env_remove("DUET_CONFIG").output().unwrap()
}

fn error_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The smallest configuration on a free HTTP port, with one text replaced.
fn configuration(from: &str, to: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), MINIMAL.replace("127.0.0.1:8780", "127.0.0.1:0").replace(from, to)).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// Starts `duet run` and waits for the line that says so; gives its HTTP address.
fn started(file: &tempfile::NamedTempFile) -> (Child, String) {
    let mut child = Command::new(PROGRAM)
        .args(["run", "--config", path(file)])
        .env("DUET__LOG__FORMAT", "json")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().unwrap().contains("\"started\"")).unwrap().unwrap();
    std::thread::spawn(move || lines.count());
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["source"], &line["target"]), (&"eu-west".into(), &"us-east".into()));
    (child, line["http"].as_str().unwrap().to_owned())
}

fn signalled(child: &mut Child, signal: &str) -> i32 {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap();
        }
        assert!(begun.elapsed() < DEADLINE, "no end after {signal}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_wrong_configuration_ends_with_78_and_one_line() {
    for (from, to, part) in [
        ("name = \"orders\"", "nam = \"orders\"", "`pair.nam` is not a known key. Did you mean `name`?"),
        ("name = \"orders\"", "name = 3", "`pair.name` has a value of the wrong type"),
        ("127.0.0.1:7002", "127.0.0.1:7001", "`region.us-east.url` is the same server as region `eu-west`"),
        (
            "127.0.0.1:7002",
            "nowhere.invalid:7002",
            "`region.us-east.url` names `nowhere.invalid`, which does not resolve",
        ),
        ("[http]", "[http", "line 18: is not TOML"),
    ] {
        let file = configuration(from, to);
        let output = duet(&["run", "--config", path(&file)]);
        let error = error_of(&output);
        assert_eq!(output.status.code(), Some(78), "{error}");
        assert!(error.starts_with(&format!("duet: {}", path(&file))) && error.contains(part), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn an_http_address_in_use_ends_with_78_and_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = configuration("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    let output = duet(&["run", "--config", path(&file)]);
    assert_eq!(output.status.code(), Some(78));
    let error = error_of(&output);
    assert!(error.contains("`http.listen` cannot be used") && error.lines().count() == 1, "{error}");
}

#[test]
fn without_its_servers_it_runs_answers_and_stops_with_0() {
    for signal in ["-TERM", "-INT"] {
        let file = configuration("", "");
        let (mut child, address) = started(&file);
        let status = duet(&["status", "--url", &format!("http://{address}"), "--json"]);
        assert_eq!(status.status.code(), Some(1), "not ready");
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!((&status["pair"], &status["ready"]), (&"orders".into(), &false.into()));
        let table = duet(&["status", "--url", &format!("http://{address}")]);
        assert!(String::from_utf8(table.stdout).unwrap().contains("pair orders: NOT READY"));
        assert_eq!(signalled(&mut child, signal), 0);
    }
}

#[test]
fn a_status_that_nobody_gives_ends_with_1_and_names_the_address() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = duet(&["status", "--url", &format!("http://{free}")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error_of(&output).contains(&format!("no status from {free}: Connection refused")));
}

#[test]
fn every_command_has_a_help_with_examples() {
    for (arguments, part) in
        [(vec!["--help"], "Exit codes:"), (vec!["run", "--help"], "Examples:"), (vec!["status", "--help"], "Examples:")]
    {
        let output = duet(&arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains(part), "{arguments:?}");
    }
    let version = duet(&["version"]).stdout;
    assert_eq!(String::from_utf8(version).unwrap(), format!("duet {}\n", env!("CARGO_PKG_VERSION")));
}
