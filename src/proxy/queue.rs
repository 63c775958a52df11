//! A place in flight for a request: at once, after waiting for its turn, or not at all. A client that leaves gives its
//! place in the queue up.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use pingora_proxy::Session;

use super::Gateway;
use super::charge::Who;
use super::ctx::RequestCtx;
use super::downstream::Downstream;
use super::gather::Failed;
use super::respond;
use crate::admission::{Busy, Claim, Entry, Permit, Waiting};
use crate::clock;
use crate::rejection::Rejection;
use crate::snapshot::{Route, Snapshot};

/// Takes a place, or waits for one.
pub(super) async fn enter(
    gw: &Gateway,
    policy: &Snapshot,
    session: &mut Session,
    route: &Route,
    who: &Who,
    ctx: &mut RequestCtx,
) -> Result<Permit, Failed> {
    let claim = Claim {
        generation: policy.generation,
        tenant: who.tenant.buckets.number(),
        policy: who.tenant.admission,
        principal: gw.state.number_of(&who.principal),
        cluster: route.cluster_number,
        cluster_in_flight: route.cluster_in_flight.at_most(route.cluster.carries()),
        declared: respond::declared_length(&session.req_header().headers).unwrap_or(0),
        route_weight: route.weight,
        streams: !session.is_body_done() && !session.as_downstream_mut().is_body_empty(),
    };
    let told = match gw.state.admission.enter(&claim, clock::now()) {
        Entry::Admitted(permit) => Ok(permit),
        Entry::Waits(waiting) => wait(waiting, session).await?,
        Entry::Busy(busy) => Err(busy),
    };
    let waited = match &told {
        Ok(permit) => permit.waited(),
        Err(busy) => busy.waited,
    };
    ctx.facts.queued = Some(waited);
    who.tenant.metrics.on_admitted(waited);
    told.map_err(|busy| {
        route.metrics.busy.inc();
        Failed::Rejected(Rejection::from(busy))
    })
}

/// Waits, and watches the client as far as that takes no reading of its body.
async fn wait(waiting: Waiting, session: &mut Session) -> Result<Result<Permit, Busy>, Failed> {
    let sleep = tokio::time::sleep_until(waiting.deadline().into());
    let mut told = pin!(waiting.at_most(sleep));
    let mut down = Downstream::new(session.as_downstream_mut(), None);
    poll_fn(|cx| {
        if let Poll::Ready(told) = told.as_mut().poll(cx) {
            return Poll::Ready(Ok(told));
        }
        if down.poll_left_unread(cx).is_ready() {
            return Poll::Ready(Err(Failed::Left));
        }
        Poll::Pending
    })
    .await
}

/// Whether the client has left by now, as far as that takes no reading of its body.
pub(super) async fn has_left(session: &mut Session) -> bool {
    let mut down = Downstream::new(session.as_downstream_mut(), None);
    poll_fn(|cx| Poll::Ready(down.poll_left_unread(cx).is_ready())).await
}
