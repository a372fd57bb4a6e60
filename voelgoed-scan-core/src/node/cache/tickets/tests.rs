use std::time::Duration;

use super::*;
use crate::model::{Ledger, Ticket, TicketId, TicketStatus};

const WINDOW: Duration = Duration::from_secs(300);

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

fn facts(version: i64) -> TicketFacts {
    let nil = uuid::Uuid::nil();
    let ticket = Ticket {
        id: TicketId::from_uuid(nil),
        organization_id: OrganizationId::from_uuid(nil),
        event_id: EventId::from_uuid(nil),
        code: TicketCode::from_bytes([1; 12]).expect("a code"),
        status: TicketStatus::Scanned,
        ticket_class: None,
        gate_ids: None,
        seat: None,
        valid_from: None,
        valid_until: None,
        entry_limit: 1,
        scan_count: 1,
        note: None,
        inserted_at: at(0),
        updated_at: at(0),
    };
    TicketFacts {
        ticket,
        ledger: Ledger::default(),
        version,
    }
}

fn cached_version(cache: &TicketCache, now: Timestamp) -> Option<i64> {
    let ticket = facts(0).ticket;
    cache
        .get(ticket.organization_id, ticket.code, now)
        .map(|facts| facts.version)
}

#[test]
fn an_older_version_never_overwrites_a_newer() {
    let cache = TicketCache::new(WINDOW);
    cache.put(facts(5), cache.epoch(), at(0));
    cache.put(facts(4), cache.epoch(), at(1));
    assert_eq!(cached_version(&cache, at(2)), Some(5));
    cache.put(facts(6), cache.epoch(), at(3));
    assert_eq!(cached_version(&cache, at(4)), Some(6));
}

#[test]
fn an_entry_expires_with_the_window() {
    let cache = TicketCache::new(WINDOW);
    cache.put(facts(1), cache.epoch(), at(0));
    assert_eq!(cached_version(&cache, at(300)), Some(1));
    assert_eq!(cached_version(&cache, at(301)), None);
}

#[test]
fn a_tombstone_hides_its_version_and_older_ones_and_yields_to_newer_ones() {
    let cache = TicketCache::new(WINDOW);
    let ticket = facts(0).ticket;
    cache.put(facts(3), cache.epoch(), at(0));
    cache.invalidate(ticket.organization_id, ticket.code, 4, at(1));
    assert_eq!(cached_version(&cache, at(1)), None);
    for late in [3, 4] {
        cache.put(facts(late), cache.epoch(), at(2));
        assert_eq!(
            cached_version(&cache, at(2)),
            None,
            "version {late} was read before the change"
        );
    }
    cache.put(facts(5), cache.epoch(), at(3));
    assert_eq!(cached_version(&cache, at(3)), Some(5));
}

#[test]
fn a_read_that_began_before_an_import_does_not_count_after_it() {
    let cache = TicketCache::new(WINDOW);
    let ticket = facts(0).ticket;
    let read_began = cache.epoch();
    cache.invalidate_event(ticket.organization_id, ticket.event_id);
    cache.put(facts(9), read_began, at(0));
    assert_eq!(cached_version(&cache, at(0)), None);
    cache.put(facts(9), cache.epoch(), at(0));
    assert_eq!(cached_version(&cache, at(0)), Some(9));
    cache.invalidate_organization(ticket.organization_id);
    assert_eq!(cached_version(&cache, at(0)), None);
}

#[test]
fn the_number_of_tickets_is_bounded() {
    let cache = TicketCache::new(WINDOW);
    for number in 0..60_000_u32 {
        let mut facts = facts(1);
        let mut bytes = [0; 12];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        facts.ticket.code = TicketCode::from_bytes(bytes).expect("a code");
        cache.put(facts, cache.epoch(), at(0));
    }
    assert_eq!(cache.tickets.lock().entries.len(), MAX_TICKETS);
}

#[test]
fn a_scan_id_is_known_after_its_first_use() {
    let cache = TicketCache::new(WINDOW);
    let organization = facts(0).ticket.organization_id;
    let scan = ScanId::generate(at(0));
    assert!(!cache.mark_scan_seen(organization, scan));
    assert!(cache.mark_scan_seen(organization, scan));
}

#[test]
fn at_least_the_latest_half_of_the_scan_ids_is_remembered() {
    let mut seen = SeenScanIds::default();
    let organization = OrganizationId::from_uuid(uuid::Uuid::nil());
    let id = |number: usize| {
        (
            organization,
            ScanId::from_uuid(uuid::Uuid::from_u128(number as u128)),
        )
    };
    let last = 3 * MAX_SCAN_IDS + 7;
    for number in 0..=last {
        assert!(!seen.mark_seen(id(number)), "{number}");
        assert!(seen.newer.len() + seen.older.len() <= MAX_SCAN_IDS);
    }
    for number in last - MAX_SCAN_IDS / 2 + 1..=last {
        assert!(seen.mark_seen(id(number)), "{number}");
    }
    assert!(!seen.mark_seen(id(0)), "the first id is forgotten");
}
