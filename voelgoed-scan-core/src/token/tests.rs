use std::num::NonZeroU8;
use std::sync::LazyLock;

use proptest::prelude::*;
use uuid::Uuid;

use super::vectors::VectorFile;
use super::*;
use crate::model::{EventId, OrganizationId, Timestamp, Window};
use crate::model::{KeyFormat, KeyStatus, SigningKey};
use crate::token::{KeyDerivation, MasterSecret};

const NATIVE: &str = include_str!("../../../tests/vectors/native_token.json");
const PHOENIX: &str = include_str!("../../../tests/vectors/phoenix_token.json");

const ORGANIZATION: OrganizationId = OrganizationId::from_uuid(Uuid::from_u128(7));

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| keyring(KeyStatus::Active));
static PHOENIX_KEYS: LazyLock<PhoenixKeys> = LazyLock::new(|| {
    PhoenixKeys::derive("a secret of the platform", "ticket qr", KeyDerivation::default())
        .expect("usable settings")
});

fn keyring(status: KeyStatus) -> Keyring {
    let master = MasterSecret::from_bytes(&[7; 32]).expect("32 bytes");
    let row = |format| SigningKey {
        format,
        kid: KeyId::FIRST,
        status,
        public_key: None,
        inserted_at: Timestamp::from_seconds(0),
    };
    Keyring::derive(&master, ORGANIZATION, &[row(KeyFormat::Vg1), row(KeyFormat::Vg2)]).expect("a keyring")
}

fn code() -> TicketCode {
    "3KQR7F924M1XaB0z".parse().expect("a code")
}

fn vg2_claims() -> Vg2Claims {
    Vg2Claims {
        ticket_code: code(),
        event_id: EventId::from_uuid(Uuid::from_u128(9)),
        not_before: Some(Timestamp::from_seconds(1_780_000_000)),
        not_after: Some(Timestamp::from_seconds(1_780_000_060)),
        ticket_class: 3,
        entry_limit: NonZeroU8::MIN,
    }
}

fn vg1() -> String {
    KEYRING.sign_vg1(code()).expect("an active key")
}

fn vg2() -> String {
    KEYRING.sign_vg2(&vg2_claims()).expect("an active key")
}

/// `{<<"3KQR7F924M1XaB0z">>, 0, infinity}`
fn phoenix() -> String {
    PHOENIX_KEYS.sign(b"\x83h\x03m\0\0\0\x103KQR7F924M1XaB0za\0w\x08infinity")
}

fn read(text: &str) -> Result<Claims, Reason> {
    verify(&Payload::parse(text)?, &KEYRING, Some(&PHOENIX_KEYS), true)
}

#[test]
fn every_vector_gives_the_result_of_the_reference() {
    for (file, cases) in [(NATIVE, 62), (PHOENIX, 52)] {
        let file = VectorFile::parse(file).expect("a vector file");
        assert_eq!(file.case_count(), cases);
        assert_eq!(file.mismatches(), []);
    }
}

