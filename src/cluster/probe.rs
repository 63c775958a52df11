//! One active check of one backend: dial and HELLO for OAP/1, a GET for HTTP, each on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType};
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::{HealthCheck, HttpHealthCheck};

use crate::config;
use crate::upstream::client::{self, CheckError, PoolPolicy};
use crate::upstream::dial::{Dialer, is_local};

/// How a backend is checked.
pub(super) enum Probe {
    /// Dial and HELLO; with `path`, a GET too.
    Oap { dialer: Box<Dialer>, policy: Box<PoolPolicy>, path: Option<String>, within: Duration },
    /// A GET.
    Http { check: Arc<HttpHealthCheck>, backend: Box<Backend>, within: Duration },
}

impl Probe {
    pub(super) fn oap(dialer: Dialer, policy: &PoolPolicy, check: &config::Health) -> Self {
        let path = check.path.as_ref().map(ToString::to_string);
        Self::Oap { dialer: Box::new(dialer), policy: Box::new(policy.clone()), path, within: check.timeout }
    }

    pub(super) fn http(check: &Arc<HttpHealthCheck>, peer: &HttpPeer, within: Duration) -> Self {
        let backend = Backend {
            addr: peer._address.clone(),
            weight: 1,
            ext: pingora_load_balancing::Extensions::new(),
        };
        Self::Http { check: Arc::clone(check), backend: Box::new(backend), within }
    }

    /// Checks once.
    ///
    /// # Errors
    /// A [`CheckError`].
    pub(super) async fn run(&self) -> Result<(), CheckError> {
        let (within, result) = match self {
            Self::Oap { dialer, policy, path, within } => (
                *within,
                tokio::time::timeout(*within, client::check(dialer.as_ref(), policy, path.as_deref())).await,
            ),
            Self::Http { check, backend, within } => {
                let failed = |e: Box<Error>| match is_local(&e) {
                    true => CheckError::Local(e.to_string()),
                    false => CheckError::Unwell(e.to_string()),
                };
                let checking = async { check.check(backend).await.map_err(failed) };
                (*within, tokio::time::timeout(*within, checking).await)
            }
        };
        result.unwrap_or_else(|_| Err(format!("no answer within {within:?}").into()))
    }
}

/// The check of an HTTP cluster's backends, which all share; `template` is how any of them is reached.
///
/// # Errors
/// The path or the host cannot be written in a request.
pub(super) fn http_check(
    template: &HttpPeer,
    host: &str,
    check: &config::Health,
) -> Result<Arc<HttpHealthCheck>, String> {
    let wrong = |e: Box<Error>| format!("health: {e}");
    let mut http = HttpHealthCheck::new("", false);
    http.peer_template = template.clone();
    http.peer_template.options.read_timeout = Some(check.timeout);
    // One that has room for a second stream would be kept, and the next check would not dial.
    http.peer_template.options.max_h2_streams = 1;
    let path = check.path.as_ref().map_or_else(|| "/".to_owned(), ToString::to_string);
    let mut request = pingora_http::RequestHeader::build("GET", path.as_bytes(), Some(2)).map_err(wrong)?;
    request.insert_header(http::header::HOST, host).map_err(wrong)?;
    request.insert_header(http::header::USER_AGENT, "svc-gateway health check").map_err(wrong)?;
    http.req = request;
    let any = check.path.is_none();
    http.validator = Some(Box::new(move |head| {
        // Without a path nothing is known of the service but that it speaks HTTP.
        if any || head.status.is_success() || head.status.is_redirection() {
            return Ok(());
        }
        Error::e_explain(
            ErrorType::HTTPStatus(head.status.as_u16()),
            format!("answered {}", head.status.as_u16()),
        )
    }));
    Ok(Arc::new(http))
}
