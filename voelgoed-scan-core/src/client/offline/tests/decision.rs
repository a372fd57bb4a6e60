use base64::Engine as _;

use super::*;
use crate::model::ReasonText;

type Change = (usize, fn(&mut ManifestTicket));

const ADMITTED: Reason = Reason::Admitted;

#[tokio::test]
async fn a_listed_ticket_is_decided_as_online_and_an_unchecked_signature_is_a_warning() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let vg2 = phone.scan(entry(test_event.vg2(1), 1)).await;
    assert_eq!((vg2.reason, vg2.warnings.as_slice()), (ADMITTED, [].as_slice()));
    assert_eq!(vg2.decided_by, VerdictSource::Device);
    let ticket = vg2.ticket.expect("it is shown");
    assert_eq!(
        (ticket.code, ticket.status, ticket.scan_count),
        (Some(code(1)), TicketStatus::Scanned, 1)
    );
    let vg1 = phone.scan(entry(test_event.vg1(2), 2)).await;
    assert_eq!(
        (vg1.reason, vg1.warnings.as_slice()),
        (ADMITTED, [Warning::SignatureUnchecked].as_slice())
    );
    // The same ticket with its other QR code.
    let again = phone.scan(entry(test_event.vg1(1), 9)).await;
    assert_eq!(again.reason, Reason::AlreadyScanned);
    let seen = again.previous_scan.expect("a previous scan");
    assert_eq!(
        (seen.scan_id, seen.seconds_ago, seen.same_device),
        (Some(vg2.scan_id), 8, true)
    );
    assert_eq!(seen.gate.map(|gate| gate.name).as_deref(), Some("Main"));
}

#[tokio::test]
async fn a_payload_that_is_neither_verifiable_nor_listed_is_denied() {
    let mut test_event = TestEvent::new();
    let revoked: KeyId = "old".parse().expect("a key id");
    let old = test_event.vg1(5).replacen("VG1.1.", "VG1.old.", 1);
    test_event.keys.push(SigningKey {
        kid: revoked,
        status: KeyStatus::Revoked,
        ..test_event.keys[0]
    });
    let phone = test_event.phone().await;
    let forged = test_event.vg2(1).replace("VG2.1.", "VG2.2.");
    let mut other_signature = test_event.vg2(1);
    other_signature.replace_range(
        100..101,
        if other_signature.as_bytes()[100] == b'A' {
            "B"
        } else {
            "A"
        },
    );
    let reasons = phone
        .reasons([
            entry(test_event.vg1(77), 1),
            entry("not a ticket", 2),
            entry(forged, 3),
            entry(other_signature, 4),
            entry(old, 5),
            entry(code(1).to_string(), 6),
            entry("x".repeat(100_000), 7),
        ])
        .await;
    assert_eq!(
        reasons,
        [
            Reason::TicketNotFound,
            Reason::Malformed,
            Reason::UnknownKey,
            Reason::BadSignature,
            Reason::KeyRevoked,
            Reason::UnsignedNotAllowed,
            Reason::Malformed,
        ]
    );
    assert_eq!(
        phone.scanner.state().await.expect("a state").waiting,
        7,
        "denials are uploaded too"
    );
}

#[tokio::test]
async fn a_phoenix_token_is_decided_by_the_code_that_it_contains() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    // {data, signed_at, max_age} as the platform writes it; any signature.
    let token = |fields: &[(&str, String)]| {
        let mut term = vec![131, 104, 3, 116];
        term.extend(u32::try_from(fields.len()).expect("few").to_be_bytes());
        for (name, value) in fields {
            for text in [*name, value] {
                term.push(109);
                term.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
                term.extend(text.as_bytes());
            }
        }
        term.extend([110, 6, 0]);
        term.extend(&MADE_AT.as_millis().to_le_bytes()[..6]);
        term.extend([98, 0, 0, 14, 16]);
        let url = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        format!("SFMyNTY.{}.{}", url(&term), url(&[0; 32]))
    };
    let by_code = |number| ("ticket_code", code(number).to_string());
    let by_id = ("ticket_id", uuid(5).to_string());
    let both = phone.scan(entry(token(&[by_code(1), by_id.clone()]), 1)).await;
    assert_eq!(
        (both.reason, both.warnings.as_slice()),
        (ADMITTED, [Warning::SignatureUnchecked].as_slice())
    );
    let reasons = phone
        .reasons([
            entry(token(&[by_code(77)]), 2),
            entry(token(&[by_id]), 3),
            entry(token(&[by_code(2), ("event_id", uuid(99).to_string())]), 4),
            entry(token(&[by_code(3), ("org_id", uuid(99).to_string())]), 5),
            entry(token(&[by_code(4)]), 3601),
        ])
        .await;
    assert_eq!(
        reasons,
        [
            Reason::TicketNotFound,
            Reason::UnknownKey,
            Reason::OtherEvent,
            Reason::TicketNotFound,
            Reason::TokenExpired,
        ]
    );
}

