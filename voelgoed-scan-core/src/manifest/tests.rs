mod golden;
mod media;
mod messages;
mod sections;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::manifest::section::Section;
use crate::model::{
    CustomMessages, EventStatus, GateStatus, KeyFormat, KeyId, KeyStatus, LocalTime, Name, Reentry,
    StaleManifest, TimeZoneName,
};
use crate::token::{Keyring, MasterSecret};

const MADE: Timestamp = Timestamp::from_seconds(1_780_000_000);

fn organization() -> OrganizationId {
    OrganizationId::from_uuid(Uuid::from_u128(1))
}

fn keyring(organization: OrganizationId) -> Keyring {
    let master = MasterSecret::from_hex(&"42".repeat(32)).expect("a master secret");
    Keyring::derive(&master, organization, &[]).expect("no row is wrong")
}

fn class(name: &str) -> ClassName {
    ClassName::new(name).expect("a class")
}

fn event(id: u128) -> Event {
    Event {
        id: EventId::from_uuid(Uuid::from_u128(id)),
        organization_id: organization(),
        name: Name::new("Kirkwood Fees").expect("a name"),
        status: EventStatus::Live,
        starts_at: Some(MADE),
        ends_at: None,
        doors_open_at: None,
        doors_close_at: None,
        rescheduled_at: None,
        time_zone: TimeZoneName::default(),
        day_starts_at: LocalTime::default(),
        capacity: Some(500),
        reentry: Reentry::AfterExit,
        allow_unsigned: true,
        allow_media: false,
        ticket_classes: vec![class("VIP"), class("Day")],
        stale_manifest: StaleManifest::Refuse,
        manifest_max_age_s: 3600,
        inserted_at: MADE,
        updated_at: MADE,
    }
}

fn gate(id: u128) -> Gate {
    Gate {
        id: GateId::from_uuid(Uuid::from_u128(id)),
        organization_id: organization(),
        event_id: event(2).id,
        name: Name::new("Main").expect("a name"),
        code: None,
        status: GateStatus::Open,
        capacity: (id == 11).then_some(0),
        ticket_classes: (id == 12).then(|| vec![class("VIP"), class("Crew")]),
        inserted_at: MADE,
        updated_at: MADE,
    }
}

fn keys() -> Vec<SigningKey> {
    let key = |format, kid: &str, status, public_key| SigningKey {
        format,
        kid: kid.parse().expect("a key id"),
        status,
        public_key,
        inserted_at: MADE,
    };
    vec![
        key(KeyFormat::Vg1, "1", KeyStatus::Active, None),
        key(KeyFormat::Vg1, "old", KeyStatus::Revoked, None),
        key(KeyFormat::Vg2, "1", KeyStatus::Active, Some([7; 32])),
        key(KeyFormat::Vg2, "2", KeyStatus::Revoked, None),
    ]
}

fn ticket(number: u128) -> ManifestTicket {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(number.to_be_bytes())[..16]);
    ManifestTicket {
        key: TicketKey::from_bytes(key),
        status: TicketStatus::Active,
        ticket_class: None,
        gate_ids: None,
        valid_from: None,
        valid_until: None,
        entry_limit: 1,
        admissions: 0,
        inside: 0,
        last_admission: None,
        media: Vec::new(),
        day_admissions: 0,
    }
}

/// A signed manifest of event 2, or a delta if it has a base.
fn signed(version: u64, base: Option<u64>, tickets: &[ManifestTicket]) -> Vec<u8> {
    signed_for_event(&event(2), version, base, tickets)
}

fn signed_for_event(event: &Event, version: u64, base: Option<u64>, tickets: &[ManifestTicket]) -> Vec<u8> {
    signed_with_messages(CustomMessages::NONE, event, version, base, tickets)
}

