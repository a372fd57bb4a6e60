use super::*;
use crate::model::{Claims, Timestamp, hex};
use crate::token::{Payload, verify};

const VECTORS: &str = include_str!("../../../../tests/vectors/native_token.json");

fn master() -> MasterSecret {
    MasterSecret::from_bytes(&[1; 32]).expect("32 bytes")
}

fn organization() -> OrganizationId {
    "ea8ed02a-82a1-4593-8f23-37cd3794c522".parse().expect("an id")
}

fn code() -> TicketCode {
    "3KQR7F924M1XaB0z".parse().expect("a code")
}

fn key(format: KeyFormat, kid: &str, status: KeyStatus, made: i64) -> SigningKey {
    SigningKey {
        format,
        kid: kid.parse().expect("a key id"),
        status,
        public_key: None,
        inserted_at: Timestamp::from_seconds(made),
    }
}

fn derive(keys: &[SigningKey]) -> Keyring {
    Keyring::derive(&master(), organization(), keys).expect("a keyring")
}

fn vg2_claims() -> Vg2Claims {
    Vg2Claims {
        ticket_code: code(),
        event_id: crate::model::EventId::from_uuid(uuid::Uuid::nil()),
        not_before: None,
        not_after: None,
        ticket_class: 0,
        entry_limit: std::num::NonZeroU8::MIN,
    }
}

fn read(keyring: &Keyring, text: &str) -> Result<Claims, Reason> {
    verify(&Payload::parse(text)?, keyring, None, false)
}

#[test]
fn derived_keys_equal_those_of_the_vectors() {
    let file: serde_json::Value = serde_json::from_str(VECTORS).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let master = MasterSecret::from_hex(&text(&file["master_secret_hex"])).expect("a secret");
    let organization = text(&file["organization_id"]).parse().expect("an id");
    for key in file["keys"].as_array().expect("a list") {
        let kid = text(&key["kid"]).parse().expect("a key id");
        assert_eq!(
            hex::encode(&*master.vg1_secret(organization, kid)),
            text(&key["VG1_key_hex"])
        );
        assert_eq!(
            hex::encode(&master.vg2_public_key(organization, kid)),
            text(&key["VG2_public_hex"])
        );
    }
}

#[test]
fn the_newest_active_key_signs_and_the_others_verify_until_they_are_revoked() {
    let old = derive(&[key(KeyFormat::Vg1, "1", KeyStatus::Active, 0)])
        .sign_vg1(code())
        .expect("a key");
    let rotated = derive(&[
        key(KeyFormat::Vg1, "3", KeyStatus::VerifyOnly, 3),
        key(KeyFormat::Vg1, "2", KeyStatus::Active, 2),
        key(KeyFormat::Vg1, "1", KeyStatus::Active, 1),
        key(KeyFormat::Vg1, "4", KeyStatus::Revoked, 4),
        key(KeyFormat::Vg2, "5", KeyStatus::Active, 5),
    ]);
    let new = rotated.sign_vg1(code()).expect("a key");
    assert!(new.starts_with("VG1.2."), "{new}");
    assert!(read(&rotated, &old).is_ok() && read(&rotated, &new).is_ok());
    assert!(
        rotated
            .sign_vg2(&vg2_claims())
            .expect("a key")
            .starts_with("VG2.5.")
    );

    let done = derive(&[
        key(KeyFormat::Vg1, "1", KeyStatus::Revoked, 1),
        key(KeyFormat::Vg2, "2", KeyStatus::VerifyOnly, 1),
    ]);
    assert_eq!(read(&done, &old), Err(Reason::KeyRevoked));
    // A VG2 key of the same id is another key.
    assert_eq!(read(&done, &new), Err(Reason::UnknownKey));
    assert_eq!(
        (done.sign_vg1(code()), done.sign_vg2(&vg2_claims())),
        (None, None)
    );
}

#[test]
fn of_two_keys_created_at_once_every_node_signs_with_the_same() {
    let (one, two) = (
        key(KeyFormat::Vg2, "a", KeyStatus::Active, 1),
        key(KeyFormat::Vg2, "b", KeyStatus::Active, 1),
    );
    for keys in [[one, two], [two, one]] {
        assert!(
            derive(&keys)
                .sign_vg2(&vg2_claims())
                .expect("a key")
                .starts_with("VG2.b.")
        );
    }
}

#[test]
fn every_organization_has_its_own_keys() {
    let keys = [
        key(KeyFormat::Vg1, "1", KeyStatus::Active, 0),
        key(KeyFormat::Vg2, "1", KeyStatus::Active, 0),
    ];
    let other = OrganizationId::from_uuid(uuid::Uuid::from_u128(1));
    let (ours, theirs) = (
        derive(&keys),
        Keyring::derive(&master(), other, &keys).expect("a keyring"),
    );
    let (vg1, vg2) = (
        theirs.sign_vg1(code()).expect("a key"),
        theirs.sign_vg2(&vg2_claims()).expect("a key"),
    );
    assert_eq!(read(&ours, &vg1), Err(Reason::BadSignature));
    assert_eq!(read(&ours, &vg2), Err(Reason::BadSignature));
    assert_ne!(ours.manifest_key(), theirs.manifest_key());
    assert_eq!(theirs.organization_id(), other);
}

