//! What the office knows: events, gates, undo, search, occupancy, the device's settings and the self-test.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::server::Network;
use super::*;
use crate::client::offline::tests::uuid;
use crate::model::{EventId, EventStatus, GateStatus, HolderName, Reason, ReasonText, ScanId, TicketStatus};

/// A transport in front of [`FakeServer`] that answers some paths itself.
struct Office {
    server: Arc<FakeServer>,
    answers: Mutex<HashMap<String, (u16, Value)>>,
    calls: Mutex<Vec<String>>,
    reachable: Mutex<bool>,
}

impl Office {
    /// Puts an office in front of the fixture's server.
    fn open(fixture: &mut Fixture) -> Arc<Self> {
        let office = Arc::new(Self {
            server: Arc::clone(&fixture.server),
            answers: Mutex::default(),
            calls: Mutex::default(),
            reachable: Mutex::new(true),
        });
        fixture.setup.transport = Arc::clone(&office) as _;
        office
    }

    /// Answers a call such as `GET events?limit=500` from now on. The path is relative to `/api/v1/`.
    fn answer(&self, call: impl Into<String>, status: u16, body: Value) {
        self.answers.lock().insert(call.into(), (status, body));
    }

    fn disconnect(&self) {
        *self.reachable.lock() = false;
        self.server.set(Network::Down);
    }

    fn reconnect(&self) {
        *self.reachable.lock() = true;
        self.server.set(Network::Up);
    }

    /// Returns the calls since the last call of this method.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock())
    }
}

#[async_trait]
impl Transport for Office {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let path = request.url.strip_prefix("https://scan.example.org/api/v1/");
        let call = format!(
            "{} {}",
            request.method.as_str(),
            path.expect("the server's address")
        );
        self.calls.lock().push(call.clone());
        let answer = self.answers.lock().get(&call).cloned();
        match answer.filter(|_| *self.reachable.lock()) {
            Some((status, body)) => Ok(HttpResponse {
                status,
                headers: vec![HttpHeader {
                    name: "Content-Type".to_owned(),
                    value: if status < 400 {
                        "application/json"
                    } else {
                        "application/problem+json"
                    }
                    .to_owned(),
                }],
                body: body.to_string().into_bytes(),
            }),
            None if *self.reachable.lock() => self.server.send(request).await,
            None => Err(TransportError::Unreachable {
                reason: "the network is down".to_owned(),
            }),
        }
    }
}

fn problem(status: u16, code: &str) -> Value {
    json!({
        "type": format!("urn:voelgoed-scan:problem:{code}"), "title": code, "status": status, "detail": "no",
        "code": code, "request_id": "r"
    })
}

fn page(items: &Value, next: Option<&str>) -> Value {
    json!({ "data": items, "next_cursor": next })
}

fn event(number: u128, name: &str, status: &str, starts_at: Option<&str>) -> Value {
    json!({ "id": uuid(number), "name": name, "status": status, "starts_at": starts_at, "ends_at": null })
}

#[tokio::test]
async fn events_come_from_all_pages_and_those_that_admit_people_come_first() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    let own = fixture.server.event_and_gate().0;
    let first = json!([
        event(1, "Last year", "archived", None),
        { "id": own, "name": "Tonight", "status": "live", "starts_at": "2026-11-29T18:00:00.000Z", "ends_at": null },
    ]);
    let second = json!([
        event(3, "Put off", "delayed", None),
        {
            "id": uuid(5), "name": "Moved", "status": "postponed", "starts_at": null, "ends_at": null,
            "doors_open_at": "2026-11-29T17:00:00.000Z", "doors_close_at": "2026-11-29T22:00:00.000Z",
            "rescheduled_at": "2026-12-06T18:00:00.000Z"
        },
        event(4, "Matinee", "live", Some("2026-11-29T12:00:00.000Z")),
    ]);
    office.answer("GET events?limit=500", 200, page(&first, Some("a b")));
    office.answer("GET events?limit=500&cursor=a+b", 200, page(&second, None));
    let events = phone.events().await.expect("events");
    let shown: Vec<_> = events
        .iter()
        .map(|event| (event.name.as_str(), event.status))
        .collect();
    let expected = [
        ("Matinee", Some(EventStatus::Live)),
        ("Tonight", Some(EventStatus::Live)),
        ("Put off", None),
        ("Moved", Some(EventStatus::Postponed)),
        ("Last year", Some(EventStatus::Archived)),
    ];
    assert_eq!(shown, expected, "an unknown status hides no event");
    let moved = &events[3];
    let times = [moved.doors_open_at, moved.doors_close_at, moved.rescheduled_at];
    let texts = times.map(|time| time.expect("a time").to_string());
    assert_eq!(
        texts,
        [
            "2026-11-29T17:00:00.000Z",
            "2026-11-29T22:00:00.000Z",
            "2026-12-06T18:00:00.000Z"
        ]
    );
    assert_eq!(
        events[0].doors_open_at, None,
        "a server that is older names no doors"
    );
    let with_manifest: Vec<_> = events
        .iter()
        .filter(|event| event.has_manifest)
        .map(|event| event.id)
        .collect();
    assert_eq!(with_manifest, [own]);
}

