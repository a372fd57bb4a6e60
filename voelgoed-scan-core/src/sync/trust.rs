//! Is the batch what its device wrote? Signed, and its scans linked to one another and to those on record.

use std::collections::HashMap;

use crate::ScanId;
use crate::sync::{Intake, LogPlace, SyncFacts, signed_bytes};

/// Whether the batch is what its device wrote: always so where the device has no key.
pub(crate) fn log_holds(intake: &Intake, facts: &SyncFacts) -> bool {
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
        .is_some_and(|signature| key.signed(&bytes, &signature));
    signed && chain_holds(intake, facts)
}

fn chain_holds(intake: &Intake, facts: &SyncFacts) -> bool {
    let mut log: HashMap<u64, (ScanId, LogPlace)> = facts.log.clone();
    for upload in intake
        .items
        .iter()
        .zip(intake.items.iter().map(|item| item.upload.as_ref()))
    {
        let (item, Ok(upload)) = upload else { continue };
        let Some(sequence) = upload.scan.sequence else {
            return false;
        };
        let place = LogPlace {
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
