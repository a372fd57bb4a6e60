//! Tests of the verification: each way to tamper with a log is named with its first entry.

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::audit::{Audit, AuditSigner, AuditedChange, next_entry};
use crate::model::{
    ApiKeyId, AuditAction, AuditActor, AuditChanges, AuditContext, AuditSubject, AuditSubjectKind,
    OrganizationId, Timestamp,
};
use crate::token::{Keyring, MasterSecret};

fn master() -> MasterSecret {
    MasterSecret::from_bytes(&[7; 32]).expect("a secret")
}

fn organization(number: u128) -> OrganizationId {
    OrganizationId::from_uuid(Uuid::from_u128(number))
}

fn public_key(number: u128) -> [u8; 32] {
    let keyring = Keyring::derive(&master(), organization(number), &[]).expect("a keyring");
    keyring.manifest_key().expect("a server's keyring")
}

/// A log of some entries of an organization, as the server serves it.
fn log_of(number: u128, entries: i64) -> Vec<String> {
    let master = master();
    let organization = organization(number);
    let mut head = None;
    let mut lines = Vec::new();
    for number in 0..entries {
        let context = AuditContext {
            actor: AuditActor::api_key(ApiKeyId::from_uuid(Uuid::from_u128(1)), "Owner"),
            address: Some([192, 0, 2, 7].into()),
            request_id: Some(format!("request-{number}")),
        };
        let audit = Audit {
            context: &context,
            at: Timestamp::from_seconds(1_795_370_400 + number),
            signer: AuditSigner::new(&master),
        };
        let change = AuditedChange {
            action: AuditAction::EventUpdate,
            subject: AuditSubject::new(AuditSubjectKind::Event, Uuid::from_u128(5)),
            changes: AuditChanges::new().with("capacity", number, number + 1),
        };
        let made = next_entry(organization, head, change, audit).expect("an entry");
        head = Some(AuditHead {
            sequence: made.entry.sequence,
            hash: made.entry.hash,
        });
        lines.push(serde_json::to_string(&made.entry).expect("JSON"));
    }
    lines
}

fn verify_log(lines: &[String], head: Option<AuditHead>) -> Result<Option<AuditHead>, AuditFault> {
    verify_lines(lines.iter().map(String::as_str), &public_key(1), head)
}

fn value_of(line: &str) -> Value {
    serde_json::from_str(line).expect("JSON")
}

/// The head of a log.
fn head_of(lines: &[String]) -> AuditHead {
    verify_log(lines, None).expect("it is intact").expect("entries")
}

#[test]
fn an_intact_log_gives_its_head() {
    assert_eq!(verify_log(&[], None), Ok(None));
    let log = log_of(1, 9);
    let head = head_of(&log);
    assert_eq!(head.sequence, 9);
    assert_eq!(json!(hex::encode(&head.hash)), value_of(&log[8])["hash"]);
    assert_eq!(value_of(&log[0])["previous_hash"], Value::Null);
    assert_eq!(value_of(&log[1])["previous_hash"], value_of(&log[0])["hash"]);
    // The noted head of an earlier time is in it, and a longer log is no fault.
    assert_eq!(verify_log(&log, Some(head_of(&log[..4]))), Ok(Some(head)));
    let with_empty_lines: Vec<_> = log
        .iter()
        .flat_map(|line| [String::new(), line.clone()])
        .collect();
    assert_eq!(verify_log(&with_empty_lines, None), Ok(Some(head)));
}

#[test]
fn another_order_of_fields_and_a_cleared_address_are_no_change() {
    let mut log = log_of(1, 3);
    let mut entry = value_of(&log[1]);
    entry["address"] = Value::Null;
    log[1] = serde_json::to_string_pretty(&entry)
        .expect("JSON")
        .replace('\n', " ");
    assert!(verify_log(&log, None).is_ok());
}

