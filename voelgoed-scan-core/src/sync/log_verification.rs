//! Is the batch what its device wrote? Signed, and its scans linked to one another and to those on record.

use std::collections::HashMap;

use crate::model::ScanId;
use crate::sync::{LogPosition, SyncFacts, UploadBatch, signed_bytes};

/// Whether the batch is what its device wrote: always so where the device has no key.
pub(crate) fn is_log_valid(intake: &UploadBatch, facts: &SyncFacts) -> bool {
    let Some(key) = &facts.device.key else { return true };
    let links: Vec<_> = intake.items.iter().map(|item| item.link).collect();
    let bytes = signed_bytes(
        intake.organization_id,
        intake.device_id,
        intake.batch_id,
        intake.sent_at,
        &links,
    );
    let signed = intake
        .signature
        .is_some_and(|signature| key.verifies(&bytes, signature.as_bytes()));
    signed && is_chain_valid(intake, facts.log.clone())
}

/// Whether a device that was enrolled anew has begun another log: its batch contradicts what is on record of the last
/// one, and not itself. The phone may be another one, which numbers its scans from 1; or it is the same and goes on.
pub(crate) fn is_log_restart(intake: &UploadBatch, facts: &SyncFacts) -> bool {
    if !facts.device.may_restart_log {
        return false;
    }
    match facts.device.key {
        Some(_) => !is_chain_valid(intake, facts.log.clone()) && is_chain_valid(intake, Log::new()),
        None => intake.uploads().any(|upload| {
            let scan = &upload.scan;
            let place = scan.sequence.and_then(|sequence| facts.log.get(&sequence));
            place.is_some_and(|(other, _)| *other != scan.scan_id)
        }),
    }
}

/// Places of a log, with their scans.
type Log = HashMap<u64, (ScanId, LogPosition)>;