#[test]
fn a_vector_that_differs_is_reported() {
    let twisted = NATIVE
        .replacen(r#""outcome": "bad_signature""#, r#""outcome": "valid""#, 1)
        .replacen(r#""ticket_class": 7"#, r#""ticket_class": 8"#, 1)
        .replacen(r#""event_id": null"#, r#""colour": null"#, 1)
        .replacen("8a8c536c", "00000000", 1);
    let mismatches = VectorFile::parse(&twisted).expect("a vector file").mismatches();
    let lines: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "key 1, VG1_key_hex: expected the key in the file, got another key from the master secret",
            "VG1 kid 1 valid, colour: expected null, got a claim that is not known",
            "VG1 kid 1 tag changed: expected valid, got bad_signature",
            "VG2 kid 1 valid, ticket_class: expected 8, got 7",
        ]
    );
    for text in [
        "",
        "{}",
        r#"{"cases":[]}"#,
        &PHOENIX.replace(r#""cases""#, r#""c""#),
    ] {
        assert!(VectorFile::parse(text).is_err(), "{text:.40}");
    }
}

#[test]
fn the_prefix_selects_the_format() {
    let cases = [
        (vg1(), Format::Vg1, Some(KeyId::FIRST)),
        (vg2(), Format::Vg2, Some(KeyId::FIRST)),
        (phoenix(), Format::Phoenix, None),
        ("3KQR-7F92-4M1X-aB0z".to_owned(), Format::Bare, None),
    ];
    for (text, format, kid) in cases {
        let padded = format!(" \t{text}\r\n");
        let payload = Payload::parse(&padded).expect("a payload");
        assert_eq!(
            (payload.format(), payload.kid(), payload.text()),
            (format, kid, text.as_str())
        );
        assert_eq!(read(&text).map(|claims| claims.ticket_code), Ok(Some(code())));
        assert_eq!(payload.unverified_claims().ok(), read(&text).ok());
        assert_eq!(payload_sha256(&padded), payload_sha256(&text));
        assert!(!format!("{payload:?}").contains("7F92"), "{payload:?}");
    }
}

#[test]
fn other_texts_are_malformed() {
    let (vg1, vg2, phoenix) = (vg1(), vg2(), phoenix());
    let mut texts = vec![
        "VG1.".to_owned(),
        "VG2.".to_owned(),
        "VG1".to_owned(),
        "VG1....".to_owned(),
        "VG2....".to_owned(),
        "SFMyNTY.".to_owned(),
        "SFMyNTY..".to_owned(),
        "SFMyNTY...".to_owned(),
        "SFMyNTY".to_owned(),
        vg1.replace("VG1", "VG2"),
        vg2.replace("VG2", "VG1"),
        // The signature of another algorithm has another length.
        phoenix.replace("SFMyNTY", "SFM1MTI"),
        // The same header in another encoding.
        phoenix.replace("SFMyNTY", "SFMyNTZ"),
        phoenix.replace("SFMyNTY", "sfmynty"),
        "a".repeat(MAX_PAYLOAD + 1),
        // Only the ends are trimmed.
        "3KQR7F92\u{a0}4M1XaB0z".to_owned(),
        "3KQR7F92\u{b}4M1XaB0z".to_owned(),
    ];
    for genuine in [vg1, vg2, phoenix] {
        texts.push(format!("{genuine}="));
        texts.push(format!("{genuine}A"));
        texts.push(format!("{genuine}."));
        texts.push(format!("{genuine}.{genuine}"));
        texts.push(genuine.replacen('.', "..", 1));
        texts.push(genuine.replace('.', ". "));
        texts.push(genuine.get(..genuine.len() - 1).expect("ASCII").to_owned());
    }
    for text in texts {
        assert_eq!(Payload::parse(&text).err(), Some(Malformed), "{text}");
    }
}

#[test]
fn no_second_text_can_be_made_of_a_genuine_payload() {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for genuine in [vg1(), vg2(), phoenix()] {
        let (start, last) = genuine.split_at(genuine.len() - 1);
        for &other in ALPHABET {
            let text = format!("{start}{}", char::from(other));
            assert_eq!(read(&text).is_ok(), last.as_bytes() == [other], "{text}");
        }
    }
}

#[test]
fn the_key_is_looked_up_before_the_signature_is_checked() {
    let forged = vg1().replace("VG1.1.", "VG1.2.");
    assert_eq!(read(&forged), Err(Reason::UnknownKey));
    let revoked = keyring(KeyStatus::Revoked);
    for text in [vg1(), vg2()] {
        let payload = Payload::parse(&text).expect("a payload");
        assert_eq!(verify(&payload, &revoked, None, true), Err(Reason::KeyRevoked));
        assert!(verify(&payload, &keyring(KeyStatus::VerifyOnly), None, false).is_ok());
    }
    let phoenix = phoenix();
    let payload = Payload::parse(&phoenix).expect("a payload");
    assert_eq!(verify(&payload, &KEYRING, None, true), Err(Reason::UnknownKey));
}

#[test]
fn a_bare_code_is_accepted_only_where_it_is_allowed() {
    let payload = Payload::parse("3KQR 7F92 4M1X aB0z").expect("a bare code");
    assert_eq!(
        verify(&payload, &KEYRING, None, true),
        Ok(Claims::of_code(code()))
    );
    assert_eq!(
        verify(&payload, &KEYRING, None, false),
        Err(Reason::UnsignedNotAllowed)
    );
}

#[test]
fn invalid_claims_are_malformed_only_under_a_valid_signature() {
    let genuine = vg2();
    // The last character of the claims encodes the flags. The one before it encodes the end of the entry limit.
    let claims_end = genuine.rfind('.').expect("a dot") - 1;
    let mut flagged = genuine.clone();
    flagged.replace_range(claims_end..=claims_end, "Q");
    assert_eq!(read(&flagged), Err(Reason::BadSignature));
    let unverified = Payload::parse(&flagged).expect("a payload").unverified_claims();
    assert_eq!(unverified, Err(Malformed));
}

#[test]
fn a_window_includes_both_ends() {
    let window = read(&vg2()).expect("a genuine payload").window;
    let at = |millis| window.check(Timestamp::from_millis(millis));
    assert_eq!(at(1_779_999_999_999), Err(Reason::TokenNotYetValid));
    assert_eq!(at(1_780_000_000_000), Ok(()));
    // The end is in seconds: the window includes its whole second.
    assert_eq!(at(1_780_000_060_999), Ok(()));
    assert_eq!(at(1_780_000_061_000), Err(Reason::TokenExpired));

    let exact = Window::new(None, Some(Timestamp::from_millis(1_500)));
    assert_eq!(exact.check(Timestamp::from_millis(1_500)), Ok(()));
    assert_eq!(
        exact.check(Timestamp::from_millis(1_501)),
        Err(Reason::TokenExpired)
    );
    assert_eq!(Window::default().check(Timestamp::from_millis(i64::MIN)), Ok(()));
}

#[test]
fn an_end_outside_the_seconds_of_vg2_never_opens_the_window() {
    let early = Some(Timestamp::from_seconds(-5));
    let late = Some(Timestamp::from_seconds(1 << 40));
    let sign = |not_before, not_after| {
        let text = KEYRING
            .sign_vg2(&Vg2Claims {
                not_before,
                not_after,
                ..vg2_claims()
            })
            .expect("an active key");
        read(&text).expect("a genuine payload").window
    };
    let now = Timestamp::from_seconds(1_780_000_000);
    assert_eq!(sign(early, early).check(now), Err(Reason::TokenExpired));
    assert_eq!(sign(late, late).check(now), Err(Reason::TokenNotYetValid));
    assert_eq!(sign(early, late).check(now), Ok(()));
    assert_eq!(sign(None, None), Window::from_seconds(0, 0));
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_panic(text in ".{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn random_parts_after_a_prefix_never_panic_and_never_verify(
        prefix in "VG1|VG2|SFMyNTY|SFMzODQ|SFM1MTI",
        kid in "[0-9A-Za-z]{0,9}",
        rest in "[0-9A-Za-z_.-]{0,200}",
    ) {
        for text in [format!("{prefix}.{kid}.{rest}"), format!("{prefix}.{rest}")] {
            prop_assert!(read(&text).is_err());
        }
    }

    #[test]
    fn a_changed_payload_never_verifies(at: prop::sample::Index, byte in 0_u8..128) {
        for genuine in [vg1(), vg2(), phoenix()] {
            let mut bytes = genuine.clone().into_bytes();
            *at.get_mut(&mut bytes) = byte;
            let text = String::from_utf8(bytes).expect("ASCII");
            prop_assert_eq!(read(&text).is_ok(), text == genuine);
        }
    }

    #[test]
    fn vg1_round_trips(text in "[0-9A-Za-z]{16}") {
        let code: TicketCode = text.parse().expect("a code");
        let payload = KEYRING.sign_vg1(code).expect("an active key");
        prop_assert_eq!(read(&payload), Ok(Claims::of_code(code)));
    }

    #[test]
    fn vg2_round_trips(
        code in "[0-9A-Za-z]{16}",
        event: u128,
        not_before: u32,
        not_after: u32,
        ticket_class: u16,
        entry_limit in 1_u8..,
    ) {
        let window = Window::from_seconds(not_before, not_after);
        let claims = Vg2Claims {
            ticket_code: code.parse().expect("a code"),
            event_id: EventId::from_uuid(Uuid::from_u128(event)),
            not_before: window.not_before,
            not_after: window.not_after,
            ticket_class,
            entry_limit: NonZeroU8::new(entry_limit).expect("at least 1"),
        };
        let payload = KEYRING.sign_vg2(&claims).expect("an active key");
        prop_assert!(payload.len() <= 154);
        prop_assert_eq!(read(&payload), Ok(Claims {
            ticket_code: Some(claims.ticket_code),
            event_id: Some(claims.event_id),
            window,
            ticket_class: Some(ticket_class),
            entry_limit: Some(entry_limit),
            ..Claims::default()
        }));
    }
}

#[test]
fn a_reading_is_trimmed_of_what_scanners_wrap_it_in() {
    let code = "3KQR7F924M1XaB0z";
    for wrapped in [
        "3KQR7F924M1XaB0z\r\n",
        "\t 3KQR7F924M1XaB0z \u{a0}\u{2003}",
        "\u{feff}3KQR7F924M1XaB0z\u{feff}",
        "\u{2}3KQR7F924M1XaB0z\u{3}\u{0}\u{1d}",
        "*3KQR7F924M1XaB0z*",
        "]Q13KQR7F924M1XaB0z",
        "]d23KQR7F924M1XaB0z",
        "\\0000263KQR7F924M1XaB0z",
        " ]Q2\\000026*3KQR7F924M1XaB0z*\r",
        "]Q1]C03KQR7F924M1XaB0z",
        "]Qé3KQR7F924M1XaB0z",
    ] {
        assert_eq!(trim_reading(wrapped), code, "{wrapped:?}");
        assert_eq!(payload_sha256(wrapped), payload_sha256(code), "{wrapped:?}");
        assert!(Payload::parse(wrapped).is_ok(), "{wrapped:?}");
    }
    for kept in [
        "]13KQR",
        "]é1x",
        "\\00002x",
        "x*y",
        "x]Q1",
        "]",
        "]Q",
        "\u{7f}x",
        "\u{200b}x",
    ] {
        assert_eq!(trim_reading(kept), kept, "{kept:?}");
    }
    assert_eq!(trim_reading("*** \r\n"), "");
    // The limit is of the trimmed text.
    let padded = format!("{}{code}", " ".repeat(MAX_PAYLOAD));
    assert!(Payload::parse(&padded).is_ok());
}

#[test]
fn a_long_payload_in_one_case_suggests_wrong_scanner_settings() {
    let upper = "VG1.1.3KQR7F924M1XAB0Z.VGTASWIICDSVRK4-QZ36BQ";
    let both = "VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ";
    for (text, reason, suggested) in [
        (upper, Reason::BadSignature, true),
        (upper, Reason::Malformed, true),
        (&upper.to_ascii_lowercase(), Reason::Malformed, true),
        (&"7".repeat(30), Reason::Malformed, true),
        (&"7".repeat(29), Reason::Malformed, false),
        (&format!("*{}*", "7".repeat(29)), Reason::Malformed, false),
        (both, Reason::BadSignature, false),
        (upper, Reason::UnknownKey, false),
        (upper, Reason::TicketNotFound, false),
    ] {
        assert_eq!(
            suggests_scanner_settings(text, reason),
            suggested,
            "{text} {reason:?}"
        );
    }
}
