//! Rates: `500/s`, `30/min`, `50MiB/s`. Integers only: so many in a period.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use super::finding::quoted;
use super::text::text_value;
use super::units::{format_size, parse_size};

/// Periods by the word behind the slash.
const PERIODS: [(&str, u64); 3] = [("s", 1), ("min", 60), ("h", 3600)];

/// More than any gateway serves, and few enough that nobody's arithmetic overflows.
const MOST: u32 = 100_000_000;
/// 1 TiB in a period.
const MOST_BYTES: u64 = 1 << 40;

/// Tokens in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    tokens: NonZeroU32,
    /// In seconds.
    period: u64,
}

impl Rate {
    /// So many a second.
    pub(super) const fn a_second(tokens: NonZeroU32) -> Self {
        Self { tokens, period: 1 }
    }

    /// How many in a [`Rate::period`].
    pub fn tokens(self) -> NonZeroU32 {
        self.tokens
    }

    /// One second, minute or hour.
    pub fn period(self) -> Duration {
        Duration::from_secs(self.period)
    }

    /// How many in an hour, which every period divides: for comparisons without fractions.
    pub fn an_hour(self) -> u64 {
        u64::from(self.tokens.get()) * (3600 / self.period)
    }

    /// What it gives in a second, rounded up.
    pub fn one_second(self) -> NonZeroU32 {
        let tokens = u64::from(self.tokens.get()).div_ceil(self.period);
        u32::try_from(tokens).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RIGHT: &str = "such as 500/s or 30/min";
        let (amount, period) = split(text, "a rate", RIGHT)?;
        let tokens = amount.parse::<u32>().ok().filter(|_| amount.bytes().all(|b| b.is_ascii_digit()));
        match tokens.filter(|tokens| *tokens <= MOST).and_then(NonZeroU32::new) {
            Some(tokens) => Ok(Self { tokens, period }),
            None => Err(format!(
                "{} in {} is no number of a rate, write a whole number from 1 to {MOST}, {RIGHT}",
                quoted(amount),
                quoted(text)
            )),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tokens, word(self.period))
    }
}

/// Bytes in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRate {
    bytes: NonZeroU64,
    /// In seconds.
    period: u64,
}

impl ByteRate {
    /// So many a second.
    pub(super) const fn a_second(bytes: NonZeroU64) -> Self {
        Self { bytes, period: 1 }
    }

    /// What it gives in a second, rounded down, and at least 1.
    pub fn one_second(self) -> NonZeroU64 {
        NonZeroU64::new(self.bytes.get() / self.period).unwrap_or(NonZeroU64::MIN)
    }

    /// How many in a [`ByteRate::period`].
    pub fn bytes(self) -> NonZeroU64 {
        self.bytes
    }

    /// One second, minute or hour.
    pub fn period(self) -> Duration {
        Duration::from_secs(self.period)
    }
}

impl FromStr for ByteRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (amount, period) = split(text, "a rate of bytes", "such as 50MiB/s")?;
        let bytes = parse_size(amount)?;
        match NonZeroU64::new(bytes).filter(|bytes| bytes.get() <= MOST_BYTES) {
            Some(bytes) => Ok(Self { bytes, period }),
            None => Err(format!(
                "{} is out of range, write 1B to {}, such as 50MiB/s",
                quoted(amount),
                format_size(MOST_BYTES)
            )),
        }
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", format_size(self.bytes.get()), word(self.period))
    }
}

text_value!(Rate, ByteRate);

/// What stands before the slash, and the period behind it in seconds.
fn split<'t>(text: &'t str, what: &str, right: &str) -> Result<(&'t str, u64), String> {
    let Some((amount, unit)) = text.split_once('/') else {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        return Err(if is_number {
            format!("the number {text} has no period, write one of /s, /min or /h, {right}")
        } else {
            format!("{} is not {what}, write one {right}", quoted(text))
        });
    };
    match PERIODS.iter().find(|(word, _)| *word == unit) {
        Some((_, period)) => Ok((amount, *period)),
        None => {
            Err(format!("{} in {} is no period, write /s, /min or /h, {right}", quoted(unit), quoted(text)))
        }
    }
}

fn word(period: u64) -> &'static str {
    PERIODS.iter().find(|(_, seconds)| *seconds == period).map_or("s", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written_alike() {
        for (text, tokens, hour, second) in [
            ("500/s", 500, 1_800_000, 500),
            ("30/min", 30, 1800, 1),
            ("90/min", 90, 5400, 2),
            ("7/h", 7, 7, 1),
        ] {
            let rate: Rate = text.parse().unwrap();
            let got = (rate.tokens().get(), rate.an_hour(), rate.one_second().get());
            assert_eq!(got, (tokens, hour, second), "{text}");
            assert_eq!(rate.to_string(), text);
        }
        let bytes: ByteRate = "50MiB/s".parse().unwrap();
        assert_eq!((bytes.bytes().get(), bytes.period()), (50 << 20, Duration::from_secs(1)));
        assert_eq!(bytes.to_string(), "50MiB/s");
    }

    #[test]
    fn a_wrong_rate_says_what_would_be_right() {
        for (text, message) in [
            ("500", "the number 500 has no period, write one of /s, /min or /h, such as 500/s or 30/min"),
            ("fast", "`fast` is not a rate, write one such as 500/s or 30/min"),
            ("500/sec", "`sec` in `500/sec` is no period, write /s, /min or /h, such as 500/s or 30/min"),
            (
                "0/s",
                "`0` in `0/s` is no number of a rate, write a whole number from 1 to 100000000, such as 500/s or 30/min",
            ),
            (
                "1.5/s",
                "`1.5` in `1.5/s` is no number of a rate, write a whole number from 1 to 100000000, such as 500/s or 30/min",
            ),
            (
                "+5/s",
                "`+5` in `+5/s` is no number of a rate, write a whole number from 1 to 100000000, such as 500/s or 30/min",
            ),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap_err(), message);
        }
        for (text, message) in [
            ("50MiB", "`50MiB` is not a rate of bytes, write one such as 50MiB/s"),
            ("50/s", "the number 50 has no unit, write one of B, KiB, MiB or GiB, such as 64KiB or 1MiB"),
            ("0B/s", "`0B` is out of range, write 1B to 1024GiB, such as 50MiB/s"),
        ] {
            assert_eq!(text.parse::<ByteRate>().unwrap_err(), message);
        }
    }
}