fn is_chain_valid(intake: &UploadBatch, on_record: Log) -> bool {
    let mut log = on_record;
    for item in &intake.items {
        let Ok(upload) = &item.upload else { continue };
        let Some(sequence) = upload.scan.sequence else {
            return false;
        };
        let place = LogPosition {
            sequence,
            prev: upload.scan.prev_hash,
            link: item.link,
        };
        let own = (upload.scan.scan_id, place);
        if log.insert(sequence, own).is_some_and(|other| other != own) {
            return false;
        }
    }
    log.values().all(|(_, place)| {
        let before = place.sequence.checked_sub(1).and_then(|before| log.get(&before));
        let starts = place.sequence == 1;
        starts == place.prev.is_none() && before.is_none_or(|(_, before)| place.prev == Some(before.link))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::model::{DeviceKey, Fingerprint, Reason};
    use crate::rules::decision::tests::NOW;
    use crate::sync::{
        BatchSignature, LinkHash, ReceivedScan, ReceivedSequences, SyncDevice, Upload, UploadItem,
    };

    fn id<T: From<uuid::Uuid>>(number: u128) -> T {
        uuid::Uuid::from_u128(number).into()
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    /// A log of so many scans, as a phone writes it.
    fn log(length: u128) -> Vec<UploadItem> {
        let mut prev: Option<LinkHash> = None;
        let mut items = Vec::new();
        for number in 1..=length {
            let mut sent = serde_json::json!({
                "scan_id": id::<ScanId>(number), "qr": "x", "gate_id": id::<ScanId>(3), "scanned_at": NOW,
                "sequence": u64::try_from(number).expect("small")
            });
            if let Some(prev) = prev {
                sent["prev_hash"] = serde_json::json!(prev);
            }
            let handed = ReceivedScan::read(sent);
            let link = LinkHash::of(&handed.sent);
            let scan = *handed.scan.expect("a scan");
            prev = Some(link);
            items.push(UploadItem {
                scan_id: Some(scan.scan_id),
                sequence: scan.sequence,
                link,
                upload: Ok(Box::new(Upload {
                    scan,
                    fingerprint: Fingerprint {
                        sha256: [0; 32],
                        format: None,
                        kid: None,
                    },
                    claims: Err(Reason::Malformed),
                })),
            });
        }
        items
    }

    fn signed(items: Vec<UploadItem>) -> UploadBatch {
        let mut intake = UploadBatch {
            organization_id: id(1),
            device_id: id(2),
            batch_id: id(3),
            sent_at: NOW,
            received_at: NOW,
            signature: None,
            items,
        };
        let links: Vec<_> = intake.items.iter().map(|item| item.link).collect();
        let bytes = signed_bytes(id(1), id(2), id(3), NOW, &links);
        intake.signature = Some(BatchSignature::new(key().sign(&bytes).to_bytes()));
        intake
    }

    /// What the database has: a device with a key, and these of its scans.
    fn facts(on_record: &[UploadItem]) -> SyncFacts {
        let place = |item: &UploadItem| {
            let scan = &item.upload.as_ref().expect("a scan").scan;
            let sequence = scan.sequence.expect("a number");
            let place = LogPosition {
                sequence,
                prev: scan.prev_hash,
                link: item.link,
            };
            (sequence, (scan.scan_id, place))
        };
        SyncFacts {
            device: SyncDevice {
                name: "Phone".to_owned(),
                revoked: false,
                can_override: false,
                key: Some(DeviceKey::new(key().verifying_key().to_bytes())),
                received: ReceivedSequences::default(),
                may_restart_log: false,
            },
            known: HashMap::new(),
            places: HashMap::new(),
            tickets: HashMap::new(),
            past: Vec::new(),
            sessions: Vec::new(),
            log: on_record.iter().map(place).collect(),
            quarantined: HashSet::new(),
            quarantine_capacity: 0,
        }
    }

    #[test]
    fn a_whole_log_holds_in_any_grouping_and_order() {
        let log = log(6);
        assert!(is_log_valid(&signed(log.clone()), &facts(&[])));
        assert!(
            is_log_valid(&signed(log[3..].to_vec()), &facts(&[])),
            "its beginning comes later"
        );
        assert!(
            is_log_valid(&signed(log[..3].to_vec()), &facts(&log[3..])),
            "it has come"
        );
        assert!(is_log_valid(&signed(log.clone()), &facts(&log)), "and again");
        let mut turned = log;
        turned.reverse();
        assert!(is_log_valid(&signed(turned), &facts(&[])));
        assert!(is_log_valid(&signed(Vec::new()), &facts(&[])));
    }

    #[test]
    fn an_unsigned_changed_or_forked_log_does_not_hold() {
        let whole = log(6);
        let mut unsigned = signed(whole.clone());
        unsigned.signature = None;
        assert!(!is_log_valid(&unsigned, &facts(&[])));
        let mut cut = signed(whole.clone());
        cut.items.pop();
        assert!(!is_log_valid(&cut, &facts(&[])), "signed with more");
        let mut late = signed(whole.clone());
        late.sent_at = NOW.plus_millis(1);
        assert!(!is_log_valid(&late, &facts(&[])), "signed for another time");
        let mut changed = whole.clone();
        changed[2].link = LinkHash::new([9; 32]);
        assert!(
            !is_log_valid(&signed(changed.clone()), &facts(&[])),
            "the next names another"
        );
        assert!(
            !is_log_valid(&signed(whole[3..].to_vec()), &facts(&changed[..3])),
            "another is on record"
        );
        let mut forked = whole[2..3].to_vec();
        if let Ok(upload) = &mut forked[0].upload {
            upload.scan.scan_id = id(99);
        }
        assert!(
            !is_log_valid(&signed(forked), &facts(&whole)),
            "its place is taken"
        );
        let mut unnumbered = whole[..1].to_vec();
        if let Ok(upload) = &mut unnumbered[0].upload {
            upload.scan.sequence = None;
        }
        assert!(!is_log_valid(&signed(unnumbered), &facts(&[])));
        let mut rootless = whole[1..2].to_vec();
        if let Ok(upload) = &mut rootless[0].upload {
            upload.scan.prev_hash = None;
        }
        assert!(
            !is_log_valid(&signed(rootless), &facts(&[])),
            "only the first has none before it"
        );
    }

    #[test]
    fn a_device_that_was_enrolled_anew_may_begin_another_log_or_go_on_with_its_own() {
        let before = log(6);
        let other_phone = |length| {
            let mut items = log(length);
            for item in &mut items {
                let Ok(upload) = &mut item.upload else { continue };
                upload.scan.scan_id = id(100 + u128::from(upload.scan.sequence.expect("a number")));
            }
            items
        };
        let mut enrolled = facts(&before);
        assert!(!is_log_restart(&signed(other_phone(3)), &enrolled), "it was not");
        enrolled.device.may_restart_log = true;
        assert!(
            is_log_restart(&signed(other_phone(3)), &enrolled),
            "another phone"
        );
        assert!(
            !is_log_restart(&signed(before[2..].to_vec()), &enrolled),
            "handed in again"
        );
        let first_five = SyncFacts {
            log: facts(&before[..5]).log,
            ..enrolled
        };
        assert!(
            !is_log_restart(&signed(before[5..].to_vec()), &first_five),
            "it goes on"
        );
        let mut torn = other_phone(3);
        torn[1].link = LinkHash::new([9; 32]);
        assert!(
            !is_log_restart(&signed(torn), &first_five),
            "it holds with nothing"
        );
        let mut without_key = first_five;
        without_key.device.key = None;
        assert!(is_log_restart(&signed(other_phone(3)), &without_key));
        assert!(!is_log_restart(&signed(before[2..].to_vec()), &without_key));
    }

    #[test]
    fn a_device_without_a_key_proves_nothing() {
        let mut facts = facts(&[]);
        facts.device.key = None;
        let mut intake = signed(log(3));
        intake.signature = None;
        assert!(is_log_valid(&intake, &facts));
    }
}
