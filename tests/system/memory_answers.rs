//! What a node answers from its memory is what the database would have answered: the people inside, and retries.

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Fixture};

async fn scan(device: &Client, qr: &str) -> Value {
    let body = json!({ "qr": qr, "scan_id": new_id() });
    device.scan(&body).await.expect(200).json()
}

/// Scans until the memory denies the scan, and returns the answer.
async fn denied_from_memory(device: &Client, qr: &str) -> Value {
    for _ in 0..1000 {
        let answer = scan(device, qr).await;
        assert_eq!(answer["result"], "duplicate", "{answer}");
        if answer["decided_by"] == "memory" {
            return answer;
        }
    }
    panic!("the memory denied no scan");
}

/// The payloads of new tickets.
async fn new_tickets(tenant: &Tenant, count: usize) -> Vec<String> {
    let path = format!("/api/v1/events/{}/tickets", tenant.event);
    let lines = "{}\n".repeat(count);
    let media_type = Some("application/x-ndjson");
    let imported = tenant
        .owner
        .send("POST", &format!("{path}?return=codes"), media_type, lines)
        .await
        .expect(200);
    let mut payloads = Vec::new();
    for code in imported.lines().iter().filter_map(|line| line["code"].as_str()) {
        let qr = tenant.owner.get(&format!("{path}/{code}/qr")).await.expect(200);
        payloads.push(qr.text().to_owned());
    }
    payloads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_from_memory_shows_everybody_who_was_admitted_before_it() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (side, _) = tenant.new_device("side", &json!({})).await;
    tenant.start_session(&side, &tenant.other_gate).await;
    let used = tenant.qr(0).await;
    for gate in [&tenant.device, &side] {
        denied_from_memory(gate, &used).await;
    }
    let mut memory_answers = 0;
    for (round, qr) in new_tickets(tenant, 300).await.iter().enumerate() {
        let (at, other) = match round % 2 {
            0 => (&tenant.device, &side),
            _ => (&side, &tenant.device),
        };
        let admitted = scan(at, qr).await;
        assert_eq!(admitted["reason"], "admitted", "{admitted}");
        for _ in 0..3 {
            let denied = scan(at, &used).await;
            memory_answers += u32::from(denied["decided_by"] == "memory");
            for place in ["gate", "event"] {
                let (shown, expected) = (&denied["occupancy"][place], &admitted["occupancy"][place]);
                assert_eq!(
                    shown["inside"], expected["inside"],
                    "{place} in round {round}: {denied}"
                );
            }
        }
        let denied = scan(other, &used).await;
        let inside = &denied["occupancy"]["event"]["inside"];
        assert_eq!(*inside, admitted["occupancy"]["event"]["inside"], "{denied}");
    }
    assert!(memory_answers > 300, "{memory_answers} answers came from memory");
}

#[tokio::test]
async fn a_denial_from_memory_shows_an_undo_and_an_exit_through_another_gate() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (side, _) = tenant.new_device("side", &json!({})).await;
    tenant.start_session(&side, &tenant.other_gate).await;
    let used = tenant.qr(0).await;
    for ticket in 1..9 {
        let admitted = scan(&tenant.device, &tenant.qr(ticket).await).await;
        let inside = admitted["occupancy"]["gate"]["inside"]
            .as_i64()
            .expect("a number");
        denied_from_memory(&tenant.device, &used).await;
        if ticket % 2 == 0 {
            let scan_id = admitted["scan_id"].as_str().expect("an id");
            let undo = format!("/api/v1/scanning/scans/{scan_id}/undo");
            let reason = json!({ "reason": "a mistake" });
            tenant.owner.post(&undo, &reason).await.expect(200);
        } else {
            let qr = tenant.qr(ticket).await;
            let exit = json!({ "qr": qr, "scan_id": new_id(), "direction": "exit" });
            let exited = side.scan(&exit).await.expect(200).json();
            assert_eq!(exited["reason"], "exited", "{exited}");
        }
        let denied = scan(&tenant.device, &used).await;
        assert_eq!(denied["occupancy"]["gate"]["inside"], inside - 1, "{denied}");
    }
}

/// The retry of a scan whose id the server made.
#[tokio::test]
async fn an_id_that_the_server_made_is_known_to_the_memory() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let qr = tenant.qr(1).await;
    let admitted = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
    assert_eq!(admitted["reason"], "admitted", "{admitted}");
    denied_from_memory(&tenant.device, &qr).await;
    let denied = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
    assert_eq!(denied["decided_by"], "memory", "{denied}");
    for first in [&admitted, &denied] {
        let retry = json!({ "qr": qr, "scan_id": first["scan_id"] });
        let replayed = tenant.device.scan(&retry).await.expect(200).json();
        assert_eq!(replayed["replayed"], true, "{replayed}");
        for field in ["result", "reason", "scanned_at", "decided_by"] {
            assert_eq!(replayed[field], first[field], "{replayed}");
        }
    }
    let path = format!("/api/v1/scanning/scans?event_id={}&limit=500", tenant.event);
    let page = tenant.owner.get(&path).await.expect(200).json();
    let records = page["data"].as_array().expect("records");
    for first in [&admitted, &denied] {
        let found = records
            .iter()
            .filter(|record| record["scan_id"] == first["scan_id"]);
        assert_eq!(found.count(), 1, "{records:?}");
    }
}

/// A scan that was uploaded, and one that staff accepted, are known to the memory.
#[tokio::test]
async fn an_uploaded_id_is_known_to_the_memory() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let qr = tenant.qr(1).await;
    let own = tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200)
        .json();
    let upload = json!({
        "scan_id": new_id(), "qr": qr, "gate_id": tenant.gate, "scanned_at": own["server_time"],
        "local_result": "valid", "local_reason": "admitted"
    });
    let batch = json!({ "batch_id": new_id(), "sent_at": own["server_time"], "scans": [upload] });
    let synced = tenant
        .device
        .post("/api/v1/scanning/sync", &batch)
        .await
        .expect(200)
        .json();
    assert_eq!(synced["recorded"], 1, "{synced}");
    assert_eq!(scan(&tenant.device, &qr).await["reason"], "already_scanned");
    // A later admission is the ticket's last one, so that the memory cannot tell the uploaded scan by it.
    let undo = format!(
        "/api/v1/scanning/scans/{}/undo",
        upload["scan_id"].as_str().expect("an id")
    );
    let retry = json!({ "qr": qr, "scan_id": upload["scan_id"] });
    let replayed = tenant.device.scan(&retry).await.expect(200).json();
    assert_eq!(
        (&replayed["replayed"], &replayed["reason"]),
        (&json!(true), &json!("admitted"))
    );
    let reason = json!({ "reason": "a mistake" });
    tenant.owner.post(&undo, &reason).await.expect(200);
    assert_eq!(scan(&tenant.device, &qr).await["reason"], "admitted");
    denied_from_memory(&tenant.device, &qr).await;
    tenant
        .device
        .scan(&retry)
        .await
        .expect_problem(409, "scan_undone");
}
