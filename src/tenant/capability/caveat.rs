//! The text of a first-party caveat. One spelling each: single spaces, shortest numbers, no units but `/s /min /h`.
//!
//! | caveat | holds when |
//! |---|---|
//! | `time < 1767225600` | the wall clock, in seconds since 1970, is before it |
//! | `tenant = acme` | the request is this tenant's |
//! | `method in GET,HEAD` | the request has one of these methods |
//! | `path under /api` | the path as it crosses is `/api` or below it, in whole segments; `/api/` takes only what is below |
//! | `address under b3:0a` | the request is for one object, whose address begins so |
//! | `rate <= 50/s` | always; the quota of the token is at most that |
//! | `bytes <= 1048576/s` | always; the bytes of its bodies are at most that |
//!
//! Repeated caveats must all hold. What is not in this table, spelled like this, is unknown and never holds: an older
//! gateway must not wave through what a newer one would refuse.

use std::fmt;

use super::Budget;
use super::identifier::is_name;

/// A caveat that the gateway understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caveat<'a> {
    /// `time < N`: seconds since 1970 at which it is over.
    Before(u64),
    /// `tenant = NAME`.
    Tenant(&'a str),
    /// `method in A,B`.
    Methods(Methods<'a>),
    /// `path under PREFIX`.
    Path(PathPrefix<'a>),
    /// `address under b3:HEX`: the address's text, 0 to 64 lower-case digits of it.
    Address(&'a str),
    /// `rate <= N/s`.
    Rate(Budget),
    /// `bytes <= N/s`.
    Bytes(Budget),
}

/// Not a caveat that the gateway understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write `time < SECONDS`, `tenant = NAME`, `method in GET,HEAD`, `path under /PREFIX`, `address under b3:HEX`, \
     `rate <= 50/s` or `bytes <= 1048576/s`"
)]
pub struct BadCaveat;

impl<'a> Caveat<'a> {
    /// Reads a caveat's text.
    ///
    /// # Errors
    /// Every other text.
    pub fn parse(text: &'a str) -> Result<Self, BadCaveat> {
        let mut words = text.splitn(3, ' ');
        let (Some(what), Some(how), Some(value)) = (words.next(), words.next(), words.next()) else {
            return Err(BadCaveat);
        };
        let caveat = match (what, how) {
            ("time", "<") => number(value).map(Self::Before),
            ("tenant", "=") => is_name(value).then_some(Self::Tenant(value)),
            ("method", "in") => Methods::parse(value).map(Self::Methods),
            ("path", "under") => PathPrefix::parse(value).map(Self::Path),
            ("address", "under") => is_address_prefix(value).then_some(Self::Address(value)),
            ("rate", "<=") => Budget::parse(value).map(Self::Rate),
            ("bytes", "<=") => Budget::parse(value).map(Self::Bytes),
            _ => None,
        };
        caveat.ok_or(BadCaveat)
    }
}

impl fmt::Display for Caveat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(seconds) => write!(f, "time < {seconds}"),
            Self::Tenant(name) => write!(f, "tenant = {name}"),
            Self::Methods(Methods(list)) => write!(f, "method in {list}"),
            Self::Path(PathPrefix(prefix)) => write!(f, "path under {prefix}"),
            Self::Address(prefix) => write!(f, "address under {prefix}"),
            Self::Rate(budget) => write!(f, "rate <= {budget}"),
            Self::Bytes(budget) => write!(f, "bytes <= {budget}"),
        }
    }
}

/// Methods, separated by commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods<'a>(&'a str);

impl<'a> Methods<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let is_method = |m: &str| (1..=16).contains(&m.len()) && m.bytes().all(|b| b.is_ascii_uppercase());
        text.split(',').all(is_method).then_some(Self(text))
    }

    /// Whether the method is one of them. HEAD is not among GET's.
    pub fn contains(&self, method: &str) -> bool {
        self.0.split(',').any(|m| m == method)
    }
}

/// The beginning of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathPrefix<'a>(&'a str);

impl<'a> PathPrefix<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let in_path = |b: u8| b.is_ascii_graphic() && b != b'?' && b != b'#';
        (text.starts_with('/') && text.bytes().all(in_path)).then_some(Self(text))
    }

    /// Whether the path is below the prefix, in whole segments, octet by octet: `%61` is not `a`. That a path has no
    /// dot segments has been checked before.
    pub fn covers(&self, path: &str) -> bool {
        match path.strip_prefix(self.0) {
            Some(rest) => rest.is_empty() || self.0.ends_with('/') || rest.starts_with('/'),
            None => false,
        }
    }
}

/// `b3:` and the first of an address's 64 digits.
fn is_address_prefix(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.strip_prefix("b3:").is_some_and(|hex| hex.len() <= 64 && hex.bytes().all(is_digit))
}

/// A number in its shortest form.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_shortest = text == "0" || !text.starts_with('0');
    (is_shortest && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}
