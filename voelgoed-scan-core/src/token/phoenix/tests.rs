use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::model::{OrganizationId, TicketCode, Timestamp, Window};
use crate::token::{Keyring, Payload, verify};

const CODE: &str = "3KQR7F924M1XaB0z";
const ID: &str = "0192f0c1-7a4e-7000-8000-000000000001";
const OTHER_ID: &str = "0192f0c1-7a4e-7000-8000-000000000002";

static KEYS: LazyLock<PhoenixKeys> = LazyLock::new(|| {
    PhoenixKeys::derive("a secret of the platform", "ticket qr", KeyDerivation::default())
        .expect("usable settings")
});

fn read(term: &[u8]) -> Result<Claims, Reason> {
    let token = KEYS.sign(term);
    let keyring =
        Keyring::public(OrganizationId::from_uuid(uuid::Uuid::nil()), &[]).expect("an empty keyring");
    verify(&Payload::parse(&token)?, &keyring, Some(&KEYS), false)
}

fn of(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[tag], parts.concat().as_slice()].concat()
}

fn counted(tag: u8, elements: &[Vec<u8>], count: usize) -> Vec<u8> {
    let count = u32::try_from(count).expect("few elements").to_be_bytes();
    of(tag, &[&count, &elements.concat()])
}

fn binary(text: &str) -> Vec<u8> {
    counted(109, &[text.as_bytes().to_vec()], text.len())
}

fn atom(name: &str) -> Vec<u8> {
    of(
        119,
        &[
            &[u8::try_from(name.len()).expect("a short name")],
            name.as_bytes(),
        ],
    )
}

fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let elements: Vec<_> = pairs
        .iter()
        .flat_map(|(key, value)| [key.clone(), value.clone()])
        .collect();
    counted(116, &elements, pairs.len())
}

fn small(value: u8) -> Vec<u8> {
    of(97, &[&[value]])
}

fn token(data: &[u8], signed_at: &[u8], max_age: &[u8]) -> Vec<u8> {
    [&[131, 104, 3], data, signed_at, max_age].concat()
}

/// The claims of a map that was signed at 0 and never expires.
fn read_map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Result<Claims, Reason> {
    read(&token(&map(pairs), &small(0), &atom("infinity")))
}

/// Whether a map is accepted that has a code, and this value under a key that names no claim.
fn skips(value: &[u8]) -> bool {
    let pairs = [
        (atom("extra"), value.to_vec()),
        (binary("ticket_code"), binary(CODE)),
    ];
    let read = read_map(&pairs);
    assert!(matches!(read, Ok(_) | Err(Reason::Malformed)), "{read:?}");
    read.is_ok()
}

fn nested(tag: u8, depth: usize) -> Vec<u8> {
    (0..depth).fold(small(0), |inner, _| match tag {
        104 => of(104, &[&[1], &inner]),
        108 => counted(108, &[inner, vec![106]], 1),
        _ => map(&[(small(1), inner)]),
    })
}

#[test]
fn terms_of_every_harmless_type_are_skipped() {
    let harmless: Vec<Vec<u8>> = vec![
        small(1),
        of(98, &[&[255; 4]]),
        of(70, &[&1.5_f64.to_be_bytes()]),
        of(99, &[&[b'0'; 31]]),
        of(77, &[&[0, 0, 0, 1, 3, 0xe0]]),
        of(100, &[&[0, 2], b"ok"]),
        of(115, &[&[2], b"ok"]),
        of(118, &[&[0, 2], "é".as_bytes()]),
        of(104, &[&[0]]),
        of(105, &[&[0, 0, 0, 2], &small(1), &small(2)]),
        vec![106],
        of(107, &[&[0, 2], b"hi"]),
        counted(108, &[small(1), small(2)], 1),
        of(110, &[&[2, 1, 7, 7]]),
        of(111, &[&[0, 0, 0, 2, 0, 7, 7]]),
        map(&[(small(1), map(&[]))]),
    ];
    for value in &harmless {
        assert!(skips(value), "{value:?}");
    }
    let keys: Vec<_> = harmless.into_iter().map(|key| (key, small(0))).collect();
    let pairs = [keys, vec![(binary("ticket_code"), binary(CODE))]].concat();
    assert!(read_map(&pairs).is_ok(), "as keys");
}