#[test]
fn a_master_secret_that_does_not_match_the_rows_is_refused() {
    let mut row = key(KeyFormat::Vg2, "1", KeyStatus::Active, 0);
    row.public_key = Some(master().vg2_public_key(organization(), row.kid));
    derive(&[row]);
    let other = MasterSecret::generate();
    for status in [KeyStatus::Active, KeyStatus::VerifyOnly, KeyStatus::Revoked] {
        let built = Keyring::derive(&other, organization(), &[SigningKey { status, ..row }]);
        assert_eq!(
            built.err(),
            Some(KeyringError::WrongMasterSecret { kid: row.kid })
        );
    }
}

#[test]
fn a_device_verifies_vg2_with_public_keys_only() {
    let mut row = key(KeyFormat::Vg2, "1", KeyStatus::Active, 0);
    let vg1 = key(KeyFormat::Vg1, "1", KeyStatus::Active, 0);
    let server = derive(&[row, vg1]);
    row.public_key = Some(master().vg2_public_key(organization(), row.kid));
    let public = |keys: &[SigningKey]| Keyring::public(organization(), keys);
    let device = public(&[row, vg1]).expect("a keyring");
    let (vg2_text, vg1_text) = (
        server.sign_vg2(&vg2_claims()).expect("a key"),
        server.sign_vg1(code()).expect("a key"),
    );
    assert_eq!(read(&device, &vg2_text), read(&server, &vg2_text));
    assert_eq!(read(&device, &vg1_text), Err(Reason::UnknownKey));
    assert_eq!(
        (device.sign_vg2(&vg2_claims()), device.manifest_key()),
        (None, None)
    );

    let revoked = |row| SigningKey {
        status: KeyStatus::Revoked,
        public_key: None,
        ..row
    };
    let device = public(&[revoked(row), revoked(vg1)]).expect("a keyring");
    assert_eq!(read(&device, &vg2_text), Err(Reason::KeyRevoked));
    assert_eq!(read(&device, &vg1_text), Err(Reason::KeyRevoked));

    let error = |public_key| public(&[SigningKey { public_key, ..row }]).err();
    assert_eq!(error(None), Some(KeyringError::MissingPublicKey { kid: row.kid }));
    // No point of the curve has y = 2.
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    assert_eq!(
        error(Some(off_curve)),
        Some(KeyringError::InvalidPublicKey { kid: row.kid })
    );
}

#[test]
fn a_weak_key_verifies_nothing() {
    // The identity point. Without strict verification, S = 0 and R = identity are a valid signature of every message.
    let mut identity = [0; 32];
    identity[0] = 1;
    let row = SigningKey {
        public_key: Some(identity),
        ..key(KeyFormat::Vg2, "1", KeyStatus::Active, 0)
    };
    let device = Keyring::public(organization(), &[row]).expect("a point of the curve");
    let genuine = derive(&[row].map(|row| SigningKey {
        public_key: None,
        ..row
    }))
    .sign_vg2(&vg2_claims())
    .expect("a key");
    let (signed, _) = genuine.rsplit_once('.').expect("a dot");
    let forged = format!("{signed}.AQ{}", "A".repeat(84));
    assert_eq!(read(&device, &forged), Err(Reason::BadSignature));
}

#[test]
fn a_manifest_signature_is_valid_only_for_its_bytes() {
    let server = derive(&[]);
    let (key, signature) = (
        server.manifest_key().expect("a server"),
        server.sign_manifest(b"m").expect("a server"),
    );
    assert!(is_manifest_signature_valid(&key, b"m", &signature));
    assert!(!is_manifest_signature_valid(&key, b"n", &signature));
    assert!(!is_manifest_signature_valid(&[2; 32], b"m", &signature));
    assert!(!is_manifest_signature_valid(&key, b"m", &[0; 64]));
}

#[test]
fn a_master_secret_has_at_least_32_bytes() {
    let hex = "0123456789abcdef".repeat(4);
    let read = MasterSecret::from_hex(&format!("{hex}\n")).expect("32 bytes");
    assert_eq!(*read.to_hex(), hex);
    assert_eq!(
        MasterSecret::from_bytes(&[0; 31]).err(),
        Some(InvalidMasterSecret::TooShort)
    );
    for (text, error) in [
        ("", InvalidMasterSecret::TooShort),
        ("00", InvalidMasterSecret::TooShort),
        ("0", InvalidMasterSecret::NotHex),
        (&hex.replace('f', "g"), InvalidMasterSecret::NotHex),
    ] {
        assert_eq!(MasterSecret::from_hex(text).err(), Some(error), "{text:?}");
    }
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", master()), "MasterSecret { .. }");
    let keyring = format!("{:?}", derive(&[key(KeyFormat::Vg1, "1", KeyStatus::Active, 0)]));
    assert_eq!(
        keyring,
        format!("Keyring {{ organization_id: {:?}, .. }}", organization())
    );
}
