//! The audit log: what was changed and by whom, in one signed chain.

mod routes;

use serde_json::{Value, json};
use voelgoed_scan_core::audit::verify_lines;
use voelgoed_scan_core::model::hex;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::services::{Transaction, query_sql, shared_database};
use voelgoed_scan_suite::{Client, Cluster, Fixture, wait_until};

/// The whole log of an organization, oldest first.
async fn log_of(owner: &Client) -> Vec<Value> {
    let lines = owner.with_header("accept", "application/x-ndjson");
    lines.get("/api/v1/audit").await.expect(200).lines()
}

/// Verifies the log with the key that the server shows.
async fn verify(owner: &Client) -> usize {
    let lines = owner.with_header("accept", "application/x-ndjson");
    let log = lines.get("/api/v1/audit").await.expect(200);
    let key = owner.get("/api/v1/audit/key").await.expect(200).json();
    let key: [u8; 32] = hex::decode(key["public_key"].as_str().expect("a key")).expect("hexadecimal");
    let head = verify_lines(log.text().lines(), &key, None).expect("an intact log");
    let head = head.expect("an organization has entries").sequence;
    usize::try_from(head).expect("few")
}

#[tokio::test]
async fn an_import_has_one_entry_at_its_begin_and_one_with_the_counts_of_all_chunks() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let before = log_of(&tenant.owner).await.len();
    let path = format!("/api/v1/events/{}/tickets", tenant.event);
    for (lines, rejected) in [(2500, 0), (1000, 0), (0, 0), (3, 2)] {
        for suffix in ["", "?return=codes"] {
            let body = format!("{}{}", "{}\n".repeat(lines), "nonsense\n".repeat(rejected));
            let path = format!("{path}{suffix}");
            tenant
                .owner
                .send("POST", &path, Some("application/x-ndjson"), body)
                .await
                .expect(200);
        }
    }
    let entries = log_of(&tenant.owner).await.split_off(before);
    let mut found = Vec::new();
    for pair in entries.chunks(2) {
        assert_eq!(pair[0]["action"], "ticket.import_begin");
        assert_eq!(pair[1]["action"], "ticket.import_end");
        assert_eq!(pair[1]["subject"], json!({ "kind": "event", "id": tenant.event }));
        let count = |field: &str| pair[1]["changes"][field][1].as_u64().expect("a number");
        found.push((count("inserted"), count("rejected")));
    }
    let twice = |counts| [counts, counts];
    let expected = [twice((2500, 0)), twice((1000, 0)), twice((0, 0)), twice((3, 2))].concat();
    assert_eq!(found, expected);
    let missing = format!("/api/v1/events/{}/tickets", new_id());
    tenant
        .owner
        .send("POST", &missing, Some("application/x-ndjson"), "{}\n")
        .await
        .expect(404);
    assert_eq!(log_of(&tenant.owner).await.len(), before + entries.len());
}

#[tokio::test]
async fn overrides_and_undos_are_entered_soon_with_their_calls() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (device, device_id) = tenant
        .new_device("override", &json!({ "can_override": true }))
        .await;
    tenant.start_session(&device, &tenant.gate).await;
    let before = log_of(&tenant.owner).await.len();
    let qr = tenant.qr(0).await;
    let (forced, online) = (new_id(), device.with_header("x-request-id", "forced"));
    let body = json!({ "qr": qr, "scan_id": forced, "override": { "reason": "Jane is the promoter" } });
    for _ in 0..2 {
        assert_eq!(
            online.scan(&body).await.expect(200).json()["reason"],
            "overridden"
        );
    }
    let uploaded = new_id();
    let scan = json!({ "scan_id": uploaded, "qr": qr, "gate_id": tenant.gate, "event_id": tenant.event,
        "scanned_at": "2026-11-22T18:00:00Z", "age_ms": 1000, "local_result": "valid", "local_reason": "overridden",
        "override": { "reason": "Jane again" } });
    let batch = json!({ "batch_id": new_id(), "sent_at": "2026-11-22T18:00:01Z", "scans": [scan] });
    for _ in 0..2 {
        let synced = device
            .with_header("x-request-id", "uploaded")
            .post("/api/v1/scanning/sync", &batch)
            .await;
        assert_eq!(synced.expect(200).json()["rejected"], 0);
    }
    let staff = tenant.member("staff").await;
    let undo = format!("/api/v1/scanning/scans/{forced}/undo");
    let reason = json!({ "reason": "Jane left" });
    for _ in 0..2 {
        staff
            .with_header("x-request-id", "undone")
            .post(&undo, &reason)
            .await
            .expect(200);
    }
    // Besides them, the API key of the member was created.
    wait_until("the acts are entered", || async {
        log_of(&tenant.owner).await.len() >= before + 4
    })
    .await;
    let entries = log_of(&tenant.owner).await.split_off(before);
    assert_eq!(entries.len(), 4, "{entries:?}");
    let find = |action: &str, scan: &str| {
        let is = |entry: &&Value| {
            entry["action"] == action && entry["subject"] == json!({ "kind": "scan", "id": scan })
        };
        entries
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("{action} {scan}: {entries:?}"))
    };
    let actor = json!({ "kind": "device", "id": device_id, "name": "override" });
    for (entry, request) in [
        (find("scan.override", &forced), "forced"),
        (find("scan.override", &uploaded), "uploaded"),
    ] {
        assert_eq!(
            (&entry["actor"], &entry["request_id"]),
            (&actor, &json!(request)),
            "{entry}"
        );
        assert_eq!(entry["address"], "127.0.0.1");
    }
    assert_eq!(
        find("scan.override", &forced)["changes"],
        json!({ "reason": ["already_scanned", "overridden"] })
    );
    let undone = find("scan.undo", &forced);
    assert_eq!(
        (&undone["actor"]["kind"], &undone["actor"]["name"]),
        (&json!("api_key"), &json!("staff"))
    );
    assert_eq!(
        (&undone["request_id"], &undone["address"]),
        (&json!("undone"), &json!("127.0.0.1"))
    );
    assert!(!json!(entries).to_string().contains("Jane"));
    verify(&tenant.owner).await;
}