#[tokio::test]
async fn a_list_that_never_ends_is_refused() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    for call in ["GET events?limit=500", "GET events?limit=500&cursor=again"] {
        office.answer(call, 200, page(&json!([]), Some("again")));
    }
    // The phone has a manifest, so it answers from that.
    let events = phone.events().await.expect("the event of the manifest");
    assert_eq!(events.len(), 1);
    assert_eq!(
        office
            .calls()
            .iter()
            .filter(|call| call.starts_with("GET events"))
            .count(),
        100
    );
}

#[tokio::test]
async fn without_a_network_the_events_and_gates_are_those_of_the_manifest() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = ScannerClient::enroll(fixture.setup.clone(), &Fixture::uri())
        .await
        .expect("a device");
    let (own, main) = fixture.server.event_and_gate();
    office.disconnect();
    assert_eq!(phone.events().await.expect_err("no manifest").code(), "offline");
    assert_eq!(
        phone.event_gates(own).await.expect_err("no manifest").code(),
        "offline"
    );
    office.reconnect();
    phone.start_session(own, main, false).await.expect("a session");
    phone.refresh_manifest().await.expect("a manifest");
    office.disconnect();
    let events = phone.events().await.expect("the manifest's event");
    assert_eq!(
        events
            .iter()
            .map(|event| (event.id, event.has_manifest))
            .collect::<Vec<_>>(),
        [(own, true)]
    );
    let gates = phone.event_gates(own).await.expect("the manifest's gates");
    assert!(
        gates
            .iter()
            .any(|gate| gate.id == main && gate.status == Some(GateStatus::Open))
    );
    let other = EventId::from(uuid(99));
    assert_eq!(
        phone.event_gates(other).await.expect_err("not held").code(),
        "offline"
    );
}

#[tokio::test]
async fn gates_are_ordered_by_name_and_a_refusal_of_the_server_stays_a_refusal() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    let own = fixture.server.event_and_gate().0;
    let gate = |number: u128, name: &str, status: &str| json!({ "id": uuid(number), "name": name, "code": "G", "status": status, "capacity": 5, "ticket_classes": ["VIP"] });
    let gates = json!([gate(2, "South", "open"), gate(1, "North", "on fire")]);
    office.answer(
        format!("GET events/{own}/gates?limit=500"),
        200,
        page(&gates, None),
    );
    let gates = phone.event_gates(own).await.expect("gates");
    let shown: Vec<_> = gates
        .iter()
        .map(|gate| (gate.name.as_str(), gate.status, gate.capacity))
        .collect();
    assert_eq!(
        shown,
        [
            ("North", None, Some(5)),
            ("South", Some(GateStatus::Open), Some(5))
        ]
    );
    office.answer(
        format!("GET events/{own}/gates?limit=500"),
        403,
        problem(403, "out_of_scope"),
    );
    assert_eq!(
        phone.event_gates(own).await.expect_err("out of scope").code(),
        "out_of_scope"
    );
}

fn reason() -> ReasonText {
    ReasonText::new("wrong person").expect("a reason")
}

fn undone(scan: ScanId) -> Value {
    json!({
        "scan_id": scan, "result": "valid", "reason": "admitted", "device_id": uuid(7),
        "undone": { "at": MADE_AT, "reason": "wrong person", "device_id": uuid(7) }
    })
}