#[tokio::test]
async fn a_ticket_sold_later_is_decided_by_its_claims() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let at_vip = |qr: String, seconds| OfflineScan {
        gate_id: gate_id(VIP),
        ..entry(qr, seconds)
    };
    let later = phone.scan(entry(test_event.vg2(50), 1)).await;
    assert_eq!(
        (later.reason, later.warnings.as_slice()),
        (ADMITTED, [Warning::NotInManifest].as_slice())
    );
    let vip = Vg2Claims {
        ticket_class: 1,
        ..test_event.claims(51)
    };
    let for_two = Vg2Claims {
        entry_limit: NonZeroU8::new(2).expect("two"),
        ..test_event.claims(52)
    };
    let other_event = Vg2Claims {
        event_id: EventId::from_uuid(uuid(99)),
        ..test_event.claims(1)
    };
    let expired = Vg2Claims {
        not_after: Some(MADE_AT),
        ..test_event.claims(53)
    };
    let early = Vg2Claims {
        not_before: Some(after(60)),
        ..test_event.claims(54)
    };
    let reasons = phone
        .reasons([
            entry(test_event.vg2(50), 5),
            at_vip(test_event.sign(vip), 6),
            at_vip(test_event.vg2(55), 7),
            entry(test_event.sign(for_two), 10),
            entry(test_event.sign(for_two), 13),
            entry(test_event.sign(for_two), 16),
            entry(test_event.sign(other_event), 17),
            entry(test_event.sign(expired), 18),
            entry(test_event.sign(early), 19),
            exit(test_event.sign(for_two), 20),
        ])
        .await;
    assert_eq!(
        reasons,
        [
            Reason::AlreadyScanned,
            ADMITTED,
            Reason::GateNotAllowed,
            ADMITTED,
            ADMITTED,
            Reason::EntryLimitReached,
            Reason::OtherEvent,
            Reason::TokenExpired,
            Reason::TokenNotYetValid,
            Reason::Exited,
        ]
    );
}

#[tokio::test]
async fn the_checks_of_a_ticket_run_in_the_order_of_the_contract() {
    let mut test_event = TestEvent::new();
    test_event.event.allow_unsigned = true;
    let terms: [Change; 6] = [
        (0, |ticket| ticket.status = TicketStatus::Voided),
        (1, |ticket| ticket.status = TicketStatus::Refunded),
        (2, |ticket| ticket.status = TicketStatus::Used),
        (3, |ticket| ticket.valid_from = Some(after(100))),
        (4, |ticket| ticket.valid_until = Some(MADE_AT)),
        (5, |ticket| ticket.gate_ids = Some(vec![gate_id(VIP)])),
    ];
    for (index, change) in terms {
        change(&mut test_event.tickets[index]);
    }
    let phone = test_event.phone().await;
    let typed = OfflineScan {
        reading: Reading::TicketCode(code(7).grouped()),
        ..entry("", 8)
    };
    let scans = (1..7)
        .map(|number| entry(test_event.vg2(number), number.into()))
        .chain([typed]);
    assert_eq!(
        phone.reasons(scans).await,
        [
            Reason::TicketVoided,
            Reason::TicketRefunded,
            Reason::TicketUsed,
            Reason::TicketNotYetValid,
            Reason::TicketExpired,
            Reason::GateNotAllowed,
            ADMITTED,
        ]
    );
    test_event.event.status = EventStatus::Ended;
    let bytes = test_event.later(9);
    phone
        .install(&test_event, bytes, 9)
        .await
        .expect("it is installed");
    test_event.event.status = EventStatus::Live;
    test_event.gates[0].status = GateStatus::Closed;
    assert_eq!(
        phone.reasons([entry(test_event.vg2(8), 10)]).await,
        [Reason::EventNotLive]
    );
    let bytes = test_event.later(11);
    phone
        .install(&test_event, bytes, 11)
        .await
        .expect("it is installed");
    assert_eq!(
        phone.reasons([entry(test_event.vg2(8), 20)]).await,
        [Reason::GateClosed]
    );
}

