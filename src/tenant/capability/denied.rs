//! Why a capability is not enough, and which answer that is.

/// A capability's no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// 401: the token proves nothing, or no longer.
    #[error("the capability is refused: {0}")]
    Unauthorized(#[from] Unauthorized),
    /// 403: the token is genuine, and not for this request.
    #[error("the capability does not allow this: {0}")]
    Forbidden(#[from] Forbidden),
}

impl Denied {
    /// The word for `auth_failures_total{reason}` and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized(why) => why.as_str(),
            Self::Forbidden(why) => why.as_str(),
        }
    }
}

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum Unauthorized {
    /// There is none, where one is required.
    Missing,
    /// Not a token of ours in its one spelling, or over a bound.
    Malformed,
    /// It names a key that is not in the ring (any more).
    UnknownKey,
    /// It was not made with that key, or something of it was changed or taken away.
    Signature,
    /// Its identifier is on the list.
    Revoked,
    /// Its time is over.
    Expired,
}

impl Unauthorized {
    /// All of them, so that each metric series exists from the start.
    pub const ALL: [Self; 6] =
        [Self::Missing, Self::Malformed, Self::UnknownKey, Self::Signature, Self::Revoked, Self::Expired];

    /// The word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// Why a genuine token is not for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum Forbidden {
    /// A caveat that this gateway does not understand.
    UnknownCaveat,
    /// A caveat that asks for another service's discharge.
    ThirdParty,
    /// Another tenant's.
    Tenant,
    /// Not with this method.
    Method,
    /// Not at this path.
    Path,
    /// Not this object, or not an object.
    Address,
}

impl Forbidden {
    /// All of them, so that each metric series exists from the start.
    pub const ALL: [Self; 6] =
        [Self::UnknownCaveat, Self::ThirdParty, Self::Tenant, Self::Method, Self::Path, Self::Address];

    /// The word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCaveat => "unknown_caveat",
            Self::ThirdParty => "third_party_caveat",
            Self::Tenant => "tenant_caveat",
            Self::Method => "method_caveat",
            Self::Path => "path_caveat",
            Self::Address => "address_caveat",
        }
    }
}
