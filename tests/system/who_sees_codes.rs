//! Who may call which operation, and who sees ticket codes and QR payloads in what it answers: every caller, every operation,
//! errors, exports, uploads and streams included.
//!
//! A code and a payload are bearer secrets. An operation without a row in [`ROWS`] must show neither to anybody, and its callers
//! are those of `roles.rs`, so that a new operation fails here until it is classified there.

use serde_json::{Value, json};
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::openapi::Operation;
use voelgoed_scan_suite::{Client, Fixture, Response};

use crate::operation_calls::{call_operation, path_value, path_variables};
use crate::roles::allowed_callers;

/// All kinds of callers: the roles, a device, a device with the setting `can_search`, and nobody.
const CALLERS: [&str; 8] = [
    "owner",
    "admin",
    "staff",
    "viewer",
    "scanner_only",
    "device",
    "searcher",
    "nobody",
];

const DEVICES: &str = "device searcher";
const ADMINS: &str = "owner admin";
const STAFF: &str = "owner admin staff";
const MEMBERS: &str = "owner admin staff viewer";
const ALL: &str = "owner admin staff viewer device searcher";
const STAFF_AND_DEVICES: &str = "owner admin staff device searcher";
const SEARCHERS: &str = "owner admin staff searcher";

/// A kind of call of an operation.
struct Row {
    operation: &'static str,
    /// What is special about the call; empty for the plain call.
    variant: &'static str,
    /// The status for those who may call.
    status: u16,
    callers: &'static str,
    /// Who sees the ticket's code.
    codes: &'static str,
    /// Who sees a QR payload.
    payloads: &'static str,
}

/// A call that shows neither codes nor payloads.
const fn plain(operation: &'static str, status: u16, callers: &'static str) -> Row {
    with_codes(operation, "", status, callers, "", "")
}

const fn with_codes(
    operation: &'static str,
    variant: &'static str,
    status: u16,
    callers: &'static str,
    codes: &'static str,
    payloads: &'static str,
) -> Row {
    Row {
        operation,
        variant,
        status,
        callers,
        codes,
        payloads,
    }
}

/// Who sees codes in the answer of each operation.
const ROWS: &[Row] = &[
    plain("startSession", 201, DEVICES),
    plain("listSessions", 200, MEMBERS),
    plain("showSession", 200, ALL),
    plain("endSession", 200, STAFF_AND_DEVICES),
    with_codes("scan", "", 200, DEVICES, DEVICES, ""),
    with_codes("scan", "the id of another scan", 409, DEVICES, "", ""),
    with_codes("sync", "", 200, DEVICES, DEVICES, ""),
    with_codes("undoScan", "", 200, STAFF_AND_DEVICES, STAFF_AND_DEVICES, ""),
    with_codes("checkIn", "", 200, STAFF, STAFF, ""),
    with_codes("listScans", "", 200, ALL, STAFF_AND_DEVICES, ""),
    with_codes("listScans", "NDJSON", 200, ALL, STAFF_AND_DEVICES, ADMINS),
    with_codes("listConflicts", "", 200, MEMBERS, STAFF, ""),
    with_codes("acceptScan", "", 200, ADMINS, ADMINS, ""),
    plain("showOwnDevice", 200, DEVICES),
    plain("reportOwnDevice", 200, DEVICES),
    plain("registerDevice", 201, ADMINS),
    plain("listDevices", 200, MEMBERS),
    plain("showDevice", 200, MEMBERS),
    plain("changeDevice", 200, ADMINS),
    plain("revokeDevice", 204, ADMINS),
    plain("rotateDeviceToken", 200, ADMINS),
    plain("beginEnrollment", 201, ADMINS),
    plain("showManifest", 200, DEVICES),
    plain("showOccupancy", 200, ALL),
    with_codes("showReport", "", 200, MEMBERS, STAFF, ""),
    plain("showActivity", 200, MEMBERS),
    plain("showOrganization", 200, MEMBERS),
    plain("listEvents", 200, ALL),
    plain("putEvent", 200, ADMINS),
    plain("showEvent", 200, ALL),
    plain("deletePersonalData", 200, ADMINS),
    plain("deleteEvent", 202, "owner"),
    plain("listGates", 200, ALL),
    plain("putGate", 200, ADMINS),
    plain("showGate", 200, ALL),
    plain("importTickets", 200, ADMINS),
    with_codes("importTickets", "?return=codes", 200, ADMINS, ADMINS, ""),
    with_codes("listTickets", "", 200, ADMINS, ADMINS, ""),
    with_codes("listTickets", "?q=", 200, SEARCHERS, SEARCHERS, ""),
    with_codes("showTicket", "", 200, MEMBERS, STAFF, ""),
    with_codes("showTicket", "its payload in the path", 200, MEMBERS, STAFF, ""),
    with_codes("changeTicket", "", 200, ADMINS, ADMINS, ""),
    with_codes("showTicketQr", "", 200, ADMINS, ADMINS, ADMINS),
    with_codes("showTicketQr", "?format=vg2", 200, ADMINS, "", ADMINS),
    plain("listSigningKeys", 200, MEMBERS),
    plain("addSigningKey", 201, ADMINS),
    plain("changeSigningKey", 200, ADMINS),
    plain("createApiKey", 201, "owner"),
    plain("listApiKeys", 200, "owner"),
    plain("deleteApiKey", 204, "owner"),
];