#[tokio::test]
async fn after_an_undo_the_ticket_is_admitted_again_without_a_network_too() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    let entry = || ScanInput::entry(fixture.server.vg2(1));
    let admitted = phone.scan(entry()).await.expect("a verdict");
    assert_eq!(admitted.reason, Reason::Admitted);
    let call = format!("POST scanning/scans/{}/undo", admitted.scan_id);
    office.answer(&*call, 409, problem(409, "conflict"));
    assert_eq!(
        phone
            .undo(admitted.scan_id, reason())
            .await
            .expect_err("somebody left")
            .code(),
        "conflict"
    );
    office.answer(&*call, 200, undone(ScanId::generate(MADE_AT)));
    let other = phone
        .undo(admitted.scan_id, reason())
        .await
        .expect_err("another scan's record");
    assert_eq!(other.code(), "unexpected_answer");
    let repeated = phone.scan(entry()).await.expect("a verdict");
    assert_eq!(
        (repeated.scan_id, repeated.repeated),
        (admitted.scan_id, true),
        "nothing is undone yet"
    );

    office.answer(&*call, 200, undone(admitted.scan_id));
    let answer = phone
        .undo(admitted.scan_id, reason())
        .await
        .expect("it is undone");
    assert_eq!(
        (answer.scan_id, answer.at, answer.reason),
        (admitted.scan_id, MADE_AT, reason())
    );
    office.disconnect();
    let again = phone.scan(entry()).await.expect("a verdict");
    assert_eq!(
        (again.reason, again.repeated),
        (Reason::Admitted, false),
        "a new scan at once"
    );
    assert_ne!(again.scan_id, admitted.scan_id);
}

#[tokio::test]
async fn a_scan_that_waits_for_upload_is_uploaded_before_it_is_undone() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    office.disconnect();
    let scan = phone
        .scan(ScanInput::entry(fixture.server.vg2(1)))
        .await
        .expect("a verdict")
        .scan_id;
    fixture.later();
    assert_eq!(
        phone.undo(scan, reason()).await.expect_err("no network").code(),
        "offline"
    );
    office.reconnect();
    office.answer(format!("POST scanning/scans/{scan}/undo"), 200, undone(scan));
    office.calls();
    phone.undo(scan, reason()).await.expect("it is undone");
    let calls = office.calls();
    let position = |part: &str| {
        calls
            .iter()
            .position(|call| call.contains(part))
            .expect("the call")
    };
    assert!(position("scanning/sync") < position("/undo"), "{calls:?}");
    assert_eq!(phone.state().await.expect("a state").waiting, 0);
}

#[tokio::test]
async fn a_search_finds_tickets_by_name_and_shows_no_personal_data_in_a_log() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = ScannerClient::enroll(fixture.setup.clone(), &Fixture::uri())
        .await
        .expect("a device");
    assert_eq!(
        phone.search("Ané", None).await.expect_err("no session").code(),
        "no_active_session"
    );
    let phone = {
        drop(phone);
        fixture.phone().await
    };
    let own = fixture.server.event_and_gate().0;
    let ticket = |code: &str, status: &str| {
        json!({
            "id": uuid(1), "code": code, "status": status, "ticket_class": "Day", "gate_ids": null,
            "seat": { "block": "A", "row": "1", "number": "2" }, "valid_from": null, "valid_until": null,
            "entry_limit": 2, "scan_count": 1, "note": null, "holder_name": "Ané d'Olive", "order_ref": "A&B"
        })
    };
    let path = format!("GET events/{own}/tickets");
    let found = json!([
        ticket("3KQR7F924M1XaB0z", "scanned"),
        ticket("3KQR7F924M1XaB0y", "lent")
    ]);
    office.answer(
        format!("{path}?q=An%C3%A9+d%27O%26&limit=50"),
        200,
        page(&found, Some("next")),
    );
    office.answer(
        format!("{path}?q=An%C3%A9+d%27O%26&limit=50&cursor=next"),
        200,
        page(&json!([]), None),
    );
    let search = phone.search(" Ané d'O& ", None).await.expect("tickets");
    let shown: Vec<_> = search
        .tickets
        .iter()
        .map(|ticket| (ticket.status, ticket.scan_count))
        .collect();
    assert_eq!(shown, [(Some(TicketStatus::Scanned), 1), (None, 1)]);
    let first = &search.tickets[0];
    assert_eq!(
        first.holder_name.as_ref().map(HolderName::as_str),
        Some("Ané d'Olive")
    );
    assert_eq!(first.code.to_string(), "3KQR7F924M1XaB0z");
    let log = format!("{search:?}");
    assert!(
        !log.contains("Olive") && !log.contains("A&B") && !log.contains("aB0z"),
        "{log}"
    );
    let last = phone
        .search("Ané d'O&", search.next_cursor.as_deref())
        .await
        .expect("the last page");
    assert_eq!(
        last,
        TicketSearch {
            tickets: Vec::new(),
            next_cursor: None
        }
    );
    office.answer(format!("{path}?q=Bob&limit=50"), 403, problem(403, "forbidden"));
    assert_eq!(
        phone.search("Bob", None).await.expect_err("no can_search").code(),
        "forbidden"
    );
}

