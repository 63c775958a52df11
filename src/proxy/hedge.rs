//! The wait for an answer's head, from one backend or, when it takes longer than usual, from two: the first head below
//! 500 wins, the loser is given up (http.md §7).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;

use super::exchange::{Exchange, Fail, Step};
use super::peer::{self, Attempt, HashKey, Message};
use crate::bhttp::ResponseHead;
use crate::clock;
use crate::cluster::{Cluster, OapStream};
use crate::oap::{Incoming, StreamFailure};
use crate::snapshot::Route;
use crate::upstream::BackendId;
use crate::upstream::hedge::{Hedgeable, may_hedge};

/// An attempt whose stream is open.
pub(super) struct Running {
    pub attempt: Attempt,
    pub up: OapStream,
}

/// What a second attempt needs.
pub(super) struct Hedge<'a> {
    pub route: &'a Route,
    pub key: Option<&'a HashKey>,
    pub message: &'a mut Message,
    /// The request's part of the budget; `None` when it may have no second attempt.
    pub live: Option<Hedgeable>,
}

impl Hedge<'_> {
    /// The part of a request that may be hedged, if the cluster hedges.
    pub(super) fn enter(cluster: &Cluster, method: &str) -> Option<Hedgeable> {
        cluster.hedging.as_ref().filter(|_| may_hedge(method)).map(|_| cluster.hedges().enter())
    }
}

/// The second attempt, with its head.
struct Second {
    running: Running,
    head: ResponseHead,
    credit: u32,
}

/// Waits for a head. Gives the attempt back whose head it is.
///
/// # Errors
/// The first attempt's failure, with its attempt and whether anything of the request was written, when there is no
/// second one or that has failed too.
pub(super) async fn until_head(
    exchange: &mut Exchange<'_, '_>,
    first: Running,
    hedge: Hedge<'_>,
) -> Result<(Running, ResponseHead), (Attempt, Fail, bool)> {
    let Running { attempt, mut up } = first;
    let hedging = hedge.route.cluster.hedging.as_ref().filter(|_| hedge.live.is_some() && exchange.is_sent());
    let latency = hedge.route.cluster.latency();
    let after = hedging.and_then(|hedging| latency.after(hedging.percent, clock::now()));
    let Some(after) = after else {
        return match poll_fn(|cx| exchange.poll(cx, &mut up)).await {
            Step::Head(head) => Ok((Running { attempt, up }, head)),
            step => Err((attempt, fail_of(step), up.wrote_anything())),
        };
    };
    let left = exchange.left(clock::now());
    let first = attempt.backend();
    let mut second = pin!(async {
        tokio::time::sleep(after).await;
        second(hedge, first, left).await
    });
    let mut held: Option<ResponseHead> = None;
    let mut failed: Option<Fail> = None;
    // A second head of 500 or more, while the first attempt may still do better.
    let mut spare: Option<Second> = None;
    let mut is_over = false;
    let won = poll_fn(|cx| {
        if held.is_none() && failed.is_none() {
            match exchange.poll(cx, &mut up) {
                Poll::Ready(Step::Head(head)) if head.status < 500 || is_over => {
                    return Poll::Ready(Ok(Won::First(head)));
                }
                Poll::Ready(Step::Head(head)) => held = Some(head),
                Poll::Ready(step) => match (fail_of(step), spare.take()) {
                    (Fail::Upstream(_), Some(second)) => return Poll::Ready(Ok(Won::Second(second))),
                    (fail @ Fail::Upstream(_), None) if !is_over => failed = Some(fail),
                    (fail, _) => return Poll::Ready(Err(fail)),
                },
                Poll::Pending => {}
            }
        } else if let Poll::Ready(fail) = exchange.poll_client(cx) {
            return Poll::Ready(Err(fail));
        }
        if !is_over && let Poll::Ready(answer) = second.as_mut().poll(cx) {
            is_over = true;
            match answer {
                Some(answer) if answer.head.status < 500 || failed.is_some() => {
                    return Poll::Ready(Ok(Won::Second(answer)));
                }
                Some(answer) if held.is_none() => spare = Some(answer),
                _ => {}
            }
        }
        if is_over {
            if let Some(head) = held.take() {
                return Poll::Ready(Ok(Won::First(head)));
            }
            if let Some(fail) = failed.take() {
                return Poll::Ready(Err(fail));
            }
        }
        Poll::Pending
    })
    .await;
    match won {
        Ok(Won::First(head)) => Ok((Running { attempt, up }, head)),
        Ok(Won::Second(Second { running, head, credit })) => {
            exchange.adopt(credit);
            Ok((running, head))
        }
        Err(fail) => Err((attempt, fail, up.wrote_anything())),
    }
}

enum Won {
    First(ResponseHead),
    Second(Second),
}

/// Runs a second attempt up to its head; `None` when there is none to be had, or it fails.
async fn second(hedge: Hedge<'_>, first: BackendId, left: std::time::Duration) -> Option<Second> {
    let began = clock::now();
    let hedging = hedge.route.cluster.hedging.as_ref()?;
    let _permit = hedge.live.as_ref()?.hedge(hedging.budget_per_mille)?;
    let attempt = peer::pick_other(&hedge.route.cluster, hedge.key, &[first], began)?;
    let start = hedge.message.start(left);
    let opened = attempt.open(&start, &mut Bytes::new(), true, None, false).await;
    if opened.as_ref().is_err_and(|e| !e.is_local()) {
        attempt.failed(clock::now());
    }
    let mut up = opened.ok()?;
    loop {
        match up.recv().await {
            Incoming::Head { head, credit } => {
                return Some(Second { running: Running { attempt, up }, head, credit });
            }
            Incoming::Failed(_) => {
                attempt.failed(clock::now());
                return None;
            }
            Incoming::Data { .. } | Incoming::End => {}
        }
    }
}

fn fail_of(step: Step) -> Fail {
    match step {
        Step::Failed(fail) => fail,
        // Without an answer's gate the exchange passes nothing on.
        Step::Head(_) | Step::Pass(..) | Step::Whole => Fail::Upstream(StreamFailure::Lost.into()),
    }
}