fn signed_with_messages(
    messages: &CustomMessages,
    event: &Event,
    version: u64,
    base: Option<u64>,
    tickets: &[ManifestTicket],
) -> Vec<u8> {
    let facts = ManifestFacts {
        version,
        made_at: MADE,
        expires_at: MADE.plus(Duration::from_mins(1)),
        event,
        gates: &[gate(11), gate(12)],
        keys: &keys(),
        messages,
        dedup_window: Duration::from_mins(5),
    };
    let tickets = tickets.iter().cloned();
    let draft = match base {
        Some(base) => ManifestDraft::delta(&facts, base, tickets),
        None => ManifestDraft::full(&facts, tickets),
    };
    let draft = draft.expect("it is not too large");
    draft
        .sign(&keyring(event.organization_id))
        .expect("a server signs")
}

fn read(bytes: Vec<u8>) -> Result<VerifiedManifest, ManifestError> {
    let key = keyring(organization()).manifest_key().expect("a server");
    VerifiedManifest::verify(bytes, organization(), &key)
}

fn in_use(bytes: Vec<u8>) -> Manifest {
    let verified = read(bytes).expect("a valid signature");
    verified.into_manifest(None).expect("a full manifest")
}

fn check(bytes: Vec<u8>, installed: Option<&Manifest>, now: Timestamp) -> Result<(), ManifestError> {
    read(bytes)?.check(event(2).id, installed, now)
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let tickets = [
        ManifestTicket {
            status: TicketStatus::Voided,
            ticket_class: Some(class("Later")),
            gate_ids: Some(vec![gate(12).id, gate(11).id]),
            valid_from: Some(Timestamp::from_millis(i64::MIN)),
            valid_until: Some(Timestamp::from_millis(i64::MAX)),
            entry_limit: 255,
            ..ticket(1)
        },
        ManifestTicket {
            status: TicketStatus::Scanned,
            ticket_class: Some(class("Day")),
            gate_ids: Some(Vec::new()),
            admissions: 70_000,
            inside: 2,
            last_admission: Some(MADE),
            ..ticket(2)
        },
    ];
    let manifest = in_use(signed(7, None, &tickets));
    assert_eq!(manifest.len(), 2);
    let first = manifest.find(tickets[0].key).listed().expect("it is listed");
    assert_eq!(first.gate_ids, Some(vec![gate(11).id, gate(12).id]));
    assert_eq!((first.status, first.entry_limit), (TicketStatus::Voided, 255));
    assert_eq!(
        (first.valid_from, first.valid_until),
        (tickets[0].valid_from, tickets[0].valid_until)
    );
    assert_eq!(first.ticket_class, Some(class("Later")));
    assert_eq!(
        manifest.find(tickets[1].key),
        TicketLookup::Listed(tickets[1].clone())
    );
    assert_eq!(manifest.find(ticket(3).key), TicketLookup::Absent);
    let head = manifest.head();
    let without_capacity = Event {
        capacity: None,
        ..event(2)
    };
    assert_eq!((&head.event, head.has_capacity), (&without_capacity, true));
    assert_eq!(
        (head.version, head.made_at, head.dedup_window),
        (7, MADE, Duration::from_mins(5))
    );
    let with_capacity: Vec<_> = head.gates.iter().map(|one| one.has_capacity).collect();
    assert_eq!(with_capacity, [true, false]);
    assert_eq!(
        head.gates[1].gate,
        Gate {
            capacity: None,
            ..gate(12)
        }
    );
    let named: Vec<_> = head.keys.iter().map(|key| (key.format, key.kid)).collect();
    let kid = |text: &str| text.parse::<KeyId>().expect("a key id");
    assert_eq!(
        named,
        [
            (KeyFormat::Vg1, kid("old")),
            (KeyFormat::Vg2, kid("1")),
            (KeyFormat::Vg2, kid("2"))
        ],
        "of VG1 only the revoked keys"
    );
    assert_eq!(manifest.claimed_class(2), Some(&class("Day")));
    assert_eq!(
        (manifest.claimed_class(0), manifest.claimed_class(3)),
        (None, None)
    );
}