#[tokio::test]
async fn the_occupancy_is_that_of_the_sessions_event() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    let (own, main) = fixture.server.event_and_gate();
    let count = |inside: i64| json!({ "inside": inside, "entries": 9, "exits": 2, "capacity": 100 });
    let mut gate = count(7);
    (gate["id"], gate["name"]) = (json!(main), json!("Main"));
    let results = json!({ "valid": 9, "duplicate": 1, "invalid_token": 0, "wrong_event": 0, "wrong_gate": 0, "refused": 3 });
    let body = json!({ "event": count(7), "gates": [gate], "results": results, "scans_per_minute": 4 });
    office.answer(format!("GET scanning/events/{own}/occupancy"), 200, body);
    let occupancy = phone.occupancy().await.expect("an occupancy");
    assert_eq!((occupancy.event.inside, occupancy.event.capacity), (7, Some(100)));
    assert_eq!(
        (occupancy.gates[0].name.as_str(), occupancy.results.refused),
        ("Main", 3)
    );
    office.disconnect();
    assert_eq!(phone.occupancy().await.expect_err("no network").code(), "offline");
}

#[tokio::test]
async fn a_change_of_the_devices_settings_arrives_with_the_next_health_report() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    assert!(phone.device_settings().can_override && !phone.device_settings().can_search);
    let request = HttpRequest {
        method: HttpMethod::Put,
        url: "https://scan.example.org/api/v1/scanning/device".to_owned(),
        headers: vec![HttpHeader {
            name: "Authorization".to_owned(),
            value: "Bearer vgd_".to_owned(),
        }],
        body: Vec::new(),
        timeout: Duration::ZERO,
    };
    let response = fixture.server.send(request).await.expect("the device");
    let mut device: Value = serde_json::from_slice(&response.body).expect("JSON");
    device["device"]["settings"] = json!({ "can_search": true, "lane": 3 });
    office.answer("PUT scanning/device", 200, device);
    let before = phone.changed_since(u64::MAX).await;
    phone.sync().await.expect("nothing waits");
    let settings = phone.device_settings();
    assert!(settings.can_search && !settings.can_override);
    assert_eq!(settings.other["lane"], 3, "the operator's own field");
    assert_ne!(
        phone.changed_since(u64::MAX).await,
        before,
        "the app learns of it"
    );
}

fn listed(number: u128, reason: &str, undone: &Value) -> Value {
    json!({
        "scan_id": uuid(number), "event_id": uuid(1), "gate_id": uuid(2), "ticket_code": "3KQR7F924M1XaB0z",
        "direction": "entry", "result": "refused", "reason": reason, "scanned_at": MADE_AT, "undone": undone, "new": 1
    })
}

#[tokio::test]
async fn own_scans_are_those_of_the_server_page_by_page_and_an_unknown_word_hides_none() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    let (event, gate) = fixture.server.event_and_gate();
    let mut own = listed(7, "ticket_voided", &Value::Null);
    (own["event_id"], own["gate_id"]) = (json!(event), json!(gate));
    let first = json!([
        own,
        listed(6, "raining", &json!({ "at": MADE_AT, "reason": "no" }))
    ]);
    office.answer("GET scanning/scans?limit=50", 200, page(&first, Some("a b")));
    // A page may be empty and not the last one.
    let path = "GET scanning/scans?limit=50&cursor=";
    office.answer(format!("{path}a+b"), 200, page(&json!([]), Some("c")));
    let last = json!([listed(5, "ticket_voided", &Value::Null)]);
    office.answer(format!("{path}c"), 200, page(&last, None));
    let found = phone.own_scans(None).await.expect("a page");
    assert!(found.from_server);
    let shown: Vec<_> = found
        .scans
        .iter()
        .map(|scan| (scan.scan_id, scan.gate_name.as_deref(), scan.reason, scan.undone))
        .collect();
    let expected = [
        (
            ScanId::from(uuid(7)),
            Some("Main"),
            Some(Reason::TicketVoided),
            false,
        ),
        (ScanId::from(uuid(6)), None, None, true),
    ];
    assert_eq!(shown, expected);
    assert!(!format!("{found:?}").contains("3KQR7F924M1XaB0z"));
    let next = found.next_cursor.expect("another page");
    let found = phone.own_scans(Some(&next)).await.expect("a page");
    let ids: Vec<_> = found.scans.iter().map(|scan| scan.scan_id).collect();
    assert_eq!(ids, [ScanId::from(uuid(5))]);
    assert_eq!(found.next_cursor, None);
    office.disconnect();
    let lost = phone.own_scans(Some(&next)).await;
    assert_eq!(
        lost.expect_err("the server's list cannot go on").code(),
        "offline"
    );
    office.reconnect();
    office.answer(
        "GET scanning/scans?limit=50",
        401,
        problem(401, "device_inactive"),
    );
    let refused = phone.own_scans(None).await;
    assert_eq!(
        refused.expect_err("a refusal is no lost network").code(),
        "device_inactive"
    );
}

