//! What is refused before a request exists, or because of a connection's bytes: said in the same words, log and counters
//! as every other no.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use serde_json::json;

use super::correlation::CorrelationId;
use super::{record, respond};
use crate::clock;
use crate::edge::guard::http1::Breach;
use crate::edge::{Connection, Cut};
use crate::rejection::{Reason, Rejection};
use crate::state::State;

/// Logs and counts a head that is refused, and says what an HTTP/1 client is answered. `waited`: how long it took.
pub fn refuse(state: &State, why: Cut, client: Option<SocketAddr>, waited: Duration) -> Bytes {
    let no = rejection(why).unwrap_or(Reason::Malformed.into());
    let wall = clock::since_epoch();
    let correlation = CorrelationId::new(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
    record::on_unread(state, &no, &correlation, client, wall, waited);
    respond::raw(&no, &correlation)
}

/// Logs and counts a connection of HTTP/2 that is cut.
pub fn cut(state: &State, why: Cut, client: Option<SocketAddr>) {
    let word = match why {
        Cut::Flood(flood) => flood.reason(),
        Cut::SlowReader => "slow_reader",
        _ => Reason::Slow.as_str(),
    };
    state.metrics.on_http2_cut(word);
    let peer = client.map(|client| client.to_string());
    let fields = [("reason", json!(word)), ("detail", json!(why.to_string())), ("peer_addr", json!(peer))];
    state.log.event(clock::wall(), "info", "connection_cut", &fields);
}

/// Why a session's connection gives no more of its bytes; `None` when its client is simply gone.
pub(super) fn cause(session: &ServerSession) -> Option<Rejection> {
    cause_of(Connection::of(session.digest())?)
}

/// The same, of a connection.
pub(super) fn cause_of(connection: &Connection) -> Option<Rejection> {
    rejection(connection.refused()?)
}

/// In the words of http.md §1; a flood has none, since it ends all requests of its connection.
fn rejection(why: Cut) -> Option<Rejection> {
    let no = match why {
        Cut::Breach(Breach::Malformed(_)) => Rejection::new(Reason::Malformed),
        Cut::Breach(Breach::Uri) => Rejection::new(Reason::Uri),
        Cut::Breach(Breach::HeadBytes | Breach::Fields) => Rejection::new(Reason::Headers),
        Cut::Breach(Breach::Connect) => Rejection::method(String::new()),
        Cut::SlowHead | Cut::OldestHead | Cut::SlowBody | Cut::SlowReader => Rejection::new(Reason::Slow),
        Cut::Flood(_) => return None,
    };
    Some(no.because(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::guard::http1::Fault;

    #[test]
    fn a_breach_has_the_words_and_the_status_of_its_rejection() {
        for breach in [Fault::BareLf.into(), Breach::Uri, Breach::HeadBytes, Breach::Fields, Breach::Connect]
        {
            let reason = rejection(Cut::Breach(breach)).unwrap().reason;
            assert_eq!((reason.as_str(), reason.status()), (breach.reason(), breach.status()));
        }
    }
}
