//! The console: a page with all that it needs, embedded in the program. It asks `/status` and its like as anybody may, and
//! nothing from any other host.
//!
//! `console/uplot.*` is uPlot 1.6.32 as its npm package has it (MIT, see `uplot.LICENSE`).

use axum::Router;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::answers::Known;

/// Nothing from elsewhere, no script in the page itself, in no other page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, type and content.
const ASSETS: [(&str, &str, &str); 9] = [
    ("/", "text/html; charset=utf-8", include_str!("console/index.html")),
    ("/console/console.css", "text/css; charset=utf-8", include_str!("console/console.css")),
    ("/console/console.js", SCRIPT, include_str!("console/console.js")),
    ("/console/view.js", SCRIPT, include_str!("console/view.js")),
    ("/console/plots.js", SCRIPT, include_str!("console/plots.js")),
    ("/console/words.js", SCRIPT, include_str!("console/words.js")),
    ("/console/uplot.js", SCRIPT, include_str!("console/uplot.js")),
    ("/console/uplot.css", "text/css; charset=utf-8", include_str!("console/uplot.css")),
    ("/console/uplot.LICENSE", "text/plain; charset=utf-8", include_str!("console/uplot.LICENSE")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page and what it loads.
pub(super) fn routes() -> Router<Known> {
    ASSETS.into_iter().fold(Router::new(), |routes, (path, kind, content)| {
        routes.route(path, get(move || async move { asset(kind, content) }))
    })
}

fn asset(kind: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        // A newer daemon has newer ones.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, content).into_response()
}