#[tokio::test]
async fn without_the_server_own_scans_are_what_the_phone_recorded_each_once() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    let scan = async |number: u8| {
        fixture.later();
        let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
        verdict.expect("a verdict")
    };
    // The server admits one and denies it again; the phone keeps the admission alone.
    let online = scan(1).await;
    scan(1).await;
    office.disconnect();
    let mut expected = vec![(online.scan_id, Reason::Admitted, false)];
    // More than a page.
    for _ in 0..52 {
        let denied = scan(1).await;
        assert_eq!(denied.reason, Reason::AlreadyScanned);
        expected.push((denied.scan_id, denied.reason, true));
    }
    let alone = scan(2).await;
    expected.push((alone.scan_id, Reason::Admitted, true));
    expected.reverse();
    let own_scans = async || {
        let (mut found, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = phone.own_scans(cursor.as_deref()).await.expect("a page");
            assert!(!page.from_server && page.scans.len() <= 50);
            pages += 1;
            found.extend(page.scans);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return (found, pages);
            }
        }
    };
    let shown = |found: &[ListedScan]| {
        let shown = found
            .iter()
            .map(|scan| (scan.scan_id, scan.reason.expect("its own word"), scan.is_waiting));
        shown.collect::<Vec<_>>()
    };
    let (found, pages) = own_scans().await;
    assert_eq!((shown(&found), pages), (expected.clone(), 2));
    assert_eq!(found[0].ticket_code, alone.ticket.and_then(|ticket| ticket.code));
    assert_eq!(
        found.last().expect("the admission").ticket_code,
        None,
        "the phone has no codes"
    );
    // While scans wait, the server lacks them: its list is not asked for.
    office.reconnect();
    office.calls();
    assert_eq!(shown(&own_scans().await.0), expected);
    assert_eq!(office.calls(), Vec::<String>::new());
    phone.sync().await.expect("uploaded");
    let undo = format!("POST scanning/scans/{}/undo", alone.scan_id);
    office.answer(undo, 200, undone(alone.scan_id));
    phone.undo(alone.scan_id, reason()).await.expect("it is undone");
    office.disconnect();
    let (found, _) = own_scans().await;
    assert!(found.iter().all(|scan| !scan.is_waiting));
    let undone: Vec<_> = found
        .iter()
        .filter(|scan| scan.undone)
        .map(|scan| scan.scan_id)
        .collect();
    assert_eq!(undone, [alone.scan_id]);
}

#[tokio::test]
async fn own_scans_have_the_order_in_which_the_phone_recorded_them_whatever_the_clocks_say() {
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = fixture.phone().await;
    phone.sync().await.expect("the clock is measured");
    let scan = async |number: u8| {
        fixture.later();
        let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
        verdict.expect("a verdict")
    };
    let mut expected = Vec::new();
    for number in [1, 4] {
        // The server's clock is ahead of what the phone took it for.
        fixture.server.set_ahead(Duration::from_secs(25));
        let online = scan(number).await;
        office.disconnect();
        fixture.server.set_ahead(Duration::ZERO);
        let (alone, denied) = (scan(number + 1).await, scan(number + 1).await);
        assert!(
            alone.scanned_at < online.scanned_at,
            "by their times they are in the other order"
        );
        expected.extend([online, alone, denied].map(|verdict| verdict.scan_id));
        office.reconnect();
        phone.sync().await.expect("uploaded");
    }
    expected.reverse();
    office.disconnect();
    let listed = phone.own_scans(None).await.expect("a list");
    assert_eq!((listed.from_server, listed.next_cursor), (false, None));
    let listed: Vec<_> = listed.scans.iter().map(|scan| scan.scan_id).collect();
    assert_eq!(listed, expected);
}

