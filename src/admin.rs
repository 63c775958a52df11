//! The control surface of http.md §4: what an operator, a load balancer and Prometheus ask.
//!
//! It reads the gateway's state; all that it can change is the generation in force.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;

use crate::reload::{Refused, Reloading};
use crate::state::State;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An answer of the control surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The `content-type`.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    fn ok(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into() }
    }

    fn no(status: StatusCode, reason: &str) -> Self {
        let body = serde_json::json!({"code": status.as_u16(), "reason": reason}).to_string();
        Self { status, content_type: JSON, body: body.into_bytes() }
    }
}

/// The probes that a listener with `probes: true` serves too; `None` for every other path.
pub fn probe(state: &State, path: &str, query: Option<&str>) -> Option<Answer> {
    match path {
        "/healthz" => Some(Answer::ok(TEXT, "ok\n")),
        "/readyz" => Some(readyz(state, query)),
        _ => None,
    }
}

// http.md §4: `/readyz?for=read` leaves `writes` out, of status and list.
fn readyz(state: &State, query: Option<&str>) -> Answer {
    let for_read = query.is_some_and(|query| query.split('&').any(|pair| pair == "for=read"));
    let missing = state.missing(for_read);
    if missing.is_empty() {
        return Answer::ok(JSON, r#"{"degraded":false,"missing":[]}"#);
    }
    for key in &missing {
        state.metrics.readyz_fail.with_label_values(&[key.as_str()]).inc();
    }
    let body = serde_json::json!({"degraded": true, "missing": missing, "retry_after": 1}).to_string();
    Answer { status: StatusCode::SERVICE_UNAVAILABLE, content_type: JSON, body: body.into_bytes() }
}

fn version() -> Answer {
    let build = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "git": option_env!("SVC_GATEWAY_GIT").unwrap_or("unknown"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    });
    Answer::ok(JSON, build.to_string())
}

/// What `POST /reload` answers: 200 with the generation in force, or 422 with what is wrong.
async fn reload(reloading: &Arc<Reloading>) -> Answer {
    let reloading = Arc::clone(reloading);
    // It reads files, and would keep the other requests waiting.
    match tokio::task::spawn_blocking(move || reloading.reload()).await {
        Ok(Ok(done)) => {
            let said = serde_json::json!({"generation": done.generation, "warnings": done.warnings});
            Answer::ok(JSON, said.to_string())
        }
        Ok(Err(Refused(errors))) => {
            let said = serde_json::json!({"code": 422, "reason": "config", "errors": errors});
            let body = said.to_string().into_bytes();
            Answer { status: StatusCode::UNPROCESSABLE_ENTITY, content_type: JSON, body }
        }
        Err(e) => {
            log::error!("reload: {e}");
            Answer::no(StatusCode::INTERNAL_SERVER_ERROR, "internal")
        }
    }
}

/// The admin listener's application.
pub struct Admin {
    state: Arc<State>,
    reloading: Arc<Reloading>,
}

impl Admin {
    /// Answers from `state`, and reloads.
    pub fn new(state: Arc<State>, reloading: Arc<Reloading>) -> Self {
        Self { state, reloading }
    }

    async fn change(&self, head: &RequestHeader) -> Answer {
        // A page in somebody's browser is no operator.
        if head.headers.contains_key(header::ORIGIN) {
            return Answer::no(StatusCode::FORBIDDEN, "forbidden");
        }
        match head.uri.path() {
            "/reload" => reload(&self.reloading).await,
            _ => Answer::no(StatusCode::METHOD_NOT_ALLOWED, "method"),
        }
    }

    fn answer(&self, method: &Method, path: &str, query: Option<&str>) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Answer::no(StatusCode::METHOD_NOT_ALLOWED, "method");
        }
        match path {
            "/metrics" => {
                self.state.refresh_gauges();
                match self.state.metrics.render() {
                    Ok(text) => Answer::ok(PROMETHEUS, text),
                    Err(e) => {
                        log::error!("metrics: {e}");
                        Answer::no(StatusCode::INTERNAL_SERVER_ERROR, "internal")
                    }
                }
            }
            "/version" => version(),
            "/reload" => Answer::no(StatusCode::METHOD_NOT_ALLOWED, "method"),
            _ => probe(&self.state, path, query)
                .unwrap_or_else(|| Answer::no(StatusCode::NOT_FOUND, "no_route")),
        }
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let answer = match head.method {
            Method::POST => self.change(head).await,
            _ => self.answer(&head.method, head.uri.path(), head.uri.query()),
        };
        let allowed = if head.uri.path() == "/reload" { "POST" } else { "GET, HEAD" };
        let length = answer.body.len();
        let body = if head.method == Method::HEAD { Vec::new() } else { answer.body };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        let fields = response.headers_mut();
        drop(fields.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(answer.content_type)));
        drop(fields.insert(header::CONTENT_LENGTH, http::HeaderValue::from(length)));
        drop(fields.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store")));
        match answer.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                drop(fields.insert(header::ALLOW, http::HeaderValue::from_static(allowed)));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                drop(fields.insert(header::RETRY_AFTER, http::HeaderValue::from_static("1")));
            }
            _ => {}
        }
        response
    }
}