#[test]
fn a_plain_ticket_takes_at_most_40_bytes() {
    let tickets: Vec<_> = (0..1000).map(ticket).collect();
    let many = signed(1, None, &tickets).len();
    assert_eq!(many - signed(1, None, &[]).len(), 38 * 1000);
}

#[test]
fn the_order_of_the_tickets_does_not_change_the_bytes() {
    let sets = [
        vec![gate(11).id],
        vec![gate(12).id],
        vec![gate(11).id, gate(12).id],
        Vec::new(),
    ];
    let mut tickets: Vec<_> = (0..40)
        .map(|number| ManifestTicket {
            gate_ids: sets.get(number % 5).cloned(),
            ticket_class: ["Late", "Later", "Day"].get(number % 4).map(|name| class(name)),
            ..ticket(number as u128)
        })
        .collect();
    let bytes = signed(1, None, &tickets);
    tickets.reverse();
    assert!(signed(1, None, &tickets) == bytes);
    tickets.rotate_left(7);
    assert!(signed(1, None, &tickets) == bytes);
}

#[test]
fn the_key_of_a_ticket_is_the_documented_hash() {
    let code = "3KQR7F924M1XaB0z".parse().expect("a code");
    let text = format!(
        "voelgoed-scan/manifest/{}/{}/3KQR7F924M1XaB0z",
        "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
    );
    let key = TicketKey::of(organization(), event(2).id, code);
    assert_eq!(key.as_bytes()[..], Sha256::digest(text)[..16]);
}

#[test]
fn each_refusal_has_its_own_code() {
    let installed = in_use(signed(7, None, &[ticket(1)]));
    let code = |bytes: Vec<u8>| match check(bytes, Some(&installed), MADE) {
        Ok(()) => "accepted",
        Err(error) => error.code(),
    };
    assert_eq!(
        code(signed(7, None, &[])),
        "accepted",
        "the same version, made again"
    );
    assert_eq!(code(signed(8, None, &[])), "accepted");
    assert_eq!(code(signed(8, Some(7), &[])), "accepted");
    assert_eq!(code(signed(6, None, &[])), "manifest_older");
    assert_eq!(code(signed(9, Some(8), &[])), "manifest_other_base");
    assert_eq!(
        code(signed_for_event(&event(3), 8, None, &[])),
        "manifest_other_event"
    );
    let theirs = Event {
        organization_id: OrganizationId::from_uuid(Uuid::from_u128(9)),
        ..event(2)
    };
    assert_eq!(
        code(signed_for_event(&theirs, 8, None, &[])),
        "manifest_other_organization"
    );
    let mut changed = signed(8, None, &[ticket(1)]);
    changed[150] ^= 1;
    assert_eq!(code(changed), "manifest_bad_signature");
    assert_eq!(code(b"VGM".to_vec()), "manifest_malformed");
    let body = signed(8, None, &[]);
    let body = body.split_last_chunk::<64>().expect("a signature").0;
    assert_eq!(
        code(signed_again([body, b"x"].concat())),
        "manifest_malformed",
        "bytes after the end"
    );
    for format in [1, 3] {
        let mut other = body.to_vec();
        other[3] = format;
        assert_eq!(code(signed_again(other)), "manifest_unknown_form", "{format}");
    }
    let rules = content_of(body, Section::Event.tag()).start;
    for (field, offset) in [("event status", 4), ("re-entry", 5), ("stale manifest", 6)] {
        let mut newer = body.to_vec();
        newer[rules + offset] = 200;
        assert_eq!(code(signed_again(newer)), "manifest_unknown_value", "{field}");
    }
    let required = with_section(body, 99, true, b"");
    assert_eq!(code(signed_again(required)), "manifest_unknown_section");
    let late = MADE.plus(Duration::from_millis(60_001));
    assert_eq!(
        check(signed(8, None, &[]), Some(&installed), late).map_err(|error| error.code()),
        Err("manifest_expired")
    );
    assert_eq!(
        check(signed(8, Some(7), &[]), None, MADE).map_err(|error| error.code()),
        Err("manifest_other_base")
    );
}

