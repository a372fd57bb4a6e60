//! What webhooks are told: from the feeds, and in the transactions of sessions and conflicts.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;
use voelgoed_scan_core::model::{
    DeliveryId, DeliveryStatus, DisabledReason, EventId, FieldUpdate, Metadata, ScanId, SessionId,
    SessionStart, Timestamp, Webhook, WebhookDelivery, WebhookId, WebhookPatch, WebhookSecret, WebhookStatus,
    WebhookTypes,
};
use voelgoed_scan_core::store::{
    EnqueueOutcome, FeedPage, PageRequest, PutOutcome, UndoPermission, WebhookKey, WebhookState,
};
use voelgoed_scan_core::token::{MasterSecret, SealedSecret};

use crate::attempts::{entry, exit, overriding_entry};
use crate::fixture::{ALL, Fixture, START, after, audit, live, open_gate, put_device, put_event, put_gate};
use crate::random_walks::Random;
use crate::sync::{item, scan, sync_batch};

/// A delivery as the database has it.
#[derive(Debug, Clone)]
struct Row {
    id: String,
    webhook: String,
    kind: String,
    body: Value,
    scan: Option<String>,
    ticket: Option<String>,
    sequence: i64,
    status: String,
}

fn webhook(types: &[&str], events: Option<Vec<EventId>>, codes: bool) -> Webhook {
    Webhook {
        id: WebhookId::from_uuid(Uuid::new_v4()),
        url: "https://hook.invalid/".parse().expect("a URL"),
        types: types_of(types),
        event_ids: events,
        codes,
        description: None,
        status: WebhookStatus::Active,
        disabled_reason: None,
        inserted_at: START,
        updated_at: START,
    }
}

fn types_of(types: &[&str]) -> WebhookTypes {
    WebhookTypes::new(types.iter().map(|text| (*text).to_owned()).collect()).expect("types")
}

fn sealed(fixture: &Fixture, id: WebhookId, byte: u8) -> SealedSecret {
    let master = MasterSecret::from_bytes(&[1; 32]).expect("a master secret");
    let secret = WebhookSecret::from_bytes(vec![byte; 32]).expect("a secret");
    SealedSecret::seal(&master, fixture.organization, id, &secret)
}

impl Fixture {
    async fn try_webhook(&self, webhook: &Webhook) -> PutOutcome<()> {
        self.store
            .create_webhook(self.organization, webhook, &sealed(self, webhook.id, 7), audit())
            .await
            .expect("the webhook is written")
    }

    async fn hook(&self, types: &[&str]) -> WebhookKey {
        self.hook_at(types, None, false).await
    }

    async fn hook_at(&self, types: &[&str], events: Option<Vec<EventId>>, codes: bool) -> WebhookKey {
        let webhook = webhook(types, events, codes);
        assert_eq!(self.try_webhook(&webhook).await, PutOutcome::Created(()));
        self.key(webhook.id)
    }

    fn key(&self, webhook_id: WebhookId) -> WebhookKey {
        WebhookKey {
            organization_id: self.organization,
            webhook_id,
        }
    }

    /// Reads all feeds for all webhooks of this organization, `limit` entries at a time.
    async fn read_feeds(&self, limit: usize) {
        loop {
            let ahead = self
                .store
                .webhook_feeds_ahead(100)
                .await
                .expect("the feeds are read");
            let own: Vec<_> = ahead
                .into_iter()
                .filter(|(webhook, _)| webhook.organization_id == self.organization)
                .collect();
            if own.is_empty() {
                return;
            }
            for (webhook, event) in own {
                let page = self.store.read_feed_page(webhook, event, limit).await;
                assert_ne!(
                    page.expect("the page is written"),
                    FeedPage::Lost,
                    "nobody else reads"
                );
            }
        }
    }

    /// The deliveries of all webhooks of this organization in the order in which they are told.
    async fn rows(&self) -> Vec<Row> {
        let (text, is_own) = if self.database.is_postgresql() {
            ("::text".to_owned(), format!("'{}'", self.organization))
        } else {
            (
                String::new(),
                format!("x'{}'", self.organization.as_uuid().simple()),
            )
        };
        let id = |column: &str| {
            if self.database.is_postgresql() {
                format!("coalesce(replace({column}{text}, '-', ''), '-')")
            } else {
                format!("coalesce(lower(hex({column})), '-')")
            }
        };
        let sql = format!(
            "select {} || '|' || {} || '|' || type || '|' || {} || '|' || {} || '|' || sequence || '|' || status || '|' || body \
             as line from webhook_deliveries where organization_id = {is_own} order by sequence, inserted_at",
            id("id"),
            id("webhook_id"),
            id("scan_id"),
            id("ticket_id"),
        );
        let lines = self.database.read_texts("line", &[&sql]).await;
        let opt = |text: &str| (text != "-" && !text.is_empty()).then(|| text.to_owned());
        lines
            .iter()
            .map(|line| {
                let mut parts = line.splitn(8, '|');
                let mut next = || parts.next().expect("a column");
                Row {
                    id: next().to_owned(),
                    webhook: next().to_owned(),
                    kind: next().to_owned(),
                    scan: opt(next()),
                    ticket: opt(next()),
                    sequence: next().parse().expect("a number"),
                    status: next().to_owned(),
                    body: serde_json::from_str(next()).expect("a body"),
                }
            })
            .collect()
    }

