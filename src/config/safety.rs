//! `profile` and `danger_ok`: bounds that cannot be lifted by accident (http.md §7).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Config;
use super::load::Origins;
use super::report::{Report, Spot};
use super::schema::{Schema, list, words};
use super::units::format_size;

/// How careful the gateway is with its own operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A safe bound may be lifted by naming it in `danger_ok`.
    #[default]
    Default,
    /// No safe bound may be lifted.
    Strict,
}

/// A key whose safe bound may be lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Danger {
    /// `limits.body.max` past 1 MiB.
    #[serde(rename = "limits.body.max")]
    LimitsBodyMax,
    /// `limits.decode.floor` past 64 KiB.
    #[serde(rename = "limits.decode.floor")]
    LimitsDecodeFloor,
    /// `limits.decode.max` past 8 MiB.
    #[serde(rename = "limits.decode.max")]
    LimitsDecodeMax,
    /// `limits.decode.ratio` past 10.
    #[serde(rename = "limits.decode.ratio")]
    LimitsDecodeRatio,
    /// `limits.in_flight` past 4096.
    #[serde(rename = "limits.in_flight")]
    LimitsInFlight,
    /// `limits.rate` past 2000/s.
    #[serde(rename = "limits.rate")]
    LimitsRate,
    /// `body.max` of any route past 1 MiB.
    #[serde(rename = "routes.body.max")]
    RoutesBodyMax,
}

impl Danger {
    fn name(self) -> &'static str {
        match self {
            Self::LimitsBodyMax => "limits.body.max",
            Self::LimitsDecodeFloor => "limits.decode.floor",
            Self::LimitsDecodeMax => "limits.decode.max",
            Self::LimitsDecodeRatio => "limits.decode.ratio",
            Self::LimitsInFlight => "limits.in_flight",
            Self::LimitsRate => "limits.rate",
            Self::RoutesBodyMax => "routes.body.max",
        }
    }
}

pub(super) fn profile_schema() -> Schema {
    words(&["default", "strict"])
}

pub(super) fn danger_schema() -> Schema {
    list(words(&[
        "limits.body.max",
        "limits.decode.floor",
        "limits.decode.max",
        "limits.decode.ratio",
        "limits.in_flight",
        "limits.rate",
        "routes.body.max",
    ]))
}

// http.md §7: in-flight > 4096, rate > 2000/s, body > 1 MiB, decode > 10 × or > 8 MiB need the key's name in
// `danger_ok`. A higher floor lets small bodies grow more than 10 ×.
const SAFE_BODY: u64 = 1 << 20;
const SAFE_DECODE: u64 = 8 << 20;
const SAFE_FLOOR: u64 = 64 << 10;
const SAFE_IN_FLIGHT: u32 = 4096;
const SAFE_RATE: u32 = 2000;
const SAFE_RATIO: u32 = 10;

/// Every bound that is weaker than is safe, and whether that is allowed.
pub(super) fn check(config: &Config, origins: &Origins, report: &mut Report) {
    let main = Spot::root(0);
    let mut lifted = BTreeSet::new();
    let limits = &config.limits;
    let mut lift = |danger, spot: &Spot, value: String, safe: String, report: &mut Report| {
        lifted.insert(danger);
        check_lifted(config, report, spot, danger, &value, &safe);
    };
    let (at, safe_body) = (main.key("limits"), || format_size(SAFE_BODY));
    if limits.body.max > SAFE_BODY {
        let spot = at.key("body").key("max");
        lift(Danger::LimitsBodyMax, &spot, format_size(limits.body.max), safe_body(), report);
    }
    let (decode, decode_at) = (&limits.decode, at.key("decode"));
    if decode.floor > SAFE_FLOOR {
        let (value, safe) = (format_size(decode.floor), format_size(SAFE_FLOOR));
        lift(Danger::LimitsDecodeFloor, &decode_at.key("floor"), value, safe, report);
    }
    if decode.max > SAFE_DECODE {
        let (value, safe) = (format_size(decode.max), format_size(SAFE_DECODE));
        lift(Danger::LimitsDecodeMax, &decode_at.key("max"), value, safe, report);
    }
    if decode.ratio.get() > SAFE_RATIO {
        let (value, safe) = (decode.ratio.to_string(), SAFE_RATIO.to_string());
        lift(Danger::LimitsDecodeRatio, &decode_at.key("ratio"), value, safe, report);
    }
    if limits.in_flight.get() > SAFE_IN_FLIGHT {
        let (value, safe) = (limits.in_flight.to_string(), SAFE_IN_FLIGHT.to_string());
        lift(Danger::LimitsInFlight, &at.key("in_flight"), value, safe, report);
    }
    if limits.rate.an_hour() > u64::from(SAFE_RATE) * 3600 {
        let (value, safe) = (limits.rate.to_string(), format!("{SAFE_RATE}/s"));
        lift(Danger::LimitsRate, &at.key("rate"), value, safe, report);
    }
    for (route, spot) in config.routes.iter().zip(&origins.routes) {
        if let Some(max) = route.body.max.filter(|max| *max > SAFE_BODY) {
            let spot = spot.key("body").key("max");
            lift(Danger::RoutesBodyMax, &spot, format_size(max), safe_body(), report);
        }
    }
    let danger_ok = main.key("danger_ok");
    if config.profile == Profile::Strict && !config.danger_ok.is_empty() {
        report
            .error(&danger_ok, "`profile: strict` lifts no safe bound, empty this list or drop the profile");
        return;
    }
    for (n, danger) in config.danger_ok.iter().enumerate() {
        if !lifted.contains(danger) {
            let message = format!("`{}` is within its safe bound, this entry can go", danger.name());
            report.warn(&danger_ok.item(n), message);
        }
    }
}

fn check_lifted(config: &Config, report: &mut Report, spot: &Spot, danger: Danger, max: &str, safe: &str) {
    let name = danger.name();
    if config.profile == Profile::Strict {
        report.error(
            spot,
            format!("{max} is past the safe bound, under `profile: strict` write at most {safe}"),
        );
    } else if !config.danger_ok.contains(&danger) && !report.is_spoiled(&Spot::root(0).key("danger_ok")) {
        report.error(
            spot,
            format!("{max} is past the safe bound, write at most {safe} or put `{name}` into `danger_ok`"),
        );
    }
}
