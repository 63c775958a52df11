//! TLS on listeners: versions, protocols, certificates, key exchange, clients' certificates, deadlines, reloads.

mod clients;
mod files;
mod half_open;
mod negotiating;
mod openssl;

use gateway_testing::Gateway;
use gateway_testing::backend::Backend;
use gateway_testing::client::{Answer, Http1, Http2, Request};
use gateway_testing::conf::Conf;
use gateway_testing::tls::{Authority, Client, Identity, Session};

use crate::BINARY;
use crate::both::Version;

/// What ALPN calls them.
const H2: &str = "h2";
const HTTP1: &str = "http/1.1";

/// Somebody who signs, one certificate of his for `a.example`, and a backend behind the gateway.
struct Site {
    authority: Authority,
    identity: Identity,
    backend: Backend,
}

impl Site {
    fn new() -> Self {
        let authority = Authority::new();
        let identity = authority.issue("a.example");
        Self { authority, identity, backend: Backend::oap().start() }
    }

    /// One listener over TLS; `tls` is further keys such as `, pq: off`, `more` those of the listener.
    fn conf_with(&self, tls: &str, more: &str) -> Conf {
        self.conf_of(&format!("{{ certificates: [ {{ cert: a.pem, key: a.key }} ]{tls} }}{more}"))
    }

    fn conf(&self, tls: &str) -> Conf {
        self.conf_with(tls, "")
    }

    /// The same with all that is written behind `tls:`.
    fn conf_of(&self, tls: &str) -> Conf {
        Conf::default()
            .listener("public", "127.0.0.1:0", &format!(", tls: {tls}"))
            .set("admin.address", "127.0.0.1:0")
            .oap_cluster("app", &self.backend.address())
            .set("routes", "[]")
            // A busy machine is late, and writes are not what is tested here.
            .set("degrade.lag", "10s")
            .proxy_route("/", "app")
    }

    async fn start(&self, conf: &Conf) -> Gateway {
        Gateway::builder(BINARY)
            .config(conf.yaml())
            .file("a.pem", &self.identity.certificate)
            .secret("a.key", &self.identity.key)
            .file("ca.pem", self.authority.pem())
            .start()
            .await
    }

    /// A client that knows the certificate's name and who signed it.
    fn client(&self) -> Client<'_> {
        Client::new(&self.authority, "a.example")
    }
}

fn get(path: &str) -> Request {
    Request::get(path).authority("a.example")
}

/// One request on a connection of its own; `client` says all but the protocol.
async fn ask(version: Version, client: &Client<'_>, gateway: &Gateway, request: &Request) -> Answer {
    let alpn: &[&str] = if version == Version::Http2 { &[H2] } else { &[HTTP1] };
    let session = client.clone().speaking(alpn).connect(gateway.address("public")).await;
    assert_eq!(session.alpn.as_deref(), Some(alpn[0]));
    over(version, session, request).await
}

async fn over(version: Version, session: Session, request: &Request) -> Answer {
    match version {
        Version::Http1 => Http1::over(session.socket).request(request).await,
        Version::Http2 => Http2::over(session.socket).await.request(request).await,
    }
}

/// Whether a client gets as far as an answer. In 1.3 its own half of the handshake may be well and the server's not.
async fn is_served(client: &Client<'_>, gateway: &Gateway) -> bool {
    match client.try_connect(gateway.address("public")).await {
        Ok(session) => over(Version::Http1, session, &get("/x")).await.status == 200,
        Err(_) => false,
    }
}

/// Waits until so many handshakes have failed for this reason, and for no other.
async fn failed(gateway: &Gateway, reason: &str, times: f64) {
    let series = format!("tls_handshake_failures_total{{reason=\"{reason}\"}}");
    let any = "tls_handshake_failures_total";
    gateway.metric_becomes(any, |n| n >= times).await;
    assert_eq!(gateway.metric(&series).await, times, "{}", gateway.metrics().await);
    assert_eq!(gateway.metric(any).await, times, "{}", gateway.metrics().await);
}
