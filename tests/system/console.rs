//! What the console gets from the server: its files, the caller's organization, the activity of an event, and the QR code of
//! an enrolment. `tests/console` runs the console itself in a browser.

use serde_json::{Value, json};
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::new_id;

#[tokio::test]
async fn the_files_of_the_console_are_kept_by_browsers_and_have_a_strict_policy() {
    let fixture = Fixture::new().await;
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/console/app.js", "text/javascript; charset=utf-8"),
        ("/console/base.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
    ] {
        let file = fixture.anonymous.get(path).await.expect(200);
        assert_eq!(file.header("content-type"), Some(media_type), "{path}");
        assert_eq!(file.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = file.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("script-src 'self';"), "{policy}");
        assert!(policy.contains("style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        let tag = file.header("etag").expect("a tag").to_owned();
        let again = fixture
            .anonymous
            .with_header("if-none-match", &tag)
            .get(path)
            .await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(&*tag), "{path}");
        let changed = fixture
            .anonymous
            .with_header("if-none-match", "\"x\"")
            .get(path)
            .await;
        assert_eq!(changed.status, 200, "{path}");
    }
    for path in ["/console/x.js", "/console/index.html", "/console/..%2fconsole.rs"] {
        let missing = fixture.anonymous.get(path).await.expect_problem(404, "not_found");
        assert_eq!(missing.header("cache-control"), Some("no-store"), "{path}");
    }
    let api = fixture.tenant.owner.get("/api/v1/events").await.expect(200);
    assert_eq!(api.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_member_is_told_the_organization_and_the_role() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    for role in ["owner", "admin", "staff", "viewer"] {
        let shown = tenant
            .member(role)
            .await
            .get("/api/v1/organization")
            .await
            .expect(200)
            .json();
        assert_eq!(shown["api_key"]["role"], role, "{shown}");
        assert_eq!(shown["id"], shown["api_key"]["organization_id"], "{shown}");
        assert!(shown["name"].is_string(), "{shown}");
        assert!(shown["api_key"].get("key").is_none(), "{shown}");
    }
    let refused = tenant
        .member("scanner_only")
        .await
        .get("/api/v1/organization")
        .await;
    refused.expect_problem(403, "forbidden");
}

/// The sum of a list of an activity over all gates.
fn sum(activity: &Value, list: &str) -> i64 {
    let gates = activity["gates"].as_array().expect("gates");
    gates
        .iter()
        .flat_map(|gate| gate[list].as_array().expect("a list"))
        .filter_map(Value::as_i64)
        .sum()
}

#[tokio::test]
async fn the_activity_counts_scans_by_gate_and_minute() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let path = format!("/api/v1/scanning/events/{}/activity", tenant.event);
    // The fixture has admitted ticket 0.
    for code in [0, 1, 0] {
        let scan = json!({ "qr": tenant.qr(code).await });
        tenant.device.scan(&scan).await.expect(200);
    }
    let exit = json!({ "qr": tenant.qr(1).await, "direction": "exit" });
    tenant.device.scan(&exit).await.expect(200);
    let activity = tenant.owner.get(&path).await.expect(200).json();
    assert_eq!(sum(&activity, "entries"), 2, "{activity}");
    assert_eq!(sum(&activity, "denials"), 2, "{activity}");
    assert_eq!(sum(&activity, "exits"), 1, "{activity}");
    let gates = activity["gates"].as_array().expect("gates");
    let gate = gates
        .iter()
        .find(|gate| gate["id"] == *tenant.gate)
        .expect("the gate");
    assert_eq!(gate["entries"].as_array().map(Vec::len), Some(180), "{gate}");
    assert_eq!(gate["results"]["valid"], 3, "{gate}");
    assert_eq!(gate["results"]["duplicate"], 2, "{gate}");
    let short = tenant
        .owner
        .get(&format!("{path}?minutes=2"))
        .await
        .expect(200)
        .json();
    assert_eq!(
        short["gates"][0]["exits"].as_array().map(Vec::len),
        Some(2),
        "{short}"
    );
    for minutes in ["0", "721", "x"] {
        let refused = tenant.owner.get(&format!("{path}?minutes={minutes}")).await;
        refused.expect_problem(422, "validation_failed");
    }
    let unknown = format!("/api/v1/scanning/events/{}/activity", new_id());
    tenant.owner.get(&unknown).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn an_enrolment_carries_its_qr_code() {
    let fixture = Fixture::new().await;
    let path = format!("/api/v1/scanning/devices/{}/enrollment", fixture.tenant.device_id);
    let enrollment = fixture.tenant.owner.call("POST", &path).await.expect(201).json();
    let picture = enrollment["qr_svg"].as_str().expect("a picture");
    assert!(
        picture.contains("<svg") && picture.contains("</svg>"),
        "{picture}"
    );
    let uri = enrollment["uri"].as_str().expect("a URI");
    assert_eq!(picture, voelgoed_scan_server::qr::svg(uri).expect("it fits"));
}