/// Runs the self-test and returns what is wrong.
async fn problems(phone: &ScannerClient) -> Vec<(SelfTestSubject, String)> {
    let checks = phone.self_test().await;
    let subjects: Vec<_> = checks.iter().map(|check| check.subject).collect();
    assert_eq!(subjects, SelfTestSubject::ALL);
    for check in &checks {
        assert_eq!(check.is_ok(), check.advice.is_empty(), "{check:?}");
        assert_ne!(check.advice, "Ask the office, and name this code.", "{check:?}");
    }
    let wrong = checks
        .into_iter()
        .filter_map(|check| Some((check.subject, check.problem?)));
    wrong.collect()
}

fn wrong(found: &[(SelfTestSubject, &str)]) -> Vec<(SelfTestSubject, String)> {
    found
        .iter()
        .map(|(subject, code)| (*subject, (*code).to_owned()))
        .collect()
}

#[tokio::test]
async fn the_self_test_says_what_is_wrong_and_what_to_do() {
    use SelfTestSubject::{Clock, Key, Manifest, Network as Net};
    let mut fixture = Fixture::new(TestEvent::new());
    let office = Office::open(&mut fixture);
    let phone = ScannerClient::enroll(fixture.setup.clone(), &Fixture::uri())
        .await
        .expect("a device");
    let device = |settings: &Value| {
        let mut settings = settings.clone();
        settings["server_time"] = json!(MADE_AT.plus_millis(fixture.clock.load(Ordering::SeqCst)));
        settings
    };
    let request = HttpRequest {
        method: HttpMethod::Put,
        url: "https://scan.example.org/api/v1/scanning/device".to_owned(),
        headers: vec![HttpHeader {
            name: "Authorization".to_owned(),
            value: "Bearer vgd_".to_owned(),
        }],
        body: Vec::new(),
        timeout: Duration::ZERO,
    };
    let body = fixture.server.send(request).await.expect("the device").body;
    let known: Value = serde_json::from_slice(&body).expect("JSON");
    office.answer("GET scanning/device", 200, device(&known));
    assert_eq!(problems(&phone).await, wrong(&[(Manifest, "no_active_session")]));
    let (event, gate) = fixture.server.event_and_gate();
    phone.start_session(event, gate, false).await.expect("a session");
    assert_eq!(problems(&phone).await, wrong(&[(Manifest, "no_manifest")]));
    phone.refresh_manifest().await.expect("a manifest");
    assert_eq!(problems(&phone).await, []);

    let mut skewed = known.clone();
    skewed["server_time"] = json!(MADE_AT.plus_millis(400_000));
    office.answer("GET scanning/device", 200, skewed);
    assert_eq!(problems(&phone).await, wrong(&[(Clock, "clock_skew")]));
    let mut other = device(&known);
    other["device"]["id"] = json!(uuid(8));
    office.answer("GET scanning/device", 200, other);
    assert_eq!(
        problems(&phone).await,
        wrong(&[(Clock, "clock_unknown"), (Net, "unexpected_answer")])
    );
    office.answer("GET scanning/device", 401, problem(401, "device_inactive"));
    assert_eq!(
        problems(&phone).await,
        wrong(&[
            (Key, "device_inactive"),
            (Clock, "clock_unknown"),
            (Net, "device_inactive")
        ])
    );
    office.disconnect();
    assert_eq!(
        problems(&phone).await,
        wrong(&[
            (Key, "device_inactive"),
            (Clock, "clock_unknown"),
            (Net, "offline")
        ]),
        "the refusal is remembered"
    );

    office.reconnect();
    fixture.clock.fetch_add(13 * 3600 * 1000, Ordering::SeqCst);
    office.answer("GET scanning/device", 200, device(&known));
    phone.forget().await.expect("the credentials are deleted");
    assert_eq!(
        problems(&phone).await,
        wrong(&[(Key, "not_enrolled"), (Manifest, "stale_manifest")])
    );
}

#[tokio::test]
async fn the_self_test_finds_a_database_that_takes_no_write() {
    let mut fixture = Fixture::new(TestEvent::new());
    Office::open(&mut fixture);
    let phone = fixture.phone().await;
    assert!(phone.offline().probe_storage().await.is_ok());
    phone.offline().damage().await;
    let checks = phone.self_test().await;
    let store = checks
        .iter()
        .find(|check| check.subject == SelfTestSubject::Store)
        .expect("the check");
    assert_eq!(store.problem.as_deref(), Some("storage_unavailable"));
    assert!(store.advice.starts_with("Make room"));
}