#[test]
fn a_change_of_any_field_is_named() {
    let log = log_of(1, 6);
    let fields = value_of(&log[3]).as_object().expect("an object").clone();
    for field in fields.keys().filter(|field| *field != "address") {
        let mut entry = fields.clone();
        let changed = match (field.as_str(), &entry[field]) {
            ("sequence", _) => continue,
            ("hash" | "previous_hash", _) => json!("0".repeat(64)),
            ("signature", _) => json!("A".repeat(86)),
            ("changes", _) => json!({ "capacity": [3, 5] }),
            ("actor", _) => json!({ "kind": "system", "id": null, "name": null }),
            ("subject", _) => json!({ "kind": "event", "id": Uuid::from_u128(6) }),
            ("at", _) => json!("2026-11-22T18:00:04.000Z"),
            ("action", _) => json!("event.create"),
            ("request_id", _) => Value::Null,
            other => panic!("{other:?}"),
        };
        entry.insert(field.clone(), changed);
        let mut tampered = log.clone();
        tampered[3] = json!(entry).to_string();
        let expected = AuditFault::Changed { sequence: 4, line: 4 };
        assert_eq!(verify_log(&tampered, None), Err(expected), "{field}");
    }
    // A field more is a change too, and so is a field that is there twice.
    let mut more = fields.clone();
    more.insert("note".to_owned(), json!("approved"));
    let mut tampered = log.clone();
    tampered[3] = json!(more).to_string();
    assert_eq!(
        verify_log(&tampered, None),
        Err(AuditFault::Changed { sequence: 4, line: 4 })
    );
    tampered[3] = log[3].replacen('{', r#"{"action":"event.delete","#, 1);
    assert_eq!(
        verify_log(&tampered, None),
        Err(AuditFault::Unreadable { line: 4, sequence: 4 })
    );
    tampered[3] = "nonsense".to_owned();
    assert_eq!(
        verify_log(&tampered, None),
        Err(AuditFault::Unreadable { line: 4, sequence: 4 })
    );
}

#[test]
fn a_changed_entry_with_a_new_hash_is_named() {
    let mut log = log_of(1, 6);
    for (at, line) in log.clone().iter().enumerate().skip(3) {
        // Somebody without the key makes a new chain from the changed entry on.
        let mut entry = value_of(line);
        if at == 3 {
            entry["changes"] = json!({});
        } else {
            entry["previous_hash"] = value_of(&log[at - 1])["hash"].clone();
        }
        let content = hashed_content(entry.clone()).expect("JSON");
        entry["hash"] = json!(hex::encode(&Sha256::digest(content.as_bytes())));
        log[at] = entry.to_string();
    }
    assert_eq!(
        verify_log(&log, None),
        Err(AuditFault::Changed { sequence: 4, line: 4 })
    );
}

#[test]
fn entries_that_were_cut_out_are_named() {
    let log = log_of(1, 8);
    let without = |from: usize, to: usize| {
        let mut rest = log.clone();
        rest.drain(from..to);
        verify_log(&rest, None)
    };
    let cut_out = |first, last, line| Err(AuditFault::CutOut { first, last, line });
    assert_eq!(without(0, 1), cut_out(1, 1, 1));
    assert_eq!(without(3, 4), cut_out(4, 4, 4));
    assert_eq!(without(3, 6), cut_out(4, 6, 4));
    let rest = without(7, 8).expect("nothing shows it").expect("entries");
    assert_eq!(rest.sequence, 7);
}

#[test]
fn an_entry_that_was_put_in_is_named() {
    let log = log_of(1, 6);
    let with = |at: usize, line: &str| {
        let mut more = log.clone();
        more.insert(at, line.to_owned());
        verify_log(&more, None)
    };
    let put_in = |sequence, line| Err(AuditFault::PutIn { sequence, line });
    let mut forged = value_of(&log[3]);
    forged["changes"] = json!({});
    assert_eq!(with(3, &forged.to_string()), put_in(4, 4));
    assert_eq!(with(4, &forged.to_string()), put_in(4, 5));
    forged["sequence"] = json!(99);
    assert_eq!(with(3, &forged.to_string()), put_in(99, 4));
    assert_eq!(with(6, &forged.to_string()), put_in(99, 7));
    // A genuine one a second time, and one of another organization.
    assert_eq!(with(1, &log[0]), put_in(1, 2));
    assert_eq!(with(3, &log[4]), put_in(5, 4));
    assert_eq!(with(6, &log[5]), put_in(6, 7));
    assert_eq!(with(3, &log_of(2, 4)[3]), put_in(4, 4));
}

#[test]
fn swapped_entries_are_named() {
    let mut log = log_of(1, 6);
    log.swap(2, 4);
    let expected = AuditFault::Swapped {
        sequence: 5,
        due: 3,
        line: 3,
    };
    assert_eq!(verify_log(&log, None), Err(expected));
    assert_eq!(
        expected.to_string(),
        "entry 5 stands in line 3, where entry 3 is due: entries were swapped"
    );
}

#[test]
fn a_missing_tail_is_named_by_a_noted_head() {
    let log = log_of(1, 6);
    let head = head_of(&log);
    let missing = |first, last| Err(AuditFault::MissingTail { first, last });
    assert_eq!(verify_log(&log[..4], Some(head)), missing(5, 6));
    assert_eq!(verify_log(&log[..5], Some(head)), missing(6, 6));
    assert_eq!(verify_log(&[], Some(head)), missing(1, 6));
    let replaced = AuditHead {
        hash: [0; 32],
        ..head_of(&log[..3])
    };
    assert_eq!(
        verify_log(&log, Some(replaced)),
        Err(AuditFault::OtherHead { sequence: 3 })
    );
}

#[test]
fn a_genuine_entry_of_another_chain_is_named() {
    let log = log_of(1, 6);
    let mut other = log_of(1, 3);
    // A database that was restored wrote other entries under the same numbers.
    let (context, master) = (AuditContext::cli(), master());
    let audit = Audit {
        context: &context,
        at: Timestamp::from_seconds(0),
        signer: AuditSigner::new(&master),
    };
    let change = AuditedChange {
        action: AuditAction::ApiKeyCreate,
        subject: AuditSubject::new(AuditSubjectKind::ApiKey, Uuid::from_u128(9)),
        changes: AuditChanges::new(),
    };
    let made = next_entry(organization(1), Some(head_of(&other)), change, audit).expect("an entry");
    other.push(serde_json::to_string(&made.entry).expect("JSON"));
    assert_eq!(head_of(&other).sequence, 4);
    other.extend_from_slice(&log[4..]);
    assert_eq!(
        verify_log(&other, None),
        Err(AuditFault::OtherChain { sequence: 5, line: 5 })
    );
}

#[test]
fn the_key_of_another_organization_is_refused() {
    let log = log_of(1, 3);
    let verified = verify_lines(log.iter().map(String::as_str), &public_key(2), None);
    assert_eq!(verified, Err(AuditFault::WrongKey));
}
