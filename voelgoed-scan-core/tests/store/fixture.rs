//! The rows that every test starts with: an organization, a live event, two open gates, and a device with an active
//! session at each gate. Every fixture has its own organization.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use uuid::Uuid;
use voelgoed_scan_core::audit::{Audit, AuditSigner};
use voelgoed_scan_core::model::{
    Attempt, AuditContext, Decided, Device, DeviceId, DeviceRegister, EventId, EventOccupancy, EventPut,
    GateId, GatePut, Organization, OrganizationId, Reason, ReasonText, Recorded, RuleSettings, ScanId,
    ScanRecord, SessionId, SessionStart, SettableStatus, TicketCode, TicketFacts, TicketLine, Timestamp,
    TokenHash,
};
use voelgoed_scan_core::store::{
    ImportOutcome, NumberedLine, Order, PageRequest, PutOutcome, ScanFilter, StartOutcome, Store,
    UndoOutcome, UndoPermission,
};
use voelgoed_scan_core::token::{MasterSecret, payload_sha256};

use crate::attempts::{decided, entry, exit, record_until_answered};
use crate::database::Database;

/// The settings of every test: a deduplication window of five minutes.
pub(crate) const RULES: RuleSettings = RuleSettings {
    dedup_window: Duration::from_mins(5),
};

/// The time at which every test starts: 2026-11-22T18:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_370_400_000);

static MASTER: LazyLock<MasterSecret> = LazyLock::new(MasterSecret::generate);

/// The secret that signs the audit logs of every test.
pub(crate) fn audit_master() -> &'static MasterSecret {
    &MASTER
}

/// Who makes the changes of every test.
static CONTEXT: AuditContext = AuditContext::cli();

/// What a change needs to be entered in the audit log.
pub(crate) fn audit() -> Audit<'static> {
    Audit {
        context: &CONTEXT,
        at: START,
        signer: AuditSigner::new(&MASTER),
    }
}

/// The tokens of all registered devices, by which [`with_identities`] looks them up.
static TOKENS: LazyLock<Mutex<HashMap<DeviceId, TokenHash>>> = LazyLock::new(Mutex::default);

/// The first page, with the largest page size.
pub(crate) const ALL: PageRequest = PageRequest {
    limit: 500,
    after: None,
};

/// A device with a session at a gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestSession {
    pub(crate) organization: OrganizationId,
    pub(crate) event: EventId,
    pub(crate) gate: GateId,
    pub(crate) device: DeviceId,
    /// The session.
    pub(crate) id: SessionId,
}

pub(crate) struct Fixture {
    pub(crate) database: Arc<Database>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) organization: OrganizationId,
    pub(crate) event: EventId,
    /// The gate `Main`.
    pub(crate) main_gate: GateId,
    /// The gate `Side`.
    pub(crate) side_gate: GateId,
    /// The device `scanner-1` at the gate `Main`.
    pub(crate) main_session: TestSession,
    /// The device `scanner-2` at the gate `Side`.
    pub(crate) side_session: TestSession,
}

impl Fixture {
    /// Opens the database, migrates it if it is new, and creates a fixture in it.
    pub(crate) async fn new(database: Arc<Database>) -> Self {
        database.prepare();
        let store = database.open(true).await.expect("a database that opens");
        Self::create(database, store).await
    }

    /// Creates a fixture with another organization in the same database.
    pub(crate) async fn another(&self) -> Self {
        Self::create(Arc::clone(&self.database), Arc::clone(&self.store)).await
    }

    async fn create(database: Arc<Database>, store: Arc<dyn Store>) -> Self {
        let organization = OrganizationId::from_uuid(Uuid::new_v4());
        let row = Organization {
            id: organization,
            name: name("Voelgoed"),
            inserted_at: START,
        };
        store
            .create_organization(&row, &[], audit())
            .await
            .expect("the organization is created");
        let event = put_event(&*store, organization, &live()).await;
        let main_gate = put_gate(&*store, organization, event, &open_gate("Main")).await;
        let side_gate = put_gate(&*store, organization, event, &open_gate("Side")).await;
        let main_session = put_device(&*store, organization, event, main_gate, "scanner-1").await;
        let side_session = put_device(&*store, organization, event, side_gate, "scanner-2").await;
        Self {
            database,
            store,
            organization,
            event,
            main_gate,
            side_gate,
            main_session,
            side_session,
        }
    }

