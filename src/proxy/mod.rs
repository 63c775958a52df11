//! The shell: the only request code that names Pingora's proxy. Every hook is one call.
//!
//! The way of a request: `admit` asks every question that can be asked before a backend is
//! chosen. Then one of two thin callers takes over: `relay` for `oap` clusters, Pingora's own pipeline
//! (`pipeline`) for `http1` and `http2` ones. Both use the same `peer::pick`, body gates, `respond` and `record`;
//! a rule that stands in only one of the two is a bug.

mod admit;
mod body;
mod charge;
mod correlation;
mod ctx;
mod downstream;
mod exchange;
mod fields;
mod gather;
mod head;
mod hedge;
mod meter;
mod peer;
mod pipeline;
mod prove;
mod queue;
mod record;
mod relay;
mod respond;
mod stand_in;
mod trouble;
pub mod unread;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use self::ctx::RequestCtx;
use crate::clock;
use crate::state::State;

/// One listener's face of the gateway.
pub struct Gateway {
    state: Arc<State>,
    listener: String,
}

impl Gateway {
    /// The gateway as `listener` shows it.
    pub fn new(state: Arc<State>, listener: &str) -> Self {
        Self { state, listener: listener.to_owned() }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = RequestCtx;

    fn new_ctx(&self) -> RequestCtx {
        RequestCtx::new(clock::now(), clock::since_epoch())
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
        admit::on_request(self, session, ctx).await
    }

    async fn proxy_upstream_filter(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
        relay::on_admitted(session, ctx).await
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<Box<HttpPeer>> {
        pipeline::choose(session, ctx).await
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut RequestCtx,
    ) -> Result<()> {
        pipeline::on_upstream_request(session, request, ctx)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut RequestCtx,
    ) -> Result<()> {
        pipeline::on_request_body(body, end, ctx).await
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut RequestCtx,
    ) -> Result<()> {
        pipeline::on_response(session, response, ctx)
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut RequestCtx,
    ) -> Result<Option<Duration>> {
        pipeline::on_response_body(body, end, ctx)
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut RequestCtx,
        error: Box<Error>,
    ) -> Box<Error> {
        pipeline::on_connect_failure(session, ctx, error)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut RequestCtx,
        _reused: bool,
    ) -> Box<Error> {
        pipeline::on_upstream_failure(session, ctx, error)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut RequestCtx) -> FailToProxy {
        pipeline::on_failure(session, error, ctx).await
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, ctx: &mut RequestCtx) {
        pipeline::on_end(session, ctx);
        record::on_end(&self.state, session, ctx);
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &RequestCtx, _error: &Error) -> bool {
        // The access log tells it, with its reason.
        true
    }
}
