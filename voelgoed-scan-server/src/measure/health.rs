//! How is this node doing, in the text format of Prometheus? Written straight from the node's own numbers, so that
//! several nodes in one process keep theirs apart.

use std::fmt::{Display, Write as _};

use voelgoed_scan_core::node::{NodeHealth, WRITE_DURATION_BUCKETS};

/// Writes lines into a text.
struct Page<'a>(&'a mut String);

impl Page<'_> {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: impl Display) {
        // A `String` takes whatever is written into it.
        let _ = writeln!(self.0, "{line}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }
}

/// Adds a node's numbers to a text.
pub(super) fn render(text: &mut String, health: &NodeHealth, database: &'static str) {
    let page = &mut Page(text);
    page.family(
        "voelgoed_scan_build_info",
        "gauge",
        "Always 1: the version and the kind of database.",
    );
    page.line(format_args!(
        "voelgoed_scan_build_info{{version=\"{}\",database=\"{database}\"}} 1",
        env!("CARGO_PKG_VERSION")
    ));
    page.one(
        "voelgoed_scan_database_up",
        "gauge",
        "Whether the database answered when it was last asked, which is at least twice a second.",
        u8::from(health.database_up),
    );
    pools(page, health);
    writes(page, health);
    if let Some(redis) = health.redis {
        page.one(
            "voelgoed_scan_redis_up",
            "gauge",
            "Whether the second tier is asked; 0 while it is left alone because it failed.",
            u8::from(redis.up),
        );
        page.one(
            "voelgoed_scan_redis_failures_total",
            "counter",
            "Calls to the second tier that failed or took too long.",
            redis.failures,
        );
    }
    if let Some(up) = health.bus_up {
        page.one(
            "voelgoed_scan_bus_up",
            "gauge",
            "Whether messages of other nodes arrive; while 0, changes arrive by the change counters alone.",
            u8::from(up),
        );
    }
    page.one(
        "voelgoed_scan_stream_listeners",
        "gauge",
        "Streams of events that somebody listens to on this node.",
        health.subscriptions,
    );
}

fn pools(page: &mut Page<'_>, health: &NodeHealth) {
    const OPEN: &str = "voelgoed_scan_database_connections";
    const LIMIT: &str = "voelgoed_scan_database_connections_limit";
    page.family(
        OPEN,
        "gauge",
        "Connections to the database that are open, by pool and state.",
    );
    for pool in &health.pools {
        for (state, count) in [("busy", pool.busy), ("idle", pool.idle)] {
            page.line(format_args!(
                "{OPEN}{{pool=\"{}\",state=\"{state}\"}} {count}",
                pool.name
            ));
        }
    }
    page.family(
        LIMIT,
        "gauge",
        "The most connections to the database that there may be, by pool.",
    );
    for pool in &health.pools {
        page.line(format_args!("{LIMIT}{{pool=\"{}\"}} {}", pool.name, pool.max));
    }
}

fn writes(page: &mut Page<'_>, health: &NodeHealth) {
    const SECONDS: &str = "voelgoed_scan_write_duration_seconds";
    let writes = &health.writes;
    page.family(
        SECONDS,
        "histogram",
        "Time of writes to the database, done and failed; one write takes many scans, and there is one at a time.",
    );
    let ends = WRITE_DURATION_BUCKETS
        .iter()
        .map(|end| end.as_secs_f64().to_string())
        .chain(["+Inf".to_owned()]);
    let mut count = 0;
    for (end, more) in ends.zip(writes.durations) {
        count += more;
        page.line(format_args!("{SECONDS}_bucket{{le=\"{end}\"}} {count}"));
    }
    page.line(format_args!("{SECONDS}_sum {}", writes.busy.as_secs_f64()));
    page.line(format_args!("{SECONDS}_count {count}"));
    page.one(
        "voelgoed_scan_write_failures_total",
        "counter",
        "Writes that the database failed.",
        writes.failed,
    );
    page.one(
        "voelgoed_scan_written_scans_total",
        "counter",
        "Scans in the writes that were done, known ones that came again among them.",
        writes.scans,
    );
    page.one(
        "voelgoed_scan_waiting_scans",
        "gauge",
        "Scans that wait for the next write; at 4096 more are refused as overloaded.",
        writes.queued_scans,
    );
    page.one(
        "voelgoed_scan_waiting_denials",
        "gauge",
        "Denials that were answered and are not in the audit trail yet.",
        writes.pending_denials,
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use voelgoed_scan_core::node::{RedisHealth, WriteCounts};
    use voelgoed_scan_core::store::PoolUse;

    use super::*;

    fn shown(health: &NodeHealth) -> String {
        let mut text = String::new();
        render(&mut text, health, "sqlite");
        text
    }

    fn alone() -> NodeHealth {
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
        }
    }

    #[test]
    fn what_a_node_does_not_have_is_not_shown() {
        let text = shown(&alone());
        assert!(!text.contains("voelgoed_scan_redis_up"), "{text}");
        assert!(!text.contains("voelgoed_scan_bus_up"), "{text}");
        let text = shown(&NodeHealth {
            redis: Some(RedisHealth {
                up: false,
                failures: 3,
            }),
            bus_up: Some(true),
            ..alone()
        });
        for line in [
            "voelgoed_scan_redis_up 0",
            "voelgoed_scan_redis_failures_total 3",
            "voelgoed_scan_bus_up 1",
            "voelgoed_scan_database_connections{pool=\"all\",state=\"busy\"} 3",
            "voelgoed_scan_database_connections_limit{pool=\"all\"} 8",
            "voelgoed_scan_stream_listeners 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing: {text}");
        }
    }

    #[test]
    fn the_classes_of_write_times_add_up() {
        let mut health = alone();
        health.writes.durations[0] = 2;
        health.writes.durations[WRITE_DURATION_BUCKETS.len()] = 1;
        health.writes.busy = Duration::from_millis(6001);
        let text = shown(&health);
        for line in [
            "voelgoed_scan_write_duration_seconds_bucket{le=\"0.0005\"} 2",
            "voelgoed_scan_write_duration_seconds_bucket{le=\"0.0025\"} 2",
            "voelgoed_scan_write_duration_seconds_bucket{le=\"5\"} 2",
            "voelgoed_scan_write_duration_seconds_bucket{le=\"+Inf\"} 3",
            "voelgoed_scan_write_duration_seconds_sum 6.001",
            "voelgoed_scan_write_duration_seconds_count 3",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing: {text}");
        }
    }
}
