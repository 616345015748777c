//! `/actions/NAME`: orders to the daemon. POST only, on a listener of its own, and only from who may.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use axum::{Router, http::uri::Authority};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::answers::answer;
use super::listener::Peer;
use crate::admin::{Order, Orders, Refused};
use crate::config::{Admin, token};

/// Most bytes of an order's arguments.
const BODY_BYTES: usize = 64 * 1024;
/// Most letters of the name that a person gives.
const NAME: usize = 64;
/// Who gives the order, by their own word.
pub const BY_HEADER: &str = "duet-by";

/// What orders need.
#[derive(Debug, Clone)]
struct Gate {
    orders: Orders,
    admin: Arc<Admin>,
    denials: Arc<Denials>,
}

/// Requests that were turned away: a flood of them is one line a second in the log.
#[derive(Debug, Default)]
struct Denials {
    count: AtomicU64,
    told_s: AtomicI64,
}

/// The routes of the listener for orders.
pub(super) fn routes(orders: Orders, admin: Arc<Admin>) -> Router {
    let gate = Gate { orders, admin, denials: Arc::default() };
    Router::new()
        .route("/actions/{action}", post(act))
        .fallback(unknown_path)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn_with_state(gate.clone(), guard))
        .with_state(gate)
}

/// Has the order done, and gives its answer.
async fn act(
    State(gate): State<Gate>,
    Extension(peer): Extension<Peer>,
    Path(action): Path<String>,
    headers: HeaderMap,
    arguments: Bytes,
) -> Response {
    let order = match Order::parse(&action, &arguments) {
        Ok(order) => order,
        Err(error) => {
            let remedy = "See docs/operating.md for the orders that there are";
            return answer(StatusCode::BAD_REQUEST, &Refused::new("no_such_order", error, remedy));
        }
    };
    match gate.orders.give(order, &by(&peer, &headers)).await {
        Ok(done) => answer(StatusCode::OK, &done),
        Err(refused) => answer(StatusCode::CONFLICT, &refused),
    }
}

async fn unknown_path() -> Response {
    let refused = Refused::new("no_such_path", "there is only /actions/NAME here", "See docs/operating.md");
    answer(StatusCode::NOT_FOUND, &refused)
}

/// Lets pass who may give orders.
async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let judged = check(&gate.admin, request.method(), request.headers());
    let Err((code, refused)) = judged else { return next.run(request).await };
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.clone());
    gate.denials.tell(peer.as_deref().unwrap_or("?"), &refused.error);
    answer(code, &refused)
}

/// Whether a request with this head may give an order.
fn check(admin: &Admin, method: &Method, headers: &HeaderMap) -> Result<(), (StatusCode, Refused)> {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let no = |code, name: &str, error: &str, remedy: &str| Err((code, Refused::new(name, error, remedy)));
    let forbidden = StatusCode::FORBIDDEN;
    let host = text(header::HOST).unwrap_or_default();
    if !is_own(host, admin.host.as_deref()) {
        let remedy = "Use the address itself or localhost, or set `admin.host` to the name";
        return no(forbidden, "wrong_host", "the name in `Host` is not one of this daemon's", remedy);
    }
    let origin = text(header::ORIGIN);
    if origin.is_some_and(|origin| origin != format!("http://{host}") && origin != format!("https://{host}")) {
        return no(forbidden, "wrong_origin", "a page of another origin asks", "Give the order by `duet`");
    }
    if let Some(path) = &admin.token_file {
        let known = match token(path) {
            Ok(known) => known,
            Err(problem) => {
                let error = format!("the token file of the daemon {problem}");
                let remedy = "Mend the file; it is read with each order";
                return no(StatusCode::SERVICE_UNAVAILABLE, "no_token", &error, remedy);
            }
        };
        let shown = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if !bool::from(shown.as_bytes().ct_eq(known.expose_secret().as_bytes())) {
            let remedy = "Show it as `Authorization: Bearer TOKEN`; `duet` takes it from `admin.token_file`";
            return no(StatusCode::UNAUTHORIZED, "wrong_token", "the token is missing or wrong", remedy);
        }
    }
    if method != Method::POST {
        return no(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "only POST gives an order", "Use POST");
    }
    let is_json = |kind: &str| kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json");
    if !text(header::CONTENT_TYPE).is_some_and(is_json) {
        let remedy = "Send the arguments as JSON, with `Content-Type: application/json`";
        return no(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_type", "the arguments are not said to be JSON", remedy);
    }
    Ok(())
}

/// Whether `Host` is an address, this machine, or the name that is configured: a page of another name that resolves to
/// this machine carries its own name here.
fn is_own(host: &str, name: Option<&str>) -> bool {
    let Some(authority) = host.parse::<Authority>().ok().filter(|_| !host.contains('@')) else { return false };
    let host = authority.host().trim_matches(['[', ']']);
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || name.is_some_and(|name| host.eq_ignore_ascii_case(name))
}

/// Who gives an order: what is known of the other end, and the name that it gives itself.
fn by(peer: &Peer, headers: &HeaderMap) -> String {
    let name = headers.get(BY_HEADER).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let name: String = name.chars().filter(|letter| letter.is_ascii_graphic()).take(NAME).collect();
    if name.is_empty() { peer.0.clone() } else { format!("{name} ({})", peer.0) }
}

impl Denials {
    fn tell(&self, peer: &str, why: &str) {
        let denied = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let now_s = Timestamp::now().as_second();
        if self.told_s.swap(now_s, Ordering::Relaxed) != now_s {
            tracing::warn!(peer, why, denied, "an order was turned away");
        }
    }
}
