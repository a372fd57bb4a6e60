//! What is there before a rule begins? An organization with a live event, two open gates, and a device at the first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    Attempt, Decided, Device, DeviceId, DeviceRegister, EventId, EventOccupancy, EventPut, GateId, GatePut,
    Organization, OrganizationId, Reason, ReasonText, Recorded, RuleSettings, ScanId, ScanRecord, SessionId,
    SessionStart, SettableStatus, TicketCode, TicketFacts, TicketLine, Timestamp, TokenHash,
};
use voelgoed_scan_core::store::open;
use voelgoed_scan_core::store::{
    ImportOutcome, NumberedLine, Order, PageRequest, PutOutcome, ScanFilter, StartOutcome, Store,
    UndoOutcome, UndoPermission,
};
use voelgoed_scan_core::token::payload_sha256;

use crate::attempts::{decided, entry, exit, reasons};
use crate::database::Database;

/// The deduplication window of every rule: five minutes.
pub(crate) const RULES: RuleSettings = RuleSettings {
    dedup_window: Duration::from_mins(5),
};

/// When every rule begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_370_400_000);

/// The tokens of the devices that were registered, to be looked up by.
static TOKENS: Mutex<Option<HashMap<DeviceId, TokenHash>>> = Mutex::new(None);

/// The first page, as large as can be.
pub(crate) const ALL: PageRequest = PageRequest {
    limit: 500,
    after: None,
};

/// A device at a gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionFacts {
    pub(crate) organization: OrganizationId,
    pub(crate) event: EventId,
    pub(crate) gate: GateId,
    pub(crate) device: DeviceId,
    pub(crate) session: SessionId,
}

pub(crate) struct World {
    pub(crate) database: Arc<Database>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) organization: OrganizationId,
    pub(crate) event: EventId,
    /// The gate `Main`.
    pub(crate) main: GateId,
    /// The gate `Side`.
    pub(crate) side: GateId,
    /// A device at the gate `Main`.
    pub(crate) post: SessionFacts,
    /// Another at the gate `Side`.
    pub(crate) other_post: SessionFacts,
}

impl World {
    /// A world in a database that may be new.
    pub(crate) async fn new(database: Arc<Database>) -> Self {
        let store = open(&database.url, true).await.expect("a database that opens");
        Self::of(database, store).await
    }

    /// Another organization in the same database.
    pub(crate) async fn another(&self) -> Self {
        Self::of(Arc::clone(&self.database), Arc::clone(&self.store)).await
    }

    async fn of(database: Arc<Database>, store: Arc<dyn Store>) -> Self {
        let organization = OrganizationId::from_uuid(Uuid::new_v4());
        let tenant = Organization {
            id: organization,
            name: name("Voelgoed"),
            inserted_at: START,
        };
        store
            .create_organization(&tenant, &[])
            .await
            .expect("an organization");
        let event = put_event(&*store, organization, &live()).await;
        let main = put_gate(&*store, organization, event, &open_gate("Main")).await;
        let side = put_gate(&*store, organization, event, &open_gate("Side")).await;
        let post = put_device(&*store, organization, event, main, "scanner-1").await;
        let other_post = put_device(&*store, organization, event, side, "scanner-2").await;
        Self {
            database,
            store,
            organization,
            event,
            main,
            side,
            post,
            other_post,
        }
    }

    /// Replaces the event by what `change` makes of a live one.
    pub(crate) async fn change_event(&self, change: impl FnOnce(&mut EventPut)) {
        let mut event = live();
        change(&mut event);
        let put = self
            .store
            .put_event(self.organization, self.event, &event, START)
            .await
            .expect("the event is written");
        assert!(matches!(put, PutOutcome::Replaced(_)), "{put:?}");
    }

    /// Replaces a gate by what `change` makes of an open one.
    pub(crate) async fn change_gate(&self, gate: GateId, change: impl FnOnce(&mut GatePut)) {
        let mut put = open_gate("Main");
        change(&mut put);
        let put = self
            .store
            .put_gate(self.organization, self.event, gate, &put, START)
            .await
            .expect("the gate is written");
        assert!(matches!(put, PutOutcome::Replaced(_)), "{put:?}");
    }