/// The text of a medium of the first ticket. It admits its bearer, too.
const MEDIUM: &str = "9f86d081884c7d659a2feaa0c55ad015";

/// Who sees the media of a ticket: staff and above, never a device.
fn media_callers(row: &Row) -> &'static str {
    match (row.operation, row.variant) {
        ("listTickets", "?q=") | ("showTicket", _) => STAFF,
        ("listTickets" | "changeTicket", _) => ADMINS,
        _ => "",
    }
}

fn is_one_of(callers: &str, caller: &str) -> bool {
    callers.split(' ').any(|one| one == caller)
}

/// The callers of a test with their clients.
struct Callers {
    clients: Vec<(&'static str, Client)>,
}

impl Callers {
    async fn new(fixture: &Fixture) -> Self {
        let tenant = &fixture.tenant;
        let (searcher, _) = tenant
            .new_device("searcher", &json!({ "can_search": true }))
            .await;
        let mut clients = Vec::new();
        for caller in CALLERS {
            let client = match caller {
                "nobody" => fixture.anonymous.clone(),
                "device" => tenant.device.clone(),
                "searcher" => searcher.clone(),
                role => tenant.member(role).await,
            };
            clients.push((caller, client));
        }
        Self { clients }
    }

    fn client(&self, caller: &str) -> &Client {
        let found = self.clients.iter().find(|(name, _)| *name == caller);
        &found.expect("a caller").1
    }

