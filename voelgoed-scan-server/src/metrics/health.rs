//! The health of this node in the Prometheus text format.
//!
//! The text is written directly and does not pass through the recorder of the process, so that several nodes in one
//! process report separate values.

use std::fmt::{Display, Write as _};

use voelgoed_scan_core::node::{NodeHealth, WRITE_DURATION_BUCKETS};

const SIGNALS: &str = "voelgoed_scan_signals_total";
const CONFLICTS: &str = "voelgoed_scan_conflicts_total";

/// A text in the Prometheus exposition format under construction.
pub(super) struct Exposition<'a>(pub(super) &'a mut String);

impl Exposition<'_> {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    pub(super) fn line(&mut self, line: impl Display) {
        // Writing to a `String` does not fail.
        let _ = writeln!(self.0, "{line}");
    }

    pub(super) fn metric(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }
}

/// Appends the health of a node to a text.
pub(super) fn render(text: &mut String, health: &NodeHealth, database: &'static str) {
    let output = &mut Exposition(text);
    output.family(
        "voelgoed_scan_build_info",
        "gauge",
        "Always 1; the labels are the version and the kind of database.",
    );
    output.line(format_args!(
        "voelgoed_scan_build_info{{version=\"{}\",database=\"{database}\"}} 1",
        env!("CARGO_PKG_VERSION")
    ));
    output.metric(
        "voelgoed_scan_database_up",
        "gauge",
        "Whether the database answered the last probe. It is probed at least twice a second.",
        u8::from(health.database_up),
    );
    pools(output, health);
    writes(output, health);
    if let Some(redis) = health.redis {
        output.metric(
            "voelgoed_scan_redis_up",
            "gauge",
            "Whether Redis is used; 0 while the circuit breaker is open after failures.",
            u8::from(redis.up),
        );
        output.metric(
            "voelgoed_scan_redis_failures_total",
            "counter",
            "Calls to Redis that failed or timed out.",
            redis.failures,
        );
    }
    if let Some(up) = health.bus_up {
        output.metric(
            "voelgoed_scan_bus_up",
            "gauge",
            "Whether messages of other nodes arrive; at 0, changes arrive through the change counters only.",
            u8::from(up),
        );
    }
    output.metric(
        "voelgoed_scan_stream_listeners",
        "gauge",
        "Open event streams on this node.",
        health.subscriptions,
    );
    output.family(SIGNALS, "counter", "Signals that this node opened, by kind.");
    for (kind, count) in &health.signals {
        output.line(format_args!("{SIGNALS}{{kind=\"{kind}\"}} {count}"));
    }
    output.family(
        CONFLICTS,
        "counter",
        "Conflicts that uploads to this node opened, by kind.",
    );
    for (kind, count) in &health.conflicts {
        output.line(format_args!("{CONFLICTS}{{kind=\"{}\"}} {count}", kind.as_str()));
    }
}

fn pools(output: &mut Exposition<'_>, health: &NodeHealth) {
    const OPEN: &str = "voelgoed_scan_database_connections";
    const LIMIT: &str = "voelgoed_scan_database_connections_limit";
    output.family(
        OPEN,
        "gauge",
        "Open connections to the database, by pool and state.",
    );
    for pool in &health.pools {
        for (state, count) in [("busy", pool.busy), ("idle", pool.idle)] {
            output.line(format_args!(
                "{OPEN}{{pool=\"{}\",state=\"{state}\"}} {count}",
                pool.name
            ));
        }
    }
    output.family(
        LIMIT,
        "gauge",
        "Maximum number of connections to the database, by pool.",
    );
    for pool in &health.pools {
        output.line(format_args!("{LIMIT}{{pool=\"{}\"}} {}", pool.name, pool.max));
    }
}

