//! One gate that serves several events, over HTTP.

use serde_json::{Value, json};
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::{Tenant, new_id};

const SYNC: &str = "/api/v1/scanning/sync";

/// An entry that the tenant's device admitted offline now.
fn admitted(gate: &str, qr: &str, at: &Value) -> Value {
    json!({ "scan_id": new_id(), "qr": qr, "gate_id": gate, "scanned_at": at,
            "local_result": "valid", "local_reason": "admitted" })
}

/// The server's time, as the clock of a device.
async fn server_time(tenant: &Tenant) -> Value {
    tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200)
        .json()["server_time"]
        .clone()
}

async fn upload(tenant: &Tenant, at: &Value, scans: &[Value]) -> Vec<Value> {
    let batch = json!({ "batch_id": new_id(), "sent_at": at, "scans": scans });
    let answer = tenant.device.post(SYNC, &batch).await.expect(200).json();
    answer["results"].as_array().expect("results").clone()
}

async fn occupancy(tenant: &Tenant) -> Value {
    let path = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    tenant.owner.get(&path).await.expect(200).json()
}

#[tokio::test]
async fn a_gate_of_two_events_has_a_name_status_and_code_of_each() {
    let fixture = Fixture::new().await;
    let first = &fixture.tenant;
    let second = first.event_at_the_same_gates("second").await;
    let path = |tenant: &Tenant, gate: &str| format!("/api/v1/events/{}/gates/{gate}", tenant.event);
    let of_first = json!({ "name": "North door", "code": "N", "status": "open", "capacity": 9 });
    let of_second =
        json!({ "name": "Stage door", "code": "N", "status": "closed", "ticket_classes": ["Crew"] });
    for (tenant, body) in [(first, &of_first), (&second, &of_second)] {
        tenant
            .owner
            .put(&path(tenant, &tenant.gate), body)
            .await
            .expect(200);
    }
    for (tenant, body) in [(first, &of_first), (&second, &of_second)] {
        let shown = tenant
            .device
            .get(&path(tenant, &tenant.gate))
            .await
            .expect(200)
            .json();
        assert_eq!(
            (&shown["id"], &shown["event_id"]),
            (&json!(tenant.gate), &json!(tenant.event))
        );
        for field in ["name", "code", "status", "capacity", "ticket_classes"] {
            assert_eq!(shown[field], body[field], "{field}");
        }
        let list = format!("/api/v1/events/{}/gates", tenant.event);
        let listed = tenant.owner.get(&list).await.expect(200).json();
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(2));
        assert!(
            listed["data"].as_array().expect("gates").contains(&shown),
            "{listed}"
        );
        let count = &occupancy(tenant).await["gates"];
        assert!(
            count.to_string().contains(body["name"].as_str().expect("a name")),
            "{count}"
        );
    }
    // The code is taken in its event, and only there.
    let taken = json!({ "name": "Side", "code": "N", "status": "open" });
    let refused = first.owner.put(&path(first, &first.other_gate), &taken).await;
    let refused = refused.expect_problem(409, "conflict").json();
    assert_eq!(
        refused["detail"], "another gate of this event has this code",
        "{refused}"
    );
    first
        .owner
        .put(&path(first, &new_id()), &taken)
        .await
        .expect_problem(409, "conflict");
    let other = json!({ "name": "Side", "code": "S", "status": "open" });
    first
        .owner
        .put(&path(first, &first.other_gate), &other)
        .await
        .expect(200);
}

#[tokio::test]
async fn online_scans_of_two_events_at_one_gate_are_decided_and_counted_apart() {
    let fixture = Fixture::new().await;
    let first = &fixture.tenant;
    let second = first.event_at_the_same_gates("second").await;
    let reason = async |tenant: &Tenant, qr: &str, dry_run: bool| {
        let body = json!({ "qr": qr, "dry_run": dry_run });
        let answer = tenant.device.scan(&body).await.expect(200).json();
        assert_eq!(answer["event_id"], json!(tenant.event));
        assert_eq!(answer["gate"]["id"], json!(tenant.gate));
        (
            answer["reason"].clone(),
            answer["occupancy"]["gate"]["inside"].clone(),
        )
    };
    let (of_first, of_second) = (first.qr(1).await, second.qr(1).await);
    // A dry run, which shows what would be and counts nothing, an admission, a duplicate from a cache and another event's
    // ticket, at each event.
    for (tenant, own, other) in [(first, &of_first, &of_second), (&second, &of_second, &of_first)] {
        assert_eq!(reason(tenant, own, true).await, (json!("admitted"), json!(2)));
        assert_eq!(reason(tenant, own, false).await, (json!("admitted"), json!(2)));
        for _ in 0..3 {
            assert_eq!(
                reason(tenant, own, false).await,
                (json!("already_scanned"), json!(2))
            );
        }
        assert_eq!(
            reason(tenant, other, false).await,
            (json!("other_event"), json!(2))
        );
    }
    for tenant in [first, &second] {
        let results = &occupancy(tenant).await["results"];
        assert_eq!(
            (&results["valid"], &results["duplicate"], &results["wrong_event"]),
            (&json!(2), &json!(3), &json!(1))
        );
    }
    // The filter of a gate takes one event, or all of them.
    let count = async |filter: &str| {
        let list = first
            .owner
            .get(&format!("/api/v1/scanning/scans?{filter}"))
            .await
            .expect(200)
            .json();
        list["data"].as_array().map(Vec::len)
    };
    let gate = &first.gate;
    assert_eq!(count(&format!("gate_id={gate}")).await, Some(12));
    assert_eq!(
        count(&format!("gate_id={gate}&event_id={}", second.event)).await,
        Some(6)
    );
    assert_eq!(
        count(&format!("gate_id={}&event_id={}", first.other_gate, second.event)).await,
        Some(0)
    );
}

