//! Who may give orders, and what is answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::admin::{Audit, Done, Orders};
use crate::config::{Listen, tests::minimal};
use crate::http::AdminServer;
use crate::observe::{Board, tests::board};

const TOKEN: &str = "0123456789abcdef";

/// A server for orders with a daemon behind it that says yes to everything.
fn start(token: Option<&Path>, listen: &Listen) -> (AdminServer, Arc<Board>) {
    let board = Arc::new(board(Instant::now()));
    let config = minimal();
    let (orders, mut desk) = Orders::new(Audit::start(&config, None, Arc::clone(&board)));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            while let Some(task) = desk.next().await {
                task.answer.send(Ok(Done::new(format!("{:?}", task.order)))).unwrap();
            }
        });
    });
    let mut admin = config.admin;
    admin.token_file = token.map(Path::to_owned);
    admin.host = Some("duet.example".into());
    (AdminServer::start(listen, None, admin, orders).unwrap(), board)
}

fn local() -> Listen {
    Listen::Tcp("127.0.0.1:0".parse().unwrap())
}

/// A request with these lines in its head; gives code and answer.
fn ask(server: &AdminServer, first: &str, head: &[&str], body: &str) -> (u16, Value) {
    let Listen::Tcp(address) = server.place() else { panic!("not at an address") };
    exchange(TcpStream::connect(address).unwrap(), first, head, body)
}

fn exchange(mut stream: impl Read + Write, first: &str, head: &[&str], body: &str) -> (u16, Value) {
    let head: String = head.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    write!(stream, "{first} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

const PAUSE: &str = "POST /actions/pause";
const JSON: &str = "Content-Type: application/json";
const LINK: &str = r#"{"link":"forward"}"#;

#[test]
fn an_order_is_obeyed_and_recorded() {
    let (server, board) = start(None, &local());
    let (code, answer) = ask(&server, PAUSE, &["Host: 127.0.0.1:8781", JSON, "Duet-By: alice"], LINK);
    assert_eq!((code, &answer["text"]), (200, &"Pause { link: Forward }".into()));
    let recent = board.audit.status().recent;
    let entry = recent.back().unwrap();
    assert_eq!((entry.by.as_str(), entry.action.as_str()), ("alice (127.0.0.1)", "pause"));
    assert_eq!((entry.arguments.to_string().as_str(), entry.result.as_str()), (LINK, "done"));
    server.stop();
}

#[test]
fn only_a_post_of_json_to_the_daemons_own_name_from_no_page_gives_an_order() {
    let (server, board) = start(None, &local());
    for (first, head, code, name) in [
        ("GET /actions/pause", &["Host: localhost", JSON][..], 405, "wrong_method"),
        ("PUT /actions/pause", &["Host: localhost", JSON], 405, "wrong_method"),
        (PAUSE, &["Host: localhost"], 415, "wrong_type"),
        (PAUSE, &["Host: localhost", "Content-Type: text/plain"], 415, "wrong_type"),
        (PAUSE, &["Host: evil.example", JSON], 403, "wrong_host"),
        (PAUSE, &["Host: x@localhost", JSON], 403, "wrong_host"),
        (PAUSE, &["Host: localhost:8781", "Origin: http://evil.example", JSON], 403, "wrong_origin"),
        (PAUSE, &["Host: localhost:8781", "Origin: http://localhost:9999", JSON], 403, "wrong_origin"),
        (PAUSE, &["Host: localhost:8781", "Origin: null", JSON], 403, "wrong_origin"),
        ("POST /actions/explode", &["Host: localhost", JSON], 400, "no_such_order"),
        ("POST /status", &["Host: localhost", JSON], 404, "no_such_path"),
    ] {
        let (answered, answer) = ask(&server, first, head, LINK);
        assert_eq!((answered, &answer["error_code"]), (code, &name.into()), "{first} {head:?}: {answer}");
    }
    assert!(board.audit.status().recent.is_empty());
    let same = ["Host: duet.example:8781", "Origin: https://duet.example:8781", JSON];
    assert_eq!(ask(&server, PAUSE, &same, LINK).0, 200);
    server.stop();
}

#[test]
fn where_a_token_is_asked_for_only_the_right_one_counts_and_it_may_change() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
    let (server, _) = start(Some(file.path()), &local());
    let with = |token: &str| {
        let line = format!("Authorization: Bearer {token}");
        ask(&server, PAUSE, &["Host: localhost", JSON, &line], LINK).0
    };
    assert_eq!((with(TOKEN), with("0123456789abcdeF"), with("")), (200, 401, 401));
    assert_eq!(ask(&server, PAUSE, &["Host: localhost", JSON], LINK).0, 401);
    std::fs::write(file.path(), "another-token-of-32-characters--").unwrap();
    assert_eq!((with(TOKEN), with("another-token-of-32-characters--")), (401, 200));
    std::fs::write(file.path(), "short").unwrap();
    assert_eq!(with("short"), 503, "a token that is easy to guess lets nobody in");
    server.stop();
}

#[test]
fn a_socket_is_for_user_and_group_and_what_an_earlier_run_left_is_put_away() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("admin.sock");
    drop(UnixListener::bind(&path).unwrap());
    let (server, board) = start(None, &Listen::Unix(path.clone()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(exchange(stream, PAUSE, &["Host: localhost", JSON], LINK).0, 200);
    assert!(board.audit.status().recent.back().unwrap().by.starts_with("uid "));
    let config = minimal();
    let (orders, _desk) = Orders::new(Audit::start(&config, None, board));
    let second = AdminServer::start(&Listen::Unix(path.clone()), None, config.admin, orders);
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    server.stop();
    assert!(!path.exists());
}