    /// Replaces the event: `change` is applied to a live event with default values.
    pub(crate) async fn change_event(&self, change: impl FnOnce(&mut EventPut)) {
        self.change_event_at(0, change).await;
    }

    /// The same, `seconds` after [`START`].
    pub(crate) async fn change_event_at(&self, seconds: i64, change: impl FnOnce(&mut EventPut)) {
        let mut event = live();
        change(&mut event);
        let put = self
            .store
            .put_event(self.organization, self.event, &event, after(seconds), audit())
            .await
            .expect("the event is written");
        assert!(matches!(put, PutOutcome::Replaced(_)), "{put:?}");
    }

    /// Replaces a gate: `change` is applied to an open gate named `Main`.
    pub(crate) async fn change_gate(&self, gate: GateId, change: impl FnOnce(&mut GatePut)) {
        let mut put = open_gate("Main");
        change(&mut put);
        let put = self
            .store
            .put_gate(self.organization, self.event, gate, &put, START, audit())
            .await
            .expect("the gate is written");
        assert!(matches!(put, PutOutcome::Replaced(_)), "{put:?}");
    }

    /// Imports a new ticket. `json` is an import line without a code.
    pub(crate) async fn ticket(&self, json: &str) -> TicketCode {
        match self.import(&[json]).await.remove(0) {
            ImportOutcome::Inserted(code, _) => code,
            other => panic!("{json} was not a new ticket: {other:?}"),
        }
    }

    pub(crate) async fn import(&self, lines: &[&str]) -> Vec<ImportOutcome> {
        self.import_at(lines, START).await
    }

    pub(crate) async fn import_at(&self, lines: &[&str], now: Timestamp) -> Vec<ImportOutcome> {
        self.store
            .import(self.organization, self.event, &numbered(lines), now, None)
            .await
            .expect("the import is written")
            .expect("the event exists")
    }

    /// The ticket and its ledger as stored.
    pub(crate) async fn ticket_facts(&self, code: TicketCode) -> TicketFacts {
        self.store
            .ticket(self.organization, self.event, code)
            .await
            .expect("the ticket is read")
            .expect("the ticket exists")
    }

    pub(crate) async fn occupancy(&self) -> EventOccupancy {
        self.occupancy_at(0).await
    }

    /// The occupancy as it is shown `seconds` after [`START`].
    pub(crate) async fn occupancy_at(&self, seconds: i64) -> EventOccupancy {
        self.store
            .occupancy(self.organization, self.event, after(seconds))
            .await
            .expect("occupancy is read")
            .expect("the event exists")
    }

    /// The number of people inside: at the gate `Main`, at the gate `Side`, at the event.
    pub(crate) async fn inside(&self) -> (i64, i64, i64) {
        self.inside_at(0).await
    }

    /// The same as it is shown `seconds` after [`START`].
    pub(crate) async fn inside_at(&self, seconds: i64) -> (i64, i64, i64) {
        let occupancy = self.occupancy_at(seconds).await;
        let at = |id: GateId| {
            let gate = occupancy.gates.iter().find(|gate| gate.id == id);
            gate.map_or(0, |gate| gate.count.inside)
        };
        (at(self.main_gate), at(self.side_gate), occupancy.event.inside)
    }

    /// Records a batch. Every attempt carries the current identity of its device, as the scanner sends it.
    pub(crate) async fn record(&self, batch: &[Attempt]) -> Vec<Recorded> {
        self.store
            .record(&with_identities(&*self.store, batch).await, &RULES)
            .await
            .expect("the batch is recorded")
    }

    /// Records one scan.
    pub(crate) async fn record_one(&self, attempt: Attempt) -> Recorded {
        self.record(&[attempt]).await.remove(0)
    }

