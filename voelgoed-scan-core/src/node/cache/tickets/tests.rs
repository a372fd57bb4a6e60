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
    cache.invalidate(ticket.organization_id, ticket.code, 4);
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
fn a_tombstone_of_a_node_whose_clock_is_behind_hides_its_version() {
    let cache = TicketCache::new(WINDOW);
    let ticket = facts(0).ticket;
    cache.put(facts(3), cache.epoch(), at(86_400));
    cache.invalidate(ticket.organization_id, ticket.code, 4);
    cache.put(facts(4), cache.epoch(), at(86_400));
    assert_eq!(cached_version(&cache, at(86_400)), None);
}

#[test]
fn a_suspended_ticket_is_not_answered() {
    let cache = TicketCache::new(WINDOW);
    let ticket = facts(0).ticket;
    cache.put(facts(3), cache.epoch(), at(0));
    cache.suspend(ticket.organization_id, &[ticket.code]);
    assert_eq!(cached_version(&cache, at(0)), None);
    cache.put(facts(4), cache.epoch(), at(0));
    assert_eq!(cached_version(&cache, at(0)), None);
}

#[cfg(feature = "redis")]
mod of_another_node {
    use super::*;

    fn organization() -> OrganizationId {
        facts(0).ticket.organization_id
    }

    fn cache_with_counter(value: i64) -> TicketCache {
        let cache = TicketCache::new(WINDOW);
        cache.set_counter(organization(), value, cache.epoch());
        cache
    }

    fn accepted(cache: &TicketCache, version: i64, counter: i64) -> Option<i64> {
        let accepted = cache.accept(facts(version), counter, cache.epoch(), at(0));
        accepted.map(|facts| facts.version)
    }

    #[test]
    fn a_ticket_that_was_read_before_a_change_that_this_node_knows_is_refused() {
        let cache = cache_with_counter(7);
        assert_eq!(accepted(&cache, 3, 6), None);
        assert_eq!(cached_version(&cache, at(0)), None);
        assert_eq!(accepted(&cache, 3, 7), Some(3));
        assert_eq!(cached_version(&cache, at(0)), Some(3));
        assert_eq!(accepted(&cache, 4, 8), Some(4), "the other node knows more");
        cache.set_counter(organization(), 9, cache.epoch());
        assert_eq!(accepted(&cache, 4, 8), None);
    }

    #[test]
    fn nothing_is_accepted_before_the_counter_is_known() {
        assert_eq!(accepted(&TicketCache::new(WINDOW), 3, 7), None);
    }

    #[test]
    fn a_version_that_this_node_knows_to_be_outdated_is_refused() {
        let cache = cache_with_counter(7);
        let ticket = facts(0).ticket;
        cache.invalidate(ticket.organization_id, ticket.code, 4);
        cache.set_counter(organization(), 7, cache.epoch());
        assert_eq!(accepted(&cache, 4, 7), None);
        assert_eq!(accepted(&cache, 5, 7), Some(5));
        cache.put(facts(6), cache.epoch(), at(0));
        assert_eq!(accepted(&cache, 5, 7), None);
    }

    #[test]
    fn after_a_change_here_nothing_is_accepted_until_the_counter_was_read_again() {
        let ticket = facts(0).ticket;
        let change = |cache: &TicketCache, imported| {
            if imported {
                cache.invalidate_event(ticket.organization_id, ticket.event_id);
            } else {
                cache.invalidate(ticket.organization_id, ticket.code, 4);
            }
        };
        for imported in [true, false] {
            let cache = cache_with_counter(7);
            let read_before = cache.epoch();
            change(&cache, imported);
            assert_eq!(accepted(&cache, 5, 9), None);
            cache.set_counter(organization(), 8, read_before);
            assert_eq!(accepted(&cache, 5, 9), None, "the read began before the change");
            cache.set_counter(organization(), 9, cache.epoch());
            assert_eq!(accepted(&cache, 5, 9), Some(5));
        }
    }

    #[test]
    fn a_read_of_the_other_cache_that_began_before_a_change_is_refused() {
        let cache = cache_with_counter(7);
        let began = cache.epoch();
        cache.invalidate_organization(organization());
        assert!(cache.accept(facts(3), 7, began, at(0)).is_none());
    }

    #[test]
    fn a_ticket_has_the_counter_only_if_the_counter_did_not_change_since_the_ticket_was_read() {
        let cache = cache_with_counter(7);
        let began = cache.epoch();
        assert_eq!(cache.counter_since(organization(), began), Some(7));
        cache.set_counter(organization(), 8, cache.epoch());
        assert_eq!(cache.counter_since(organization(), began), None);
        assert_eq!(cache.counter_since(organization(), cache.epoch()), Some(8));
    }
}