fn writes(output: &mut Exposition<'_>, health: &NodeHealth) {
    const SECONDS: &str = "voelgoed_scan_write_duration_seconds";
    let writes = &health.writes;
    output.family(
        SECONDS,
        "histogram",
        "Time of writes to the database, successful and failed. A write contains many scans. The rate of the sum is the \
         number of writes that run on average: normally at most 2 on PostgreSQL, and 1 on SQLite.",
    );
    let bounds = WRITE_DURATION_BUCKETS
        .iter()
        .map(|bound| bound.as_secs_f64().to_string())
        .chain(["+Inf".to_owned()]);
    let mut count = 0;
    for (bound, more) in bounds.zip(writes.durations) {
        count += more;
        output.line(format_args!("{SECONDS}_bucket{{le=\"{bound}\"}} {count}"));
    }
    output.line(format_args!("{SECONDS}_sum {}", writes.busy.as_secs_f64()));
    output.line(format_args!("{SECONDS}_count {count}"));
    output.metric(
        "voelgoed_scan_write_failures_total",
        "counter",
        "Writes that failed.",
        writes.failed,
    );
    output.metric(
        "voelgoed_scan_written_scans_total",
        "counter",
        "Scans in successful writes, including repetitions of known scans.",
        writes.scans,
    );
    output.metric(
        "voelgoed_scan_waiting_scans",
        "gauge",
        "Scans that wait for the next write. At 4096, further scans are refused as overloaded.",
        writes.queued_scans,
    );
    output.metric(
        "voelgoed_scan_waiting_denials",
        "gauge",
        "Denials that are answered but not yet in the audit trail.",
        writes.pending_denials,
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use voelgoed_scan_core::model::SignalKind;
    use voelgoed_scan_core::node::{RedisHealth, WriteCounts};
    use voelgoed_scan_core::rules::ConflictKind;
    use voelgoed_scan_core::store::PoolUse;

    use super::*;

    fn rendered(health: &NodeHealth) -> String {
        let mut text = String::new();
        render(&mut text, health, "sqlite");
        text
    }

    fn node_without_redis() -> NodeHealth {
        NodeHealth {
            database_up: true,
            pools: vec![PoolUse {
                name: "all",
                busy: 3,
                idle: 1,
                max: 8,
            }],
            redis: None,
            bus_up: None,
            writes: WriteCounts::default(),
            subscriptions: 2,
            signals: vec![(SignalKind::DeviceSilent, 3), (SignalKind::LateBatch, 0)],
            conflicts: vec![(ConflictKind::DoubleEntry, 4), (ConflictKind::Unverified, 0)],
        }
    }

    #[test]
    fn redis_and_bus_are_shown_only_if_the_node_has_them() {
        let text = rendered(&node_without_redis());
        assert!(!text.contains("voelgoed_scan_redis_up"), "{text}");
        assert!(!text.contains("voelgoed_scan_bus_up"), "{text}");
        let text = rendered(&NodeHealth {
            redis: Some(RedisHealth {
                up: false,
                failures: 3,
            }),
            bus_up: Some(true),
            ..node_without_redis()
        });
        for line in [
            "voelgoed_scan_redis_up 0",
            "voelgoed_scan_redis_failures_total 3",
            "voelgoed_scan_bus_up 1",
            "voelgoed_scan_database_connections{pool=\"all\",state=\"busy\"} 3",
            "voelgoed_scan_database_connections_limit{pool=\"all\"} 8",
            "voelgoed_scan_stream_listeners 2",
            "voelgoed_scan_signals_total{kind=\"device_silent\"} 3",
            "voelgoed_scan_signals_total{kind=\"late_batch\"} 0",
            "voelgoed_scan_conflicts_total{kind=\"double_entry\"} 4",
            "voelgoed_scan_conflicts_total{kind=\"unverified\"} 0",
        ] {
            assert!(
                text.lines().any(|shown| shown == line),
                "{line} is missing: {text}"
            );
        }
    }

    #[test]
    fn the_buckets_of_write_times_are_cumulative() {
        let mut health = node_without_redis();
        health.writes.durations[0] = 2;
        health.writes.durations[WRITE_DURATION_BUCKETS.len()] = 1;
        health.writes.busy = Duration::from_millis(6001);
        let text = rendered(&health);
        for line in [
            "voelgoed_scan_write_duration_seconds_bucket{le=\"0.0005\"} 2",
            "voelgoed_scan_write_duration_seconds_bucket{le=\"0.0025\"} 2",
            "voelgoed_scan_write_duration_seconds_bucket{le=\"5\"} 2",
            "voelgoed_scan_write_duration_seconds_bucket{le=\"+Inf\"} 3",
            "voelgoed_scan_write_duration_seconds_sum 6.001",
            "voelgoed_scan_write_duration_seconds_count 3",
        ] {
            assert!(
                text.lines().any(|shown| shown == line),
                "{line} is missing: {text}"
            );
        }
    }
}
