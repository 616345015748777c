//! What a person types, and the exit code that it gets: the real program, without any server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
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
fn conflicts_are_listed_as_a_table_and_as_json_and_followed_line_by_line() {
    let place = tempfile::tempdir().unwrap();
    let entry = |id: &str| {
        format!(
            "{{\"id\":\"{id}\",\"time\":\"2026-01-31T12:00:01Z\",\"found_at\":\"us-east\",\"database\":2,\"key\":\"user:7\",\
             \"unit\":{{\"kind\":\"element\",\"name\":\"mail\"}},\
             \"winner\":{{\"region\":\"us-east\",\"time\":\"2026-01-31T12:00:00.002Z\"}},\
             \"loser\":{{\"region\":\"eu-west\",\"time\":null}},\
             \"write\":{{\"words\":[\"HSET\",\"user:7\",\"mail\",\"a b\"],\"length\":45,\"truncated\":false}},\"done\":\"replayed\"}}\n"
        )
    };
    let lines = [entry("00000000000000a1"), "not a record\n".to_owned(), entry("00000000000000a2")].concat();
    std::fs::write(place.path().join("orders-00000001.jsonl"), lines).unwrap();
    let file = configuration("[http]", &format!("[conflicts]\njournal = \"{}\"\n\n[http]", place.path().display()));
    let (mut child, address) = started(&file);
    let url = format!("http://{address}");

    let table = String::from_utf8(duet(&["conflicts", "--url", &url, "--db", "2"]).stdout).unwrap();
    for part in
        ["00000000000000a1", "element mail", "us-east 12:00:00.002000", "eu-west by itself", "HSET user:7 mail \"a b\""]
    {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
    assert!(table.contains("2 conflicts in all: 2 replayed"), "{table}");
    let newest = duet(&["conflicts", "--url", &url, "--json", "--limit", "1", "--key", "user:7"]).stdout;
    let newest: serde_json::Value = serde_json::from_slice(&newest).unwrap();
    assert_eq!((&newest["conflicts"][0]["id"], &newest["matching"]), (&"00000000000000a2".into(), &2.into()));
    let none = String::from_utf8(duet(&["conflicts", "--url", &url, "--since", "1m"]).stdout).unwrap();
    assert!(none.starts_with("2 conflicts in all"), "{none}");
    let status: serde_json::Value = serde_json::from_slice(&duet(&["status", "--url", &url, "--json"]).stdout).unwrap();
    assert_eq!((&status["journal"]["state"], &status["journal"]["unreadable"]), (&"files".into(), &1.into()));

    let mut follow = Command::new(PROGRAM)
        .args(["conflicts", "--url", &url, "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let followed = BufReader::new(follow.stdout.take().unwrap()).lines().take(2);
    let ids: Vec<_> =
        followed.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap()["id"].clone()).collect();
    assert_eq!(ids, ["00000000000000a1", "00000000000000a2"]);
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert_eq!(signalled(&mut child, "-TERM"), 0);
}

#[test]
fn a_mistake_in_a_question_about_conflicts_is_found_before_it_is_asked() {
    for (arguments, part) in [
        (vec!["conflicts", "--since", "yesterday"], "write how long ago, as 10m"),
        (vec!["conflicts", "--done", "lost"], "replayed, dropped, reconciled"),
        (vec!["conflicts", "undo", "7", "--config", "pair.toml"], "an id has 16 hexadecimal digits"),
        (vec!["conflicts", "undo", "00000000000000a1"], "--config"),
        (vec!["why", "user:7"], "--config"),
    ] {
        let output = duet(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(error_of(&output).contains(part), "{arguments:?}: {}", error_of(&output));
    }
    let output = duet(&["why", "user:7", "--config", "/nowhere/pair.toml"]);
    assert_eq!(output.status.code(), Some(78), "{}", error_of(&output));
}

#[test]
fn every_command_has_a_help_with_examples() {
    for (arguments, part) in [
        (vec!["--help"], "Exit codes:"),
        (vec!["run", "--help"], "Examples:"),
        (vec!["status", "--help"], "Examples:"),
        (vec!["conflicts", "--help"], "Examples:"),
        (vec!["conflicts", "undo", "--help"], "Example:"),
        (vec!["why", "--help"], "Examples:"),
    ] {
        let output = duet(&arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains(part), "{arguments:?}");
    }
    let version = duet(&["version"]).stdout;
    assert_eq!(String::from_utf8(version).unwrap(), format!("duet {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn in_the_journal_each_line_has_its_priority_and_neither_time_nor_colour() {
    let file = configuration("", "");
    for (format, begins) in [("text", "<6> INFO started"), ("json", "<6>{\"timestamp\":")] {
        for journal in [true, false] {
            let log = tempfile::NamedTempFile::new().unwrap();
            let seen = log.as_file().metadata().unwrap();
            // What a process inherits whose standard error is something else.
            let stream = format!("{}:{}", seen.dev(), seen.ino() + u64::from(!journal));
            let mut child = Command::new(PROGRAM)
                .args(["run", "--config", path(&file)])
                .envs([("DUET__LOG__FORMAT", format), ("JOURNAL_STREAM", &stream)])
                .stderr(log.reopen().unwrap())
                .spawn()
                .unwrap();
            let begun = Instant::now();
            let logged = || std::fs::read_to_string(log.path()).unwrap();
            while !logged().contains("unreachable") {
                assert!(begun.elapsed() < DEADLINE, "{}", logged());
                std::thread::sleep(Duration::from_millis(10));
            }
            assert_eq!(signalled(&mut child, "-TERM"), 0);
            let logged = logged();
            assert!(!logged.contains('\x1b'), "{logged}");
            let first = logged.lines().find(|line| line.contains("started")).unwrap();
            assert_eq!(first.starts_with(begins), journal, "{first}");
            assert_eq!(logged.lines().all(|line| line.starts_with('<')), journal, "{logged}");
            assert_eq!(logged.lines().any(|line| line.starts_with("<4>")), journal, "{logged}");
        }
    }
}
