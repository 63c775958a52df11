//! A request's capability: whether it brings one that its route wants to see, and, once its address has paid, what it
//! proves (http.md §1 step 6, §2). Nothing of a token is believed, charged or logged before its chain is known to be ours.

use http::{HeaderValue, Method, header};
use pingora_http::RequestHeader;

use super::ctx::RequestCtx;
use crate::config::Demand;
use crate::object::Address;
use crate::quota::{self, Budget, Budgets};
use crate::rejection::Rejection;
use crate::snapshot::{Route, Snapshot};
use crate::tenant::capability::{
    Allowance, Denied, Facts, Presented, TenantEvidence, Unauthorized, Verified,
};
use crate::tenant::{ANONYMOUS, Capability, Evidence, Identity, Kind};

/// Whether a method may change something.
pub(super) fn mutates(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the request brings a token that its route will have verified.
///
/// # Errors
/// `unauth`: the route requires one, and there is none.
pub(super) fn claims(route: &Route, head: &RequestHeader) -> Result<bool, Rejection> {
    match (route.capability.when(mutates(&head.method)), Presented::is_among(&head.headers)) {
        (Demand::Off, _) => Ok(false),
        (Demand::Required, false) => Err(Denied::from(Unauthorized::Missing).into()),
        (Demand::Optional | Demand::Required, claims) => Ok(claims),
    }
}

/// What a token has proven.
pub(super) struct Proven {
    pub identity: Identity,
    pub budgets: Budgets,
    /// The field that it came in.
    pub token: Option<HeaderValue>,
}

/// Verifies the request's token, and says who asks with it.
///
/// # Errors
/// `unauth`, `forbidden`: of the token, or of other evidence beside it.
pub(super) fn verify(
    policy: &Snapshot,
    evidence: &Evidence<'_>,
    object: Option<Address>,
    head: &RequestHeader,
    ctx: &mut RequestCtx,
) -> Result<Proven, Rejection> {
    let presented = Presented::among(evidence.headers)?.ok_or(Denied::from(Unauthorized::Missing))?;
    // http.md §2: evidence that is presented and wrong is 401, whatever else there is. What a capability goes before may
    // be ambiguous without it: then it is the capability that tells.
    let other = policy.identifier.identify(evidence);
    if let Err(no @ crate::tenant::Denied::Wrong(Kind::ApiKey)) = other {
        return Err(no.into());
    }
    let other = other.ok();
    let name =
        other.and_then(|identity| policy.tenant(identity.tenant)).map_or(ANONYMOUS, |t| t.name.as_str());
    let tenant = match other.and_then(|identity| identity.by) {
        Some(Kind::Certificate) => TenantEvidence::Stronger(name),
        _ => TenantEvidence::Weaker(name),
    };
    let address = object.map(|address| address.to_string());
    // http.md §1: caveats see the path as it crosses, before a prefix is stripped.
    let facts =
        Facts { method: head.method.as_str(), path: head.uri.path(), address: address.as_deref(), tenant };
    let held = &policy.capability;
    let verdict = presented.verify(&held.keys, &held.revoked.list(), &facts, ctx.wall);
    if is_genuine(&verdict) {
        ctx.facts.capability = Some(presented.claimed());
    }
    let verified = verdict?;
    let capability = Capability { identifier: presented.identifier(), tenant: verified.tenant.as_deref() };
    let identity = policy.identifier.identify(&Evidence { capability: Some(capability), ..*evidence })?;
    let token = evidence.headers.get(header::AUTHORIZATION).cloned();
    Ok(Proven { identity, budgets: budgets(&verified), token })
}

/// Whether the chain ended in the signature, so that the identifier is one that we gave.
fn is_genuine(verdict: &Result<Verified, Denied>) -> bool {
    matches!(verdict, Ok(_) | Err(Denied::Forbidden(_) | Denied::Unauthorized(Unauthorized::Expired)))
}

fn budgets(verified: &Verified) -> Budgets {
    let all = |allowances: &[Allowance]| {
        let budget = |one: &Allowance| {
            let period = std::time::Duration::from_secs(one.budget.seconds());
            let rate = quota::Rate::new(one.budget.amount(), period, one.budget.amount());
            Budget { key: one.key, rate }
        };
        allowances.iter().map(budget).collect()
    };
    Budgets { rates: all(&verified.rates), bytes: all(&verified.bytes) }
}