#[tokio::test]
async fn an_offline_admission_warns_that_the_capacity_is_unknown() {
    let mut test_event = TestEvent::new();
    test_event.gates[0].capacity = Some(0);
    let phone = test_event.phone().await;
    let verdict = phone.scan(entry(test_event.vg2(1), 1)).await;
    assert_eq!(
        (verdict.reason, verdict.warnings),
        (ADMITTED, vec![Warning::CapacityUnknown])
    );
}

#[tokio::test]
async fn a_stale_manifest_warns_or_refuses_as_the_event_is_configured() {
    let mut test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let verdict = phone.scan(entry(test_event.vg2(1), 3601)).await;
    assert_eq!(
        (verdict.reason, verdict.warnings),
        (ADMITTED, vec![Warning::StaleManifest])
    );
    test_event.event.stale_manifest = StaleManifest::Refuse;
    let bytes = test_event.later(10);
    phone
        .install(&test_event, bytes, 10)
        .await
        .expect("it is installed");
    assert_eq!(
        phone.scan(entry(test_event.vg2(2), 3610)).await.reason,
        ADMITTED,
        "the manifest is not stale yet"
    );
    let error = phone
        .scanner
        .decide(entry(test_event.vg2(3), 3611))
        .await
        .expect_err("a stale manifest");
    assert_eq!(error.code(), "stale_manifest");
    assert_eq!(phone.scanner.state().await.expect("a state").waiting, 2);
}

#[tokio::test]
async fn re_entry_follows_the_policy_of_the_event() {
    let mut test_event = TestEvent::new();
    test_event.event.reentry = Reentry::AfterExit;
    test_event.tickets[1].admissions = 1;
    test_event.tickets[1].inside = 1;
    test_event.tickets[1].last_admission = Some(after(-60));
    let phone = test_event.phone().await;
    let one = test_event.vg2(1);
    let two = test_event.vg2(2);
    let reasons = phone
        .reasons([
            exit(&one, 1),
            entry(&one, 5),
            entry(&one, 10),
            exit(&one, 15),
            entry(&one, 20),
            entry(&two, 21),
            exit(&two, 25),
            entry(&two, 30),
            entry(&two, 40),
        ])
        .await;
    assert_eq!(
        reasons,
        [
            Reason::NotInside,
            ADMITTED,
            Reason::AlreadyInside,
            Reason::Exited,
            Reason::Readmitted,
            Reason::AlreadyInside,
            Reason::Exited,
            Reason::Readmitted,
            Reason::AlreadyInside,
        ]
    );
    test_event.event.reentry = Reentry::AfterWindow;
    let phone = test_event.phone().await;
    let reasons = phone
        .reasons([
            entry(&one, 0),
            entry(&one, 297),
            entry(&one, 301),
            entry(&two, 302),
        ])
        .await;
    let seen = [
        ADMITTED,
        Reason::AlreadyScanned,
        Reason::Readmitted,
        Reason::Readmitted,
    ];
    assert_eq!(reasons, seen, "the dedup window of the manifest");
}

#[tokio::test]
async fn a_previous_scan_from_the_manifest_has_a_time_but_no_gate() {
    let mut test_event = TestEvent::new();
    test_event.tickets[0].admissions = 1;
    test_event.tickets[0].last_admission = Some(after(-60));
    let phone = test_event.phone().await;
    let verdict = phone.scan(entry(test_event.vg2(1), 0)).await;
    assert_eq!(verdict.reason, Reason::AlreadyScanned);
    let seen = verdict.previous_scan.expect("a previous scan");
    assert_eq!(
        (seen.seconds_ago, seen.same_device, seen.gate, seen.scan_id),
        (60, false, None, None)
    );
}

