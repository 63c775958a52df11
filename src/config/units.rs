//! Values with a unit: durations (`250ms`), sizes (`64KiB`) and shares (`20%`), read and written.
//!
//! A bare number is refused: what it would mean depends on who reads it. Integers only, no floats.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::finding::quoted;

/// Unit and how many nanoseconds it has, largest first.
const DURATIONS: &[(&str, u64)] = &[
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// Unit and how many bytes it has, largest first.
const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `250ms`, `5s`, `5min`, `1h`; the error says what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanos = parse_with_units(text, DURATIONS, "a duration", "us, ms, s, min or h, such as 250ms or 5s")?;
    Ok(Duration::from_nanos(nanos))
}

/// Writes a duration so that [`parse_duration`] reads the same: the largest unit that divides it.
pub fn format_duration(duration: Duration) -> String {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanos == 0 { "0s".to_owned() } else { format_with_units(nanos, DURATIONS, "ns") }
}

/// Reads `64KiB`, `1MiB`, `100B`; the error says what would be right.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse_with_units(text, SIZES, "a size", "B, KiB, MiB or GiB, such as 64KiB or 1MiB")
}

/// Writes a size in bytes so that [`parse_size`] reads the same: the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    if bytes == 0 { "0B".to_owned() } else { format_with_units(bytes, SIZES, "B") }
}

fn parse_with_units(text: &str, units: &[(&str, u64)], what: &str, right: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(format!("{} is not {what}, write a whole number with {right}", quoted(text)));
    }
    if unit.is_empty() {
        return Err(format!("the number {number} has no unit, write one of {right}"));
    }
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("{} in {} is no unit of {what}, write {right}", quoted(unit), quoted(text)));
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(*scale))
        .ok_or_else(|| format!("{} is larger than {what} can be, write less", quoted(text)))
}

fn format_with_units(value: u64, units: &[(&str, u64)], smallest: &str) -> String {
    match units.iter().find(|(_, scale)| value.is_multiple_of(*scale)) {
        Some((name, scale)) => format!("{}{name}", value / scale),
        None => format!("{value}{smallest}"),
    }
}

/// A share of a whole in steps of 0.1 %: `20%`, `0.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(1000);

    /// So many per cent; more than 100 is 100.
    pub const fn percent(percent: u32) -> Self {
        if percent >= 100 { Self::ALL } else { Self(percent * 10) }
    }

    /// Thousandths, 0 to 1000.
    pub const fn per_mille(self) -> u32 {
        self.0
    }

    /// This share of `whole`, rounded down.
    pub const fn of(self, whole: u64) -> u64 {
        // Split so that nothing overflows.
        (whole / 1000) * self.0 as u64 + (whole % 1000) * self.0 as u64 / 1000
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(number) = text.strip_suffix('%') else {
            return Err(format!("{} is not a share, write per cent, such as 20%", quoted(text)));
        };
        let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(tenths) || tenths.len() > 1 {
            return Err(format!(
                "{} is not a share, write per cent with at most one decimal, such as 20% or 0.5%",
                quoted(text)
            ));
        }
        let per_mille = match (whole.parse::<u32>(), tenths.parse::<u32>()) {
            (Ok(whole), Ok(tenths)) if whole <= 100 => whole * 10 + tenths,
            _ => u32::MAX,
        };
        if per_mille > 1000 {
            return Err(format!("{} is more than the whole, write 0% to 100%", quoted(text)));
        }
        Ok(Self(per_mille))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, tenths) => write!(f, "{whole}.{tenths}%"),
        }
    }
}

/// `#[serde(with = "units::duration")]` for a `Duration`.
pub(super) mod duration {
    use super::*;

    pub(crate) fn serialize<S: serde::Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format_duration(*value))
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(from)?;
        parse_duration(&text).map_err(serde::de::Error::custom)
    }
}

/// `#[serde(with = "units::size")]` for bytes in a `u64`.
pub(super) mod size {
    use super::*;

    pub(crate) fn serialize<S: serde::Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format_size(*value))
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(from)?;
        parse_size(&text).map_err(serde::de::Error::custom)
    }
}

/// `#[serde(with = "units::duration_if_set")]` for a `Duration` that may be left away.
pub(super) mod duration_if_set {
    use super::*;

    pub(crate) fn serialize<S: serde::Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => duration::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        duration::deserialize(from).map(Some)
    }
}

/// `#[serde(with = "units::size_if_set")]` for a size that may be left away.
pub(super) mod size_if_set {
    use super::*;

    pub(crate) fn serialize<S: serde::Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => size::serialize(value, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        size::deserialize(from).map(Some)
    }
}

/// `#[serde(with = "units::size_or_none")]` for a size that may be `none`.
pub(super) mod size_or_none {
    use super::*;

    pub(crate) fn serialize<S: serde::Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => size::serialize(value, to),
            None => to.serialize_str("none"),
        }
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let text = <Option<String> as serde::Deserialize>::deserialize(from)?;
        text.map(|text| parse_size(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(parse_duration("5min").unwrap(), Duration::from_secs(300));
        for (text, message) in [
            ("5", "the number 5 has no unit, write one of us, ms, s, min or h, such as 250ms or 5s"),
            (
                "5sec",
                "`sec` in `5sec` is no unit of a duration, write us, ms, s, min or h, such as 250ms or 5s",
            ),
            (
                "1.5s",
                "`.5s` in `1.5s` is no unit of a duration, write us, ms, s, min or h, such as 250ms or 5s",
            ),
            (
                "soon",
                "`soon` is not a duration, write a whole number with us, ms, s, min or h, such as 250ms or 5s",
            ),
            ("99999999h", "`99999999h` is larger than a duration can be, write less"),
        ] {
            assert_eq!(parse_duration(text).unwrap_err(), message);
        }
    }

    #[test]
    fn sizes_are_binary_and_say_so() {
        assert_eq!(parse_size("64KiB").unwrap(), 65536);
        assert_eq!(parse_size("0B").unwrap(), 0);
        assert_eq!(
            parse_size("64KB").unwrap_err(),
            "`KB` in `64KB` is no unit of a size, write B, KiB, MiB or GiB, such as 64KiB or 1MiB"
        );
        assert_eq!(
            parse_size("65536").unwrap_err(),
            "the number 65536 has no unit, write one of B, KiB, MiB or GiB, such as 64KiB or 1MiB"
        );
    }

    #[test]
    fn shares_are_thousandths() {
        assert_eq!("20%".parse::<Share>().unwrap().per_mille(), 200);
        assert_eq!("0.5%".parse::<Share>().unwrap().per_mille(), 5);
        assert_eq!("100%".parse::<Share>().unwrap(), Share::ALL);
        for wrong in ["20", "101%", "100.1%", "-1%", "0.55%", "%", ".5%", "70000%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
        assert_eq!(Share::percent(50).of(u64::MAX), u64::MAX / 2);
        assert_eq!(Share::percent(20).of(9), 1);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in 0_u64..10_000_000_000_000, bytes: u64, per_mille in 0_u32..=1000) {
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
            prop_assert_eq!(parse_size(&format_size(bytes)).unwrap(), bytes);
            prop_assert_eq!(Share(per_mille).to_string().parse::<Share>().unwrap(), Share(per_mille));
        }
    }
}
