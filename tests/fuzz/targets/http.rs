use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::Body;
use axum::http::Request;
use duet::admin::Order;
use duet::health::Health;
use duet::http::{Known, agent_line, routes};
use duet::journal::Journal;
use duet::observe::{Board, News};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

/// A request's target, HAProxy's question, an order with its arguments: each is answered.
pub fn http(data: &[u8]) {
    let known = known();
    let text = String::from_utf8_lossy(data);
    let (line, rest) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(request) = Request::builder().method("GET").uri(line).body(Body::empty()) {
        let service = TowerToHyperService::new(routes(known.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let answer = runtime.block_on(service.call(request)).expect("an answer");
        assert!(answer.status().as_u16() != 500);
    }
    let answer = agent_line(line, &known.health);
    assert!(answer.ends_with('\n') && answer.len() < line.len() * 8 + 400, "{answer}");
    if let Ok(order) = Order::parse(line, rest.as_bytes()) {
        let again = Order::parse(&order.name(), order.arguments().to_string().as_bytes()).expect("an order");
        assert_eq!((again.name(), again.arguments()), (order.name(), order.arguments()));
    }
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let config = duet::config::parse("minimal", include_str!("../../../conf/minimal.toml")).expect("valid");
        let board = Arc::new(Board::new(&config, Instant::now()));
        let journal = Journal::start(&config, None, Arc::clone(&board)).expect("a thread");
        let health = Arc::new(Health::new(&config, Arc::clone(&board)));
        Known { board, journal, history: Arc::default(), news: News::default(), health }
    })
}