#[test]
fn every_other_type_is_malformed_at_every_position() {
    let harmful: Vec<Vec<u8>> = vec![
        // Functions, pids, ports, references, compressed and local terms, cached atoms, no tag at all.
        of(113, &[&atom("a"), &atom("b"), &small(1)]),
        of(112, &[&[0; 30]]),
        of(117, &[&[0; 30]]),
        of(103, &[&atom("node"), &[0; 9]]),
        of(88, &[&atom("node"), &[0; 12]]),
        of(102, &[&atom("node"), &[0; 5]]),
        of(89, &[&atom("node"), &[0; 8]]),
        of(120, &[&atom("node"), &[0; 12]]),
        of(101, &[&atom("node"), &[0; 5]]),
        of(114, &[&[0, 1], &atom("node"), &[0; 5]]),
        of(90, &[&[0, 1], &atom("node"), &[0; 8]]),
        of(80, &[&[0, 0, 0, 2, 0x78, 0x9c]]),
        of(121, &[&[0; 12]]),
        of(82, &[&[0]]),
        of(131, &[&small(1)]),
        vec![0],
        // Lengths and counts beyond the end.
        of(109, &[&[255; 4]]),
        of(77, &[&[255; 4], &[8]]),
        of(107, &[&[255; 2]]),
        of(110, &[&[255, 0]]),
        of(111, &[&[255; 4], &[0]]),
        of(105, &[&[255; 4]]),
        of(108, &[&[255; 4]]),
        of(116, &[&[255; 4]]),
        // Values that Erlang never writes.
        of(70, &[&f64::NAN.to_be_bytes()]),
        of(77, &[&[0, 0, 0, 1, 9, 0]]),
        of(118, &[&[0, 1, 255]]),
        of(100, &[&[1, 0], &[b'a'; 256]]),
    ];
    for value in harmful {
        assert!(!skips(&value), "{value:?}");
        assert_eq!(
            read(&token(&value, &small(0), &atom("infinity"))),
            Err(Reason::Malformed)
        );
    }
}

#[test]
fn terms_nest_at_most_sixteen_deep() {
    // The tuple and the map around it count as two.
    for tag in [104, 108, 116] {
        assert!(skips(&nested(tag, 14)), "{tag}");
        assert!(!skips(&nested(tag, 15)), "{tag}");
    }
    assert!(!skips(&nested(104, 700)));
}

#[test]
fn the_data_is_a_code_or_a_map_that_names_the_ticket() {
    let code: TicketCode = CODE.parse().expect("a code");
    assert_eq!(
        read(&token(&binary(CODE), &small(0), &atom("infinity"))),
        Ok(Claims::of_code(code))
    );
    let claims = read_map(&[
        (atom("ticket_id"), binary(ID)),
        (binary("org_id"), binary(ID)),
        (atom("event_id"), binary(OTHER_ID)),
    ])
    .expect("names a ticket");
    assert_eq!(claims.ticket_code, None);
    assert_eq!(claims.ticket_id, ID.parse().ok());
    assert_eq!(claims.organization_id, ID.parse().ok());
    assert_eq!(claims.event_id, OTHER_ID.parse().ok());

    let nameless: [&[(Vec<u8>, Vec<u8>)]; 3] = [
        &[],
        &[(atom("event_id"), binary(ID))],
        &[
            (atom("ticket_code"), atom("nil")),
            (atom("ticket_id"), atom("nil")),
        ],
    ];
    for pairs in nameless {
        assert_eq!(read_map(pairs), Err(Reason::Malformed), "{pairs:?}");
    }
}

#[test]
fn a_claim_of_another_type_or_shape_is_malformed() {
    let values = [
        binary(""),
        binary("3KQR-7F92-4M1X-aB0z"),
        binary("3KQR7F924M1XaB0"),
        binary("not an id"),
        small(1),
        atom(CODE),
        atom("null"),
        of(107, &[&[0, 16], CODE.as_bytes()]),
        map(&[]),
        vec![106],
    ];
    for value in values {
        for key in [
            "ticket_code",
            "ticket_id",
            "organization_id",
            "org_id",
            "event_id",
        ] {
            let pairs = [
                (atom(key), value.clone()),
                (binary("ticket_code"), binary(CODE)),
                (binary("ticket_id"), binary(ID)),
            ];
            assert_eq!(read_map(&pairs), Err(Reason::Malformed), "{key} {value:?}");
        }
    }
}

#[test]
fn a_claim_named_twice_must_have_equal_values() {
    let both = |one: (Vec<u8>, Vec<u8>), two: (Vec<u8>, Vec<u8>)| {
        read_map(&[(atom("ticket_code"), binary(CODE)), one, two]).is_ok()
    };
    for (one, two) in [
        (atom("event_id"), binary("event_id")),
        (atom("org_id"), atom("organization_id")),
        (binary("organization_id"), atom("org_id")),
        (atom("ticket_id"), of(100, &[&[0, 9], b"ticket_id"])),
    ] {
        assert!(
            both((one.clone(), binary(ID)), (two.clone(), binary(ID))),
            "{one:?}"
        );
        assert!(
            both(
                (one.clone(), binary(ID)),
                (two.clone(), binary(&ID.to_uppercase()))
            ),
            "{one:?}"
        );
        assert!(
            both((one.clone(), atom("nil")), (two.clone(), atom("nil"))),
            "{one:?}"
        );
        assert!(
            !both((one.clone(), binary(ID)), (two.clone(), binary(OTHER_ID))),
            "{one:?}"
        );
        assert!(
            !both((one.clone(), binary(ID)), (two.clone(), atom("nil"))),
            "{one:?}"
        );
        assert!(
            !both((one.clone(), atom("nil")), (two.clone(), binary(ID))),
            "{one:?}"
        );
    }
}

