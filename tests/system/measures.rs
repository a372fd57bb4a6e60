//! What those who run a gate are shown: dashboard, alerts and documentation name what /metrics really has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use voelgoed_scan_suite::World;

const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yaml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/voelgoed-scan.json");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// A server whose Redis is not there: everything that can be measured of a node is.
async fn watched() -> World {
    World::with(|config| config.redis_url = Some("redis://127.0.0.1:1/0".to_owned())).await
}

async fn metrics(world: &World) -> String {
    let reply = world.nobody.get("/metrics").await.expect(200);
    reply.text().to_owned()
}

/// Names and kinds of everything in an answer of /metrics.
fn families(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect()
}

/// Where a name stands in a text: what is before it, and the name.
fn uses(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices("voelgoed_scan_").filter_map(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let end = rest
            .find(|c: char| !c.is_ascii_lowercase() && c != '_')
            .unwrap_or(rest.len());
        rest.get(..end).map(|name| (before, name))
    })
}

/// The family that a name belongs to, with its kind: a histogram has three more names.
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
async fn dashboard_and_alerts_ask_for_what_there_is_and_as_what_it_is() {
    let world = watched().await;
    let text = metrics(&world).await;
    let families = families(&text);
    for (file, asked) in [("alerts", ALERTS), ("dashboard", DASHBOARD)] {
        let mut number = 0;
        for (before, name) in uses(asked) {
            let (_, kind) =
                family(name, &families).unwrap_or_else(|| panic!("{file}: {name} is not in {families:#?}"));
            let grows = before.ends_with("rate(") || before.ends_with("increase(");
            assert_eq!(grows, kind != "gauge", "{file}: {name} is a {kind}");
            number += 1;
        }
        assert!(number > 10, "{file} asks for next to nothing");
    }
}

#[tokio::test]
async fn dashboard_and_alerts_group_by_labels_that_there_are() {
    let world = watched().await;
    let text = metrics(&world).await;
    let mut labels: BTreeSet<&str> = text
        .match_indices("=\"")
        .filter_map(|(at, _)| text.get(..at)?.rsplit(['{', ',']).next())
        .collect();
    // Prometheus' own, of every series.
    labels.extend(["instance", "job"]);
    for asked in [ALERTS, DASHBOARD] {
        for list in asked.split(" by (").skip(1) {
            let list = list.split(')').next().expect("a list");
            for label in list.split(',').map(str::trim) {
                assert!(labels.contains(label), "{label} is not in {labels:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_documentation_lists_every_measure_with_its_kind_and_no_other() {
    let world = watched().await;
    let text = metrics(&world).await;
    let families = families(&text);
    for (name, kind) in &families {
        let row = format!("| `{name}` | {kind} |");
        assert!(OPERATIONS.contains(&row), "docs/operations.md has no row {row}");
    }
    for (_, name) in uses(OPERATIONS) {
        let known = families.contains_key(name) || family(name, &families).is_some();
        assert!(known, "docs/operations.md: {name} is not in {families:#?}");
    }
}

#[test]
fn every_alert_has_its_page_in_the_documentation() {
    let after = |text: &'static str, start: &'static str| -> BTreeSet<&'static str> {
        text.lines()
            .filter_map(|line| line.trim().strip_prefix(start))
            .collect()
    };
    let alerts = after(ALERTS, "- alert: ");
    let pages: BTreeSet<_> = after(OPERATIONS, "### ")
        .into_iter()
        .filter(|title| title.starts_with("VoelgoedScan"))
        .collect();
    assert!(!alerts.is_empty());
    assert_eq!(alerts, pages);
}

#[test]
fn the_dashboard_is_json_with_a_query_in_every_panel() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(targets.iter().all(|target| target["expr"].is_string()), "{panel}");
        assert!(!targets.is_empty(), "{panel}");
    }
}

#[tokio::test]
async fn a_node_without_its_redis_is_ready_and_says_degraded() {
    let world = watched().await;
    let ready = world.nobody.get("/readyz").await.expect(200).json();
    let checks = json!({ "database": "ok", "redis": "unavailable", "bus": "unavailable" });
    assert_eq!(ready, json!({ "status": "degraded", "checks": checks }));
    let text = metrics(&world).await;
    for line in [
        "voelgoed_scan_redis_up 0",
        "voelgoed_scan_bus_up 0",
        "voelgoed_scan_database_up 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    let alone = World::new().await;
    let ready = alone.nobody.get("/readyz").await.expect(200).json();
    assert_eq!(ready, json!({ "status": "ok", "checks": { "database": "ok" } }));
}