    /// The device of a caller; for those that are no device, the tenant's.
    fn device_of(&self, caller: &str) -> &Client {
        match caller {
            "searcher" => self.client("searcher"),
            _ => self.client("device"),
        }
    }
}

/// A call that is ready to be sent.
struct Call {
    path: String,
    body: Option<(&'static str, String)>,
    headers: Vec<(&'static str, &'static str)>,
}

/// Starts a session of a device at the first gate, whatever session it has.
async fn start_session(tenant: &Tenant, device: &Client) -> String {
    let body = json!({ "event_id": tenant.event, "gate_id": tenant.gate, "replace": true });
    let started = device.post("/api/v1/scanning/sessions", &body).await.expect(201);
    started.json()["id"].as_str().expect("an id").to_owned()
}

/// Admits a ticket by a device. An admission of before is undone.
async fn admit(tenant: &Tenant, device: &Client, ticket: usize) -> String {
    let scan = json!({ "qr": tenant.qr(ticket).await });
    let mut answer = device.scan(&scan).await.expect(200).json();
    if answer["result"] == "duplicate" {
        let earlier = answer["previous_scan"]["scan_id"].as_str().expect("a scan");
        let undo = format!("/api/v1/scanning/scans/{earlier}/undo");
        let reason = json!({ "reason": "for the next caller" });
        tenant.owner.post(&undo, &reason).await.expect(200);
        answer = device.scan(&scan).await.expect(200).json();
    }
    assert_eq!(answer["reason"], "admitted", "{answer}");
    answer["scan_id"].as_str().expect("an id").to_owned()
}

/// A batch with an admission of a ticket that the phone decided alone.
async fn batch(tenant: &Tenant, device: &Client, ticket: usize) -> (String, Value) {
    let own = device.get("/api/v1/scanning/device").await.expect(200).json();
    let scan_id = new_id();
    let scan = json!({
        "scan_id": scan_id, "event_id": tenant.event, "qr": tenant.qr(ticket).await, "gate_id": tenant.gate,
        "scanned_at": own["server_time"], "local_result": "valid", "local_reason": "admitted", "age_ms": 0
    });
    let batch = json!({ "batch_id": new_id(), "sent_at": own["server_time"], "scans": [scan] });
    (scan_id, batch)
}

/// A scan in quarantine: its device may work nowhere.
async fn quarantined_scan(tenant: &Tenant) -> String {
    let (device, id) = tenant.new_device(&new_id(), &json!({})).await;
    let scope = json!({ "scope": { "gate_ids": [] } });
    let path = format!("/api/v1/scanning/devices/{id}");
    tenant.owner.call_with("PATCH", &path, &scope).await.expect(200);
    let (scan, batch) = batch(tenant, &device, 6).await;
    let answer = device.post("/api/v1/scanning/sync", &batch).await.expect(200);
    assert_eq!(answer.json()["results"][0]["status"], "quarantined", "{answer:?}");
    scan
}

/// Prepares a call of an operation by a caller, so that nothing but a missing permission lets it fail.
async fn prepare(
    tenant: &Tenant,
    callers: &Callers,
    caller: &str,
    operation: &Operation,
    variant: &str,
) -> Call {
    let device = callers.device_of(caller);
    let session = start_session(tenant, device).await;
    let mut values: Vec<(&str, String)> = Vec::new();
    let mut body = None;
    let mut headers = Vec::new();
    let json_body = |value: Value| Some(("application/json", value.to_string()));
    match operation.name.as_str() {
        "startSession" => {
            body = json_body(json!({ "event_id": tenant.event, "gate_id": tenant.gate, "replace": true }));
        }
        "showSession" | "endSession" => values.push(("id", session)),
        "scan" if variant.is_empty() => body = json_body(json!({ "qr": tenant.qr(0).await })),
        "scan" => {
            body = json_body(json!({ "qr": tenant.qr(1).await, "scan_id": tenant.scan_id }));
        }
        "sync" => body = json_body(batch(tenant, device, 0).await.1),
        "undoScan" => {
            values.push(("scan_id", admit(tenant, device, 5).await));
            body = json_body(json!({ "reason": "by mistake" }));
        }
        "listScans" => {
            // A device sees its own scans alone.
            let scan = json!({ "qr": tenant.qr(0).await });
            device.scan(&scan).await.expect(200);
            if variant == "NDJSON" {
                headers.push(("accept", "application/x-ndjson"));
            }
        }
        "acceptScan" => {
            values.push(("scan_id", quarantined_scan(tenant).await));
            body = json_body(json!({ "reason": "seen at the gate" }));
        }
        "revokeDevice" | "rotateDeviceToken" | "beginEnrollment" | "changeDevice" => {
            let (_, id) = tenant.new_device(&new_id(), &json!({})).await;
            values.push(("id", id));
            if operation.name == "changeDevice" {
                body = json_body(json!({ "name": "Renamed" }));
            }
        }
        "importTickets" => {
            let line = format!("{{\"code\":\"{}\"}}\n", tenant.codes[0]);
            body = Some(("application/x-ndjson", line));
        }
        "addSigningKey" => {
            let kid = format!("{}1", CALLERS.iter().position(|one| *one == caller).unwrap_or(9));
            body = json_body(json!({ "kid": kid, "format": "vg2" }));
        }
        "deleteApiKey" => {
            let key = json!({ "name": "Short-lived", "role": "viewer" });
            let key = tenant
                .owner
                .post("/api/v1/api-keys", &key)
                .await
                .expect(201)
                .json();
            values.push(("id", key["id"].as_str().expect("an id").to_owned()));
        }
        "showTicket" if !variant.is_empty() => values.push(("code", tenant.qr(0).await)),
        _ => {}
    }
    let mut path = operation.path.clone();
    for variable in path_variables(&operation.path) {
        let prepared = values.iter().find(|(name, _)| *name == variable);
        let value = match prepared {
            Some((_, value)) => value.clone(),
            None => path_value(operation, &variable, tenant).await,
        };
        path = path.replace(&format!("{{{variable}}}"), &value);
    }
    if variant.starts_with('?') {
        path.push_str(variant);
    }
    if variant == "?q=" {
        path.extend(tenant.codes[0].chars().take(6));
    }
    Call { path, body, headers }
}

/// Sends a call, with the example body of the operation where the call has none of its own.
async fn send(tenant: &Tenant, client: &Client, operation: &Operation, call: Call) -> Response {
    let client = call.headers.iter().fold(client.clone(), |client, (name, value)| {
        client.with_header(name, value)
    });
    match call.body {
        Some((media_type, body)) => {
            client
                .send(&operation.method, &call.path, Some(media_type), body)
                .await
        }
        None => call_operation(&client, operation, &call.path, tenant).await,
    }
}

/// Whether a text holds a code of the tenant's tickets, a payload, and a medium.
#[derive(Debug, Default, PartialEq, Eq)]
struct Secrets {
    code: bool,
    payload: bool,
    medium: bool,
}

impl Secrets {
    fn of(tenant: &Tenant, text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        Self {
            code: tenant.codes.iter().any(|code| text.contains(code.as_str())),
            payload: text.contains("VG1.") || text.contains("VG2."),
            medium: text.contains(MEDIUM),
        }
    }