    /// What is told, as type and scan.
    async fn told(&self) -> Vec<(String, ScanId)> {
        let rows = self.rows().await;
        let scan = |row: &Row| {
            let id = row.body["data"]["scan_id"].as_str().expect("a scan");
            ScanId::from_uuid(id.parse().expect("an id"))
        };
        rows.iter().map(|row| (row.kind.clone(), scan(row))).collect()
    }

    async fn deliveries(&self, webhook: WebhookKey, status: Option<DeliveryStatus>) -> Vec<WebhookDelivery> {
        let page = self
            .store
            .webhook_deliveries(self.organization, webhook.webhook_id, status, &ALL)
            .await;
        page.expect("the deliveries are read").data
    }

    async fn patch_hook(&self, webhook: WebhookKey, patch: &WebhookPatch) -> Webhook {
        self.store
            .patch_webhook(self.organization, webhook.webhook_id, patch, after(1), audit())
            .await
            .expect("the webhook is written")
            .expect("the webhook exists")
    }

    async fn set_hook_status(&self, webhook: WebhookKey, status: WebhookStatus) -> Webhook {
        let patch = WebhookPatch {
            status: Some(status),
            ..WebhookPatch::default()
        };
        self.patch_hook(webhook, &patch).await
    }
}

fn told(kind: &str, scan: ScanId) -> (String, ScanId) {
    (kind.to_owned(), scan)
}

fn key_text(key: WebhookKey) -> String {
    key.webhook_id.as_uuid().simple().to_string()
}

