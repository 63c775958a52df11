//! Capabilities: bearer tokens that say what their holder may do, and that anyone may narrow but nobody widen.
//!
//! A capability is a macaroon: an identifier, caveats, and a signature that is an HMAC chain over both, begun with a
//! root key that only the gateway has. Appending a caveat takes no key, taking one away would take it.
//!
//! ```text
//! authorization ──Presented::parse──▶ Presented ──verify(keys, revoked, facts, now)──▶ Verified { identifier, tenant, … }
//!                 bounds, base64url,              key, revocation, HMAC chain,         or Denied: 401 or 403
//!                 framing: no cryptography        then every caveat
//! ```
//!
//! The two steps are apart so that a quota can stand between them: a flood of forged tokens stops before the
//! cryptography, and nothing that an unverified token claims is charged to anybody.
//!
//! # Wire form
//! base64url without padding, at most [`MAX_TOKEN`] characters, of the binary "V2" form of libmacaroons, so that other
//! libraries can narrow tokens too. Nothing unsigned fits in: no padding, no spare bits, shortest numbers, nothing after
//! the signature, no location. Identifiers are text, see [`Identifier`]; caveats are text, see [`Caveat`].
//!
//! # Which no is which
//! | | answer | why |
//! |---|---|---|
//! | not base64url or no macaroon, over a bound, no identifier of ours | 401 `malformed` | nothing is proven |
//! | key id not in the ring | 401 `unknown_key` | |
//! | the chain does not end in the signature | 401 `signature` | |
//! | identifier revoked, whatever was appended since | 401 `revoked` | what once was proven holds no more |
//! | `time < N` is over | 401 `expired` | the holder can get a new one |
//! | any other caveat does not hold; one is unknown or a third party's | 403 | genuine, and not for this request |
//!
//! 401 goes before 403, so that what is forged or over never tells its bearer which request it would have been for.
//!
//! # What it will not do
//! It reads no file, clock or randomness, keeps no state and takes no quota: budgets are handed to the caller, `now`
//! and nonces are handed in. It speaks to no third party: a caveat that needs a discharge is never met.

mod budget;
mod caveat;
mod denied;
mod facts;
mod identifier;
mod keys;
mod macaroon;
mod presented;
mod revoked;
mod token;

#[cfg(test)]
mod tests;

pub use self::budget::{Allowance, Budget};
pub use self::caveat::{BadCaveat, Caveat, Methods, PathPrefix};
pub use self::denied::{Denied, Forbidden, Unauthorized};
pub use self::facts::{Facts, TenantEvidence};
pub use self::identifier::{Identifier, IdentifierHash, NONCE, is_name};
pub use self::keys::{BadKeys, BadSecret, Key, Keys, MAX_KEYS, Secret, hex};
pub use self::presented::{Presented, Verified};
pub use self::revoked::{BadLine, MAX_REVOKED, Revoked};
pub use self::token::{Token, TooLarge};

/// Characters of a token, as OAP/1 carries it (oap1 §5: at most 4 KiB).
pub const MAX_TOKEN: usize = 4096;
/// Caveats of a token: the work of one verification is bounded by it.
pub const MAX_CAVEATS: usize = 32;
