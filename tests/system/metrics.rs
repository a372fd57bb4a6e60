//! The dashboard, the alerts and the documentation name exactly the metrics that `/metrics` exports.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::{Tenant, new_id};

const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yaml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/voelgoed-scan.json");
const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The token of the scraper.
const TOKEN: &str = "token-of-the-scraper";

/// A server that asks for a token, and is configured with an unreachable Redis, so that it exports every metric of a node.
async fn with_unreachable_redis() -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("metrics.token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("written");
    Fixture::with_config(|config| {
        config.redis_url = Some("redis://127.0.0.1:1/0".to_owned());
        config.metrics_token_file = Some(file.clone());
    })
    .await
}

async fn metrics(fixture: &Fixture) -> String {
    let scraper = fixture.anonymous.with_token(TOKEN);
    let response = scraper.get("/metrics").await.expect(200);
    response.text().to_owned()
}

/// The value of a series, with its labels as they are shown.
fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

/// The names and types of the metric families in a response of `/metrics`.
fn families(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect()
}

/// The metric names in a text, each with the text before it.
fn occurrences(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let own = text.match_indices("voelgoed_scan_");
    let of_process = text.match_indices("process_");
    own.chain(of_process).filter_map(|(at, _)| {
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

#[tokio::test]
async fn series_with_an_organization_need_the_token_and_the_metrics_then_ask_for_it() {
    let with_token = with_unreachable_redis().await;
    let anonymous = &with_token.anonymous;
    let refused = anonymous
        .get("/metrics")
        .await
        .expect_problem(401, "missing_token");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    let wrong = [
        "token-of-the-scrapeR",
        "token-of-the",
        with_token.tenant.owner.token(),
        with_token.tenant.device.token(),
    ];
    for token in wrong {
        anonymous
            .with_token(token)
            .get("/metrics")
            .await
            .expect_problem(401, "invalid_token");
    }
    let text = metrics(&with_token).await;
    for tenant in [&with_token.tenant, &with_token.other_tenant] {
        let place = |gate: &str| format!("event=\"{}\",gate=\"{gate}\"}}", tenant.event);
        let shown = |name: &str, gate: &str| {
            let line = text.lines().find(|line| {
                line.starts_with(&format!("{name}{{organization=\"")) && line.contains(&place(gate))
            });
            line.and_then(|line| line.rsplit(' ').next())
        };
        assert_eq!(shown("voelgoed_scan_inside", &tenant.gate), Some("1"), "{text}");
        assert_eq!(
            shown("voelgoed_scan_inside", &tenant.other_gate),
            Some("0"),
            "{text}"
        );
        assert_eq!(shown("voelgoed_scan_capacity", ""), Some("1000"), "{text}");
        assert_eq!(shown("voelgoed_scan_capacity", &tenant.gate), None, "{text}");
    }

    // Without the setting anybody may read, and nothing names an organization.
    let without = Fixture::new().await;
    let text = without
        .anonymous
        .get("/metrics")
        .await
        .expect(200)
        .text()
        .to_owned();
    assert!(!text.contains("organization=\""), "{text}");
    assert!(!text.contains(&without.tenant.event), "{text}");
    assert!(text.contains("voelgoed_scan_devices{"), "{text}");
}

#[tokio::test]
async fn uploads_conflicts_devices_and_manifests_are_counted() {
    let fixture = with_unreachable_redis().await;
    let Tenant {
        device, gate, event, ..
    } = &fixture.tenant;
    let manifest = format!("/api/v1/scanning/events/{event}/manifest");
    device.get(&manifest).await.expect(200);
    device
        .put("/api/v1/scanning/device", &json!({ "waiting": 12 }))
        .await
        .expect(200);
    let server_time = device.get("/api/v1/scanning/device").await.expect(200).json()["server_time"].clone();
    let qr = fixture.tenant.qr(1).await;
    let admitted = |qr: &str| {
        json!({
            "scan_id": new_id(), "qr": qr, "gate_id": gate, "scanned_at": server_time, "local_result": "valid",
            "local_reason": "admitted"
        })
    };
    let scans = [admitted(&qr), admitted(&qr), json!({ "scan_id": new_id() })];
    let upload = json!({ "batch_id": new_id(), "sent_at": server_time, "scans": scans });
    // The second time the scans are known, and their conflict is no new one.
    for _ in 0..2 {
        device.post("/api/v1/scanning/sync", &upload).await.expect(200);
    }
    let text = metrics(&fixture).await;
    for (series, expected) in [
        ("voelgoed_scan_sync_scans_total{status=\"recorded\"}", "2"),
        ("voelgoed_scan_sync_scans_total{status=\"replayed\"}", "2"),
        ("voelgoed_scan_sync_scans_total{status=\"rejected\"}", "2"),
        ("voelgoed_scan_sync_scans_total{status=\"quarantined\"}", "0"),
        ("voelgoed_scan_conflicts_total{kind=\"double_entry\"}", "1"),
        ("voelgoed_scan_conflicts_total{kind=\"not_admissible\"}", "0"),
        // The other tenant's device has never reported; whether it was marked as seen yet is a matter of time.
        ("voelgoed_scan_unsent_scans", "12"),
        ("voelgoed_scan_devices{state=\"silent\"}", "0"),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}: {text}");
    }
    let devices: u32 = ["online", "idle", "silent", "never"]
        .iter()
        .filter_map(|state| value(&text, &format!("voelgoed_scan_devices{{state=\"{state}\"}}")))
        .map(|count| count.parse::<u32>().expect("a number"))
        .sum();
    assert_eq!(devices, 2, "{text}");
    let age = text
        .lines()
        .find(|line| line.starts_with("voelgoed_scan_manifest_age_seconds{") && line.contains(event.as_str()))
        .and_then(|line| line.rsplit(' ').next())
        .map(|age| age.parse::<f64>().expect("a number"));
    assert!(age.is_some_and(|age| age >= 0.0), "{text}");
    assert!(!text.contains(&format!("age_seconds{{event=\"{}", fixture.other_tenant.event)));
    let memory = value(&text, "process_resident_memory_bytes").expect("the memory of the process");
    assert!(memory.parse::<f64>().expect("a number") > 1_000_000.0, "{memory}");
}

#[tokio::test]
async fn however_many_events_are_live_the_latest_200_series_are_shown() {
    let fixture = with_unreachable_redis().await;
    let owner = &fixture.tenant.owner;
    let mut events = Vec::new();
    for _ in 0..205 {
        let path = format!("/api/v1/events/{}", new_id());
        owner
            .put(&path, &json!({ "name": "Many", "status": "live", "capacity": 5 }))
            .await
            .expect(201);
        owner
            .put(
                &format!("{path}/gates/{}", new_id()),
                &json!({ "name": "Main", "status": "open" }),
            )
            .await
            .expect(201);
        events.push(path.rsplit('/').next().unwrap_or_default().to_owned());
    }
    let text = metrics(&fixture).await;
    let shown = |name: &str| -> Vec<&str> {
        text.lines()
            .filter(|line| line.starts_with(&format!("{name}{{")))
            .collect()
    };
    for name in ["voelgoed_scan_inside", "voelgoed_scan_capacity"] {
        let lines = shown(name);
        assert_eq!(lines.len(), 200, "{name}");
        let is_shown = |event: &String| lines.iter().any(|line| line.contains(event.as_str()));
        assert!(events.last().is_some_and(is_shown), "{name}: the latest event");
        assert!(!events.first().is_some_and(is_shown), "{name}: the first event");
    }
}

/// Runs Prometheus' own checker.
fn promtool(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("/usr/bin/promtool")
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by scripts/services");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(input.as_bytes())
        .expect("promtool reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
    text
}

#[tokio::test]
async fn prometheus_takes_the_metrics_without_a_remark() {
    let fixture = with_unreachable_redis().await;
    let text = metrics(&fixture).await;
    assert_eq!(promtool(&["check", "metrics"], &text), "");
}

#[test]
fn prometheus_takes_the_alert_rules_and_they_fire_as_their_tests_say() {
    promtool(&["check", "config", "prometheus.yaml"], "");
    promtool(&["check", "rules", "alerts.yaml"], "");
    promtool(&["test", "rules", "alerts_test.yaml"], "");
}
