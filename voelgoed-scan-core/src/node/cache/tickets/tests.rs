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

fn held(recent: &TicketCache, now: Timestamp) -> Option<i64> {
    let ticket = facts(0).ticket;
    recent
        .get(ticket.organization_id, ticket.code, now)
        .map(|facts| facts.version)
}

#[test]
fn an_older_version_never_overwrites_a_newer() {
    let recent = TicketCache::new(WINDOW);
    recent.put(facts(5), recent.moment(), at(0));
    recent.put(facts(4), recent.moment(), at(1));
    assert_eq!(held(&recent, at(2)), Some(5));
    recent.put(facts(6), recent.moment(), at(3));
    assert_eq!(held(&recent, at(4)), Some(6));
}

#[test]
fn an_entry_counts_for_the_window_and_no_longer() {
    let recent = TicketCache::new(WINDOW);
    recent.put(facts(1), recent.moment(), at(0));
    assert_eq!(held(&recent, at(300)), Some(1));
    assert_eq!(held(&recent, at(301)), None);
}

#[test]
fn a_tombstone_hides_what_is_as_old_and_yields_to_what_is_newer() {
    let recent = TicketCache::new(WINDOW);
    let ticket = facts(0).ticket;
    recent.put(facts(3), recent.moment(), at(0));
    recent.invalidate(ticket.organization_id, ticket.code, 4, at(1));
    assert_eq!(held(&recent, at(1)), None);
    for late in [3, 4] {
        recent.put(facts(late), recent.moment(), at(2));
        assert_eq!(
            held(&recent, at(2)),
            None,
            "version {late} was read before the change"
        );
    }
    recent.put(facts(5), recent.moment(), at(3));
    assert_eq!(held(&recent, at(3)), Some(5));
}

#[test]
fn what_was_read_before_an_import_does_not_count_after_it() {
    let recent = TicketCache::new(WINDOW);
    let ticket = facts(0).ticket;
    let before = recent.moment();
    recent.forget_event(ticket.organization_id, ticket.event_id);
    recent.put(facts(9), before, at(0));
    assert_eq!(held(&recent, at(0)), None);
    recent.put(facts(9), recent.moment(), at(0));
    assert_eq!(held(&recent, at(0)), Some(9));
    recent.forget_organization(ticket.organization_id);
    assert_eq!(held(&recent, at(0)), None);
}

#[test]
fn the_tier_stays_bounded() {
    let recent = TicketCache::new(WINDOW);
    for number in 0..60_000_u32 {
        let mut facts = facts(1);
        let mut bytes = [0; 12];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        facts.ticket.code = TicketCode::from_bytes(bytes).expect("a code");
        recent.put(facts, recent.moment(), at(0));
    }
    assert_eq!(recent.lock().tickets.len(), MOST_TICKETS);
}

#[test]
fn a_scan_id_is_known_once_it_was_used() {
    let recent = TicketCache::new(WINDOW);
    let organization = facts(0).ticket.organization_id;
    let scan = ScanId::generate(at(0));
    assert!(!recent.note_scan(organization, scan));
    assert!(recent.note_scan(organization, scan));
}

#[test]
fn of_very_many_scans_at_least_the_latest_half_is_remembered_and_no_more_than_all() {
    let mut named = SeenScanIds::default();
    let organization = OrganizationId::from_uuid(uuid::Uuid::nil());
    let id = |number: usize| {
        (
            organization,
            ScanId::from_uuid(uuid::Uuid::from_u128(number as u128)),
        )
    };
    let last = 3 * MOST_SCANS + 7;
    for number in 0..=last {
        assert!(!named.keep(id(number)), "{number}");
        assert!(named.newer.len() + named.older.len() <= MOST_SCANS);
    }
    for number in last - MOST_SCANS / 2 + 1..=last {
        assert!(named.keep(id(number)), "{number}");
    }
    assert!(!named.keep(id(0)), "it is long forgotten");
}
