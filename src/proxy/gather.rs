//! Small bodies are read before their request takes a place in flight (http.md §2): a slow sender holds no slot.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use http::header;
use pingora_proxy::Session;

use super::downstream::{Broken, Downstream, FromClient};
use super::respond;
use super::upload::UploadGate;
use crate::admission::gather::{self, Gathering};
use crate::caps::Turn;
use crate::clock;
use crate::config::ClusterProtocol;
use crate::edge::guard::progress::MinRate;
use crate::rejection::Rejection;
use crate::snapshot::{Route, Snapshot};

/// A body that is all here.
pub(super) struct Gathered {
    /// Empty where Pingora holds them: it sends them again by itself.
    pub pieces: VecDeque<Bytes>,
    /// How long the client took to send it.
    pub took: std::time::Duration,
    /// Its room, for as long as the request lives.
    _room: gather::Gathered,
}

/// Why there is no body.
pub(super) enum Failed {
    Left,
    Rejected(Rejection),
    /// The stream is refused: nothing was done for it, and it may be tried again (RFC 9113 §8.7).
    Refused(Rejection),
}

/// Reads a body that is declared and small, if there is room. `None`: it has none, or is read under its permit.
pub(super) async fn gather(
    session: &mut Session,
    policy: &Snapshot,
    gathering: &std::sync::Arc<Gathering>,
    route: &Route,
    gate: &mut UploadGate,
) -> Result<Option<Gathered>, Failed> {
    let declared = respond::declared_length(&session.req_header().headers);
    let Some(length) = declared.filter(|length| (1..=policy.gather).contains(length)) else {
        return Ok(None);
    };
    // http.md §2: 64 MiB in all; beyond, admission comes first.
    let Some(room) = gathering.take(length) else { return Ok(None) };
    let began = clock::now();
    let relayed = route.cluster.protocol == ClusterProtocol::Oap;
    if !relayed {
        // Pingora passes on what was read before from this buffer, which holds 64 KiB.
        session.enable_retry_buffering();
    }
    if session.req_header().headers.contains_key(header::EXPECT) {
        session.write_continue_response().await.map_err(|_| Failed::Left)?;
    }
    // Decoded when it is all here: a slow sender holds no decoder either.
    let keeps = relayed || gate.decodes();
    let pieces = read(session, policy.bounds.min_rate, gate, keeps).await?;
    let took = since(began);
    judge(gate, &pieces).await.map_err(Failed::Rejected)?;
    let pieces = if relayed { pieces } else { VecDeque::new() };
    Ok(Some(Gathered { pieces, took, _room: room }))
}

/// Reads to the end.
async fn read(
    session: &mut Session,
    min_rate: Option<MinRate>,
    gate: &mut UploadGate,
    keeps: bool,
) -> Result<VecDeque<Bytes>, Failed> {
    let mut down = Downstream::new(session.as_downstream_mut(), min_rate);
    let mut pieces = VecDeque::new();
    loop {
        match std::future::poll_fn(|cx| down.poll_body(cx)).await {
            Ok(FromClient::Piece(piece, last)) => {
                gate.count(&piece).map_err(Failed::Rejected)?;
                if keeps {
                    pieces.push_back(piece);
                }
                if last {
                    return Ok(pieces);
                }
            }
            Ok(FromClient::End) => return Ok(pieces),
            Err(Broken::Left) => return Err(Failed::Left),
            Err(Broken::Refused(no)) => return Err(Failed::Rejected(no)),
        }
    }
}

/// Puts all of it through the gate, so that nothing is sent upstream for a body that is refused. What may pass is made
/// again when it is sent: a body that grows waits in the form that it came in.
async fn judge(gate: &mut UploadGate, pieces: &VecDeque<Bytes>) -> Result<(), Rejection> {
    for piece in pieces {
        gate.feed(piece.clone());
        loop {
            match gate.turn()? {
                Turn::Piece(_) => {}
                Turn::Again => tokio::task::yield_now().await,
                Turn::Dry => break,
            }
        }
    }
    gate.finish()?;
    gate.has_judged();
    Ok(())
}

fn since(began: Instant) -> std::time::Duration {
    clock::now().saturating_duration_since(began)
}
