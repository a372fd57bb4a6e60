//! Verifies that a batch is what its device wrote: the signature of the batch, and the links of its scans to each other and
//! to recorded scans.

use std::collections::HashMap;

use crate::model::ScanId;
use crate::sync::{LogPosition, SyncFacts, UploadBatch, UploadItem, signed_bytes};

/// Whether the batch is what its device wrote. Always true for a device without a key.
pub(crate) fn is_log_valid(batch: &UploadBatch, facts: &SyncFacts) -> bool {
    let Some(key) = &facts.device.key else { return true };
    let links: Vec<_> = batch.items.iter().map(|item| item.link).collect();
    let age = |item: &UploadItem| item.upload.as_ref().ok().and_then(|upload| upload.scan.age_ms);
    let ages: Vec<_> = batch.items.iter().map(age).collect();
    let bytes = signed_bytes(
        batch.organization_id,
        batch.device_id,
        batch.batch_id,
        batch.sent_at,
        &links,
        &ages,
    );
    let signed = batch
        .signature
        .is_some_and(|signature| key.verifies(&bytes, signature.as_bytes()));
    signed && is_chain_valid(batch, facts.log.clone())
}

/// Whether a device that was enrolled again has started a new log. Its batch then contradicts the recorded log, but not
/// itself. The device may be another phone, which numbers its scans from 1, or the same phone, which continues its log.
pub(crate) fn is_log_restart(batch: &UploadBatch, facts: &SyncFacts) -> bool {
    if !facts.device.may_restart_log {
        return false;
    }
    match facts.device.key {
        Some(_) => !is_chain_valid(batch, facts.log.clone()) && is_chain_valid(batch, Log::new()),
        None => batch.uploads().any(|upload| {
            let scan = &upload.scan;
            let position = scan.sequence.and_then(|sequence| facts.log.get(&sequence));
            position.is_some_and(|(other, _)| *other != scan.scan_id)
        }),
    }
}

/// Positions of a log with their scans.
type Log = HashMap<u64, (ScanId, LogPosition)>;