#[tokio::test]
async fn the_address_is_that_of_the_client_behind_trusted_proxies() {
    let fixture = Fixture::with_config(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    })
    .await;
    let owner = fixture
        .tenant
        .owner
        .with_header("x-forwarded-for", "198.51.100.1, 192.0.2.7");
    owner
        .post("/api/v1/api-keys", &json!({ "name": "New", "role": "viewer" }))
        .await
        .expect(201);
    let log = log_of(&fixture.tenant.owner).await;
    assert_eq!(log.last().expect("an entry")["address"], "192.0.2.7");
    assert_eq!(log[log.len() - 2]["address"], "127.0.0.1");
}

#[tokio::test]
async fn the_list_is_filtered_and_wrong_filters_are_named() {
    let fixture = Fixture::new().await;
    let (tenant, owner) = (&fixture.tenant, &fixture.tenant.owner);
    let log = log_of(owner).await;
    let count = async |query: &str| {
        let path = format!("/api/v1/audit?{query}");
        let list = owner.get(&path).await.expect(200).json();
        let rows = list["data"].as_array().expect("rows").clone();
        let mut sequences: Vec<_> = rows
            .iter()
            .map(|row| row["sequence"].as_i64().expect("a number"))
            .collect();
        sequences.reverse();
        assert!(sequences.is_sorted(), "newest first: {query}");
        let streamed = owner
            .with_header("accept", "application/x-ndjson")
            .get(&path)
            .await
            .expect(200);
        assert_eq!(streamed.lines().len(), rows.len(), "{query}");
        rows.len()
    };
    let of = |test: &dyn Fn(&Value) -> bool| log.iter().filter(|entry| test(entry)).count();
    assert_eq!(count("").await, log.len());
    assert_eq!(
        count("actor=cli").await,
        of(&|entry| entry["actor"]["kind"] == "cli")
    );
    let key = log.last().expect("an entry")["actor"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for query in [
        format!("actor={key}"),
        format!("actor=api_key:{key}"),
        "actor=api_key".to_owned(),
    ] {
        assert_eq!(
            count(&query).await,
            of(&|entry| entry["actor"]["id"] == key),
            "{query}"
        );
    }
    assert_eq!(count("action=gate.*").await, 2);
    assert_eq!(count("action=event.create").await, 1);
    for query in [
        format!("subject={}", tenant.event),
        format!("subject=event:{}", tenant.event),
        "subject=event".to_owned(),
    ] {
        assert_eq!(
            count(&query).await,
            of(&|entry| entry["subject"]["id"] == tenant.event),
            "{query}"
        );
    }
    assert_eq!(count(&format!("subject=gate:{}", tenant.gate)).await, 1);
    assert_eq!(count(&format!("subject={}", fixture.other_tenant.event)).await, 0);
    assert_eq!(count("from=2100-01-01T00:00:00Z").await, 0);
    assert_eq!(count("to=2100-01-01T00:00:00Z").await, log.len());
    for (query, pointer) in [
        ("actor=nobody", "/actor"),
        ("actor=api_key:x", "/actor"),
        ("action=event.rename", "/action"),
        ("action=*", "/action"),
        ("subject=", "/subject"),
        ("from=x", "/from"),
        ("from=2026-11-23T00:00:00Z&to=2026-11-22T00:00:00Z", "/to"),
    ] {
        let refused = owner
            .get(&format!("/api/v1/audit?{query}"))
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(refused.pointers(), [pointer], "{query}");
    }
}

#[tokio::test]
async fn concurrent_changes_on_two_nodes_make_one_chain() {
    let mut cluster = Cluster::start(2, shared_database(), None).await;
    let tenant = cluster.tenant("Here").await;
    let before = log_of(&tenant.owner).await.len();
    let calls: Vec<_> = (0..40)
        .map(|number| {
            let owner = cluster.client_at(number % 2, &tenant.owner);
            tokio::spawn(async move {
                let body = json!({ "name": format!("Key {number}"), "role": "viewer" });
                owner.post("/api/v1/api-keys", &body).await.status
            })
        })
        .collect();
    let mut created = 0;
    for call in calls {
        created += usize::from(call.await.expect("an answer") == 201);
    }
    assert!(created > 0);
    assert_eq!(verify(&tenant.owner).await, before + created);
    cluster.stop().await;
}

/// The worst transaction of an administrator: one that has the head of the log and does not end.
#[tokio::test]
async fn no_scan_waits_for_the_head_of_the_log() {
    let mut cluster = Cluster::start(2, shared_database(), None).await;
    let tenant = cluster.tenant("Here").await;
    let (device, _) = tenant
        .new_device("override", &json!({ "can_override": true }))
        .await;
    tenant.start_session(&device, &tenant.gate).await;
    let mut codes = Vec::new();
    for index in 1..4 {
        codes.push(tenant.qr(index).await);
    }
    let database = cluster.config.database_url.clone();
    let administrator = Transaction::begin(&database, "select sequence from audit_heads for update");
    let owner = tenant.owner.clone();
    let waiting = tokio::spawn(async move {
        let body = json!({ "name": "Late", "role": "viewer" });
        // A call that has waited for too long is answered with 503.
        while owner.post("/api/v1/api-keys", &body).await.status != 201 {}
    });
    wait_until("the change waits for the head", || async {
        query_sql(
            &database,
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        ) != "0"
    })
    .await;
    for (number, qr) in codes.iter().enumerate() {
        let device = cluster.client_at(number % 2, &device);
        let admitted = device
            .scan(&json!({ "qr": qr, "scan_id": new_id() }))
            .await
            .expect(200)
            .json();
        assert_eq!(admitted["reason"], "admitted");
        let again = json!({ "qr": qr, "scan_id": new_id(), "override": { "reason": "x" } });
        assert_eq!(
            device.scan(&again).await.expect(200).json()["reason"],
            "overridden"
        );
    }
    let undo = format!("/api/v1/scanning/scans/{}/undo", tenant.scan_id);
    tenant
        .owner
        .post(&undo, &json!({ "reason": "x" }))
        .await
        .expect(200);
    assert!(!waiting.is_finished(), "the change has no entry yet");
    administrator.commit();
    waiting.await.expect("the key is created");
    wait_until("the acts are entered", || async {
        let log = log_of(&tenant.owner).await;
        let is_act = |entry: &&Value| entry["action"] == "scan.override" || entry["action"] == "scan.undo";
        log.iter().filter(is_act).count() == 4
    })
    .await;
    verify(&tenant.owner).await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_tenant_reads_only_its_own_log() {
    let fixture = Fixture::new().await;
    let log = fixture
        .tenant
        .owner
        .get("/api/v1/audit?limit=500")
        .await
        .expect(200);
    let other = &fixture.other_tenant;
    for id in [&other.event, &other.device_id, &other.session_id] {
        assert!(!log.text().contains(id.as_str()));
    }
    assert_ne!(
        fixture
            .tenant
            .owner
            .get("/api/v1/audit/key")
            .await
            .expect(200)
            .json(),
        other.owner.get("/api/v1/audit/key").await.expect(200).json()
    );
}

#[tokio::test]
async fn the_request_log_names_the_actor_and_no_secret() {
    let (launch, stopped) = Launch::instead_of(Fixture::new().await).await;
    let program = launch.start().await;
    let owner = stopped.tenant.owner.at(program.address());
    let device = stopped.tenant.device.at(program.address());
    let keys = owner.get("/api/v1/api-keys").await.expect(200).json();
    device.get("/api/v1/scanning/device").await.expect(200);
    let key = keys["data"][0]["id"].as_str().expect("an id").to_owned();
    for actor in [
        format!("api_key:{key}"),
        format!("device:{}", stopped.tenant.device_id),
    ] {
        let field = format!("actor={actor}");
        wait_until("the request is logged", || {
            std::future::ready(program.has_logged(&field))
        })
        .await;
    }
    assert!(!program.has_logged(owner.token()));
    assert!(!program.has_logged(device.token()));
}