#[tokio::test]
async fn an_uploaded_scan_without_an_event_has_that_of_its_session() {
    let fixture = Fixture::new().await;
    let first = &fixture.tenant;
    let second = first.event_at_the_same_gates("second").await;
    let now = server_time(&second).await;
    let mut named = admitted(&second.gate, &second.qr(1).await, &now);
    named["event_id"] = json!(second.event);
    let unnamed = admitted(&second.gate, &second.qr(2).await, &now);
    let mut before = admitted(&second.gate, &second.qr(3).await, &now);
    before["scanned_at"] = json!("2026-01-01T00:00:00Z");
    let mut elsewhere = admitted(&second.gate, &second.qr(4).await, &now);
    elsewhere["event_id"] = json!(fixture.other_tenant.event);
    let results = upload(&second, &now, &[named, unnamed, before.clone(), elsewhere]).await;
    let outcome = |result: &Value| (result["status"].clone(), result["errors"][0]["pointer"].clone());
    let outcomes: Vec<_> = results.iter().map(outcome).collect();
    assert_eq!(
        outcomes,
        [
            (json!("recorded"), Value::Null),
            (json!("recorded"), Value::Null),
            (json!("rejected"), json!("/event_id")),
            (json!("rejected"), json!("/event_id")),
        ]
    );
    assert_eq!(occupancy(&second).await["event"]["inside"], 3);
    assert_eq!(occupancy(first).await["event"]["inside"], 1);
    let session = format!("/api/v1/scanning/sessions/{}", second.session_id);
    let session = second.device.get(&session).await.expect(200).json();
    assert_eq!(session["scan_count"], 3, "one online and two uploaded");
    // The rejected scan is sent again with its event.
    before["event_id"] = json!(second.event);
    let results = upload(&second, &now, &[before]).await;
    assert_eq!(outcome(&results[0]), (json!("recorded"), Value::Null));
    assert_eq!(occupancy(&second).await["event"]["inside"], 4);
}

#[tokio::test]
async fn another_organization_may_use_the_same_ids_and_reaches_nothing() {
    let fixture = Fixture::new().await;
    let (here, there) = (&fixture.tenant, &fixture.other_tenant);
    // The other organization has an event and a gate with the ids of this one's.
    let path = format!("/api/v1/events/{}", here.event);
    let live = json!({ "name": "Theirs", "status": "live" });
    there.owner.put(&path, &live).await.expect(201);
    let gate = format!("{path}/gates/{}", here.gate);
    let theirs = json!({ "name": "Their door", "code": "D", "status": "closed", "capacity": 0 });
    there.owner.put(&gate, &theirs).await.expect(201);
    let own = format!("/api/v1/events/{}/gates/{}", there.event, here.gate);
    let open = json!({ "name": "Their second door", "status": "open" });
    there.owner.put(&own, &open).await.expect(201);
    let qr = here.qr(1).await;
    let answer = here.device.scan(&json!({ "qr": qr })).await.expect(200).json();
    assert_eq!(
        (&answer["reason"], &answer["gate"]["name"]),
        (&json!("admitted"), &json!("Main"))
    );
    assert_eq!(occupancy(here).await["event"]["inside"], 2);
    let of_theirs = there
        .owner
        .get(&format!("/api/v1/scanning/events/{}/occupancy", here.event))
        .await;
    let of_theirs = of_theirs.expect(200).json();
    assert_eq!(
        (&of_theirs["event"]["inside"], &of_theirs["gates"][0]["name"]),
        (&json!(0), &json!("Their door"))
    );
    assert_eq!(of_theirs["gates"].as_array().map(Vec::len), Some(1));
    let list = format!("/api/v1/scanning/scans?gate_id={}", here.gate);
    let listed = there.owner.get(&list).await.expect(200).json();
    assert_eq!(listed["data"], json!([]));
    // Without an event, a scan of this organization has the only event of this organization.
    let now = server_time(here).await;
    let mut early = admitted(&here.gate, &here.qr(2).await, &now);
    early["scanned_at"] = json!("2026-01-01T00:00:00Z");
    let results = upload(here, &now, &[early]).await;
    assert_eq!(results[0]["status"], "recorded", "{results:?}");
    assert_eq!(occupancy(here).await["event"]["inside"], 3);
    // A gate that only this organization has is unknown there.
    let foreign = admitted(&here.other_gate, &qr, &now);
    let results = upload(there, &now, &[foreign]).await;
    assert_eq!(results[0]["errors"][0]["pointer"], "/gate_id", "{results:?}");
}
