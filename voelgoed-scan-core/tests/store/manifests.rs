//! What a manifest is made of.

use std::collections::HashMap;

use uuid::Uuid;
use voelgoed_scan_core::manifest::TicketKey;
use voelgoed_scan_core::model::{
    EventId, KeyFormat, KeyId, KeyStatus, OrganizationId, SettableStatus, SigningKey, TicketCode,
};
use voelgoed_scan_core::store::{ManifestReading, UndoPermission};

use crate::attempts::entry;
use crate::world::{START, World, open_gate, put_gate};

/// A reader that remembers what it read, as a node does.
struct Reader<'a> {
    world: &'a World,
    known: HashMap<TicketCode, i64>,
    last: Option<ManifestReading>,
}

impl<'a> Reader<'a> {
    fn of(world: &'a World) -> Self {
        Self {
            world,
            known: HashMap::new(),
            last: None,
        }
    }

    async fn read(&mut self) -> ManifestReading {
        let known = |code| self.known.get(&code).copied();
        let reading = self
            .world
            .store
            .read_manifest(self.world.organization, self.world.event, &known)
            .await
            .expect("read")
            .expect("the event is there");
        for one in &reading.changed {
            self.known.insert(one.code, one.version);
        }
        self.last = Some(reading.clone());
        reading
    }

    /// Reads what `what` changed: the mark and the version tell of it, and so many tickets changed.
    async fn sees(&mut self, what: &str, tickets: usize) -> ManifestReading {
        let before = self.last.take().expect("something was read");
        let mark = self
            .world
            .store
            .manifest_mark(self.world.organization, self.world.event)
            .await
            .expect("read");
        assert_ne!(mark, Some(before.mark), "{what}");
        let reading = self.read().await;
        assert_eq!(mark, Some(reading.mark), "{what}");
        assert!(reading.version > before.version, "{what}");
        assert_eq!(reading.changed.len(), tickets, "{what}");
        reading
    }
}

pub(crate) async fn whatever_a_manifest_tells_raises_its_version(world: World) {
    let code = world.ticket("{}").await;
    world.ticket("{}").await;
    let mut reader = Reader::of(&world);
    assert_eq!(reader.read().await.changed.len(), 2);
    world.change_event(|event| event.capacity = Some(7)).await;
    let reading = reader.sees("an event", 0).await;
    assert_eq!(reading.event.capacity, Some(7));
    let gate = put_gate(&*world.store, world.organization, world.event, &open_gate("New")).await;
    let reading = reader.sees("a gate", 0).await;
    assert!(reading.gates.iter().any(|one| one.id == gate) && reading.gates.len() == 3);
    let key = SigningKey {
        format: KeyFormat::Vg2,
        kid: KeyId::FIRST,
        status: KeyStatus::Active,
        public_key: Some([7; 32]),
        inserted_at: START,
    };
    world
        .store
        .add_signing_key(world.organization, &key)
        .await
        .expect("written");
    assert_eq!(reader.sees("a key", 0).await.keys, [key]);
    world.ticket("{}").await;
    reader.sees("a new ticket", 1).await;
    world
        .import(&[&format!(r#"{{"code":"{code}","ticket_class":"VIP"}}"#)])
        .await;
    reader.sees("an import", 1).await;
    let scan = world.decided(entry(&world.post, code, 0)).await.record.scan_id;
    let reading = reader.sees("an admission", 1).await;
    let ticket = &reading.changed[0].ticket;
    assert_eq!(ticket.key, TicketKey::of(world.organization, world.event, code));
    assert_eq!((ticket.admissions, ticket.inside), (1, 1));
    world.undo(scan, UndoPermission::Member, 1).await;
    assert_eq!(reader.sees("an undo", 1).await.changed[0].ticket.admissions, 0);
    world.set_status(code, SettableStatus::Voided).await;
    reader.sees("a status", 1).await;
}

pub(crate) async fn what_is_as_it_was_is_not_read_again(world: World) {
    let lines = "{}\n".repeat(2100);
    let lines: Vec<&str> = lines.lines().collect();
    for chunk in lines.chunks(700) {
        world.import(chunk).await;
    }
    let mut reader = Reader::of(&world);
    let first = reader.read().await;
    assert_eq!(first.changed.len(), 2100, "more than a page");
    let again = reader.read().await;
    assert_eq!((again.version, again.mark), (first.version, first.mark));
    assert!(again.changed.is_empty());
    let codes: Vec<TicketCode> = first.changed.iter().map(|one| one.code).collect();
    for code in [codes[0], codes[1050], codes[2099]] {
        world.set_status(code, SettableStatus::Voided).await;
    }
    reader.sees("three statuses", 3).await;
}

pub(crate) async fn there_is_no_manifest_of_another_s_event(world: World) {
    let other = world.another().await;
    let unknown = EventId::from_uuid(Uuid::new_v4());
    let nobody = OrganizationId::from_uuid(Uuid::new_v4());
    for (organization, event) in [
        (other.organization, world.event),
        (world.organization, unknown),
        (nobody, world.event),
    ] {
        let mark = world.store.manifest_mark(organization, event).await;
        assert_eq!(mark.expect("read"), None);
        let reading = world.store.read_manifest(organization, event, &|_| None).await;
        assert!(reading.expect("read").is_none());
    }
}