#[test]
fn a_manifest_is_stale_once_it_is_older_than_its_event_allows() {
    let manifest = in_use(signed(7, None, &[]));
    let limit = MADE.plus(Duration::from_hours(1));
    assert!(!manifest.head().is_stale(limit));
    assert!(manifest.head().is_stale(limit.plus_millis(1)));
}

/// The table of wire numbers in `docs/manifest.md`: the words of one enum with their columns, which are the numbers.
fn documented_wire_numbers(name: &str) -> Vec<(u8, &'static str)> {
    let page = include_str!("../../../docs/manifest.md");
    let cells = |start: &str| {
        let row = page.lines().find(|line| line.starts_with(start));
        let row = row.unwrap_or_else(|| panic!("docs/manifest.md has no row {start}"));
        row.trim_matches('|')
            .split('|')
            .skip(1)
            .map(|cell| cell.trim().trim_matches('`'))
    };
    let numbers =
        cells("| enum |").map(|number| number.parse().expect("the head of the table holds numbers"));
    let words = cells(&format!("| {name} |"));
    numbers.zip(words).filter(|(_, word)| !word.is_empty()).collect()
}

/// The documentation is the list that never changes: a variant that is moved, renamed or renumbered differs from it.
#[test]
fn wire_numbers_never_change() {
    macro_rules! compare {
        ($($type:ty = $name:literal),+ $(,)?) => {$({
            let mut declared: Vec<_> = <$type>::ALL.iter().map(|value| (value.wire_number(), value.as_str())).collect();
            declared.sort_unstable();
            assert_eq!(declared, documented_wire_numbers($name), "{}", $name);
            for &value in <$type>::ALL {
                assert_eq!(<$type>::from_wire(value.wire_number()), Some(value));
            }
            let unused = (0..=u8::MAX).filter(|number| declared.iter().all(|(used, _)| used != number));
            assert_eq!(unused.filter_map(<$type>::from_wire).next(), None);
        })+};
    }
    compare! {
        EventStatus = "event status",
        Reentry = "re-entry policy",
        StaleManifest = "stale-manifest policy",
        KeyFormat = "key format",
        KeyStatus = "key status",
        TicketStatus = "ticket status",
    }
}

/// The body of a manifest of tickets without history, after a change of the terms of some of them.
fn body_with_terms(
    version: u64,
    base: Option<u64>,
    tickets: &[ManifestTicket],
    changes: &[(TicketKey, usize, &[u8])],
) -> Vec<u8> {
    let mut body = signed(version, base, tickets);
    body.truncate(body.len() - 64);
    let terms = content_of(&body, Section::TicketTerms.tag()).start;
    let mut keys: Vec<_> = tickets.iter().map(|ticket| ticket.key).collect();
    keys.sort_unstable();
    for (key, offset, bytes) in changes {
        let position = keys.iter().position(|one| one == key).expect("a ticket");
        let start = terms + 22 * position + offset;
        body[start..start + bytes.len()].copy_from_slice(bytes);
    }
    body
}

/// The offsets of fields in the terms of a ticket.
const STATUS: usize = 0;
const CLASS: usize = 2;

#[test]
fn an_unknown_status_or_class_number_affects_its_ticket_alone() {
    let tickets: Vec<_> = (1..=5).map(ticket).collect();
    let changes: [(_, _, &[u8]); 2] = [(tickets[1].key, STATUS, &[200]), (tickets[3].key, CLASS, &[0, 9])];
    let manifest = in_use(signed_again(body_with_terms(1, None, &tickets, &changes)));
    for (at, ticket) in tickets.iter().enumerate() {
        let expected = match at {
            1 | 3 => TicketLookup::Unknown,
            _ => TicketLookup::Listed(ticket.clone()),
        };
        assert_eq!(manifest.find(ticket.key), expected, "ticket {at}");
    }
    assert_eq!((manifest.len(), manifest.tickets().count()), (5, 3));
}

