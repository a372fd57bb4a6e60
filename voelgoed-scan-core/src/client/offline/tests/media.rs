//! Media offline: the phone finds the ticket of a medium in its manifest.

use super::*;
use crate::manifest::MediumKey;
use crate::model::Medium;

const EAN: &str = "4006381333931";
const BAND: &str = "nfc:04A1B2C3D4E5F6";

fn medium(text: &str) -> Medium {
    text.parse().expect("a medium")
}

fn named(text: &str, seconds: i64) -> OfflineScan {
    OfflineScan {
        reading: Reading::Medium(medium(text)),
        ..entry("", seconds)
    }
}

/// An event that lets media in. Ticket 1 has a barcode and a wristband, ticket 2 a barcode with the shape of a code.
fn with_media() -> TestEvent {
    let mut test_event = TestEvent::new();
    test_event.event.allow_media = true;
    let key = |text: &str| {
        MediumKey::of(
            test_event.event.organization_id,
            test_event.event.id,
            &medium(text),
        )
    };
    let first = vec![key(&format!("barcode:{EAN}")), key(BAND)];
    let second = vec![
        key("barcode:ABCDEFGHIJKLMNOP"),
        key(&format!("barcode:{}", code(3))),
    ];
    test_event.tickets[0].media = first;
    test_event.tickets[1].media = second;
    test_event
}

#[tokio::test]
async fn a_ticket_is_admitted_once_by_any_of_its_media_or_its_code() {
    let test_event = with_media();
    let readings = [
        entry(format!("]E0{EAN}\r\n"), 1),
        named(BAND, 1),
        named(&format!("barcode:{EAN}"), 1),
        entry(test_event.vg1(1), 1),
        entry(test_event.vg2(1), 1),
    ];
    for first in readings {
        let phone = test_event.phone().await;
        let is_vg2 = matches!(&first.reading, Reading::Qr(text) if text.starts_with("VG2"));
        let admitted = phone.scan(first.clone()).await;
        assert_eq!(admitted.reason, Reason::Admitted, "{:?}", first.reading);
        let unchecked = admitted.warnings.contains(&Warning::SignatureUnchecked);
        assert_eq!(unchecked, !is_vg2, "{:?}", first.reading);
        let ticket = admitted.ticket.expect("it is shown");
        assert_eq!((ticket.ticket_class, ticket.scan_count), (Some(class("Day")), 1));
        for (round, again) in [
            entry(EAN, 0),
            named(BAND, 0),
            entry(test_event.vg1(1), 0),
            entry(test_event.vg2(1), 0),
        ]
        .into_iter()
        .enumerate()
        {
            let seconds = 10 * (i64::try_from(round).expect("few") + 1);
            let again = OfflineScan {
                scanned_at: after(seconds),
                ..again
            };
            let denied = phone.scan(again.clone()).await;
            assert_eq!(denied.reason, Reason::AlreadyScanned, "{:?}", again.reading);
            assert!(denied.previous_scan.is_some_and(|previous| previous.same_device));
        }
    }
}

#[tokio::test]
async fn a_medium_that_no_ticket_has_is_not_found_and_an_event_without_media_lets_none_in() {
    let mut test_event = with_media();
    let phone = test_event.phone().await;
    let unknown = phone.scan(entry("4006381333932", 1)).await;
    assert_eq!((unknown.reason, unknown.ticket), (Reason::TicketNotFound, None));
    assert_eq!(
        phone.scan(named("nfc:04A1B2C4", 2)).await.reason,
        Reason::TicketNotFound
    );
    test_event.event.allow_media = false;
    let phone = test_event.phone().await;
    assert_eq!(phone.scan(entry(EAN, 1)).await.reason, Reason::Malformed);
    assert_eq!(
        phone.scan(named(BAND, 2)).await.reason,
        Reason::UnsignedNotAllowed
    );
}

#[tokio::test]
async fn sixteen_characters_are_a_code_if_the_manifest_lists_it_and_a_barcode_otherwise() {
    let mut test_event = with_media();
    test_event.event.allow_unsigned = true;
    let phone = test_event.phone().await;
    let third = phone.scan(entry(code(3).to_string(), 1)).await;
    assert_eq!(third.ticket.expect("ticket 3").code, Some(code(3)));
    assert_eq!(
        phone.scan(entry("ABCDEFGHIJKLMNOP", 2)).await.reason,
        Reason::Admitted
    );
    let second = phone.scan(entry(test_event.vg2(2), 3)).await;
    assert_eq!(
        second.reason,
        Reason::AlreadyScanned,
        "the barcode was that of ticket 2"
    );
    let mut typed = entry("", 10);
    typed.reading = Reading::TicketCode("ABCDEFGHIJKLMNOP".to_owned());
    assert_eq!(phone.scan(typed).await.reason, Reason::TicketNotFound);

    let mut signed_only = with_media();
    signed_only.event.allow_unsigned = false;
    let phone = signed_only.phone().await;
    assert_eq!(
        phone.scan(entry(code(3).to_string(), 1)).await.reason,
        Reason::Admitted
    );
    let second = phone.scan(entry(signed_only.vg2(2), 3)).await;
    assert_eq!(
        second.reason,
        Reason::AlreadyScanned,
        "bare codes are not allowed"
    );
}

#[tokio::test]
async fn the_upload_of_a_medium_names_it_and_what_the_server_says_of_it_holds_for_its_ticket() {
    let test_event = with_media();
    let phone = test_event.phone().await;
    phone.scan(named(BAND, 1)).await;
    phone.scan(entry(EAN, 2)).await;
    let batch = phone
        .scanner
        .next_batch(10, after(3))
        .await
        .expect("it reads")
        .expect("two wait");
    let request: serde_json::Value = serde_json::from_slice(&batch.body).expect("JSON");
    assert_eq!(request["scans"][0]["medium"], BAND);
    assert_eq!(request["scans"][1]["qr"], EAN);
    let again = Attempt {
        event_id: test_event.event.id,
        scan: entry(EAN, 4),
    };
    let decides = phone.scanner.must_decide(&again).await;
    assert!(decides.expect("it reads"), "the server lacks the admission");
}

#[tokio::test]
async fn an_event_that_lets_media_in_later_admits_what_the_server_refused_before() {
    let mut test_event = with_media();
    test_event.event.allow_media = false;
    let phone = test_event.phone().await;
    let refused = phone.scan(entry(EAN, 1)).await;
    assert_eq!(refused.reason, Reason::Malformed);
    test_event.event.allow_media = true;
    let manifest = test_event.later(60);
    let installed = phone
        .scanner
        .install(test_event.event.id, manifest, after(61))
        .await;
    installed.expect("it is installed");
    assert_eq!(phone.scan(entry(EAN, 62)).await.reason, Reason::Admitted);
}

#[tokio::test]
async fn a_shifted_payload_warns_of_the_scanners_settings_offline_too() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let shifted = phone.scan(entry(test_event.vg2(1).to_uppercase(), 1)).await;
    assert_eq!(shifted.result, ScanResult::InvalidToken);
    assert_eq!(shifted.warnings, [Warning::ScannerSettings]);
    let other = phone.scan(entry("nonsense", 5)).await;
    assert_eq!((other.reason, other.warnings), (Reason::Malformed, Vec::new()));
}
