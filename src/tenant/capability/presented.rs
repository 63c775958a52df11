//! A token as a request brings it: first what needs no cryptography, then the proof.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::budget::bucket;
use super::caveat::Caveat;
use super::macaroon::{Macaroon, Raw};
use super::token::decode;
use super::{Allowance, Denied, Facts, Forbidden, Identifier, IdentifierHash, Keys, Revoked, Unauthorized};

/// A token in form, and nothing more: anyone can write one.
pub struct Presented {
    macaroon: Macaroon,
}

/// What a genuine token says of the request that it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The principal: the same for everything attenuated from one mint.
    pub identifier: IdentifierHash,
    /// Whose token it is, when it was minted for a tenant.
    pub tenant: Option<Box<str>>,
    /// Seconds since 1970 at which it is over, if ever.
    pub expires: Option<u64>,
    /// At most so many requests' tokens, of each of these, beside what the quota itself says.
    pub rates: Vec<Allowance>,
    /// At most so many bytes of bodies, of each of these.
    pub bytes: Vec<Allowance>,
}

impl Presented {
    /// Whether there is anything among the fields that [`among`](Self::among) would look at: nothing of it is read.
    pub fn is_among(fields: &HeaderMap) -> bool {
        let mut values = fields.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => false,
            (Some(value), None) => bearer(value).is_some(),
            (Some(_), Some(_)) => true,
        }
    }

    /// The token of a request's `authorization`; `None` when there is none, or it is of another scheme.
    ///
    /// # Errors
    /// 401: not a token of ours in form, or more than one `authorization`.
    pub fn among(fields: &HeaderMap) -> Result<Option<Self>, Denied> {
        let mut values = fields.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::parse(value),
            // Which one counts would be the service's to guess.
            (Some(_), Some(_)) => Err(Unauthorized::Malformed.into()),
        }
    }

    /// Reads the value of `authorization`: bounds, base64url and framing, no cryptography. `None` when it is of another
    /// scheme than `Bearer`.
    ///
    /// # Errors
    /// 401: not a token of ours in form.
    pub fn parse(value: &HeaderValue) -> Result<Option<Self>, Denied> {
        bearer(value).map(Self::parse_token).transpose()
    }

    /// Reads a token alone.
    ///
    /// # Errors
    /// 401: not a token of ours in form.
    pub fn parse_token(token: &[u8]) -> Result<Self, Denied> {
        let macaroon = decode(token).ok_or(Unauthorized::Malformed)?;
        if Identifier::parse(macaroon.identifier()).is_none() {
            return Err(Unauthorized::Malformed.into());
        }
        Ok(Self { macaroon })
    }

    /// What the token claims to be called: true only once it is verified.
    pub fn identifier(&self) -> &[u8] {
        self.macaroon.identifier()
    }

    /// The same as lists, tables and logs know it, and no truer.
    pub fn claimed(&self) -> IdentifierHash {
        IdentifierHash::of(self.macaroon.identifier())
    }

    /// The token in the value of an `authorization`: what crosses as OAP/1's `cap` (oap1 §5).
    pub fn token_of(value: &HeaderValue) -> Option<&[u8]> {
        bearer(value)
    }

    /// Whether the token is genuine and allows this request; `now` is the wall clock since 1970. The work is bounded by
    /// the token's: at most 33 short HMACs, 65 where there are third-party caveats.
    ///
    /// # Errors
    /// As the table in the module's documentation says.
    pub fn verify(
        &self,
        keys: &Keys,
        revoked: &Revoked,
        facts: &Facts<'_>,
        now: Duration,
    ) -> Result<Verified, Denied> {
        let identifier = Identifier::parse(self.macaroon.identifier()).ok_or(Unauthorized::Malformed)?;
        let key = keys.find(identifier.key()).ok_or(Unauthorized::UnknownKey)?;
        let hash = identifier.hash();
        // A look at a table before any HMAC; whether a forged token claims a revoked identifier changes no status.
        if revoked.contains(&hash) {
            return Err(Unauthorized::Revoked.into());
        }
        // The buckets of the budgets among the caveats, in their order; nothing until the chain is known to be ours.
        let mut buckets = Vec::new();
        let is_genuine = self.macaroon.is_signed_with(key.root(), |raw, link| {
            if is_budget(raw) {
                buckets.push(bucket(link));
            }
        });
        if !is_genuine {
            return Err(Unauthorized::Signature.into());
        }
        let mut buckets = buckets.into_iter();
        let mut verified = Verified {
            identifier: hash,
            tenant: identifier.tenant().map(Into::into),
            expires: None,
            rates: Vec::new(),
            bytes: Vec::new(),
        };
        let mut forbidden = None;
        let tenant = facts.tenant.settle(identifier.tenant());
        if tenant.is_none() {
            forbidden = Some(Forbidden::Tenant);
        }
        for raw in self.macaroon.caveats() {
            let bucket = if is_budget(raw) { buckets.next() } else { None };
            let held = hold(raw, facts, tenant, bucket, &mut verified);
            forbidden = forbidden.or(held.err());
        }
        match (verified.expires, forbidden) {
            (Some(end), _) if now.as_secs() >= end => Err(Unauthorized::Expired.into()),
            (_, Some(why)) => Err(why.into()),
            (_, None) => Ok(verified),
        }
    }
}

/// Whether it may be a caveat with a bucket.
fn is_budget(raw: Raw<'_>) -> bool {
    matches!(raw, Raw::FirstParty(text) if text.starts_with(b"rate ") || text.starts_with(b"bytes "))
}

/// The octets after `Bearer ` (RFC 6750 §2.1; the scheme in any case, RFC 9110 §11.1).
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// Holds one caveat against the request, or notes what it leaves.
fn hold(
    raw: Raw<'_>,
    facts: &Facts<'_>,
    tenant: Option<&str>,
    bucket: Option<u128>,
    verified: &mut Verified,
) -> Result<(), Forbidden> {
    let Raw::FirstParty(text) = raw else { return Err(Forbidden::ThirdParty) };
    let text = std::str::from_utf8(text).map_err(|_| Forbidden::UnknownCaveat)?;
    let check = |holds: bool, why| if holds { Ok(()) } else { Err(why) };
    match Caveat::parse(text).map_err(|_| Forbidden::UnknownCaveat)? {
        Caveat::Before(end) => {
            verified.expires = Some(verified.expires.map_or(end, |other| other.min(end)));
            Ok(())
        }
        Caveat::Tenant(name) => check(tenant == Some(name), Forbidden::Tenant),
        Caveat::Methods(methods) => check(methods.contains(facts.method), Forbidden::Method),
        Caveat::Path(prefix) => check(prefix.covers(facts.path), Forbidden::Path),
        Caveat::Address(prefix) => {
            check(facts.address.is_some_and(|address| address.starts_with(prefix)), Forbidden::Address)
        }
        Caveat::Rate(budget) => {
            verified.rates.extend(bucket.map(|key| Allowance { key, budget }));
            Ok(())
        }
        Caveat::Bytes(budget) => {
            verified.bytes.extend(bucket.map(|key| Allowance { key, budget }));
            Ok(())
        }
    }
}