#[test]
fn a_delta_keeps_unknown_numbers_unknown() {
    use crate::manifest::body::Body;
    use crate::manifest::merge::merge;

    let tickets: Vec<_> = (1..=4).map(ticket).collect();
    let base = body_with_terms(
        1,
        None,
        &tickets,
        &[
            (tickets[0].key, STATUS, &[200]),
            // The tables of this manifest define three classes, so that 4 is unknown.
            (tickets[1].key, CLASS, &[0, 4]),
            (tickets[2].key, CLASS, &[9, 9]),
        ],
    );
    // This delta adds two classes, so that the merged tables define 4 and 5. Classes get their numbers in the order of the
    // tickets' keys.
    let new = |number, name: &str| ManifestTicket {
        ticket_class: Some(class(name)),
        ..ticket(number)
    };
    let changed = [new(5, "Late"), new(6, "Later")];
    let delta = body_with_terms(2, Some(1), &changed, &[(changed[1].key, STATUS, &[201])]);
    let (base, delta) = (
        Body::read(base).expect("a manifest"),
        Body::read(delta).expect("a delta"),
    );
    let merged = Body::read(merge(&base, &delta).expect("it fits")).expect("a manifest");
    assert_eq!(merged.classes.len(), 5);
    let numbers = |key: TicketKey| {
        let mut records = merged.records();
        let record = records.find(|record| record.key == *key.as_bytes());
        record
            .map(|record| (record.status, record.class))
            .expect("a record")
    };
    assert_eq!(numbers(tickets[0].key), (200, 0));
    assert_eq!(numbers(tickets[1].key), (0, u16::MAX), "4 is a known class now");
    assert_eq!(numbers(tickets[2].key), (0, 0x0909));
    assert_eq!(numbers(changed[0].key), (0, 5));
    assert_eq!(numbers(changed[1].key), (201, 4));
    for key in [tickets[0].key, tickets[1].key, tickets[2].key, changed[1].key] {
        assert_eq!(merged.find(key), TicketLookup::Unknown);
    }
    assert_eq!(
        merged.find(tickets[3].key),
        TicketLookup::Listed(tickets[3].clone())
    );
    assert_eq!(
        merged.find(changed[0].key),
        TicketLookup::Listed(changed[0].clone())
    );
}

/// The sections of a manifest without its signature: tag, flag and the position of the content.
fn sections_of(body: &[u8]) -> Vec<(u8, bool, std::ops::Range<usize>)> {
    let mut sections = Vec::new();
    let mut at = 21;
    while at < body.len() {
        let length = u32::from_be_bytes(body[at + 2..at + 6].try_into().expect("four bytes"));
        let content = at + 6..at + 6 + usize::try_from(length).expect("it fits");
        at = content.end;
        sections.push((body[content.start - 6], body[content.start - 5] == 1, content));
    }
    sections
}

/// The position of the content of a section.
fn content_of(body: &[u8], tag: u8) -> std::ops::Range<usize> {
    let mut sections = sections_of(body).into_iter();
    let found = sections.find(|(one, _, _)| *one == tag);
    found.expect("the section").2
}

/// The manifest with one more section at the end.
fn with_section(body: &[u8], tag: u8, is_required: bool, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("it is small");
    [
        body,
        &[tag, u8::from(is_required)],
        &length.to_be_bytes(),
        content,
    ]
    .concat()
}

/// Any bytes, signed by the organization's own key.
fn signed_again(body: Vec<u8>) -> Vec<u8> {
    let signature = keyring(organization()).sign_manifest(&body).expect("a server");
    [body, signature.to_vec()].concat()
}