    /// Records one scan and returns its decision. Panics on any other outcome.
    pub(crate) async fn decided(&self, attempt: Attempt) -> Decided {
        decided(self.record_one(attempt).await)
    }

    /// Records one scan and returns the reason of its decision.
    pub(crate) async fn reason(&self, attempt: Attempt) -> Reason {
        self.decided(attempt).await.answer.reason
    }

    /// Records an entry at the gate `Main`, `seconds` after [`START`], and returns the reason.
    pub(crate) async fn enter(&self, code: TicketCode, seconds: i64) -> Reason {
        self.reason(entry(&self.main_session, code, seconds)).await
    }

    /// Records an exit at the gate `Main`, `seconds` after [`START`], and returns the reason.
    pub(crate) async fn leave(&self, code: TicketCode, seconds: i64) -> Reason {
        self.reason(exit(&self.main_session, code, seconds)).await
    }

    pub(crate) async fn undo(&self, scan: ScanId, by: UndoPermission, seconds: i64) -> Option<UndoOutcome> {
        self.store
            .undo(
                self.organization,
                scan,
                by,
                &reason_text("a mistake"),
                audit().context,
                after(seconds),
                &RULES,
            )
            .await
            .expect("the undo is written")
    }

    /// Records one scan a call, in concurrent calls spread over four nodes, and returns the reasons.
    pub(crate) async fn record_concurrently(
        &self,
        calls: usize,
        attempt: impl Fn(usize) -> Attempt,
    ) -> Vec<Reason> {
        let nodes = self.open_nodes().await;
        let attempts: Vec<_> = (0..calls).map(attempt).collect();
        let attempts = with_identities(&*self.store, &attempts).await;
        let calls: Vec<_> = nodes
            .iter()
            .cycle()
            .zip(attempts)
            .map(|(node, attempt)| {
                let node = Arc::clone(node);
                tokio::spawn(async move { record_until_answered(&*node, &[attempt]).await })
            })
            .collect();
        let mut all = Vec::new();
        for call in calls {
            all.extend(call.await.expect("the task completes"));
        }
        all
    }

    /// The stores of four nodes that share the database.
    pub(crate) async fn open_nodes(&self) -> Vec<Arc<dyn Store>> {
        let mut nodes = vec![Arc::clone(&self.store)];
        for _ in 0..3 {
            nodes.push(
                self.database
                    .open(true)
                    .await
                    .expect("another node opens the database"),
            );
        }
        nodes
    }

    /// The audit trail, newest first.
    pub(crate) async fn audit_trail(&self) -> Vec<ScanRecord> {
        let filter = ScanFilter::default();
        let page = self
            .store
            .scans(self.organization, &filter, Order::Newest, &ALL)
            .await;
        page.expect("the audit trail is read").data
    }

    /// Changes a ticket's status.
    pub(crate) async fn set_status(&self, code: TicketCode, status: SettableStatus) -> TicketFacts {
        self.store
            .set_ticket_status(self.organization, self.event, code, status, START, audit())
            .await
            .expect("the status is written")
            .expect("the ticket exists")
    }

    /// Sets the status of a ticket, `seconds` after [`START`].
    pub(crate) async fn set_status_at(&self, code: TicketCode, status: SettableStatus, seconds: i64) {
        self.store
            .set_ticket_status(
                self.organization,
                self.event,
                code,
                status,
                after(seconds),
                audit(),
            )
            .await
            .expect("the status is written")
            .expect("the ticket exists");
    }

    /// Registers a device of this organization and starts its session at a gate of this event.
    pub(crate) async fn device_at(&self, gate: GateId, label: &str) -> TestSession {
        put_device(&*self.store, self.organization, self.event, gate, label).await
    }
}

/// The time `seconds` after [`START`].
pub(crate) fn after(seconds: i64) -> Timestamp {
    START.plus_millis(seconds * 1000)
}

pub(crate) fn name(text: &str) -> voelgoed_scan_core::model::Name {
    text.parse().expect("a name")
}