#[test]
fn a_token_expires_as_in_plug_crypto() {
    let signed_at = of(110, &[&[6, 0], &1_780_000_000_500_u64.to_le_bytes()[..6]]);
    let signed_at_negative = of(110, &[&[1, 1, 1]]);
    let huge = of(110, &[&[16, 0], &[255; 16]]);
    let hugely_negative = of(110, &[&[16, 1], &[255; 16]]);
    let float = |value: f64| of(70, &[&value.to_be_bytes()]);
    let never = Some(i64::MIN);
    for (signed_at, max_age, last) in [
        (&signed_at, atom("infinity"), None),
        (&signed_at, small(60), Some(1_780_000_060_500)),
        (
            &signed_at,
            of(111, &[&[0, 0, 0, 1, 0, 60]]),
            Some(1_780_000_060_500),
        ),
        (&signed_at, float(1.2345), Some(1_780_000_001_734)),
        (&signed_at, small(0), never),
        (&signed_at, of(98, &[&(-1_i32).to_be_bytes()]), never),
        (&signed_at, float(-0.5), never),
        (&signed_at, hugely_negative.clone(), never),
        (&signed_at, huge.clone(), Some(i64::MAX)),
        (&signed_at, float(1e300), Some(i64::MAX)),
        (&signed_at_negative, small(1), Some(999)),
        (&huge, small(1), Some(i64::MAX)),
        (&hugely_negative, small(1), never),
    ] {
        let claims = read(&token(&binary(CODE), signed_at, &max_age)).expect("a genuine token");
        assert_eq!(
            claims.window,
            Window::new(None, last.map(Timestamp::from_millis)),
            "{max_age:?}"
        );
    }
    for odd in [
        atom("nil"),
        atom("Infinity"),
        binary("60"),
        binary("infinity"),
        of(99, &[&[b'1'; 31]]),
    ] {
        assert_eq!(
            read(&token(&binary(CODE), &small(0), &odd)),
            Err(Reason::Malformed),
            "{odd:?}"
        );
    }
    for odd in [atom("infinity"), binary("0"), float(0.0)] {
        assert_eq!(
            read(&token(&binary(CODE), &odd, &small(1))),
            Err(Reason::Malformed),
            "{odd:?}"
        );
    }
    let legacy =
        read(&[&[131, 104, 2], binary(CODE).as_slice(), &small(0)].concat()).expect("a genuine token");
    assert_eq!(legacy.window.not_after, Some(Timestamp::from_seconds(86_400)));
    let outside = [
        &[131, 104, 4],
        binary(CODE).as_slice(),
        &small(0),
        &small(1),
        &small(1),
    ]
    .concat();
    assert_eq!(read(&outside), Err(Reason::Malformed));
}

#[test]
fn a_map_with_exactly_the_keys_data_and_signed_is_the_oldest_form_and_holds_for_a_day() {
    let term = |pairs: &[(Vec<u8>, Vec<u8>)]| [vec![131], map(pairs)].concat();
    let data = (atom("data"), binary(CODE));
    let signed = (atom("signed"), small(7));
    let claims = map(&[(atom("ticket_id"), binary(ID)), (atom("extra"), nested(108, 5))]);
    for pairs in [
        [data.clone(), signed.clone()],
        [signed.clone(), data.clone()],
        [(atom("data"), claims), signed.clone()],
    ] {
        let claims = read(&term(&pairs)).expect("a genuine token");
        assert!(claims.ticket_code.is_some() || claims.ticket_id.is_some());
        assert_eq!(
            claims.window,
            Window::new(None, Some(Timestamp::from_millis(86_400_007))),
            "{pairs:?}"
        );
    }
    for pairs in [
        vec![data.clone()],
        vec![data.clone(), data.clone()],
        vec![signed.clone(), signed.clone()],
        vec![data.clone(), signed.clone(), (atom("max_age"), small(1))],
        vec![data.clone(), (binary("signed"), small(7))],
        vec![(binary("data"), binary(CODE)), signed.clone()],
        vec![data.clone(), (atom("signed"), binary("7"))],
        vec![(atom("data"), small(7)), signed.clone()],
        vec![data.clone(), (atom("signed_at"), small(7))],
    ] {
        assert_eq!(read(&term(&pairs)), Err(Reason::Malformed), "{pairs:?}");
    }
    let followed = [term(&[data, signed]), small(1)].concat();
    assert_eq!(read(&followed), Err(Reason::Malformed));
}

proptest! {
    #[test]
    fn any_signed_bytes_are_parsed_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read(&[&[131, 104, 3], bytes.as_slice()].concat());
    }

    #[test]
    fn a_truncated_or_extended_term_is_malformed(cut: prop::sample::Index, more: u8) {
        let pairs = [(atom("x"), nested(108, 5)), (binary("ticket_code"), binary(CODE))];
        let term = token(&map(&pairs), &small(0), &small(1));
        prop_assert!(read(&term).is_ok());
        let short = term.get(..cut.index(term.len())).unwrap_or_default();
        prop_assert_eq!(read(short), Err(Reason::Malformed));
        prop_assert_eq!(read(&[term.as_slice(), &[more]].concat()), Err(Reason::Malformed));
    }
}