fn is_chain_valid(batch: &UploadBatch, recorded: Log) -> bool {
    let mut log = recorded;
    for item in &batch.items {
        let Ok(upload) = &item.upload else { continue };
        let Some(sequence) = upload.scan.sequence else {
            return false;
        };
        let position = LogPosition {
            sequence,
            prev: upload.scan.prev_hash,
            link: item.link,
        };
        let own = (upload.scan.scan_id, position);
        if log.insert(sequence, own).is_some_and(|other| other != own) {
            return false;
        }
    }
    log.values().all(|(_, position)| {
        let before = position
            .sequence
            .checked_sub(1)
            .and_then(|before| log.get(&before));
        let starts = position.sequence == 1;
        starts == position.prev.is_none()
            && before.is_none_or(|(_, before)| position.prev == Some(before.link))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::model::{DeviceKey, Fingerprint, Reason};
    use crate::rules::decision::tests::NOW;
    use crate::sync::{
        BatchSignature, DeviceScopes, GateEvents, LinkHash, ReceivedScan, ReceivedSequences, SyncDevice,
        Upload,
    };

    fn id<T: From<uuid::Uuid>>(number: u128) -> T {
        uuid::Uuid::from_u128(number).into()
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    /// A log of this many scans, as a phone writes it.
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
            let received = ReceivedScan::read(&sent);
            let link = received.link;
            let scan = *received.scan.expect("a scan");
            prev = Some(link);
            items.push(UploadItem {
                scan_id: Some(scan.scan_id),
                sequence: scan.sequence,
                link,
                upload: Ok(Box::new(Upload {
                    scan,
                    fingerprint: Fingerprint {
                        sha256: [0; 32],
                        other_sha256: None,
                        format: None,
                        kid: None,
                    },
                    claims: Err(Reason::Malformed),
                    medium: None,
                    media_tickets: Vec::new(),
                })),
            });
        }
        items
    }

    fn signed(items: Vec<UploadItem>) -> UploadBatch {
        let mut batch = UploadBatch {
            organization_id: id(1),
            device_id: id(2),
            batch_id: id(3),
            sent_at: NOW,
            received_at: NOW,
            signature: None,
            origin: None,
            items,
        };
        let links: Vec<_> = batch.items.iter().map(|item| item.link).collect();
        let bytes = signed_bytes(id(1), id(2), id(3), NOW, &links, &[]);
        batch.signature = Some(BatchSignature::new(key().sign(&bytes).to_bytes()));
        batch
    }

    /// The facts of a device with a key and these recorded scans.
    fn facts(recorded: &[UploadItem]) -> SyncFacts {
        let position = |item: &UploadItem| {
            let scan = &item.upload.as_ref().expect("a scan").scan;
            let sequence = scan.sequence.expect("a number");
            let position = LogPosition {
                sequence,
                prev: scan.prev_hash,
                link: item.link,
            };
            (sequence, (scan.scan_id, position))
        };
        SyncFacts {
            device: SyncDevice {
                name: "Phone".to_owned(),
                revoked: false,
                can_override: false,
                scopes: DeviceScopes::default(),
                key: Some(DeviceKey::new(key().verifying_key().to_bytes())),
                received: ReceivedSequences::default(),
                may_restart_log: false,
            },
            status_changes: HashMap::new(),
            former_rules: crate::rules::FormerRules::default(),
            recorded: HashMap::new(),
            gate_events: GateEvents::default(),
            gates: HashMap::new(),
            tickets: HashMap::new(),
            history: Vec::new(),
            sessions: Vec::new(),
            log: recorded.iter().map(position).collect(),
            quarantined: HashMap::new(),
            quarantine_capacity: 0,
        }
    }

    #[test]
    fn a_complete_log_is_valid_in_any_grouping_and_order() {
        let log = log(6);
        assert!(is_log_valid(&signed(log.clone()), &facts(&[])));
        assert!(
            is_log_valid(&signed(log[3..].to_vec()), &facts(&[])),
            "its start comes later"
        );
        assert!(
            is_log_valid(&signed(log[..3].to_vec()), &facts(&log[3..])),
            "its end is recorded"
        );
        assert!(
            is_log_valid(&signed(log.clone()), &facts(&log)),
            "all of it is recorded"
        );
        let mut turned = log;
        turned.reverse();
        assert!(is_log_valid(&signed(turned), &facts(&[])));
        assert!(is_log_valid(&signed(Vec::new()), &facts(&[])));
    }

    #[test]
    fn an_unsigned_changed_or_forked_log_is_not_valid() {
        let whole = log(6);
        let mut unsigned = signed(whole.clone());
        unsigned.signature = None;
        assert!(!is_log_valid(&unsigned, &facts(&[])));
        let mut cut = signed(whole.clone());
        cut.items.pop();
        assert!(
            !is_log_valid(&cut, &facts(&[])),
            "the signature covers more scans"
        );
        let mut late = signed(whole.clone());
        late.sent_at = NOW.plus_millis(1);
        assert!(
            !is_log_valid(&late, &facts(&[])),
            "the signature covers another time"
        );
        let mut changed = whole.clone();
        changed[2].link = LinkHash::new([9; 32]);
        assert!(
            !is_log_valid(&signed(changed.clone()), &facts(&[])),
            "the next scan has another hash"
        );
        assert!(
            !is_log_valid(&signed(whole[3..].to_vec()), &facts(&changed[..3])),
            "another scan is recorded"
        );
        let mut forked = whole[2..3].to_vec();
        if let Ok(upload) = &mut forked[0].upload {
            upload.scan.scan_id = id(99);
        }
        assert!(
            !is_log_valid(&signed(forked), &facts(&whole)),
            "its position belongs to another scan"
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
            "only the first scan has no previous one"
        );
    }

    #[test]
    fn a_device_that_was_enrolled_again_may_restart_or_continue_its_log() {
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
        assert!(
            !is_log_restart(&signed(other_phone(3)), &enrolled),
            "it was not enrolled again"
        );
        enrolled.device.may_restart_log = true;
        assert!(
            is_log_restart(&signed(other_phone(3)), &enrolled),
            "another phone"
        );
        assert!(
            !is_log_restart(&signed(before[2..].to_vec()), &enrolled),
            "received in again"
        );
        let first_five = SyncFacts {
            log: facts(&before[..5]).log,
            ..enrolled
        };
        assert!(
            !is_log_restart(&signed(before[5..].to_vec()), &first_five),
            "it continues its log"
        );
        let mut inconsistent = other_phone(3);
        inconsistent[1].link = LinkHash::new([9; 32]);
        assert!(
            !is_log_restart(&signed(inconsistent), &first_five),
            "it contradicts itself"
        );
        let mut without_key = first_five;
        without_key.device.key = None;
        assert!(is_log_restart(&signed(other_phone(3)), &without_key));
        assert!(!is_log_restart(&signed(before[2..].to_vec()), &without_key));
    }

    #[test]
    fn the_log_of_a_device_without_a_key_is_not_checked() {
        let mut facts = facts(&[]);
        facts.device.key = None;
        let mut batch = signed(log(3));
        batch.signature = None;
        assert!(is_log_valid(&batch, &facts));
    }
}
