//! The media in a manifest: what finds which ticket, before and after deltas.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::manifest::MediumKey;
use crate::model::Medium;

const EAN: &str = "barcode:4006381333931";
const BAND: &str = "nfc:04A1B2C3D4E5F6";

pub(super) fn medium(text: &str) -> Medium {
    text.parse().expect("a medium")
}

pub(super) fn key(event: &Event, text: &str) -> MediumKey {
    MediumKey::of(event.organization_id, event.id, &medium(text))
}

fn with_media(allow_media: bool) -> Event {
    Event {
        allow_media,
        ..event(2)
    }
}

fn having(number: u128, media: &[&str]) -> ManifestTicket {
    ManifestTicket {
        media: media.iter().map(|text| key(&with_media(true), text)).collect(),
        ..ticket(number)
    }
}

/// The ticket that a manifest finds by a medium.
fn found(manifest: &Manifest, text: &str) -> Option<TicketKey> {
    manifest.owner_of(&medium(text))
}

#[test]
fn a_medium_is_the_start_of_a_sha_256_of_organization_event_and_medium() {
    let event = with_media(true);
    let text = format!(
        "voelgoed-scan/medium/{}/{}/{EAN}",
        event.organization_id, event.id
    );
    assert_eq!(key(&event, EAN).as_bytes(), &Sha256::digest(text)[..16]);
}

#[test]
fn each_medium_finds_its_ticket_and_only_where_the_event_lets_media_in() {
    let tickets = [having(1, &[EAN, BAND]), ticket(2), having(3, &["barcode:3"])];
    let manifest = in_use(signed_for_event(&with_media(true), 1, None, &tickets));
    assert!(manifest.head().event.allow_media);
    for (text, number) in [(EAN, 1), (BAND, 1), ("barcode:3", 3)] {
        assert_eq!(found(&manifest, text), Some(ticket(number).key), "{text}");
    }
    assert_eq!(found(&manifest, "barcode:4"), None);
    let without = in_use(signed_for_event(&with_media(false), 1, None, &tickets));
    assert!(!without.head().event.allow_media);
    assert_eq!(found(&without, EAN), None);
    let empty = in_use(signed_for_event(&with_media(true), 1, None, &[]));
    assert!(empty.head().event.allow_media);
}

#[test]
fn a_delta_replaces_the_media_of_the_tickets_that_it_lists() {
    let event = with_media(true);
    let tickets = [
        having(1, &[EAN, BAND]),
        having(2, &["barcode:2"]),
        having(3, &["barcode:3"]),
    ];
    let installed = in_use(signed_for_event(&event, 1, None, &tickets));
    let merged = |event: &Event, tickets: &[ManifestTicket]| {
        let delta = read(signed_for_event(event, 2, Some(1), tickets)).expect("a delta");
        delta.into_manifest(Some(&installed)).expect("the base fits")
    };
    // Ticket 1 keeps one medium and gives the other to the new ticket 9; ticket 3 loses its own.
    let next = merged(&event, &[having(1, &[EAN]), having(9, &[BAND]), ticket(3)]);
    for (text, number) in [
        (EAN, Some(1)),
        (BAND, Some(9)),
        ("barcode:2", Some(2)),
        ("barcode:3", None),
    ] {
        assert_eq!(
            found(&next, text),
            number.map(|number| ticket(number).key),
            "{text}"
        );
    }
    let renewed = merged(&event, &[]);
    assert_eq!(found(&renewed, BAND), Some(ticket(1).key));
    let forbidden = merged(&with_media(false), &[]);
    assert!(!forbidden.head().event.allow_media);
    assert_eq!(found(&forbidden, EAN), None);
}

#[test]
fn media_that_do_not_ascend_or_have_no_ticket_are_malformed() {
    let event = with_media(true);
    let body = |tickets: &[ManifestTicket]| {
        let mut body = signed_for_event(&event, 1, None, tickets);
        body.truncate(body.len() - 64);
        body
    };
    let genuine = body(&[having(1, &[EAN]), having(2, &[BAND])]);
    let section = content_of(&genuine, Section::Media.tag());
    let (hashes, positions) = (section.start, section.start + 32);
    let mut swapped = genuine.clone();
    let (first, rest) = swapped[hashes..].split_at_mut(16);
    first.swap_with_slice(&mut rest[..16]);
    let mut repeated = genuine.clone();
    repeated.copy_within(hashes..hashes + 16, hashes + 16);
    let mut beyond = genuine.clone();
    beyond[positions + 3] = 2;
    for changed in [swapped, repeated, beyond] {
        assert_eq!(read(signed_again(changed)).err(), Some(ManifestError::Malformed));
    }
    assert!(read(signed_again(genuine)).is_ok());
}
