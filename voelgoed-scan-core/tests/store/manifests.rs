//! The facts that a manifest contains, and the mark that reports their changes.

use std::collections::HashMap;

use uuid::Uuid;
use voelgoed_scan_core::manifest::TicketKey;
use voelgoed_scan_core::model::{
    EventId, KeyFormat, KeyId, KeyStatus, OrganizationId, SettableStatus, SigningKey, TicketCode,
};
use voelgoed_scan_core::store::{MAX_MANIFEST_COPIES, ManifestCopy, ManifestReading, UndoPermission};

use crate::attempts::entry;
use crate::fixture::{Fixture, START, after, audit, open_gate, put_gate};

/// Reads manifests incrementally, as a node does: it remembers the versions of the tickets it has read.
struct ManifestReader<'a> {
    fixture: &'a Fixture,
    known: HashMap<TicketCode, i64>,
    last: Option<ManifestReading>,
}

impl<'a> ManifestReader<'a> {
    fn new(fixture: &'a Fixture) -> Self {
        Self {
            fixture,
            known: HashMap::new(),
            last: None,
        }
    }

    async fn read(&mut self) -> ManifestReading {
        let known = |code| self.known.get(&code).copied();
        let reading = self
            .fixture
            .store
            .read_manifest(self.fixture.organization, self.fixture.event, &known)
            .await
            .expect("the read succeeds")
            .expect("the event exists");
        for ticket in &reading.changed {
            self.known.insert(ticket.code, ticket.version);
        }
        self.last = Some(reading.clone());
        reading
    }

    /// Reads after the change `what`: the mark differs, the version rose, and `tickets` tickets changed.
    async fn read_change(&mut self, what: &str, tickets: usize) -> ManifestReading {
        let before = self.last.take().expect("the manifest was read before");
        let mark = self
            .fixture
            .store
            .manifest_mark(self.fixture.organization, self.fixture.event)
            .await
            .expect("the read succeeds");
        assert_ne!(mark, Some(before.mark), "{what}");
        let reading = self.read().await;
        assert_eq!(mark, Some(reading.mark), "{what}");
        assert!(reading.version > before.version, "{what}");
        assert_eq!(reading.changed.len(), tickets, "{what}");
        reading
    }
}

pub(crate) async fn every_change_to_a_manifest_raises_its_version(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    fixture.ticket("{}").await;
    let mut reader = ManifestReader::new(&fixture);
    assert_eq!(reader.read().await.changed.len(), 2);
    fixture.change_event(|event| event.capacity = Some(7)).await;
    let reading = reader.read_change("an event", 0).await;
    assert_eq!(reading.event.capacity, Some(7));
    let gate = put_gate(
        &*fixture.store,
        fixture.organization,
        fixture.event,
        &open_gate("New"),
    )
    .await;
    let reading = reader.read_change("a gate", 0).await;
    assert!(reading.gates.iter().any(|one| one.id == gate) && reading.gates.len() == 3);
    let key = SigningKey {
        format: KeyFormat::Vg2,
        kid: KeyId::FIRST,
        status: KeyStatus::Active,
        public_key: Some([7; 32]),
        inserted_at: START,
    };
    fixture
        .store
        .add_signing_key(fixture.organization, &key, audit())
        .await
        .expect("the write succeeds");
    assert_eq!(reader.read_change("a key", 0).await.keys, [key]);
    fixture.ticket("{}").await;
    reader.read_change("a new ticket", 1).await;
    fixture
        .import(&[&format!(r#"{{"code":"{code}","ticket_class":"VIP"}}"#)])
        .await;
    reader.read_change("an import", 1).await;
    let scan = fixture
        .decided(entry(&fixture.main_session, code, 0))
        .await
        .record
        .scan_id;
    let reading = reader.read_change("an admission", 1).await;
    let ticket = &reading.changed[0].ticket;
    assert_eq!(
        ticket.key,
        TicketKey::of(fixture.organization, fixture.event, code)
    );
    assert_eq!((ticket.admissions, ticket.inside), (1, 1));
    fixture.undo(scan, UndoPermission::Member, 1).await;
    assert_eq!(
        reader.read_change("an undo", 1).await.changed[0]
            .ticket
            .admissions,
        0
    );
    fixture.set_status(code, SettableStatus::Voided).await;
    reader.read_change("a status", 1).await;
}

pub(crate) async fn unchanged_tickets_are_not_read_again(fixture: Fixture) {
    let lines = "{}\n".repeat(2100);
    let lines: Vec<&str> = lines.lines().collect();
    for chunk in lines.chunks(700) {
        fixture.import(chunk).await;
    }
    let mut reader = ManifestReader::new(&fixture);
    let first = reader.read().await;
    assert_eq!(first.changed.len(), 2100, "several pages");
    let again = reader.read().await;
    assert_eq!((again.version, again.mark), (first.version, first.mark));
    assert!(again.changed.is_empty());
    let codes: Vec<TicketCode> = first.changed.iter().map(|ticket| ticket.code).collect();
    for code in [codes[0], codes[1050], codes[2099]] {
        fixture.set_status(code, SettableStatus::Voided).await;
    }
    reader.read_change("three statuses", 3).await;
}

pub(crate) async fn an_event_of_another_organization_has_no_manifest(fixture: Fixture) {
    let other = fixture.another().await;
    let unknown = EventId::from_uuid(Uuid::new_v4());
    let unknown_organization = OrganizationId::from_uuid(Uuid::new_v4());
    for (organization, event) in [
        (other.organization, fixture.event),
        (fixture.organization, unknown),
        (unknown_organization, fixture.event),
    ] {
        let mark = fixture.store.manifest_mark(organization, event).await;
        assert_eq!(mark.expect("the read succeeds"), None);
        let reading = fixture.store.read_manifest(organization, event, &|_| None).await;
        assert!(reading.expect("the read succeeds").is_none());
    }
}

pub(crate) async fn a_copy_of_a_manifest_is_kept_for_other_nodes_until_it_expires(fixture: Fixture) {
    let store = &fixture.store;
    let (organization, event) = (fixture.organization, fixture.event);
    let copy = |number: u8| ManifestCopy {
        tag: format!("{number}-ab"),
        bytes: vec![number; 3000],
        expires_at: after(i64::from(number)),
    };
    let keep = async |number: u8, now: i64| {
        store
            .keep_manifest_copy(organization, event, &copy(number), after(now))
            .await
            .expect("the write succeeds");
    };
    let find = async |number: u8, now: i64| {
        store
            .manifest_copy(organization, event, &copy(number).tag, after(now))
            .await
            .expect("the read succeeds")
    };
    keep(100, 0).await;
    if !store.is_shared() {
        assert_eq!(find(100, 0).await, None, "a file belongs to one node");
        return;
    }
    keep(100, 0).await;
    assert_eq!(find(100, 100).await, Some(copy(100)));
    assert_eq!(find(100, 101).await, None, "it has expired");
    assert_eq!(find(101, 0).await, None, "another tag");
    let other = fixture.another().await;
    for (organization, event) in [(other.organization, event), (organization, other.event)] {
        let found = store.manifest_copy(organization, event, "100-ab", after(0)).await;
        assert_eq!(found.expect("the read succeeds"), None);
    }
    keep(110, 105).await;
    assert_eq!(
        find(100, 0).await,
        None,
        "an expired copy is deleted with the next one"
    );
    for number in 111..=110 + MAX_MANIFEST_COPIES {
        keep(number, 105).await;
    }
    assert_eq!(find(110, 105).await, None, "only the newest are kept");
    assert_eq!(find(111, 105).await, Some(copy(111)));
}
