//! API keys and signing keys.

use serde_json::json;
use voelgoed_scan_suite::Fixture;

#[tokio::test]
async fn keys_are_shown_once_rotated_and_revoked() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let viewer = tenant.member("viewer").await;
    viewer.get("/api/v1/events").await.expect(200);
    let keys = tenant.owner.get("/api/v1/api-keys").await.expect(200).json();
    let row = keys["data"]
        .as_array()
        .expect("keys")
        .iter()
        .find(|key| key["name"] == "viewer")
        .expect("the viewer's key")
        .clone();
    assert!(row.get("key").is_none(), "{row}");
    let path = format!("/api/v1/api-keys/{}", row["id"].as_str().expect("an id"));
    tenant.owner.call("DELETE", &path).await.expect(204);
    tenant
        .owner
        .call("DELETE", &path)
        .await
        .expect_problem(404, "not_found");
    viewer
        .get("/api/v1/events")
        .await
        .expect_problem(401, "invalid_token");

    let add = json!({ "kid": "2", "format": "vg1" });
    tenant.owner.post("/api/v1/signing-keys", &add).await.expect(201);
    tenant
        .owner
        .post("/api/v1/signing-keys", &add)
        .await
        .expect_problem(409, "conflict");
    assert!(
        tenant.qr(1).await.starts_with("VG1.2."),
        "the newest active key signs"
    );
    for (status, expected) in [("verify_only", 200), ("revoked", 200), ("active", 409)] {
        let body = json!({ "status": status });
        tenant
            .owner
            .call_with("PATCH", "/api/v1/signing-keys/vg1/2", &body)
            .await
            .expect(expected);
    }
    let body = json!({ "status": "revoked" });
    tenant
        .owner
        .call_with("PATCH", "/api/v1/signing-keys/vg1/1", &body)
        .await
        .expect(200);
    let qr = format!("/api/v1/events/{}/tickets/{}/qr", tenant.event, tenant.codes[1]);
    tenant.owner.get(&qr).await.expect_problem(409, "conflict");
    let vg2 = tenant.owner.get(&format!("{qr}?format=vg2")).await.expect(200);
    assert!(vg2.text().starts_with("VG2.1."));
    let svg = tenant
        .owner
        .get(&format!("{qr}?format=vg2&as=svg"))
        .await
        .expect(200);
    assert!(svg.text().contains("<svg"));
    let png = tenant
        .owner
        .get(&format!("{qr}?format=vg2&as=png"))
        .await
        .expect(200);
    assert!(png.body.starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn the_last_key_of_an_owner_cannot_be_deleted() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let keys = tenant.owner.get("/api/v1/api-keys").await.expect(200).json();
    let first = format!(
        "/api/v1/api-keys/{}",
        keys["data"][0]["id"].as_str().expect("an id")
    );
    tenant.member("admin").await;
    tenant
        .owner
        .call("DELETE", &first)
        .await
        .expect_problem(409, "conflict");
    tenant.owner.get("/api/v1/api-keys").await.expect(200);
    let second = tenant.member("owner").await;
    second.call("DELETE", &first).await.expect(204);
    tenant
        .owner
        .get("/api/v1/api-keys")
        .await
        .expect_problem(401, "invalid_token");
    second.get("/api/v1/api-keys").await.expect(200);
}
