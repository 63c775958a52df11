//! Who asks, and what that costs: the tokens of address, tenant, principal and instance, before any heavy work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method};

use super::Gateway;
use super::ctx::RequestCtx;
use crate::quota::{Ask, Budgets, Exhausted, Taken};
use crate::rejection::{Reason, Rejection};
use crate::snapshot::{Route, Snapshot, Tenant};
use crate::tenant::client::Client;
use crate::tenant::{Identity, Principal};
use crate::{clock, metrics};

/// Who asks.
pub(super) struct Who {
    pub tenant: Arc<Tenant>,
    pub principal: Principal,
    pub client: Client,
    /// By a capability: its budgets. The address has paid already.
    pub within: Option<Budgets>,
    /// The field that the capability came in.
    pub token: Option<HeaderValue>,
}

impl Who {
    pub(super) fn new(
        policy: &Snapshot,
        route: &Route,
        identity: Identity,
        client: Client,
        ctx: &mut RequestCtx,
    ) -> Result<Self, Rejection> {
        let tenant = policy.tenant(identity.tenant).ok_or(Rejection::new(Reason::Internal))?;
        tenant.metrics.on_request();
        ctx.tenant = Some(Arc::clone(tenant));
        route.tenants.check(identity.tenant)?;
        let principal = identity.principal;
        Ok(Self { tenant: Arc::clone(tenant), principal, client, within: None, token: None })
    }
}

// http.md §2: all buckets are asked, then all are debited or none.
pub(super) async fn take_tokens(
    gw: &Gateway,
    policy: &Snapshot,
    who: &Who,
    method: &Method,
    ctx: &mut RequestCtx,
) -> Result<(), Rejection> {
    let ask = Ask {
        tenant: &who.tenant.buckets,
        policy: &who.tenant.quota,
        principal: &who.principal,
        cost: policy.costs.of(metrics::Method::of(method)),
    };
    let (quotas, address) = (&gw.state.quotas, who.client.address);
    let taken = match &who.within {
        None => quotas.take(address, &ask, ctx.started),
        Some(budgets) => quotas.take_within(budgets, &ask, ctx.started),
    };
    let no = match taken {
        Ok(taken) => {
            if taken.shadowed.is_some() {
                who.tenant.metrics.on_exhausted();
            }
            if let Some(connection) = &ctx.connection {
                connection.penalty.on_passed();
            }
            ctx.facts.quota = taken.own.or(ctx.facts.quota);
            return Ok(());
        }
        Err(no) => no,
    };
    who.tenant.metrics.on_exhausted();
    if let (Some(_), Some(address)) = (&who.within, address) {
        // Its address has paid before anybody knew whose it is.
        quotas.give_back_of_address(address, ask.cost, ctx.started);
    }
    let look = |now| match &who.within {
        None => quotas.look(address, &ask, now),
        Some(budgets) => quotas.look_within(budgets, &ask, now),
    };
    Err(hold(policy, who.client, ctx, no, look).await)
}

// http.md §2: so a forged token spends nobody else's quota, and a flood of them stops before the cryptography.
pub(super) async fn take_tokens_of_address(
    gw: &Gateway,
    policy: &Snapshot,
    client: Client,
    method: &Method,
    ctx: &mut RequestCtx,
) -> Result<(), Rejection> {
    let Some(address) = client.address else { return Ok(()) };
    let (quotas, cost) = (&gw.state.quotas, policy.costs.of(metrics::Method::of(method)));
    match quotas.take_of_address(address, cost, ctx.started) {
        Ok(taken) => {
            ctx.facts.quota = taken.own;
            Ok(())
        }
        Err(no) => Err(hold(policy, client, ctx, no, |now| quotas.look_of_address(address, cost, now)).await),
    }
}

/// A connection that goes on asking is held.
async fn hold(
    policy: &Snapshot,
    client: Client,
    ctx: &mut RequestCtx,
    mut no: Exhausted,
    look: impl Fn(Instant) -> Result<Taken, Exhausted>,
) -> Rejection {
    // http.md §2: trusted peers are exempt from the penalty box.
    let boxed = ctx.connection.as_ref().filter(|_| !client.trusted);
    if let Some(delay) = boxed.and_then(|connection| connection.penalty.on_refused(&policy.penalty)) {
        tokio::time::sleep(delay).await;
        ctx.held = true;
        // Retry-After of a held 429 is computed when it is sent.
        no = look(clock::now()).err().unwrap_or(Exhausted { retry_after: Duration::ZERO, ..no });
    }
    no.into()
}