pub(crate) fn reason_text(text: &str) -> ReasonText {
    text.parse().expect("a reason")
}

pub(crate) fn live() -> EventPut {
    serde_json::from_str(r#"{"name":"Concert","status":"live"}"#).expect("an event")
}

pub(crate) fn open_gate(name: &str) -> GatePut {
    serde_json::from_str(&format!(r#"{{"name":"{name}","status":"open"}}"#)).expect("a gate")
}

pub(crate) fn numbered(lines: &[&str]) -> Vec<NumberedLine> {
    let line = |json: &&str| serde_json::from_str::<TicketLine>(json).expect("a line");
    (1..)
        .zip(lines.iter().map(line))
        .map(|(number, line)| NumberedLine { number, line })
        .collect()
}

pub(crate) async fn put_event(store: &dyn Store, organization: OrganizationId, event: &EventPut) -> EventId {
    let id = EventId::from_uuid(Uuid::new_v4());
    let put = store
        .put_event(organization, id, event, START, audit())
        .await
        .expect("an event");
    assert!(matches!(put, PutOutcome::Created(_)), "{put:?}");
    id
}

pub(crate) async fn put_gate(
    store: &dyn Store,
    organization: OrganizationId,
    event: EventId,
    gate: &GatePut,
) -> GateId {
    let id = GateId::from_uuid(Uuid::new_v4());
    let put = store
        .put_gate(organization, event, id, gate, START, audit())
        .await
        .expect("a gate");
    assert!(matches!(put, PutOutcome::Created(_)), "{put:?}");
    id
}

/// The hash of a token, derived from a text.
pub(crate) fn token(text: &str) -> TokenHash {
    payload_sha256(text)
}

pub(crate) async fn register(store: &dyn Store, organization: OrganizationId, label: &str) -> Device {
    let device = DeviceRegister {
        device_id: label.parse().expect("a label"),
        name: name(label),
        device_type: voelgoed_scan_core::model::DeviceType::Scanner,
        settings: voelgoed_scan_core::model::DeviceSettings::default(),
        scope: voelgoed_scan_core::model::DeviceScope::default(),
    };
    let hash = token(&format!("{organization} {label}"));
    let id = DeviceId::from_uuid(Uuid::new_v4());
    let put = store
        .register_device(organization, id, &device, &hash, START, audit())
        .await;
    match put.expect("a device") {
        PutOutcome::Created(device) => {
            lock_tokens().insert(id, hash);
            device
        }
        other => panic!("{label} was not registered: {other:?}"),
    }
}

fn lock_tokens() -> MutexGuard<'static, HashMap<DeviceId, TokenHash>> {
    TOKENS.lock().expect("no holder of the lock panicked")
}

/// The attempts, each with the current identity of its device and session, as the identity cache provides it. An
/// identity that an attempt has already is kept.
pub(crate) async fn with_identities(store: &dyn Store, batch: &[Attempt]) -> Vec<Attempt> {
    let mut attempts = batch.to_vec();
    for attempt in &mut attempts {
        let token = lock_tokens().get(&attempt.scanned_by.id()).copied();
        if let (None, Some(token)) = (&attempt.authenticated, token) {
            let authenticated = store
                .find_device_by_token(&token)
                .await
                .expect("the identity is read");
            attempt.authenticated = authenticated.map(Arc::new);
        }
    }
    attempts
}

/// Registers a device and starts its session.
pub(crate) async fn put_device(
    store: &dyn Store,
    organization: OrganizationId,
    event: EventId,
    gate: GateId,
    label: &str,
) -> TestSession {
    let device = register(store, organization, label).await.id;
    let session = SessionId::from_uuid(Uuid::new_v4());
    let start = SessionStart {
        event_id: event,
        gate_id: gate,
        replace: false,
    };
    let started = store
        .start_session(organization, device, session, &start, START)
        .await;
    assert!(matches!(started, Ok(StartOutcome::Started(_))), "{started:?}");
    TestSession {
        organization,
        event,
        gate,
        device,
        id: session,
    }
}