#[tokio::test]
async fn an_override_admits_and_needs_permission() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let forced = |qr: String, seconds| OfflineScan {
        override_: Some(Override {
            reason: ReasonText::new("the artist's mother").expect("a reason"),
        }),
        ..entry(qr, seconds)
    };
    let vg2 = test_event.vg2(1);
    let reasons = phone
        .reasons([
            entry(&vg2, 0),
            entry(&vg2, 3),
            forced(vg2.clone(), 4),
            forced(test_event.vg1(77), 5),
            forced(test_event.vg2(2), 6),
        ])
        .await;
    assert_eq!(
        reasons,
        [
            ADMITTED,
            Reason::AlreadyScanned,
            Reason::Overridden,
            Reason::TicketNotFound,
            ADMITTED,
        ]
    );
    let file = phone.directory.path().join("other.db");
    let setup = OfflineScannerSetup {
        can_override: false,
        ..test_event.setup(&file)
    };
    let scanner = OfflineScanner::open(setup).await.expect("the database opens");
    scanner
        .install(test_event.event.id, test_event.manifest(), MADE_AT)
        .await
        .expect("it is installed");
    let error = scanner
        .decide(forced(vg2, 9))
        .await
        .expect_err("the device may not override");
    assert_eq!(error.code(), "forbidden");
}

#[tokio::test]
async fn the_same_payload_within_two_and_a_half_seconds_is_one_scan() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let at = |millis| OfflineScan {
        scanned_at: MADE_AT.plus_millis(millis),
        ..entry(format!(" {}\r\n", test_event.vg2(1)), 0)
    };
    let first = phone.scan(at(0)).await;
    let again = phone.scan(at(2500)).await;
    assert_eq!(
        (again.scan_id, again.reason, again.repeated),
        (first.scan_id, ADMITTED, true)
    );
    let later = phone.scan(at(2501)).await;
    assert_eq!((later.reason, later.repeated), (Reason::AlreadyScanned, false));
    assert_eq!(
        phone.scanner.state().await.expect("a state").waiting,
        2,
        "the second reading made no second scan"
    );
}

#[tokio::test]
async fn a_ticket_with_an_unknown_status_or_class_number_is_denied_alone() {
    let test_event = TestEvent::new();
    let mut body = test_event.manifest();
    body.truncate(body.len() - 64);
    // The terms of a ticket are 22 bytes: the status, the entry limit, then the class. The last section, which has no
    // content here, takes 6 bytes.
    let terms = body.len() - 6 - 22 * test_event.tickets.len();
    let mut keys: Vec<_> = test_event.tickets.iter().map(|ticket| ticket.key).collect();
    keys.sort_unstable();
    let offset = |number: u8| {
        let key = test_event.ticket(number).key;
        terms + 22 * keys.iter().position(|one| *one == key).expect("a ticket")
    };
    body[offset(1)] = 200;
    body[offset(2) + 2..offset(2) + 4].copy_from_slice(&999_u16.to_be_bytes());
    let signature = test_event.keyring().sign_manifest(&body).expect("a server signs");
    let directory = tempfile::tempdir().expect("a directory");
    let scanner = test_event.open(&directory).await;
    scanner
        .install(test_event.event.id, [body, signature.to_vec()].concat(), MADE_AT)
        .await
        .expect("it is accepted");
    let phone = Phone { scanner, directory };
    let mut seconds = 0;
    for number in [1, 2] {
        for qr in [test_event.vg2(number), test_event.vg1(number)] {
            for scan in [entry(&qr, seconds + 20), exit(&qr, seconds + 40)] {
                let verdict = phone.scan(scan).await;
                assert_eq!(
                    (verdict.reason, verdict.warnings.as_slice()),
                    (Reason::TicketNotFound, [Warning::ManifestNewer].as_slice()),
                    "ticket {number}"
                );
                assert_eq!(verdict.ticket, None);
            }
            seconds += 40;
        }
    }
    let verdict = phone.scan(entry(test_event.vg2(3), seconds + 20)).await;
    assert_eq!(
        (verdict.reason, verdict.warnings.as_slice()),
        (ADMITTED, [].as_slice())
    );
}
