//! What a caveat leaves of a quota: so much a period, and so much at once.
//!
//! Whole numbers; whoever keeps the buckets decides what a unit costs.

use std::fmt;
use std::num::NonZeroU64;

use super::macaroon::Signature;

/// A rate that tightens a quota; one period's worth may go at once. The unit is a request's tokens (`rate`) or bytes
/// (`bytes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    amount: NonZeroU64,
    period: Period,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Period {
    Second,
    Minute,
    Hour,
}

impl Budget {
    /// Reads `50/s`, `30/min`, `1000/h`; the number is 1 to `u64::MAX` in its shortest form.
    pub fn parse(text: &str) -> Option<Self> {
        let (amount, period) = text.split_once('/')?;
        let amount = NonZeroU64::new(super::caveat::number(amount)?)?;
        let period = match period {
            "s" => Period::Second,
            "min" => Period::Minute,
            "h" => Period::Hour,
            _ => return None,
        };
        Some(Self { amount, period })
    }

    /// How many units come back in [`Budget::seconds`], and how many may go at once.
    pub fn amount(&self) -> NonZeroU64 {
        self.amount
    }

    /// In how many seconds: 1, 60 or 3600.
    pub fn seconds(&self) -> u64 {
        match self.period {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 3600,
        }
    }
}

/// A budget of a genuine token, and the bucket that it is kept in.
///
/// Each budget caveat has a bucket of its own, known by the link of the chain that it ends in: what is attenuated from a
/// token draws on the token's budgets and on those that were appended, so that appending never gives more, and two tokens
/// attenuated apart do not use one another's up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The bucket.
    pub key: u128,
    /// What it holds.
    pub budget: Budget,
}

/// The bucket of a budget caveat that ends in this link. A hash: the link itself would be a token's signature.
pub(super) fn bucket(link: &Signature) -> u128 {
    let hash = blake3::derive_key("svc-gateway 2026 capability budget", link);
    hash.first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}

/// For command lines; the error says what would be right.
impl std::str::FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| "write a rate such as 50/s, 30/min or 1000/h".to_owned())
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.period {
            Period::Second => "s",
            Period::Minute => "min",
            Period::Hour => "h",
        };
        write!(f, "{}/{unit}", self.amount)
    }
}
