//! What a load test means for the event: how many scans and devices the server carries, and what limits it. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

/// The latency up to which a person at the gate does not wait, in milliseconds: the 99th percentile.
const GOOD_LATENCY_MS: f64 = 500.0;

/// The part of the requested scans that has to be decided. The last scans of a run may end after it.
const MIN_DECIDED: f64 = 0.95;

/// The part of the maximum throughput that an event should use at its peak, in percent.
const HEADROOM_PERCENT: u64 = 70;

/// How many seconds a steward needs for a guest.
const SECONDS_PER_GUEST: u64 = 2;

/// What was measured.
pub(super) struct Measured<'a> {
    pub(super) clients: u32,
    /// The requested scans a second; `None` where each client scanned as fast as it got answers.
    pub(super) rate: Option<u32>,
    pub(super) scans_per_second: f64,
    pub(super) p99_ms: f64,
    pub(super) errors: &'a BTreeMap<String, u64>,
    pub(super) tickets_ran_out: bool,
}

/// What limits the server, or the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Limit {
    /// Nothing: the server carried what was asked of it.
    Nothing,
    /// The server answered too late, or not all scans.
    Server,
    /// The server's limit of the scans of one device.
    #[serde(rename = "rate_limit")]
    DeviceRate,
    /// Scans failed.
    Errors,
    /// The test had too few tickets.
    Tickets,
}

/// The recommendation.
#[derive(Debug, Serialize)]
pub(super) struct Recommendation {
    pub(super) limit: Limit,
    /// The scans a second that the event may need at its peak.
    pub(super) scans_per_second: u64,
    /// The devices whose stewards need this rate together.
    pub(super) devices: u64,
    /// The same as sentences.
    pub(super) text: String,
}

impl Recommendation {
    /// The recommendation for what was measured.
    pub(super) fn of(measured: &Measured<'_>) -> Self {
        let limit = limit(measured);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of scans a second is far below 2^52"
        )]
        let decided = measured.scans_per_second.max(0.0).floor() as u64;
        let carried = match (limit, measured.rate) {
            // The measured rate varies a little; the requested one was carried.
            (Limit::Nothing, Some(rate)) => u64::from(rate),
            // The maximum of the server.
            (Limit::Nothing | Limit::Server | Limit::Tickets, _) => decided * HEADROOM_PERCENT / 100,
            (Limit::DeviceRate | Limit::Errors, _) => decided,
        };
        let devices = carried * SECONDS_PER_GUEST;
        Self {
            limit,
            scans_per_second: carried,
            devices,
            text: text(measured, limit, decided, carried, devices),
        }
    }
}

fn limit(measured: &Measured<'_>) -> Limit {
    let requested = measured.rate.map_or(0.0, f64::from);
    let decided_enough = measured.scans_per_second >= requested * MIN_DECIDED || measured.tickets_ran_out;
    let only_limited = |code: &String| code == "rate_limited" || code == "not_sent";
    if measured.errors.contains_key("rate_limited") && measured.errors.keys().all(only_limited) {
        Limit::DeviceRate
    } else if measured.errors.keys().any(|code| code != "not_sent") {
        Limit::Errors
    } else if !measured.errors.is_empty() || !decided_enough || measured.p99_ms > GOOD_LATENCY_MS {
        Limit::Server
    } else if measured.tickets_ran_out {
        Limit::Tickets
    } else {
        Limit::Nothing
    }
}

fn text(measured: &Measured<'_>, limit: Limit, decided: u64, carried: u64, devices: u64) -> String {
    let p99 = format!("{:.0} ms", measured.p99_ms);
    let stewards =
        format!("At one guest in {SECONDS_PER_GUEST} s a device, that is enough for {devices} devices.");
    match (limit, measured.rate) {
        (Limit::Nothing, Some(rate)) => format!(
            "The server carries {rate} scans a second; 99 of 100 were answered within {p99}. {stewards} Nothing limited it: \
             --closed finds its maximum."
        ),
        (Limit::Nothing | Limit::Tickets, _) => format!(
            "The maximum was {decided} scans a second with {} clients; 99 of 100 were answered within {p99}. Plan for at most \
             {carried} at the peak. {stewards}",
            measured.clients
        ),
        (Limit::Server, _) => format!(
            "The server is at its limit: {decided} scans a second were decided, and 99 of 100 were answered within {p99}. Plan for \
             at most {carried} at the peak, or give the server faster storage or more cores. {stewards}"
        ),
        (Limit::DeviceRate, _) => format!(
            "The server limits the scans of each device (--rate-limit), not its own speed: {} devices got {decided} scans a second \
             through. Repeat the rehearsal with as many devices as the event has.",
            measured.clients
        ),
        (Limit::Errors, _) => {
            "Scans failed. Find out why before the doors open: the counts of errors name the codes, and the \
             server's log the causes."
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recommended(change: impl FnOnce(&mut Measured<'_>)) -> (Limit, u64, u64) {
        let none = BTreeMap::new();
        let mut measured = Measured {
            clients: 50,
            rate: Some(500),
            scans_per_second: 499.2,
            p99_ms: 8.0,
            errors: &none,
            tickets_ran_out: false,
        };
        change(&mut measured);
        let recommendation = Recommendation::of(&measured);
        assert!(!recommendation.text.is_empty());
        (
            recommendation.limit,
            recommendation.scans_per_second,
            recommendation.devices,
        )
    }

    #[test]
    fn what_was_carried_may_be_planned_and_a_maximum_only_in_part() {
        assert_eq!(recommended(|_| {}), (Limit::Nothing, 500, 1000));
        let closed = recommended(|measured| {
            (measured.rate, measured.scans_per_second) = (None, 4000.0);
        });
        assert_eq!(closed, (Limit::Nothing, 2800, 5600));
        let slow = recommended(|measured| measured.p99_ms = 501.0);
        assert_eq!(slow, (Limit::Server, 349, 698));
        let behind = recommended(|measured| measured.scans_per_second = 474.0);
        assert_eq!(behind, (Limit::Server, 331, 662));
    }

    #[test]
    fn the_limit_names_what_stood_in_the_way() {
        let errors = |codes: &[&str]| -> BTreeMap<String, u64> {
            codes.iter().map(|code| ((*code).to_owned(), 1)).collect()
        };
        for (codes, limit) in [
            (["rate_limited"].as_slice(), Limit::DeviceRate),
            (&["not_sent", "rate_limited"], Limit::DeviceRate),
            (&["not_sent"], Limit::Server),
            (&["rate_limited", "storage_unavailable"], Limit::Errors),
            (&["out_of_reach"], Limit::Errors),
        ] {
            let errors = errors(codes);
            let measured = Measured {
                clients: 2,
                rate: Some(500),
                scans_per_second: 100.0,
                p99_ms: 8.0,
                errors: &errors,
                tickets_ran_out: false,
            };
            assert_eq!(Recommendation::of(&measured).limit, limit, "{codes:?}");
        }
        let few = recommended(|measured| measured.tickets_ran_out = true);
        assert_eq!(few.0, Limit::Tickets);
    }
}
