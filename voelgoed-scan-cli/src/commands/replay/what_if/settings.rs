//! The settings of `--what-if`.

use std::str::FromStr;
use std::time::Duration;

use voelgoed_scan_core::model::TimeZoneName;
use voelgoed_scan_core::rules::OtherSettings;

use crate::commands::value_parsers::OrNone;

/// The names of the settings.
const NAMES: &str = "reentry, capacity, gate_capacity, entry_limit, dedup_window, time_zone, day_starts_at, doors_open_at, \
                     doors_close_at";

/// The deduplication window of a server that sets none.
const DEFAULT_DEDUP_WINDOW: Duration = Duration::from_mins(5);

/// The settings under which the scans of an event are decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::replay) struct Settings {
    pub(super) other: OtherSettings,
    pub(super) dedup_window: Duration,
}

impl FromStr for Settings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut settings = Self {
            other: OtherSettings::default(),
            dedup_window: DEFAULT_DEDUP_WINDOW,
        };
        let mut names = Vec::new();
        for part in text.split(',') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{part:?} is not NAME=VALUE; the names are {NAMES}"))?;
            let (name, value) = (name.trim(), value.trim());
            if names.contains(&name) {
                return Err(format!("{name} is given twice"));
            }
            names.push(name);
            settings.set(name, value)?;
        }
        Ok(settings)
    }
}

impl Settings {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let other = &mut self.other;
        match name {
            "reentry" => other.reentry = Some(parsed(name, value)?),
            "capacity" => other.capacity = Some(or_none(name, value)?),
            "gate_capacity" => other.gate_capacity = Some(or_none(name, value)?),
            "entry_limit" => {
                let limit: u8 = parsed(name, value)?;
                if limit == 0 {
                    return Err("entry_limit is 1 to 255".to_owned());
                }
                other.entry_limit = Some(limit);
            }
            "dedup_window" => self.dedup_window = duration(name, value)?,
            "time_zone" => {
                let zone: TimeZoneName = parsed(name, value)?;
                if zone.zone().is_none() {
                    return Err(format!("time_zone {value:?} is not a known time zone"));
                }
                other.time_zone = Some(zone);
            }
            "day_starts_at" => other.day_starts_at = Some(parsed(name, value)?),
            "doors_open_at" => other.doors_open_at = Some(or_none(name, value)?),
            "doors_close_at" => other.doors_close_at = Some(or_none(name, value)?),
            _ => return Err(format!("{name:?} is no setting; the settings are {NAMES}")),
        }
        Ok(())
    }
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|error| format!("{name} {value:?}: {error}"))
}

fn or_none<T: FromStr<Err: std::fmt::Display>>(name: &str, value: &str) -> Result<Option<T>, String> {
    Ok(match parsed(name, value)? {
        OrNone::Some(value) => Some(value),
        OrNone::None => None,
    })
}

/// Seconds, or a number with `s`, `m` or `h`.
fn duration(name: &str, value: &str) -> Result<Duration, String> {
    let digits = value.trim_end_matches(['s', 'm', 'h']);
    let seconds = match value.strip_prefix(digits) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        _ => 0,
    };
    let number: Option<u64> = digits.parse().ok().filter(|_| seconds > 0);
    let duration = number.and_then(|number| number.checked_mul(seconds));
    duration
        .map(Duration::from_secs)
        .ok_or_else(|| format!("{name} {value:?} is no duration such as 300s, 5m or 1h"))
}

#[cfg(test)]
mod tests {
    use voelgoed_scan_core::model::Reentry;

    use super::*;

    #[test]
    fn every_setting_is_read() {
        let settings: Settings =
            "reentry=daily, capacity=500,gate_capacity=none,entry_limit=2,dedup_window=2m,\
                                  time_zone=Africa/Johannesburg,day_starts_at=06:00,doors_open_at=none,\
                                  doors_close_at=2026-11-22T22:00:00Z"
                .parse()
                .expect("settings");
        let other = &settings.other;
        assert_eq!(other.reentry, Some(Reentry::Daily));
        assert_eq!(
            (other.capacity, other.gate_capacity),
            (Some(Some(500)), Some(None))
        );
        assert_eq!((other.entry_limit, other.doors_open_at), (Some(2), Some(None)));
        assert_eq!(settings.dedup_window, Duration::from_secs(120));
        assert!(other.time_zone.is_some() && other.day_starts_at.is_some());
        assert_eq!(
            other.doors_close_at.flatten().map(|at| at.to_string()).as_deref(),
            Some("2026-11-22T22:00:00.000Z")
        );
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for (text, names) in [
            ("", "NAME=VALUE"),
            ("reentry", "\"reentry\""),
            ("colour=red", "\"colour\""),
            ("reentry=sometimes", "reentry"),
            ("capacity=-1", "capacity"),
            ("entry_limit=0", "entry_limit"),
            ("entry_limit=256", "entry_limit"),
            ("dedup_window=5x", "dedup_window"),
            ("time_zone=Mars/Olympus", "time_zone"),
            ("capacity=1,capacity=2", "twice"),
        ] {
            let error = text.parse::<Settings>().expect_err(text);
            assert!(error.contains(names), "{text}: {error}");
        }
    }
}
