//! The pages.

use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::connections::Bounded;
use crate::vitals::hang;
use crate::{Registry, Vitals};

/// What `/metrics` is, as Prometheus wants it named.
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the pages are made of.
#[derive(Clone)]
pub(crate) struct Pages {
    vitals: Vitals,
    registry: Arc<Registry>,
}

impl Pages {
    pub(crate) fn new(vitals: Vitals, registry: Registry) -> Pages {
        Pages { vitals, registry: Arc::new(registry) }
    }
}

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, pages: Pages) {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages);
    let served = match Bounded::new(listener) {
        Ok(listener) => axum::serve(listener, router).await,
        Err(why) => Err(why),
    };
    tracing::error!(?served, "the HTTP pages are gone");
}

async fn livez(State(pages): State<Pages>) -> Response {
    match pages.vitals.hangs() {
        None => "alive\n".into_response(),
        Some(silence) => missing(&[hang(silence)]),
    }
}

async fn readyz(State(pages): State<Pages>) -> Response {
    match pages.vitals.missing() {
        reasons if reasons.is_empty() => "ready\n".into_response(),
        reasons => missing(&reasons),
    }
}

async fn metrics(State(pages): State<Pages>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &pages.registry) {
        Ok(()) => ([(CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
    }
}

/// A sentence a line.
fn missing(reasons: &[String]) -> Response {
    let mut text = reasons.join("\n");
    text.push('\n');
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use prometheus_client::metrics::counter::Counter;

    use super::*;

    /// Serves on a free port; gives what a page answers.
    fn pages(vitals: &Vitals) -> impl Fn(&str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut registry = Registry::with_prefix(recado_metrics::PREFIX);
        let served = Counter::<u64>::default();
        served.inc();
        registry.register("loaves", "Loaves that were served", served);
        let pages = Pages::new(vitals.clone(), registry);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || runtime.block_on(serve(listener, pages)));
        move |path| {
            let mut stream = TcpStream::connect(address).unwrap();
            let asked = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(asked.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        }
    }

    #[test]
    fn what_is_missing_is_said_in_words() {
        let vitals = Vitals::default();
        let page = pages(&vitals);
        assert!(page("/livez").starts_with("HTTP/1.1 200"));
        let starting = page("/readyz");
        assert!(starting.starts_with("HTTP/1.1 503"), "{starting}");
        assert!(starting.ends_with("\r\n\r\nit is still starting\n"), "{starting}");
        vitals.serves();
        vitals.lacks(vec!["no flour".into(), "no salt".into()]);
        assert!(page("/readyz").ends_with("\r\n\r\nno flour\nno salt\n"));
        vitals.lacks(Vec::new());
        assert!(page("/readyz").starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn metrics_are_open_metrics() {
        let answer = pages(&Vitals::default())("/metrics");
        assert!(answer.to_lowercase().contains(&format!("content-type: {METRICS_TYPE}")));
        assert!(answer.contains("\nrecado_loaves_total 1\n"), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }

    #[test]
    fn other_pages_are_not_there() {
        assert!(pages(&Vitals::default())("/").starts_with("HTTP/1.1 404"));
    }
}
