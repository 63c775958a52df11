//! 1 WHO: which tenant pays for a request, who of it acts, and where from (http.md §2).
//!
//! ```text
//! peer, PROXY protocol, x-forwarded-for ──client──▶ address ─┐
//! certificate, capability, API key, uid, listener, header, SNI ─┴─▶ Evidence ──Identifier──▶ Identity
//! ```
//!
//! An [`Identifier`] is compiled once a configuration. It asks each kind of evidence a map of its own, so that a
//! request costs the same beside one tenant as beside a hundred thousand.
//!
//! It verifies no certificate and no token: who does hands over what held. It takes no token from a bucket.

pub mod capability;
pub mod client;
pub mod proxy_protocol;

mod allowed;
mod compile;
mod criteria;
mod evidence;
mod identify;
mod network;
mod principal;
mod ranges;
mod seen;
#[cfg(test)]
mod tests;

pub use self::allowed::Allowed;
pub use self::compile::Clash;
pub use self::criteria::{ApiKeys, Criteria, Header, Policy};
pub use self::evidence::{Capability, Evidence, Kind};
pub use self::identify::Identifier;
pub use self::network::Network;
pub use self::principal::{Principal, PrincipalKind};

/// What a map holds is the operator's, a request only asks: no client can make its keys collide.
type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// Who has no other identity.
pub const ANONYMOUS: &str = "anonymous";

/// A tenant by its place in the list that the [`Identifier`] was compiled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantIndex(pub u32);

/// Who makes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who pays.
    pub tenant: TenantIndex,
    /// Who acts.
    pub principal: Principal,
    /// The strongest evidence for the tenant; `None` is `anonymous`.
    pub by: Option<Kind>,
}

/// Why a request has no tenant, or the wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// 401 `unauth`: evidence was presented and nobody's.
    #[error("the {0} is nobody's")]
    Wrong(Kind),
    /// 403 `forbidden`: two tenants with equal evidence.
    #[error("the {0} is evidence for two tenants")]
    Ambiguous(Kind),
    /// 403 `forbidden`: the route is for other tenants.
    #[error("the route is for other tenants")]
    NotAllowed,
}

impl Denied {
    /// The words of [`Denied::as_str`], so that each metric series exists from the start.
    pub const WORDS: [&str; 10] = [
        "sni",
        "address",
        "header",
        "listener",
        "peer_uid",
        "api_key",
        "tenant_unknown",
        "certificate",
        "ambiguous",
        "not_allowed",
    ];

    /// The word for `auth_failures_total{reason}`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wrong(Kind::Sni) => "sni",
            Self::Wrong(Kind::Address) => "address",
            Self::Wrong(Kind::Header) => "header",
            Self::Wrong(Kind::Listener) => "listener",
            Self::Wrong(Kind::PeerUid) => "peer_uid",
            Self::Wrong(Kind::ApiKey) => "api_key",
            // A capability whose tenant is not (any more) in the configuration.
            Self::Wrong(Kind::Capability) => "tenant_unknown",
            Self::Wrong(Kind::Certificate) => "certificate",
            Self::Ambiguous(_) => "ambiguous",
            Self::NotAllowed => "not_allowed",
        }
    }
}