fn any_ticket() -> impl Strategy<Value = ManifestTicket> {
    let terms = (
        0_u128..200,
        0..TicketStatus::ALL.len(),
        0..4_usize,
        0..4_usize,
        1..=255_u8,
    );
    let times = (any::<Option<i32>>(), any::<Option<i32>>());
    let history = (0..3_u32, 0..3_u16, any::<Option<i32>>());
    (terms, times, history).prop_map(
        |((number, status, kind, gates, entry_limit), (from, until), seen)| {
            let time = |at: i32| Timestamp::from_seconds(at.into());
            let all = [gate(11).id, gate(12).id];
            ManifestTicket {
                status: TicketStatus::ALL[status],
                ticket_class: ["VIP", "Day", "Late"].get(kind).map(|name| class(name)),
                gate_ids: all.get(..gates).map(<[GateId]>::to_vec),
                valid_from: from.map(time),
                valid_until: until.map(time),
                entry_limit,
                admissions: seen.0,
                inside: seen.1,
                last_admission: seen.2.map(time),
                ..ticket(number)
            }
        },
    )
}

fn any_tickets() -> impl Strategy<Value = Vec<ManifestTicket>> {
    prop::collection::vec(any_ticket(), 0..40)
}

/// The last ticket of each key, in the order of the keys.
fn last_by_key<'a>(tickets: impl IntoIterator<Item = &'a ManifestTicket>) -> Vec<ManifestTicket> {
    let by_key: std::collections::BTreeMap<_, _> = tickets
        .into_iter()
        .map(|ticket| (ticket.key, ticket.clone()))
        .collect();
    by_key.into_values().collect()
}

proptest! {
    #[test]
    fn tickets_round_trip(tickets in any_tickets()) {
        let manifest = in_use(signed(1, None, &tickets));
        let expected = last_by_key(&tickets);
        prop_assert_eq!(manifest.tickets().collect::<Vec<_>>(), expected.clone());
        for ticket in expected {
            prop_assert_eq!(manifest.find(ticket.key), TicketLookup::Listed(ticket));
        }
    }

    #[test]
    fn a_delta_merged_into_its_base_is_the_full_new_version(old in any_tickets(), new in any_tickets()) {
        let installed = in_use(signed(1, None, &old));
        let delta = read(signed(2, Some(1), &new)).expect("a valid signature");
        let merged = delta.into_manifest(Some(&installed)).expect("it fits");
        prop_assert_eq!(merged.tickets().collect::<Vec<_>>(), last_by_key(old.iter().chain(&new)));
        prop_assert_eq!((merged.head().version, merged.head().base), (2, None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// A changed, truncated or extended manifest is refused. Even if the organization itself signs invalid bytes, reading
    /// them gives an error or a manifest, never a panic.
    #[test]
    fn no_mutation_is_accepted_and_none_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        more in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let genuine = signed(1, None, &[
            ticket(1),
            ManifestTicket { gate_ids: Some(vec![gate(11).id]), admissions: 1, inside: 1, ..ticket(2) },
            ManifestTicket { ticket_class: Some(class("Day")), ..ticket(3) },
        ]);
        let mut mutated = genuine.clone();
        for (at, bits) in changes {
            let at = at.index(mutated.len());
            mutated[at] ^= bits;
        }
        if let Some(cut) = cut {
            mutated.truncate(cut.index(mutated.len()));
        }
        mutated.extend(more);
        prop_assume!(mutated != genuine);
        prop_assert!(read(mutated.clone()).is_err());
        if let Ok(verified) = read(signed_again(mutated)) && let Ok(manifest) = verified.into_manifest(None) {
            for ticket in manifest.tickets() {
                prop_assert_eq!(manifest.find(ticket.key), TicketLookup::Listed(ticket));
            }
        }
    }
}

/// The API promises these limits.
#[test]
fn a_manifest_of_100_000_tickets_is_small() {
    let tickets: Vec<_> = (0..100_000).map(ticket).collect();
    let bytes = signed(1, None, &tickets);
    assert!(bytes.len() < 4_000_000, "{}", bytes.len());
    let manifest = in_use(bytes);
    assert!(manifest.size() < 4_000_000, "{}", manifest.size());
    assert!(
        tickets
            .iter()
            .all(|ticket| manifest.find(ticket.key).listed().is_some())
    );
}
