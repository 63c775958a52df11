//! What a listener serves a new connection with: the request path, and the bounds of connections that the generation in
//! force asks for (http.md §7: connection limits hold from the next connection on).

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora_core::apps::http_app::HttpServer;
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::H2Options;
use pingora_core::server::ShutdownWatch;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;

use crate::admin::Admin;
use crate::descriptors;
use crate::edge::guard::heads::Heads;
use crate::edge::guard::unread::Unread;
use crate::edge::{Bounds, Cut, Entered, Peer, Serves, UnderWay};
use crate::proxy::{self, Gateway};
use crate::rejection::Reason;
use crate::snapshot::{ConnectionLimits, Snapshot};
use crate::state::State;
use crate::tls::Failure;

/// A public listener.
pub(super) struct Public {
    state: Arc<State>,
    listener: String,
    proxy: Arc<HttpProxy<Gateway>>,
    h2: bool,
    current: ArcSwap<Face>,
    handshakes: Arc<UnderWay>,
}

/// The request path under one generation's bounds of connections.
pub(super) struct Face {
    generation: u64,
    proxy: Arc<HttpProxy<Gateway>>,
    options: HttpServerOptions,
    h2_options: H2Options,
}

impl Public {
    pub(super) fn new(state: &Arc<State>, listener: &str, h2: bool, conf: &Arc<ServerConf>) -> Self {
        let mut proxy = HttpProxy::new(Gateway::new(Arc::clone(state), listener), Arc::clone(conf));
        proxy.handle_init_modules();
        let proxy = Arc::new(proxy);
        let face = Face::new(&proxy, h2, &state.snapshot.load());
        Self {
            state: Arc::clone(state),
            listener: listener.to_owned(),
            proxy,
            h2,
            current: ArcSwap::from_pointee(face),
            handshakes: Arc::default(),
        }
    }
}

impl Serves for Public {
    type App = Face;

    fn app(&self) -> Arc<Face> {
        let current = self.current.load_full();
        let policy = self.state.snapshot.load();
        if current.generation == policy.generation {
            return current;
        }
        let face = Arc::new(Face::new(&self.proxy, self.h2, &policy));
        self.current.store(Arc::clone(&face));
        face
    }

    fn bounds(&self) -> Bounds {
        self.state.snapshot.load().bounds
    }

    fn heads(&self) -> &Arc<Heads> {
        &self.state.heads
    }

    fn unread(&self) -> &Arc<Unread> {
        &self.state.unread
    }

    fn on_refused(&self, why: Cut, client: Option<SocketAddr>, waited: Duration) -> Bytes {
        proxy::unread::refuse(&self.state, why, client, waited)
    }

    fn on_cut(&self, why: Cut, client: Option<SocketAddr>) {
        proxy::unread::cut(&self.state, why, client);
    }

    // http.md §2: trusted peers are exempt from the per-address connection cap. config.md: with `proxy_protocol:
    // required` everybody else is closed; with `peer_uids` SO_PEERCRED decides.
    fn enter(&self, peer: Peer, descriptor: RawFd) -> Option<Entered> {
        let policy = self.state.snapshot.load();
        let listener = policy.listeners.get(&self.listener)?;
        let address = match peer {
            Peer::Address(address) => Some(address),
            Peer::User(uid) if listener.lets_in(uid) => None,
            Peer::User(_) => {
                self.state.metrics.on_rejection(Reason::Forbidden);
                return None;
            }
        };
        let trusted = listener.trusts(address);
        if listener.proxied && !trusted {
            return None;
        }
        let address = address.map(|peer| peer.ip()).filter(|_| !trusted);
        match self.state.connections.enter(&policy.connections.open, address) {
            // What clients do not get serves those that are here.
            Ok(permit) if descriptors::may_keep(descriptor) => {
                let (proxied, tls) = (listener.proxied, listener.tls.clone());
                Some(Entered { permit: Some(permit), proxied, tls })
            }
            _ => {
                self.state.metrics.on_rejection(Reason::Connections);
                None
            }
        }
    }

    fn handshakes(&self) -> Arc<UnderWay> {
        Arc::clone(&self.handshakes)
    }

    fn on_handshake_failure(&self, why: Failure) {
        log::debug!("listener {}: a TLS handshake came to nothing: {}", self.listener, why.as_str());
        self.state.metrics.on_handshake_failure(why);
    }
}

impl Face {
    fn new(proxy: &Arc<HttpProxy<Gateway>>, h2: bool, policy: &Snapshot) -> Self {
        let mut options = HttpServerOptions::default();
        // The accept loop tells the protocol, also over TLS: what comes as HTTP/2 begins with its preface.
        options.h2c = h2;
        options.h2_idle_timeout = Some(policy.limits.idle);
        let h2_options = h2_options(&policy.connections);
        Self { generation: policy.generation, proxy: Arc::clone(proxy), options, h2_options }
    }
}

fn h2_options(limits: &ConnectionLimits) -> H2Options {
    let window = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX >> 1);
    let mut options = H2Options::new();
    options
        .max_concurrent_streams(limits.streams)
        .initial_window_size(window(limits.stream_window))
        .initial_connection_window_size(window(limits.connection_window))
        .max_header_list_size(window(limits.head))
        // What a slow reader may leave in our memory beyond its own window.
        .max_send_buffer_size(usize::try_from(limits.stream_window).unwrap_or(usize::MAX));
    options
}

#[async_trait]
impl HttpServerApp for Face {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.proxy.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.h2_options.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// The admin listener.
pub(super) struct Control {
    pub(super) state: Arc<State>,
    pub(super) app: Arc<HttpServer<Admin>>,
    /// Of its own: what operators send takes nothing from clients.
    pub(super) unread: Arc<Unread>,
}

impl Serves for Control {
    type App = HttpServer<Admin>;

    fn app(&self) -> Arc<HttpServer<Admin>> {
        Arc::clone(&self.app)
    }

    fn bounds(&self) -> Bounds {
        self.state.snapshot.load().bounds
    }

    fn heads(&self) -> &Arc<Heads> {
        &self.state.heads
    }

    fn unread(&self) -> &Arc<Unread> {
        &self.unread
    }

    fn on_refused(&self, why: Cut, client: Option<SocketAddr>, waited: Duration) -> Bytes {
        proxy::unread::refuse(&self.state, why, client, waited)
    }

    fn on_cut(&self, why: Cut, client: Option<SocketAddr>) {
        proxy::unread::cut(&self.state, why, client);
    }
}
