//! The dashboard, the alerts and the documentation name exactly the metrics that `/metrics` exports.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use voelgoed_scan_suite::Fixture;

const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yaml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/voelgoed-scan.json");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// A server that is configured with an unreachable Redis, so that it exports every metric of a node.
async fn with_unreachable_redis() -> Fixture {
    Fixture::with_config(|config| config.redis_url = Some("redis://127.0.0.1:1/0".to_owned())).await
}

async fn metrics(fixture: &Fixture) -> String {
    let response = fixture.anonymous.get("/metrics").await.expect(200);
    response.text().to_owned()
}

/// The names and types of the metric families in a response of `/metrics`.
fn families(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect()
}

/// The metric names in a text, each with the text before it.
fn occurrences(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices("voelgoed_scan_").filter_map(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let end = rest
            .find(|c: char| !c.is_ascii_lowercase() && c != '_')
            .unwrap_or(rest.len());
        rest.get(..end).map(|name| (before, name))
    })
}

/// The family of a metric name, with its type. A histogram exports three names of its own, with suffixes.
fn family<'a>(name: &str, families: &BTreeMap<&'a str, &'a str>) -> Option<(&'a str, &'a str)> {
    let parts = ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|part| name.strip_suffix(part));
    let histogram = parts
        .filter_map(|base| families.get_key_value(base))
        .find(|(_, kind)| **kind == "histogram");
    let whole = || {
        families
            .get_key_value(name)
            .filter(|(_, kind)| **kind != "histogram")
    };
    histogram.or_else(whole).map(|(name, kind)| (*name, *kind))
}

#[tokio::test]
async fn dashboard_and_alerts_query_exported_metrics_according_to_their_type() {
    let fixture = with_unreachable_redis().await;
    let text = metrics(&fixture).await;
    let families = families(&text);
    for (file, queries) in [("alerts", ALERTS), ("dashboard", DASHBOARD)] {
        let mut count = 0;
        for (before, name) in occurrences(queries) {
            let (_, kind) =
                family(name, &families).unwrap_or_else(|| panic!("{file}: {name} is not in {families:#?}"));
            let is_rate = before.ends_with("rate(") || before.ends_with("increase(");
            assert_eq!(is_rate, kind != "gauge", "{file}: {name} is a {kind}");
            count += 1;
        }
        assert!(count > 10, "{file} has {count} queries");
    }
}

#[tokio::test]
async fn dashboard_and_alerts_group_by_exported_labels() {
    let fixture = with_unreachable_redis().await;
    let text = metrics(&fixture).await;
    let mut labels: BTreeSet<&str> = text
        .match_indices("=\"")
        .filter_map(|(at, _)| text.get(..at)?.rsplit(['{', ',']).next())
        .collect();
    // Prometheus adds these to every series.
    labels.extend(["instance", "job"]);
    for queries in [ALERTS, DASHBOARD] {
        for list in queries.split(" by (").skip(1) {
            let list = list.split(')').next().expect("a list");
            for label in list.split(',').map(str::trim) {
                assert!(labels.contains(label), "{label} is not in {labels:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_documentation_lists_every_metric_with_its_type_and_no_other() {
    let fixture = with_unreachable_redis().await;
    let text = metrics(&fixture).await;
    let families = families(&text);
    for (name, kind) in &families {
        let row = format!("| `{name}` | {kind} |");
        assert!(OPERATIONS.contains(&row), "docs/operations.md has no row {row}");
    }
    for (_, name) in occurrences(OPERATIONS) {
        let known = families.contains_key(name) || family(name, &families).is_some();
        assert!(known, "docs/operations.md: {name} is not in {families:#?}");
    }
}

#[test]
fn every_alert_has_a_section_in_the_documentation() {
    let after = |text: &'static str, start: &'static str| -> BTreeSet<&'static str> {
        text.lines()
            .filter_map(|line| line.trim().strip_prefix(start))
            .collect()
    };
    let alerts = after(ALERTS, "- alert: ");
    let sections: BTreeSet<_> = after(OPERATIONS, "### ")
        .into_iter()
        .filter(|title| title.starts_with("VoelgoedScan"))
        .collect();
    assert!(!alerts.is_empty());
    assert_eq!(alerts, sections);
}

#[test]
fn the_dashboard_has_a_query_in_every_panel() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(targets.iter().all(|target| target["expr"].is_string()), "{panel}");
        assert!(!targets.is_empty(), "{panel}");
    }
}

#[tokio::test]
async fn a_node_without_its_redis_is_ready_and_reports_degraded() {
    let fixture = with_unreachable_redis().await;
    let ready = fixture.anonymous.get("/readyz").await.expect(200).json();
    let checks = json!({ "database": "ok", "redis": "unavailable", "bus": "unavailable" });
    assert_eq!(ready, json!({ "status": "degraded", "checks": checks }));
    let text = metrics(&fixture).await;
    for line in [
        "voelgoed_scan_redis_up 0",
        "voelgoed_scan_bus_up 0",
        "voelgoed_scan_database_up 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    let without_redis = Fixture::new().await;
    let ready = without_redis.anonymous.get("/readyz").await.expect(200).json();
    assert_eq!(ready, json!({ "status": "ok", "checks": { "database": "ok" } }));
}
