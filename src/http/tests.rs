mod actions;
mod conflicts;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{HttpServer, Known};
use crate::config;
use crate::engine::conflict::{Done, Record, Unit};
use crate::health::Health;
use crate::journal::Journal;
use crate::journal::tests::{finish, record};
use crate::observe::{Board, News, Reason, SetAside, State, tests::board};

/// A request over a connection of its own: status, head, body.
fn ask(server: &HttpServer, method: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: duet\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, head.to_ascii_lowercase(), body.to_owned())
}

fn json(server: &HttpServer, path: &str) -> (u16, Value) {
    let (code, head, body) = ask(server, "GET", path);
    assert!(head.contains("content-type: application/json"), "{head}");
    (code, serde_json::from_str(&body).unwrap())
}

fn start() -> (Arc<Board>, HttpServer) {
    let (board, _, server) = start_with_journal();
    (board, server)
}

fn start_with_journal() -> (Arc<Board>, Journal, HttpServer) {
    let board = Arc::new(board(Instant::now()));
    let journal = Journal::start(&config::tests::minimal(), None, Arc::clone(&board)).unwrap();
    let server = HttpServer::start("127.0.0.1:0".parse().unwrap(), None, None, known(&board, &journal)).unwrap();
    (board, journal, server)
}

fn known(board: &Arc<Board>, journal: &Journal) -> Known {
    let health = Health::new(&config::tests::minimal(), Arc::clone(board));
    Known {
        board: Arc::clone(board),
        journal: journal.clone(),
        history: Arc::default(),
        news: News::default(),
        health: Arc::new(health),
    }
}

fn stream(board: &Board) {
    for link in &board.links {
        link.enter(State::Streaming, None);
        // A long way ahead, so that a slow machine cannot make the link look stalled.
        link.heartbeat_seen(Duration::from_millis(12), Instant::now() + Duration::from_secs(60));
    }
}

#[test]
fn a_live_process_says_so_whatever_the_links_do() {
    let (_board, server) = start();
    let (code, body) = json(&server, "/livez");
    assert_eq!((code, &body["alive"]), (200, &Value::Bool(true)));
    server.stop();
}

#[test]
fn ready_only_when_both_links_stream() {
    let (board, server) = start();
    let (code, body) = json(&server, "/readyz");
    assert_eq!((code, &body["ready"]), (503, &Value::Bool(false)));
    stream(&board);
    let (code, body) = json(&server, "/readyz");
    assert_eq!((code, &body["ready"], &body["reason"]), (200, &Value::Bool(true), &Value::Null));

    let reason = Reason { code: "wrong_password", text: "WRONGPASS".into(), remedy: "Correct it".into() };
    board.reverse().enter(State::Halted, Some(reason));
    let (code, body) = json(&server, "/readyz");
    assert_eq!(code, 503);
    assert_eq!(body["reason"], "reverse is halted: WRONGPASS");
    assert_eq!(body["links"][0]["state"], "streaming");
    assert_eq!(body["links"][1]["direction"], "reverse");
    assert_eq!(body["links"][1]["state"], "halted");
    assert_eq!(body["links"][1]["remedy"], "Correct it");
    server.stop();
}

#[test]
fn a_link_that_streams_without_moving_is_not_ready() {
    let (board, server) = start();
    stream(&board);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(5)).unwrap();
    board.forward().enter(State::Connecting, None);
    board.forward().enter_at(State::Streaming, None, long_ago);
    board.forward().heartbeat_seen(Duration::from_millis(12), long_ago);
    let (code, body) = json(&server, "/readyz");
    assert_eq!((code, &body["links"][0]["state"]), (503, &Value::from("streaming")));
    assert!(body["links"][0]["reason"].as_str().unwrap().starts_with("stalled: "), "{body}");
    server.stop();
}

#[test]
fn the_status_has_every_field_that_is_promised() {
    let (board, server) = start();
    stream(&board);
    board.forward().writes_applied.add(7);
    board.forward().set_aside(SetAside::new(0, b"k\xff", "module value", "no such module at the target"));
    let progress = board.forward().begin_full_sync(Instant::now());
    progress.keys_total.set(10);
    progress.keys_done.add(4);
    let (code, body) = json(&server, "/status");
    assert_eq!(code, 200);
    assert_eq!(body["pair"], "orders");
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert!(body["uptime_s"].is_u64());
    let [forward, reverse] = body["links"].as_array().unwrap().as_slice() else { panic!("{body}") };
    assert_eq!(forward["direction"], "forward");
    assert_eq!((&forward["source"], &forward["target"]), (&reverse["target"], &reverse["source"]));
    assert_eq!((&forward["state"], &forward["reason"]), (&Value::from("streaming"), &Value::Null));
    assert_eq!(forward["lag_ms"], 12);
    assert_eq!((&forward["writes_applied"], &forward["set_aside"]), (&Value::from(7), &Value::from(1)));
    assert!(forward["echoes_dropped"].is_u64() && forward["reconnects"].is_u64());
    assert_eq!(forward["full_sync"]["keys_done"], 4);
    assert_eq!(forward["full_sync"]["keys_total"], 10);
    assert!(forward["full_sync"]["bytes_done"].is_u64() && forward["full_sync"]["bytes_total"].is_u64());
    assert_eq!(forward["set_aside_recent"][0]["key"], "k\\xff");
    assert_eq!(reverse["full_sync"], Value::Null);
    for count in ["replayed", "dropped", "reconciled"] {
        assert_eq!(body["conflicts"][count], 0);
    }
    for unit in ["whole", "element", "lifetime", "sequence"] {
        assert_eq!(body["conflicts"]["by_unit"][unit], 0);
    }
    assert_eq!((&body["journal"]["state"], &body["journal"]["dropped"]), (&Value::from("memory"), &Value::from(0)));
    server.stop();
}

#[test]
fn head_has_the_code_and_no_body() {
    let (_board, server) = start();
    for (path, expected) in [("/livez", 200), ("/readyz", 503), ("/status", 200)] {
        let (code, head, body) = ask(&server, "HEAD", path);
        assert_eq!((code, body.as_str()), (expected, ""), "{path}");
        assert!(head.contains("cache-control: no-store"), "{head}");
    }
    server.stop();
}

#[test]
fn other_paths_and_methods_are_refused_as_json() {
    let (_board, server) = start();
    let (code, body) = json(&server, "/metrics-of-somebody");
    assert_eq!((code, &body["error"]), (404, &Value::from("no such path")));
    let (code, head, body) = ask(&server, "POST", "/status");
    assert_eq!(code, 405);
    assert!(head.contains("allow: get,head"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["error"], "method not allowed");
    server.stop();
}

#[test]
fn a_client_that_sends_nothing_keeps_nobody_waiting_and_no_stop() {
    let (_board, server) = start();
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    let (code, _) = json(&server, "/livez");
    assert_eq!(code, 200);
    let before = Instant::now();
    server.stop();
    assert!(before.elapsed() < Duration::from_secs(4));
    drop(silent);
}

#[test]
fn an_address_in_use_is_an_error() {
    let (board, journal, server) = start_with_journal();
    assert!(HttpServer::start(server.address(), None, None, known(&board, &journal)).is_err());
    server.stop();
}
