//! The bytes of manifests that former versions wrote.

use super::*;
use crate::golden;

/// One ticket for each status, and one for each thing that a ticket can have.
fn tickets() -> Vec<ManifestTicket> {
    let by_status = (0..)
        .zip(TicketStatus::ALL)
        .map(|(number, &status)| ManifestTicket {
            status,
            ..ticket(number)
        });
    let others = [
        ManifestTicket {
            ticket_class: Some(class("VIP")),
            gate_ids: Some(vec![gate(12).id, gate(11).id]),
            valid_from: Some(MADE),
            valid_until: Some(MADE.plus(Duration::from_hours(5))),
            entry_limit: 255,
            ..ticket(100)
        },
        ManifestTicket {
            ticket_class: Some(class("Late")),
            gate_ids: Some(Vec::new()),
            status: TicketStatus::Scanned,
            admissions: 70_000,
            inside: 2,
            last_admission: Some(MADE.plus_millis(-1)),
            ..ticket(101)
        },
        ManifestTicket {
            gate_ids: Some(vec![gate(11).id]),
            ticket_class: Some(class("Day")),
            ..ticket(102)
        },
    ];
    by_status.chain(others).collect()
}

fn changed() -> Vec<ManifestTicket> {
    vec![
        ManifestTicket {
            status: TicketStatus::Voided,
            ..ticket(0)
        },
        ticket(103),
    ]
}

/// The rules of the event for each status and each policy, and its sections for times.
fn heads() -> Vec<u8> {
    let mut text = String::new();
    let mut add_section = |word: &str, event: &Event, section: Section| {
        let mut body = signed_for_event(event, 7, None, &[]);
        body.truncate(body.len() - 64);
        let content = content_of(&body, section.tag());
        let line = format!("{word} {}\n", crate::model::hex::encode(&body[content]));
        text.push_str(&line);
    };
    let mut add = |word: &str, event: &Event| add_section(word, event, Section::Event);
    for &status in EventStatus::ALL {
        add(status.as_str(), &Event { status, ..event(2) });
    }
    for &reentry in Reentry::ALL {
        add(reentry.as_str(), &Event { reentry, ..event(2) });
    }
    for &stale_manifest in StaleManifest::ALL {
        add(
            stale_manifest.as_str(),
            &Event {
                stale_manifest,
                ..event(2)
            },
        );
    }
    let doors = Event {
        doors_open_at: Some(MADE),
        ..event(2)
    };
    add_section("doors", &doors, Section::Doors);
    let postponed = Event {
        status: EventStatus::Postponed,
        rescheduled_at: Some(MADE),
        ..event(2)
    };
    add_section("rescheduled", &postponed, Section::Rescheduled);
    text.into_bytes()
}

#[test]
fn manifests_of_former_versions_are_written_and_read_alike() {
    let [full, delta, _] = golden::check([
        ("manifest.bin", &signed(7, None, &tickets())),
        ("manifest_delta.bin", &signed(8, Some(7), &changed())),
        ("manifest_heads.txt", &heads()),
    ]);
    let installed = in_use(full);
    let head = installed.head();
    let without_capacity = Event {
        capacity: None,
        ..event(2)
    };
    assert_eq!((&head.event, head.has_capacity), (&without_capacity, true));
    assert_eq!((head.version, head.base, head.made_at), (7, None, MADE));
    assert_eq!(head.expires_at, MADE.plus(Duration::from_mins(1)));
    assert_eq!(head.dedup_window, Duration::from_mins(5));
    assert_eq!(head.keys, keys()[1..]);
    let gates: Vec<_> = head.gates.iter().map(|listed| listed.gate.clone()).collect();
    let capacity = None;
    assert_eq!(gates, [gate(11), gate(12)].map(|gate| Gate { capacity, ..gate }));
    // A set of gates is in the order of the event's gates.
    let in_order = |tickets: Vec<ManifestTicket>| {
        tickets.into_iter().map(|mut ticket| {
            if let Some(gates) = &mut ticket.gate_ids {
                gates.sort_unstable();
            }
            ticket
        })
    };
    let expected = last_by_key(&in_order(tickets()).collect::<Vec<_>>());
    assert_eq!(installed.tickets().collect::<Vec<_>>(), expected);
    let delta = read(delta).expect("a valid signature");
    assert_eq!((delta.head().version, delta.head().base), (8, Some(7)));
    let merged = delta.into_manifest(Some(&installed)).expect("the base fits");
    let expected = last_by_key(&in_order(tickets()).chain(changed()).collect::<Vec<_>>());
    assert_eq!(merged.tickets().collect::<Vec<_>>(), expected);
}