    /// A new ticket as `json`, an import line without code, says.
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
            .import(self.organization, self.event, &numbered(lines), now)
            .await
            .expect("the import is written")
            .expect("the event is there")
    }

    pub(crate) async fn facts(&self, code: TicketCode) -> TicketFacts {
        self.store
            .ticket(self.organization, self.event, code)
            .await
            .expect("the ticket is read")
            .expect("the ticket is there")
    }

    pub(crate) async fn occupancy(&self) -> EventOccupancy {
        self.store
            .occupancy(self.organization, self.event, START)
            .await
            .expect("occupancy is read")
            .expect("the event is there")
    }

    /// People inside: at the gate `Main`, at the gate `Side`, at the event.
    pub(crate) async fn inside(&self) -> (i64, i64, i64) {
        let occupancy = self.occupancy().await;
        let at = |gate: GateId| {
            let place = occupancy.gates.iter().find(|one| one.id == gate);
            place.map_or(0, |one| one.count.inside)
        };
        (at(self.main), at(self.side), occupancy.event.inside)
    }

    /// Records a batch.
    pub(crate) async fn record(&self, batch: &[Attempt]) -> Vec<Recorded> {
        self.store
            .record(&informed(&*self.store, batch).await, &RULES)
            .await
            .expect("the batch is written")
    }

    /// Records one scan.
    pub(crate) async fn one(&self, attempt: Attempt) -> Recorded {
        self.record(&[attempt]).await.remove(0)
    }

    /// Records one scan that gets decided.
    pub(crate) async fn decided(&self, attempt: Attempt) -> Decided {
        decided(self.one(attempt).await)
    }

    /// The reason that one scan gets.
    pub(crate) async fn reason(&self, attempt: Attempt) -> Reason {
        self.decided(attempt).await.answer.reason
    }

    /// The reason of an entry at the gate `Main` so many seconds after the start.
    pub(crate) async fn enter(&self, code: TicketCode, seconds: i64) -> Reason {
        self.reason(entry(&self.post, code, seconds)).await
    }

    /// The reason of an exit at the gate `Main` so many seconds after the start.
    pub(crate) async fn leave(&self, code: TicketCode, seconds: i64) -> Reason {
        self.reason(exit(&self.post, code, seconds)).await
    }

    pub(crate) async fn undo(&self, scan: ScanId, by: UndoPermission, seconds: i64) -> Option<UndoOutcome> {
        self.store
            .undo(
                self.organization,
                scan,
                by,
                &why("a mistake"),
                after(seconds),
                &RULES,
            )
            .await
            .expect("the undo is written")
    }

    /// The reasons of so many calls side by side at several nodes, each with one scan.
    pub(crate) async fn all_at_once(&self, calls: usize, attempt: impl Fn(usize) -> Attempt) -> Vec<Reason> {
        let nodes = self.nodes().await;
        let attempts: Vec<_> = (0..calls).map(attempt).collect();
        let attempts = informed(&*self.store, &attempts).await;
        let calls: Vec<_> = nodes
            .iter()
            .cycle()
            .zip(attempts)
            .map(|(node, attempt)| {
                let node = Arc::clone(node);
                tokio::spawn(async move { node.record(&[attempt], &RULES).await })
            })
            .collect();
        let mut all = Vec::new();
        for call in calls {
            let recorded = call.await.expect("the call ends").expect("the scan is written");
            all.extend(reasons(&recorded));
        }
        all
    }

    /// Four nodes on the same database.
    pub(crate) async fn nodes(&self) -> Vec<Arc<dyn Store>> {
        let mut nodes = vec![Arc::clone(&self.store)];
        for _ in 0..3 {
            nodes.push(open(&self.database.url, true).await.expect("another node"));
        }
        nodes
    }

    /// The audit trail, newest first.
    pub(crate) async fn trail(&self) -> Vec<ScanRecord> {
        let filter = ScanFilter::default();
        let page = self
            .store
            .scans(self.organization, &filter, Order::Newest, &ALL)
            .await;
        page.expect("the trail is read").data
    }

    /// Changes a ticket's status.
    pub(crate) async fn set_status(&self, code: TicketCode, status: SettableStatus) -> TicketFacts {
        self.store
            .set_ticket_status(self.organization, self.event, code, status, START)
            .await
            .expect("the status is written")
            .expect("the ticket is there")
    }

    /// A device of this organization with a session at a gate of this event.
    pub(crate) async fn device_at(&self, gate: GateId, label: &str) -> SessionFacts {
        put_device(&*self.store, self.organization, self.event, gate, label).await
    }
}

pub(crate) fn after(seconds: i64) -> Timestamp {
    START.plus_millis(seconds * 1000)
}

pub(crate) fn name(text: &str) -> voelgoed_scan_core::model::Name {
    text.parse().expect("a name")
}

pub(crate) fn why(text: &str) -> ReasonText {
    text.parse().expect("a reason")
}

pub(crate) fn live() -> EventPut {
    serde_json::from_str(r#"{"name":"Concert","status":"live"}"#).expect("an event")
}

pub(crate) fn open_gate(called: &str) -> GatePut {
    serde_json::from_str(&format!(r#"{{"name":"{called}","status":"open"}}"#)).expect("a gate")
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
        .put_event(organization, id, event, START)
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
        .put_gate(organization, event, id, gate, START)
        .await
        .expect("a gate");
    assert!(matches!(put, PutOutcome::Created(_)), "{put:?}");
    id
}

/// A token as `credentials` has it, made of a text.
pub(crate) fn token(text: &str) -> TokenHash {
    payload_sha256(text)
}

pub(crate) async fn register(store: &dyn Store, organization: OrganizationId, label: &str) -> Device {
    let device = DeviceRegister {
        device_id: label.parse().expect("a label"),
        name: name(label),
        device_type: voelgoed_scan_core::model::DeviceType::Scanner,
        settings: voelgoed_scan_core::model::DeviceSettings::default(),
    };
    let hash = token(&format!("{organization} {label}"));
    let id = DeviceId::from_uuid(Uuid::new_v4());
    let put = store
        .register_device(organization, id, &device, &hash, START)
        .await;
    match put.expect("a device") {
        PutOutcome::Created(device) => {
            let mut tokens = TOKENS.lock().expect("no panic");
            tokens.get_or_insert_default().insert(id, hash);
            device
        }
        other => panic!("{label} was not registered: {other:?}"),
    }
}

/// Attempts with what memory holds of their devices' sessions, as the scanner hands them over.
pub(crate) async fn informed(store: &dyn Store, batch: &[Attempt]) -> Vec<Attempt> {
    let mut informed = batch.to_vec();
    for attempt in &mut informed {
        let token = (TOKENS.lock().expect("no panic").as_ref())
            .and_then(|tokens| tokens.get(&attempt.device_id).copied());
        if let (None, Some(token)) = (&attempt.authenticated, token) {
            let authenticated = store.find_device_by_token(&token).await.expect("a standing");
            attempt.authenticated = authenticated.map(Arc::new);
        }
    }
    informed
}

pub(crate) async fn put_device(
    store: &dyn Store,
    organization: OrganizationId,
    event: EventId,
    gate: GateId,
    label: &str,
) -> SessionFacts {
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
    SessionFacts {
        organization,
        event,
        gate,
        device,
        session,
    }
}
