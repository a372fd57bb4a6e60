//! The scans of the phone in its database, newest first.

use sqlx::Row as _;

use crate::client::offline::log::{DeviceLog, get_json, get_parsed, get_uuid, invalid_column};
use crate::client::offline::own_scans::{OwnPassage, OwnVerdict, PassagePlace};
use crate::client::{OfflineError, Verdict};
use crate::model::{Direction, ScanResult, Timestamp};

/// Whether the phone recorded an admission of a ticket with the verdict.
fn is_admission(verdict: &Verdict) -> bool {
    verdict.result == ScanResult::Valid && verdict.direction == Direction::Entry && verdict.ticket.is_some()
}

impl DeviceLog {
    /// Returns the scans of the log before this sequence number.
    pub(in crate::client::offline) async fn own_verdicts(
        &mut self,
        before: u64,
        limit: u16,
    ) -> Result<Vec<OwnVerdict>, OfflineError> {
        let rows = sqlx::query(include_str!("../statements/select_own_verdicts.sql"))
            .bind(i64::try_from(before).unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(self.reader().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let sequence: i64 = row.try_get("sequence")?;
                let verdict: Verdict = get_json(row, "verdict")?;
                let has_passage: bool = row.try_get("has_passage")?;
                Ok(OwnVerdict {
                    sequence: u64::try_from(sequence).map_err(|_| invalid_column("sequence"))?,
                    // An undo deletes the passage of an admission.
                    is_undone: is_admission(&verdict) && !has_passage,
                    is_waiting: row.try_get("is_waiting")?,
                    verdict,
                })
            })
            .collect()
    }

    /// Returns the admissions and exits by the server before this place.
    pub(in crate::client::offline) async fn own_passages(
        &mut self,
        before: PassagePlace,
        limit: u16,
    ) -> Result<Vec<OwnPassage>, OfflineError> {
        let rows = sqlx::query(include_str!("../statements/select_own_passages.sql"))
            .bind(i64::try_from(before.log_sequence).unwrap_or(i64::MAX))
            .bind(before.at.as_millis())
            .bind(before.scan_id.as_uuid())
            .bind(limit)
            .fetch_all(self.reader().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let log_sequence: i64 = row.try_get("log_sequence")?;
                Ok(OwnPassage {
                    place: PassagePlace {
                        log_sequence: u64::try_from(log_sequence)
                            .map_err(|_| invalid_column("log_sequence"))?,
                        at: Timestamp::from_millis(row.try_get("at")?),
                        scan_id: get_uuid(row, "scan_id")?.into(),
                    },
                    event_id: get_uuid(row, "event_id")?.into(),
                    direction: get_parsed(row, "direction")?,
                    reason: get_parsed(row, "reason")?,
                    gate_id: get_uuid(row, "gate_id")?.into(),
                    gate_name: row.try_get("gate_name")?,
                })
            })
            .collect()
    }
}
