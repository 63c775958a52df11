//! What caveats are held against.

/// One request, as far as its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// In upper case, as it came.
    pub method: &'a str,
    /// As it came: not decoded, without query, before anything is stripped, and checked for dot segments.
    pub path: &'a str,
    /// `b3:` and 64 digits, where the request names an object; an upload without an address has none yet.
    pub address: Option<&'a str>,
    /// The tenant by whatever other evidence there is.
    pub tenant: TenantEvidence<'a>,
}

/// The tenant that other evidence names, and whether that weighs more than a capability (http.md §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantEvidence<'a> {
    /// A client certificate's.
    Stronger(&'a str),
    /// An API key's, an address's, …, or `anonymous`: the token's own goes before it.
    Weaker(&'a str),
}

impl<'a> TenantEvidence<'a> {
    /// The tenant of a request with a token that was minted for `own`; `None` where the certificate says another's.
    pub(super) fn settle(self, own: Option<&'a str>) -> Option<&'a str> {
        match (self, own) {
            (Self::Stronger(name), Some(own)) => (name == own).then_some(name),
            (Self::Stronger(name), None) => Some(name),
            (Self::Weaker(name), own) => Some(own.unwrap_or(name)),
        }
    }
}