pub(crate) async fn each_decision_is_told_once_by_its_type(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let before = entry(&fixture.main_session, code, 0);
    fixture.decided(before.clone()).await;
    fixture.undo(before.scan_id, UndoPermission::Member, 1).await;
    let hook = fixture.hook(&["scan.*"]).await;
    let admitted = entry(&fixture.main_session, code, 10);
    let denied = entry(&fixture.side_session, code, 11);
    let overridden = overriding_entry(&fixture.side_session, code, 12);
    let left = exit(&fixture.main_session, code, 13);
    let denied_exit = exit(&fixture.main_session, fixture.ticket("{}").await, 14);
    let unknown = entry(
        &fixture.main_session,
        voelgoed_scan_core::model::TicketCode::generate(),
        15,
    );
    let again = fixture.ticket("{}").await;
    let undone = entry(&fixture.main_session, again, 16);
    for attempt in [
        &admitted,
        &denied,
        &overridden,
        &left,
        &denied_exit,
        &unknown,
        &undone,
    ] {
        fixture.decided(attempt.clone()).await;
    }
    fixture.undo(undone.scan_id, UndoPermission::Member, 17).await;
    // A retry and a second undo record nothing new.
    fixture.record_one(admitted.clone()).await;
    fixture.undo(undone.scan_id, UndoPermission::Member, 18).await;
    fixture.read_feeds(3).await;
    let expected = vec![
        told("scan.admitted", admitted.scan_id),
        told("scan.denied", denied.scan_id),
        told("scan.admitted", overridden.scan_id),
        told("scan.exited", left.scan_id),
        told("scan.denied", denied_exit.scan_id),
        told("scan.denied", unknown.scan_id),
        told("scan.admitted", undone.scan_id),
        told("scan.undone", undone.scan_id),
    ];
    assert_eq!(
        fixture.told().await,
        expected,
        "what was recorded before the webhook is not told"
    );
    let rows = fixture.rows().await;
    for row in &rows {
        assert_eq!(
            (row.webhook.as_str(), row.status.as_str()),
            (key_text(hook).as_str(), "pending")
        );
        let has_order = row.kind != "scan.denied";
        assert_eq!(row.ticket.is_some(), has_order, "{row:?}");
        assert!(row.scan.is_some(), "{row:?}");
    }
    assert!(rows.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    assert_eq!(rows[6].body["data"]["undone"], Value::Null, "as it was recorded");
    let undo = &rows[7].body;
    assert_eq!(undo["timestamp"], json!(after(17)));
    assert_eq!(
        undo["data"]["undone"],
        json!({ "at": after(17), "device_id": null })
    );
    // Reading again tells nothing.
    fixture.read_feeds(100).await;
    assert_eq!(fixture.rows().await.len(), expected.len());
    assert_eq!(fixture.deliveries(hook, None).await.len(), expected.len());
}

pub(crate) async fn a_body_has_the_record_without_metadata_reasons_and_codes(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let plain = fixture.hook(&["scan.admitted", "conflict.*"]).await;
    let coded = fixture
        .hook_at(&["scan.admitted", "conflict.*"], None, true)
        .await;
    fixture.enter(code, 0).await;
    let mut attempt = overriding_entry(&fixture.main_session, code, 10);
    attempt.metadata = serde_json::from_value::<Metadata>(json!({ "seen": "a secret word" })).ok();
    fixture.decided(attempt.clone()).await;
    let early = scan(&fixture.side_session, code, -50);
    fixture
        .ingest(&sync_batch(
            &fixture.side_session,
            vec![item(early, Some(code))],
            60,
        ))
        .await;
    fixture.read_feeds(100).await;
    let of = |rows: &[Row], key| -> Vec<Row> {
        let own = rows.iter().filter(|row| row.webhook == key_text(key));
        own.cloned().collect()
    };
    let rows = fixture.rows().await;
    for (key, expected) in [(plain, Value::Null), (coded, json!(code))] {
        let own = of(&rows, key);
        let row = own
            .iter()
            .find(|row| row.body["data"]["scan_id"] == json!(attempt.scan_id))
            .expect("the override is told");
        let data = &row.body["data"];
        assert_eq!(row.body["type"], "scan.admitted");
        assert_eq!(row.body["timestamp"], json!(after(10)));
        assert_eq!(data["ticket_code"], expected);
        assert_eq!(data["override"], json!({}));
        assert_eq!(data["would_have_been"]["reason"], "already_scanned");
        let record = fixture.audit_trail().await;
        let record = record
            .iter()
            .find(|record| record.scan_id == attempt.scan_id)
            .expect("a record");
        let mut whole = serde_json::to_value(record).expect("JSON");
        let fields = whole.as_object_mut().expect("an object");
        fields.remove("metadata");
        fields.insert("ticket_code".to_owned(), expected.clone());
        fields.insert("override".to_owned(), json!({}));
        assert_eq!(*data, whole, "all else is the record");
        let conflict = own
            .iter()
            .find(|row| row.kind == "conflict.opened")
            .expect("the conflict is told");
        assert_eq!(conflict.body["data"]["ticket_code"], expected);
    }
    let all = format!("{rows:?}");
    assert!(!all.contains("secret word") && !all.contains("promoter"), "{all}");
}

pub(crate) async fn a_webhook_is_told_of_its_own_events_and_organization(fixture: Fixture) {
    let other_event = put_event(&*fixture.store, fixture.organization, &live()).await;
    let gate = put_gate(
        &*fixture.store,
        fixture.organization,
        other_event,
        &open_gate("Main"),
    )
    .await;
    let there = put_device(
        &*fixture.store,
        fixture.organization,
        other_event,
        gate,
        "scanner-9",
    )
    .await;
    let elsewhere = fixture.another().await;
    let here = fixture
        .hook_at(&["scan.*"], Some(vec![fixture.event]), false)
        .await;
    let all = fixture.hook(&["scan.*"]).await;
    let none = fixture.hook_at(&["scan.*"], Some(Vec::new()), false).await;
    let admissions = fixture.hook(&["scan.admitted"]).await;
    let code = fixture.ticket("{}").await;
    let (first, second) = (entry(&fixture.main_session, code, 0), entry(&there, code, 1));
    fixture.decided(first.clone()).await;
    fixture.decided(second.clone()).await;
    let foreign = elsewhere.ticket("{}").await;
    elsewhere.enter(foreign, 0).await;
    fixture.read_feeds(100).await;
    let rows = fixture.rows().await;
    let of = |key| -> BTreeSet<_> {
        let own = rows.iter().filter(|row| row.webhook == key_text(key));
        own.map(|row| row.scan.clone().expect("a scan")).collect()
    };
    let id = |attempt: &voelgoed_scan_core::model::Attempt| attempt.scan_id.as_uuid().simple().to_string();
    assert_eq!(of(here), BTreeSet::from([id(&first)]));
    assert_eq!(of(all), BTreeSet::from([id(&first), id(&second)]));
    assert_eq!(of(none), BTreeSet::new());
    assert_eq!(
        of(admissions),
        BTreeSet::from([id(&first)]),
        "the other is denied: wrong event"
    );
    assert!(elsewhere.rows().await.is_empty());
    // Other organizations see nothing of it.
    for key in [here, all] {
        let webhook = elsewhere
            .store
            .webhook(elsewhere.organization, key.webhook_id)
            .await;
        assert_eq!(webhook.expect("it is read"), None);
        let listed = elsewhere
            .store
            .webhook_deliveries(elsewhere.organization, key.webhook_id, None, &ALL)
            .await;
        assert!(listed.expect("it is read").data.is_empty());
        let foreign = elsewhere.key(key.webhook_id);
        let page = elsewhere.store.read_feed_page(foreign, elsewhere.event, 10).await;
        assert_eq!(page.expect("it is read"), FeedPage::End);
        assert_eq!(
            elsewhere.store.fail_pending_deliveries(foreign, 10).await.ok(),
            Some(0)
        );
        assert_eq!(elsewhere.store.delete_deliveries(foreign, 10).await.ok(), Some(0));
        let delivery = rows
            .iter()
            .find(|row| row.webhook == key_text(key))
            .expect("a delivery");
        let delivery = DeliveryId::from_uuid(delivery.id.parse().expect("an id"));
        let again = elsewhere
            .store
            .redeliver(elsewhere.organization, key.webhook_id, delivery, audit())
            .await;
        assert_eq!(again.expect("it is read"), EnqueueOutcome::Missing);
    }
    assert_eq!(fixture.rows().await.len(), rows.len());
}

pub(crate) async fn an_uploads_losers_are_denied_and_a_demoted_scan_is_told_as_a_conflict_alone(
    fixture: Fixture,
) {
    let hook = fixture.hook(&["scan.*", "conflict.opened"]).await;
    let code = fixture.ticket("{}").await;
    let late = scan(&fixture.main_session, code, 30);
    let loser = scan(&fixture.side_session, code, 40);
    fixture
        .sync(&fixture.main_session, code, std::slice::from_ref(&late))
        .await;
    fixture.read_feeds(100).await;
    fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&loser))
        .await;
    fixture.read_feeds(100).await;
    // An earlier scan demotes the one that won before.
    let early = scan(&fixture.side_session, code, 10);
    fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&early))
        .await;
    fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&early))
        .await;
    fixture.read_feeds(100).await;
    let rows = fixture.rows().await;
    let scans: Vec<_> = rows
        .iter()
        .filter(|row| row.kind.starts_with("scan."))
        .map(|row| (row.kind.as_str(), row.scan.clone()))
        .collect();
    let id = |scan: &voelgoed_scan_core::sync::SyncScan| Some(scan.scan_id.as_uuid().simple().to_string());
    assert_eq!(
        scans,
        [
            ("scan.admitted", id(&late)),
            ("scan.denied", id(&loser)),
            ("scan.admitted", id(&early)),
        ]
    );
    let conflicts: BTreeSet<_> = rows
        .iter()
        .filter(|row| row.kind == "conflict.opened")
        .map(|row| {
            let data = &row.body["data"];
            assert_eq!(data["kind"], "double_entry");
            (
                data["other_scan_id"].as_str().expect("a scan").to_owned(),
                row.scan.clone(),
            )
        })
        .collect();
    let lost = |scan: &voelgoed_scan_core::sync::SyncScan| (scan.scan_id.to_string(), id(scan));
    assert_eq!(
        conflicts,
        BTreeSet::from([lost(&loser), lost(&late)]),
        "each once"
    );
    assert_eq!(rows.len(), 5);
    // Undoing the winner makes the next one an admission, which it was told to be.
    fixture.undo(early.scan_id, UndoPermission::Member, 4000).await;
    fixture.read_feeds(100).await;
    let later: Vec<_> = fixture
        .rows()
        .await
        .into_iter()
        .filter(|row| row.sequence > rows[4].sequence)
        .collect();
    let later: Vec<_> = later
        .iter()
        .map(|row| (row.kind.as_str(), row.scan.clone()))
        .collect();
    assert_eq!(later, [("scan.undone", id(&early))], "{hook:?}");
}

