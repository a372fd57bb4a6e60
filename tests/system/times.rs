//! Every time from year 1 to 9999 is taken, wherever a request or an import has one.

use serde_json::json;
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::new_id;

const FIRST: &str = "0001-01-01T00:00:00.000Z";
const LAST: &str = "9999-12-31T23:59:59.999Z";

#[tokio::test]
async fn the_first_and_the_last_time_are_taken_by_imports_scans_uploads_and_filters() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let code = &tenant.codes[1];
    let line = json!({ "code": code, "valid_from": FIRST, "valid_until": LAST });
    let counts = tenant
        .owner
        .import(&tenant.event, line.to_string())
        .await
        .expect(200)
        .json();
    assert_eq!(counts["updated"], 1, "{counts}");
    let path = format!("/api/v1/events/{}/tickets/{code}", tenant.event);
    let shown = tenant.owner.get(&path).await.expect(200).json();
    assert_eq!(
        (&shown["valid_from"], &shown["valid_until"]),
        (&json!(FIRST), &json!(LAST))
    );
    for format in ["vg1", "vg2"] {
        let qr = tenant
            .owner
            .get(&format!("{path}/qr?format={format}"))
            .await
            .expect(200);
        let scan = json!({ "qr": qr.text(), "dry_run": true });
        let answer = tenant.device.scan(&scan).await.expect(200).json();
        assert_eq!(answer["reason"], "admitted", "{format}: {answer}");
    }
    for at in [FIRST, LAST] {
        let scan = json!({ "qr": "nonsense", "scanned_at": at });
        let answer = tenant.device.scan(&scan).await.expect(200).json();
        assert_eq!(answer["warnings"], json!(["clock_skew"]), "{at}");
        let item = json!({ "scan_id": new_id(), "qr": "nonsense", "gate_id": tenant.gate, "scanned_at": at });
        for sent_at in [FIRST, LAST] {
            let mut item = item.clone();
            item["scan_id"] = new_id().into();
            let batch = json!({ "batch_id": new_id(), "sent_at": sent_at, "scans": [item] });
            let uploaded = tenant
                .device
                .post("/api/v1/scanning/sync", &batch)
                .await
                .expect(200)
                .json();
            assert_eq!(uploaded["recorded"], 1, "{at}, sent at {sent_at}: {uploaded}");
        }
    }
    let everything = format!("/api/v1/scanning/scans?from={FIRST}&to={LAST}&limit=500");
    let all = tenant.owner.get(&everything).await.expect(200).json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(7), "{all}");
    for beyond in ["0000-12-31T23:59:59.999Z", "10000-01-01T00:00:00.000Z"] {
        let path = format!("/api/v1/scanning/scans?from={beyond}");
        tenant
            .owner
            .get(&path)
            .await
            .expect_problem(422, "validation_failed");
    }
}