    /// What a caller is to see.
    fn expected(row: &Row, caller: &str) -> Self {
        Self {
            code: is_one_of(row.codes, caller),
            payload: is_one_of(row.payloads, caller),
            medium: is_one_of(media_callers(row), caller),
        }
    }
}

/// The rows of an operation. One that shows nothing secret needs none.
fn rows_of(operation: &Operation) -> Vec<&'static Row> {
    ROWS.iter()
        .filter(|row| row.operation == operation.name)
        .collect()
}

#[tokio::test]
async fn every_operation_shows_codes_and_payloads_exactly_to_the_callers_of_the_contract() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let callers = Callers::new(&fixture).await;
    let medium = json!({ "code": tenant.codes[0], "media": [format!("barcode:{MEDIUM}")] });
    tenant
        .owner
        .import(&tenant.event, medium.to_string())
        .await
        .expect(200);
    // A conflict about the first ticket, which the list of conflicts shows.
    start_session(tenant, callers.client("searcher")).await;
    let (_, conflict) = batch(tenant, callers.client("searcher"), 0).await;
    let uploaded = callers
        .client("searcher")
        .post("/api/v1/scanning/sync", &conflict)
        .await
        .expect(200);
    assert_eq!(uploaded.json()["conflicts"], 1, "{uploaded:?}");
    let mut found = Vec::new();
    for operation in fixture.openapi.operations() {
        if !operation.requires_credential || operation.name == "watchEvent" {
            continue;
        }
        let rows = rows_of(&operation);
        let variants = match rows.as_slice() {
            [] => vec![None],
            rows => rows.iter().map(|row| Some(*row)).collect(),
        };
        for row in variants {
            for (caller, client) in &callers.clients {
                let variant = row.map_or("", |row| row.variant);
                let label = format!("{} {variant} by {caller}", operation.name);
                let call = prepare(tenant, &callers, caller, &operation, variant).await;
                let response = send(tenant, client, &operation, call).await;
                let is_allowed = match row {
                    Some(row) => is_one_of(row.callers, caller),
                    None if *caller == "searcher" => is_one_of(allowed_callers(&operation.name), "device"),
                    None => is_one_of(allowed_callers(&operation.name), caller),
                };
                match (*caller, row) {
                    ("nobody", _) => drop(response.clone().expect_problem(401, "missing_token")),
                    (_, Some(row)) if is_allowed => {
                        assert_eq!(response.status, row.status, "{label}: {response:?}");
                    }
                    (_, None) if is_allowed => {
                        assert_ne!(response.status, 403, "{label}: {response:?}");
                    }
                    _ => drop(response.clone().expect_problem(403, "forbidden")),
                }
                let shown = Secrets::of(tenant, &response.body);
                let expected = row.map_or_else(Secrets::default, |row| Secrets::expected(row, caller));
                if shown != expected {
                    found.push(format!("{label}: {shown:?}, expected {expected:?}: {response:?}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    // Each row names an operation that exists.
    let names: Vec<_> = fixture
        .openapi
        .operations()
        .into_iter()
        .map(|one| one.name)
        .collect();
    for row in ROWS {
        assert!(
            names.iter().any(|name| name == row.operation),
            "{}",
            row.operation
        );
    }
}

#[tokio::test]
async fn a_stream_shows_codes_to_staff_and_above_and_no_payload_to_anybody() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let callers = Callers::new(&fixture).await;
    let path = format!("/api/v1/scanning/events/{}/stream", tenant.event);
    for (caller, client) in &callers.clients {
        if *caller == "nobody" {
            client.get(&path).await.expect_problem(401, "missing_token");
            continue;
        }
        if !is_one_of(MEMBERS, caller) {
            client.get(&path).await.expect_problem(403, "forbidden");
            continue;
        }
        let mut events = EventStream::open(client, &tenant.event).await;
        let scan = json!({ "qr": tenant.qr(0).await });
        tenant.device.scan(&scan).await.expect(200);
        let event = events.next_named("scan").await;
        let shown = Secrets::of(tenant, event.data.to_string().as_bytes());
        let expected = Secrets {
            code: is_one_of(STAFF, caller),
            ..Secrets::default()
        };
        assert_eq!(shown, expected, "{caller}: {event:?}");
    }
}

#[tokio::test]
async fn what_needs_no_credential_holds_no_code_and_no_payload() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    // The document has payloads as examples.
    let others = ["/healthz", "/readyz", "/metrics", "/", "/console/app.js"];
    for path in others {
        let response = fixture.anonymous.get(path).await.expect(200);
        assert_eq!(Secrets::of(tenant, &response.body), Secrets::default(), "{path}");
    }
    let documents = ["/openapi.json", "/docs"];
    for path in documents {
        let document = fixture.anonymous.get(path).await.expect(200);
        assert!(!Secrets::of(tenant, &document.body).code, "{path}");
    }
    let public: Vec<_> = fixture
        .openapi
        .operations()
        .into_iter()
        .filter(|operation| !operation.requires_credential)
        .map(|operation| operation.path)
        .collect();
    let enroll = "/api/v1/scanning/enroll".to_owned();
    for path in public {
        let path = path.replace("{file}", "app.js");
        let is_known = [&others[..], &documents].concat().contains(&path.as_str()) || path == enroll;
        assert!(is_known, "{path} is not checked here");
    }
}