pub(crate) async fn a_scan_that_is_admitted_after_all_is_told_as_such(fixture: Fixture) {
    fixture.hook(&["scan.*", "conflict.opened"]).await;
    let code = fixture.ticket("{}").await;
    let first = scan(&fixture.main_session, code, 10);
    let second = scan(&fixture.side_session, code, 20);
    fixture
        .sync(&fixture.main_session, code, std::slice::from_ref(&first))
        .await;
    fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&second))
        .await;
    fixture.read_feeds(100).await;
    fixture.undo(first.scan_id, UndoPermission::Member, 4000).await;
    fixture.read_feeds(100).await;
    let told: Vec<_> = fixture
        .rows()
        .await
        .into_iter()
        .filter(|row| row.kind.starts_with("scan."))
        .map(|row| (row.kind, row.body["data"]["scan_id"].clone()))
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(kind, scan)| (kind.as_str(), scan.clone()))
        .collect();
    let [a, b, rest @ ..] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*a, ("scan.admitted", json!(first.scan_id)));
    assert_eq!(*b, ("scan.denied", json!(second.scan_id)));
    let rest: BTreeSet<_> = rest
        .iter()
        .map(|(kind, scan)| (*kind, scan.to_string()))
        .collect();
    let expected = [
        ("scan.undone", json!(first.scan_id).to_string()),
        ("scan.admitted", json!(second.scan_id).to_string()),
    ];
    assert_eq!(rest, BTreeSet::from(expected));
}

