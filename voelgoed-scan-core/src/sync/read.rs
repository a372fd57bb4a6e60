//! Reads the body of an upload.
//!
//! Invariants: an invalid scan does not invalidate the batch, as long as the batch can be split into its scans; reading stops
//! at the first scan past [`MAX_BATCH`]; besides the scans, the memory needed is that of one scan at a time.

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::model::{BatchId, Timestamp};
use crate::sync::split::{NotJson, Splitter};
use crate::sync::{BatchSignature, MAX_BATCH, ReceivedScan, ScanFault, SyncRequest};

/// Why a body is not an upload batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchFault {
    /// It is not JSON.
    NotJson,
    /// These fields of the batch are missing or invalid. The pointers start at the batch.
    Invalid(Vec<ScanFault>),
}

impl From<NotJson> for BatchFault {
    fn from(NotJson: NotJson) -> Self {
        Self::NotJson
    }
}

/// The fields of a batch as far as they were read.
#[derive(Default)]
struct Fields {
    batch_id: Option<BatchId>,
    sent_at: Option<Timestamp>,
    scans: Option<Vec<ReceivedScan>>,
    signature: Option<BatchSignature>,
    faults: Vec<ScanFault>,
}

impl SyncRequest<ReceivedScan> {
    /// Reads the body of an upload.
    pub fn read(body: &[u8]) -> Result<Self, BatchFault> {
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(match serde_json::from_slice::<IgnoredAny>(body) {
                Ok(_) => BatchFault::Invalid(vec![ScanFault::new("", "must be an object")]),
                Err(_) => BatchFault::NotJson,
            });
        }
        let mut fields = Fields::default();
        Splitter::new(body).members(|name, splitter| {
            let name: String = serde_json::from_slice(name).map_err(|_| NotJson)?;
            fields.read(&name, splitter)
        })?;
        let Fields {
            batch_id,
            sent_at,
            scans,
            signature,
            mut faults,
        } = fields;
        let (missing, batch) = match (batch_id, sent_at, scans) {
            (Some(batch_id), Some(sent_at), Some(scans)) => {
                let batch = Self {
                    batch_id,
                    sent_at,
                    scans,
                    signature,
                };
                ([false; 3], Some(batch))
            }
            (batch_id, sent_at, scans) => ([batch_id.is_none(), sent_at.is_none(), scans.is_none()], None),
        };
        for (pointer, is_missing) in ["/batch_id", "/sent_at", "/scans"].into_iter().zip(missing) {
            if is_missing && !faults.iter().any(|fault| fault.pointer == pointer) {
                faults.push(ScanFault::new(pointer, "is required"));
            }
        }
        match batch {
            Some(batch) if faults.is_empty() => Ok(batch),
            _ => Err(BatchFault::Invalid(faults)),
        }
    }
}

impl Fields {
    /// Reads a member of the batch. The last of several members with one name counts.
    fn read(&mut self, name: &str, splitter: &mut Splitter<'_>) -> Result<(), BatchFault> {
        if name == "scans" && splitter.peek() == Some(b'[') {
            self.faults.retain(|fault| fault.pointer != "/scans");
            self.scans = Some(scans(splitter)?);
            return Ok(());
        }
        let value = splitter.value()?;
        match name {
            "batch_id" => self.batch_id = self.field("/batch_id", value, "must be a UUID")?,
            "sent_at" => {
                let rule = "must be an RFC 3339 date and time such as 2026-11-22T18:04:05.120Z";
                self.sent_at = self.field("/sent_at", value, rule)?;
            }
            "signature" if value == b"null" => self.signature = None,
            "signature" => {
                let rule = "must be the base64url text of an Ed25519 signature";
                self.signature = self.field("/signature", value, rule)?;
            }
            "scans" => {
                self.scans = self.field("/scans", value, "must be of type array")?;
            }
            // Unknown members are ignored, but the body must be JSON.
            _ => {
                serde_json::from_slice::<IgnoredAny>(value).map_err(|_| NotJson)?;
            }
        }
        Ok(())
    }

    fn field<T: DeserializeOwned>(
        &mut self,
        pointer: &str,
        value: &[u8],
        rule: &str,
    ) -> Result<Option<T>, BatchFault> {
        self.faults.retain(|fault| fault.pointer != pointer);
        if let Ok(read) = serde_json::from_slice(value) {
            return Ok(Some(read));
        }
        serde_json::from_slice::<IgnoredAny>(value).map_err(|_| NotJson)?;
        self.faults.push(ScanFault::new(pointer, rule));
        Ok(None)
    }
}

fn scans(splitter: &mut Splitter<'_>) -> Result<Vec<ReceivedScan>, BatchFault> {
    let mut scans = Vec::new();
    splitter.items(|item| {
        if scans.len() == MAX_BATCH {
            let rule = format!("must have at most {MAX_BATCH} items");
            return Err(BatchFault::Invalid(vec![ScanFault::new("/scans", rule)]));
        }
        scans.push(ReceivedScan::read_text(item));
        Ok(())
    })?;
    Ok(scans)
}

#[cfg(test)]
mod tests;