pub(crate) async fn scans_that_are_read_late_are_told_in_their_order(fixture: Fixture) {
    fixture.hook(&["scan.*"]).await;
    let code = fixture.ticket(r#"{"entry_limit":2}"#).await;
    let (one, two) = (
        entry(&fixture.main_session, code, 0),
        entry(&fixture.main_session, code, 1),
    );
    fixture.decided(one.clone()).await;
    fixture.undo(one.scan_id, UndoPermission::Member, 2).await;
    fixture.decided(two.clone()).await;
    fixture.undo(two.scan_id, UndoPermission::Member, 3).await;
    // Both changes are there before the first entry is read.
    fixture.read_feeds(1).await;
    let expected = [
        told("scan.admitted", one.scan_id),
        told("scan.undone", one.scan_id),
        told("scan.admitted", two.scan_id),
        told("scan.undone", two.scan_id),
    ];
    assert_eq!(fixture.told().await, expected);
}

pub(crate) async fn a_quarantined_scan_is_told_as_a_conflict_once(fixture: Fixture) {
    fixture.hook(&["scan.*", "conflict.opened"]).await;
    let device = fixture.main_session.device;
    let revoked = fixture
        .store
        .revoke_device(fixture.organization, device, after(5), audit())
        .await;
    assert!(revoked.expect("the device is written"));
    let code = fixture.ticket("{}").await;
    let offline = scan(&fixture.main_session, code, 10);
    fixture
        .sync(&fixture.main_session, code, std::slice::from_ref(&offline))
        .await;
    fixture
        .sync(&fixture.main_session, code, std::slice::from_ref(&offline))
        .await;
    fixture.read_feeds(10).await;
    let rows = fixture.rows().await;
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(
        (row.kind.as_str(), &row.body["data"]["kind"]),
        ("conflict.opened", &json!("unverified"))
    );
    assert_eq!(row.body["data"]["other_scan_id"], json!(offline.scan_id));
    assert_eq!(row.body["data"]["winner_scan_id"], Value::Null);
    assert_eq!(row.body["data"]["devices"][0]["id"], json!(device));
}

pub(crate) async fn sessions_are_told_when_they_start_and_end(fixture: Fixture) {
    fixture.hook(&["session.*"]).await;
    fixture.hook_at(&["session.*"], Some(Vec::new()), false).await;
    let (store, organization) = (&fixture.store, fixture.organization);
    let device = fixture.main_session.device;
    let start = SessionStart {
        event_id: fixture.event,
        gate_id: fixture.side_gate,
        replace: true,
    };
    let id = SessionId::from_uuid(Uuid::new_v4());
    store
        .start_session(organization, device, id, &start, after(10))
        .await
        .expect("a session");
    store
        .end_session(organization, id, after(20), None)
        .await
        .expect("it ends");
    store
        .end_session(organization, id, after(21), None)
        .await
        .expect("it has ended");
    let other = fixture.side_session;
    store
        .revoke_device(organization, other.device, after(30), audit())
        .await
        .expect("it is revoked");
    store
        .revoke_device(organization, other.device, after(31), audit())
        .await
        .expect("it was revoked");
    let mut told: Vec<_> = fixture
        .rows()
        .await
        .iter()
        .map(|row| {
            let data = &row.body["data"];
            let at = row.body["timestamp"]
                .as_str()
                .expect("a time")
                .parse::<Timestamp>()
                .expect("a time");
            (at, row.kind.clone(), data["id"].clone(), data["status"].clone())
        })
        .collect();
    told.sort_by_key(|(at, kind, ..)| (*at, kind.clone()));
    let of = |at, kind: &str, id: SessionId, status| (after(at), kind.to_owned(), json!(id), json!(status));
    assert_eq!(
        told,
        [
            of(10, "session.ended", fixture.main_session.id, "ended"),
            of(10, "session.started", id, "active"),
            of(20, "session.ended", id, "ended"),
            of(30, "session.ended", other.id, "ended"),
        ]
    );
}

pub(crate) async fn nothing_is_written_for_a_disabled_webhook_and_what_was_pending_has_failed(
    fixture: Fixture,
) {
    let hook = fixture.hook(&["scan.*", "session.*"]).await;
    let code = fixture.ticket("{}").await;
    fixture.enter(code, 0).await;
    fixture.enter(code, 1).await;
    fixture.read_feeds(100).await;
    fixture.enter(code, 2).await;
    let disabled = fixture.set_hook_status(hook, WebhookStatus::Disabled).await;
    assert_eq!(
        (disabled.status, disabled.disabled_reason),
        (WebhookStatus::Disabled, None)
    );
    let states = fixture.store.webhook_states().await.expect("they are read");
    assert!(states.contains(&(hook, WebhookState::Disabled)));
    assert_eq!(fixture.store.fail_pending_deliveries(hook, 1).await.ok(), Some(1));
    assert_eq!(
        fixture.store.fail_pending_deliveries(hook, 100).await.ok(),
        Some(1)
    );
    assert_eq!(
        fixture.store.fail_pending_deliveries(hook, 100).await.ok(),
        Some(0)
    );
    let failed = fixture.deliveries(hook, Some(DeliveryStatus::Failed)).await;
    assert_eq!(failed.len(), 2);
    assert!(
        failed
            .iter()
            .all(|one| one.next_attempt_at.is_none() && one.last_error.is_some()),
        "{failed:?}"
    );
    fixture.enter(code, 3).await;
    fixture.read_feeds(100).await;
    let delivery = failed[0].id;
    let again = fixture
        .store
        .redeliver(fixture.organization, hook.webhook_id, delivery, audit())
        .await;
    assert_eq!(again.ok(), Some(EnqueueOutcome::Disabled));
    let test = fixture
        .store
        .enqueue_webhook_test(
            fixture.organization,
            hook.webhook_id,
            DeliveryId::generate(START),
            START,
            audit(),
        )
        .await;
    assert_eq!(test.ok(), Some(EnqueueOutcome::Disabled));
    fixture
        .store
        .end_session(fixture.organization, fixture.side_session.id, after(4), None)
        .await
        .expect("it ends");
    assert_eq!(fixture.rows().await.len(), 2);
    // Active again, it is told of what follows.
    let enabled = fixture.set_hook_status(hook, WebhookStatus::Active).await;
    assert_eq!(enabled.status, WebhookStatus::Active);
    let later = entry(&fixture.main_session, code, 5);
    fixture.decided(later.clone()).await;
    fixture.read_feeds(100).await;
    let pending = fixture.rows().await;
    let pending: Vec<_> = pending.iter().filter(|row| row.status == "pending").collect();
    let [row] = pending[..] else { panic!("{pending:?}") };
    assert_eq!(row.body["data"]["scan_id"], json!(later.scan_id));
    // The server's own reason is shown, and lifted by a person.
    let store = &fixture.store;
    let reason = DisabledReason::Backlog;
    assert_eq!(
        store
            .disable_webhook(fixture.organization, hook.webhook_id, reason)
            .await
            .ok(),
        Some(true)
    );
    assert_eq!(
        store
            .disable_webhook(fixture.organization, hook.webhook_id, reason)
            .await
            .ok(),
        Some(false)
    );
    let shown = store
        .webhook(fixture.organization, hook.webhook_id)
        .await
        .expect("it is read");
    assert_eq!(shown.and_then(|webhook| webhook.disabled_reason), Some(reason));
    let enabled = fixture.set_hook_status(hook, WebhookStatus::Active).await;
    assert_eq!(enabled.disabled_reason, None);
    let rows = fixture.rows().await;
    assert!(
        rows.iter().all(|row| row.status == "failed"),
        "nothing of before is sent: {rows:?}"
    );
}

pub(crate) async fn a_webhook_that_begins_to_want_scans_is_told_of_what_follows(fixture: Fixture) {
    let hook = fixture.hook(&["conflict.*"]).await;
    let code = fixture.ticket("{}").await;
    fixture.enter(code, 0).await;
    fixture.read_feeds(100).await;
    let patch = WebhookPatch {
        types: Some(types_of(&["scan.*"])),
        description: FieldUpdate::Set("Shop".parse().expect("a description")),
        ..WebhookPatch::default()
    };
    let patched = fixture.patch_hook(hook, &patch).await;
    assert_eq!(patched.updated_at, after(1));
    let denied = entry(&fixture.main_session, code, 1);
    fixture.decided(denied.clone()).await;
    fixture.read_feeds(100).await;
    assert_eq!(fixture.told().await, [told("scan.denied", denied.scan_id)]);
    let cleared = WebhookPatch {
        description: FieldUpdate::Clear,
        ..WebhookPatch::default()
    };
    let patched = fixture.patch_hook(hook, &cleared).await;
    assert_eq!(
        (patched.description, patched.types),
        (None, types_of(&["scan.*"]))
    );
}

pub(crate) async fn of_24_webhooks_created_at_once_20_exist(fixture: Fixture) {
    let nodes = fixture.open_nodes().await;
    let calls: Vec<_> = (0..24)
        .map(|number| {
            let store = Arc::clone(&nodes[number % nodes.len()]);
            let webhook = webhook(&["scan.*"], None, false);
            let (organization, secret) = (fixture.organization, sealed(&fixture, webhook.id, 7));
            tokio::spawn(async move {
                // A busy database may not answer in time.
                loop {
                    match store
                        .create_webhook(organization, &webhook, &secret, audit())
                        .await
                    {
                        Ok(outcome) => return matches!(outcome, PutOutcome::Created(())),
                        Err(error) => assert!(error.is_temporary(), "{error:?}"),
                    }
                }
            })
        })
        .collect();
    let mut created = 0;
    for call in calls {
        created += usize::from(call.await.expect("the task completes"));
    }
    assert_eq!(created, 20);
    let webhooks = fixture
        .store
        .webhooks(fixture.organization, &ALL)
        .await
        .expect("they are read")
        .data;
    assert_eq!(webhooks.len(), 20);
    // A deleted one makes room.
    let id = webhooks[0].id;
    assert_eq!(
        fixture
            .store
            .delete_webhook(fixture.organization, id, after(1), audit())
            .await
            .ok(),
        Some(true)
    );
    assert_eq!(
        fixture
            .store
            .delete_webhook(fixture.organization, id, after(1), audit())
            .await
            .ok(),
        Some(false)
    );
    assert_eq!(
        fixture.try_webhook(&webhook(&["scan.*"], None, false)).await,
        PutOutcome::Created(())
    );
    assert!(matches!(
        fixture.try_webhook(&webhook(&["scan.*"], None, false)).await,
        PutOutcome::Conflict(_)
    ));
}

pub(crate) async fn a_deleted_webhook_is_gone_at_once_and_its_deliveries_follow(fixture: Fixture) {
    let hook = fixture.hook(&["scan.*"]).await;
    let other = fixture.hook(&["scan.*"]).await;
    let code = fixture.ticket("{}").await;
    for second in 0..3 {
        fixture.enter(code, second).await;
    }
    fixture.read_feeds(100).await;
    fixture.enter(code, 4).await;
    let (store, organization, id) = (&fixture.store, fixture.organization, hook.webhook_id);
    assert!(
        store
            .delete_webhook(organization, id, after(5), audit())
            .await
            .expect("it is deleted")
    );
    assert_eq!(store.webhook(organization, id).await.expect("it is read"), None);
    let patch = WebhookPatch::default();
    assert_eq!(
        store
            .patch_webhook(organization, id, &patch, after(5), audit())
            .await
            .expect("it is read"),
        None
    );
    let secret = sealed(&fixture, id, 8);
    let rotated = store
        .rotate_webhook_secret(organization, id, &secret, after(9), after(5), audit())
        .await;
    assert_eq!(rotated.ok(), Some(false));
    let test = store
        .enqueue_webhook_test(organization, id, DeliveryId::generate(START), START, audit())
        .await;
    assert_eq!(test.ok(), Some(EnqueueOutcome::Missing));
    fixture.read_feeds(100).await;
    let states = store.webhook_states().await.expect("they are read");
    assert!(states.contains(&(hook, WebhookState::Deleted)));
    let mut deleted = Vec::new();
    for _ in 0..3 {
        deleted.push(store.delete_deliveries(hook, 2).await.expect("they are deleted"));
    }
    assert_eq!(deleted, [2, 1, 0]);
    let states = store.webhook_states().await.expect("they are read");
    assert!(!states.iter().any(|(key, _)| *key == hook), "the row is gone");
    let left = fixture.rows().await;
    assert_eq!(left.len(), 4);
    assert!(left.iter().all(|row| row.webhook == key_text(other)));
}

pub(crate) async fn old_deliveries_are_deleted_by_their_age(fixture: Fixture) {
    let hook = fixture.hook(&["scan.*"]).await;
    let code = fixture.ticket("{}").await;
    for second in 0..5 {
        fixture.enter(code, second).await;
    }
    fixture.read_feeds(100).await;
    let rows = fixture.rows().await;
    let day = 24 * 60 * 60 * 1000_i64;
    let minute = 60 * 1000;
    let now = if fixture.database.is_postgresql() {
        "(extract(epoch from now()) * 1000)::bigint"
    } else {
        "cast(unixepoch('subsec') * 1000 as integer)"
    };
    for (row, status, column, age) in [
        (0, "delivered", "delivered_at", 3 * day + minute),
        (1, "delivered", "delivered_at", 3 * day - minute),
        (2, "failed", "failed_at", 30 * day + minute),
        (3, "failed", "failed_at", 30 * day - minute),
    ] {
        let row: &Row = &rows[row];
        let id = if fixture.database.is_postgresql() {
            format!("'{}'", row.id)
        } else {
            format!("x'{}'", row.id)
        };
        let sql = format!(
            "update webhook_deliveries set status = '{status}', next_attempt_at = null, {column} = {now} - {age} where id = {id}"
        );
        fixture.database.execute(&sql).await;
    }
    let deleted = fixture
        .store
        .delete_old_deliveries(fixture.organization, 100)
        .await;
    assert_eq!(deleted.ok(), Some(2));
    let mut left: Vec<_> = fixture.rows().await.into_iter().map(|row| row.id).collect();
    let mut expected = vec![rows[1].id.clone(), rows[3].id.clone(), rows[4].id.clone()];
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
    let status = |status| fixture.deliveries(hook, Some(status));
    assert_eq!(status(DeliveryStatus::Delivered).await.len(), 1);
    assert_eq!(status(DeliveryStatus::Failed).await.len(), 1);
    assert_eq!(status(DeliveryStatus::Pending).await.len(), 1);
    assert_eq!(
        fixture.store.count_pending_deliveries(hook, 5).await.ok(),
        Some(1)
    );
    // Again, under the same id.
    let failed = DeliveryId::from_uuid(rows[3].id.parse().expect("an id"));
    let again = fixture
        .store
        .redeliver(fixture.organization, hook.webhook_id, failed, audit())
        .await;
    assert_eq!(again.ok(), Some(EnqueueOutcome::Accepted));
    let pending = status(DeliveryStatus::Pending).await;
    assert_eq!(pending.len(), 2);
    let again = pending
        .iter()
        .find(|one| one.id == failed)
        .expect("it is pending");
    assert!(again.next_attempt_at.is_some() && again.attempts == 0);
    assert_eq!(
        fixture.store.count_pending_deliveries(hook, 1).await.ok(),
        Some(1),
        "counted up to the limit"
    );
}

pub(crate) async fn two_nodes_that_read_a_feed_at_once_tell_each_scan_once(fixture: Fixture) {
    const SCANS: usize = 60;
    let hook = fixture.hook(&["scan.*"]).await;
    let code = fixture.ticket("{}").await;
    let attempts: Vec<_> = (0..SCANS)
        .map(|number| {
            entry(
                &fixture.main_session,
                code,
                i64::try_from(number).expect("a small number"),
            )
        })
        .collect();
    for chunk in attempts.chunks(7) {
        fixture.record(chunk).await;
    }
    let nodes = fixture.open_nodes().await;
    let readers: Vec<_> = nodes
        .iter()
        .map(|node| {
            let (node, event) = (Arc::clone(node), fixture.event);
            tokio::spawn(async move {
                loop {
                    match node.read_feed_page(hook, event, 5).await {
                        Ok(FeedPage::End) => return,
                        Ok(FeedPage::Read { .. } | FeedPage::Lost) => {}
                        Err(error) => assert!(error.is_temporary(), "{error:?}"),
                    }
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.expect("the task completes");
    }
    let scans: Vec<_> = fixture.told().await.into_iter().map(|(_, scan)| scan).collect();
    let unique: BTreeSet<_> = scans.iter().copied().collect();
    let expected: BTreeSet<_> = attempts.iter().map(|attempt| attempt.scan_id).collect();
    assert_eq!((scans.len(), unique), (SCANS, expected));
}

pub(crate) async fn the_pages_of_deliveries_hold_each_once_and_newest_first(fixture: Fixture) {
    let hook = fixture.hook(&["scan.*"]).await;
    let code = fixture.ticket("{}").await;
    for second in 0..7 {
        fixture.enter(code, second).await;
        fixture.read_feeds(100).await;
    }
    let mut seen = Vec::new();
    let mut page = PageRequest {
        limit: 2,
        after: None,
    };
    loop {
        let read = fixture
            .store
            .webhook_deliveries(
                fixture.organization,
                hook.webhook_id,
                Some(DeliveryStatus::Pending),
                &page,
            )
            .await
            .expect("the page is read");
        seen.extend(read.data.iter().map(|one| (one.inserted_at, one.id)));
        page.after = read.next;
        if page.after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
    let listening = fixture
        .store
        .listening_organizations()
        .await
        .expect("they are read");
    assert!(listening.contains(&fixture.organization));
}

/// Random entries, exits, undos and uploads, read at random moments in pages of random sizes.
pub(crate) async fn whatever_is_recorded_is_told_whenever_it_is_read(fixture: Fixture) {
    for seed in 1..=6 {
        walk(&fixture.another().await, Random(seed)).await;
    }
}

async fn walk(fixture: &Fixture, mut random: Random) {
    let mut codes = Vec::new();
    for limit in [1, 1, 2] {
        codes.push(fixture.ticket(&format!(r#"{{"entry_limit":{limit}}}"#)).await);
    }
    fixture.hook(&["scan.*"]).await;
    let mut seconds = 0;
    for _ in 0..40 {
        seconds += 1;
        let code = codes[random.below(3)];
        let session = if random.below(2) == 0 {
            fixture.main_session
        } else {
            fixture.side_session
        };
        match random.below(8) {
            0 => {
                let trail = fixture.audit_trail().await;
                if let Some(record) = trail.get(random.below(6)) {
                    fixture
                        .undo(record.scan_id, UndoPermission::Member, seconds)
                        .await;
                }
            }
            1 | 2 => {
                let at = seconds - i64::try_from(random.below(30)).expect("a small number");
                let mut offline = scan(&session, code, at);
                if random.below(4) == 0 {
                    offline.direction = voelgoed_scan_core::model::Direction::Exit;
                }
                let items = vec![item(offline, Some(code))];
                fixture.ingest(&sync_batch(&session, items, seconds)).await;
            }
            3 => {
                let limit = random.below(5) + 1;
                fixture.read_feeds(limit).await;
            }
            4 | 5 => {
                fixture.record_one(exit(&session, code, seconds)).await;
            }
            _ => {
                fixture.record_one(entry(&session, code, seconds)).await;
            }
        }
    }
    fixture.read_feeds(7).await;
    let told = fixture.told().await;
    for record in fixture.audit_trail().await {
        let kinds: Vec<_> = told
            .iter()
            .filter(|(_, scan)| *scan == record.scan_id)
            .map(|(kind, _)| kind.as_str())
            .collect();
        let unique: BTreeSet<_> = kinds.iter().copied().collect();
        assert_eq!(
            unique.len(),
            kinds.len(),
            "each is told once: {kinds:?} {record:?}"
        );
        let passage = match record.direction {
            voelgoed_scan_core::model::Direction::Entry => "scan.admitted",
            voelgoed_scan_core::model::Direction::Exit => "scan.exited",
        };
        let is_valid = record.result == voelgoed_scan_core::model::ScanResult::Valid;
        assert!(
            !is_valid || kinds.contains(&passage),
            "an admission is told: {kinds:?} {record:?}"
        );
        assert!(
            kinds.contains(&passage) || kinds.contains(&"scan.denied"),
            "every decision is told: {kinds:?} {record:?}"
        );
        let is_undone = record.undone.is_some();
        assert_eq!(
            kinds.last() == Some(&"scan.undone"),
            is_undone,
            "{kinds:?} {record:?}"
        );
    }
    // What is told about a ticket has the order of what happened to it.
    let rows = fixture.rows().await;
    for ticket in rows
        .iter()
        .filter_map(|row| row.ticket.clone())
        .collect::<BTreeSet<_>>()
    {
        let own: Vec<_> = rows
            .iter()
            .filter(|row| row.ticket.as_ref() == Some(&ticket))
            .collect();
        assert!(
            own.windows(2).all(|pair| pair[0].sequence < pair[1].sequence),
            "{own:?}"
        );
    }
}

/// A reader may be late: while scans wait, feeds are left alone.
pub(crate) async fn an_admission_that_an_upload_demotes_before_it_is_told_is_told(fixture: Fixture) {
    fixture.hook(&["scan.*", "conflict.opened"]).await;
    let code = fixture.ticket("{}").await;
    let online = entry(&fixture.main_session, code, 30);
    fixture.record(std::slice::from_ref(&online)).await;
    let early = scan(&fixture.side_session, code, 10);
    fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&early))
        .await;
    fixture.read_feeds(100).await;
    let rows = fixture.rows().await;
    let told: BTreeSet<_> = rows
        .iter()
        .map(|row| {
            (
                row.kind.as_str(),
                row.scan.clone(),
                row.body["data"]["result"].as_str(),
            )
        })
        .collect();
    let id = |scan: ScanId| Some(scan.as_uuid().simple().to_string());
    assert_eq!(
        told,
        BTreeSet::from([
            ("scan.admitted", id(online.scan_id), Some("valid")),
            ("scan.admitted", id(early.scan_id), Some("valid")),
            ("conflict.opened", id(online.scan_id), None),
        ])
    );
}

pub(crate) async fn what_waits_for_a_delivery_of_its_ticket_is_due_with_it_again(fixture: Fixture) {
    let hook = fixture.hook(&["scan.*"]).await;
    let (code, other) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    let admission = entry(&fixture.main_session, code, 0);
    fixture
        .record(&[admission.clone(), entry(&fixture.main_session, other, 0)])
        .await;
    fixture.undo(admission.scan_id, UndoPermission::Member, 1).await;
    fixture.read_feeds(100).await;
    let later = 200_000_000_000_000_i64;
    let postpone = format!("update webhook_deliveries set next_attempt_at = {later}");
    fixture.database.execute(&postpone).await;
    let rows = fixture.rows().await;
    let id = |scan: ScanId| Some(scan.as_uuid().simple().to_string());
    let failed = rows
        .iter()
        .find(|row| row.kind == "scan.admitted" && row.scan == id(admission.scan_id));
    let failed = DeliveryId::from_uuid(failed.expect("it is told").id.parse().expect("an id"));
    let again = fixture
        .store
        .redeliver(fixture.organization, hook.webhook_id, failed, audit())
        .await;
    assert_eq!(again.ok(), Some(EnqueueOutcome::Accepted));
    let mut due = Vec::new();
    for delivery in fixture.deliveries(hook, Some(DeliveryStatus::Pending)).await {
        let is_due = delivery.next_attempt_at.is_some_and(|at| at.as_millis() < later);
        due.push((delivery.kind.as_str(), is_due));
    }
    due.sort_unstable();
    // That of the other ticket waits as before.
    assert_eq!(
        due,
        [
            ("scan.admitted", false),
            ("scan.admitted", true),
            ("scan.undone", true)
        ]
    );
}
