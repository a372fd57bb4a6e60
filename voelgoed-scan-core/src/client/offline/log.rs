//! The device log: the phone's own SQLite database with its scans, admissions, conflicts, manifest and session.
//!
//! Invariant: every commit is on disk before the method returns (WAL with `synchronous = full`).

mod attempts;
mod conflicts;
mod database;
mod device;
mod manifests;
mod memory;
mod own_scans;
mod probe;
mod rejected;
mod rescue;

use std::borrow::Cow;
use std::path::Path;

use crate::migrations;
use serde_json::value::RawValue;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;

pub(super) use database::Transaction;
use database::{DiskState, UnfinishedConnections};

use crate::client::offline::clock::ClockReading;
use crate::client::offline::debounce::ReadingKey;
use crate::client::offline::memory::{Learned, LocalPassage};
use crate::client::{OfflineError, OfflineScannerSetup, Verdict};
use crate::manifest::TicketKey;
use crate::model::{EventId, ScanId, Timestamp};
use crate::sync::{LinkHash, SyncResult, SyncStatus};

/// The database of one device.
#[derive(Debug)]
pub(super) struct DeviceLog {
    options: SqliteConnectOptions,
    pragmas: Cow<'static, str>,
    /// `None` after a write that failed.
    connection: Option<SqliteConnection>,
    unfinished: UnfinishedConnections,
    disk: DiskState,
}

/// A scan that the phone decided, before it is appended to the log.
pub(super) struct LogEntry<'a> {
    pub(super) sequence: u64,
    pub(super) key: &'a ReadingKey,
    /// The scan as the upload contains it.
    pub(super) json: &'a str,
    pub(super) link: LinkHash,
    pub(super) verdict: &'a Verdict,
    /// The device's clocks at the scan.
    pub(super) clock: &'a ClockReading,
    /// The time of the scan by the server's clock, if the monotonic clock confirms it.
    pub(super) verified_at: Option<Timestamp>,
}

/// Why the server does not have an admission or exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unacknowledged {
    /// It waits for its upload.
    Waiting,
    /// The server rejected it or put it into quarantine.
    Refused,
}

/// A scan that waits for upload.
pub(super) struct WaitingScan {
    pub(super) scan_id: ScanId,
    pub(super) json: Box<RawValue>,
    pub(super) link: LinkHash,
    monotonic_ms: Option<i64>,
    boot_id: Option<String>,
}

impl WaitingScan {
    /// The milliseconds since the scan by the monotonic clock. `None` if the device was restarted since.
    pub(super) fn age_at(&self, now: &ClockReading) -> Option<u64> {
        now.elapsed_since(&ClockReading {
            // The wall clock does not count.
            wall: now.wall,
            monotonic_ms: self.monotonic_ms.and_then(|millis| u64::try_from(millis).ok()),
            boot_id: self.boot_id.clone(),
        })
    }
}

/// The last scan of the log. Sequence 0 without a hash if the log is empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LogTail {
    pub(super) sequence: u64,
    pub(super) link: Option<LinkHash>,
}

fn get_uuid(row: &SqliteRow, column: &str) -> Result<Uuid, sqlx::Error> {
    row.try_get(column)
}

fn invalid_column(column: &'static str) -> OfflineError {
    OfflineError::InvalidColumn { column }
}

fn get_parsed<T: std::str::FromStr>(row: &SqliteRow, column: &'static str) -> Result<T, OfflineError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| invalid_column(column))
}

fn get_json<T: serde::de::DeserializeOwned>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<T, OfflineError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|_| invalid_column(column))
}

fn get_bytes<const N: usize>(row: &SqliteRow, column: &'static str) -> Result<[u8; N], OfflineError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes.try_into().map_err(|_| invalid_column(column))
}

fn get_count(row: &SqliteRow) -> Result<u64, OfflineError> {
    u64::try_from(row.try_get::<i64, _>("n")?).map_err(|_| invalid_column("n"))
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String, OfflineError> {
    Ok(serde_json::to_string(value)?)
}

impl DeviceLog {
    /// Opens the database and creates it if necessary. Fails if it belongs to another device, and if it is damaged.
    pub(super) async fn open(file: &Path, setup: &OfflineScannerSetup) -> Result<Self, OfflineError> {
        let mut log = Self {
            options: database::options(file),
            pragmas: Cow::Borrowed(database::PRAGMAS),
            connection: None,
            unfinished: UnfinishedConnections::default(),
            disk: DiskState::default(),
        };
        match log.prepare(setup).await {
            Ok(()) => Ok(log),
            Err(error) => {
                log.disconnect().await;
                Err(error)
            }
        }
    }

    async fn prepare(&mut self, setup: &OfflineScannerSetup) -> Result<(), OfflineError> {
        // Unlike `run`, this future is `Send`: a database may be replaced during any call.
        migrations::device()
            .run_direct(None, self.reader().await?, false)
            .await?;
        let statement = sqlx::query(include_str!("statements/insert_device.sql"))
            .bind(setup.organization_id.as_uuid())
            .bind(setup.device_id.as_uuid())
            .bind(setup.can_override);
        self.execute(statement).await?;
        let row = sqlx::query(include_str!("statements/select_owner.sql"))
            .fetch_one(self.reader().await?)
            .await?;
        let owner = (get_uuid(&row, "organization_id")?, get_uuid(&row, "device_id")?);
        if owner != (*setup.organization_id.as_uuid(), *setup.device_id.as_uuid()) {
            return Err(OfflineError::OtherDevice);
        }
        self.check().await?;
        self.device().await?;
        Ok(())
    }

    /// Fails if a page of the database is damaged.
    pub(super) async fn check(&mut self) -> Result<(), OfflineError> {
        let row = sqlx::query(include_str!("statements/quick_check.sql"))
            .fetch_one(self.reader().await?)
            .await?;
        let found: String = row.try_get(0)?;
        if found == "ok" {
            Ok(())
        } else {
            Err(OfflineError::Damaged(sqlx::Error::Protocol(found)))
        }
    }

    /// Returns the last scan of the log, which the next one continues.
    pub(super) async fn tail(&mut self) -> Result<LogTail, OfflineError> {
        let row = sqlx::query(include_str!("statements/select_tail.sql"))
            .fetch_optional(self.reader().await?)
            .await?;
        let Some(row) = row else {
            return Ok(LogTail::default());
        };
        let sequence: i64 = row.try_get("sequence")?;
        let link: Option<Vec<u8>> = row.try_get("link")?;
        Ok(LogTail {
            sequence: u64::try_from(sequence).map_err(|_| invalid_column("sequence"))?,
            link: link
                .map(|bytes| bytes.try_into().map_err(|_| invalid_column("link")))
                .transpose()?
                .map(LinkHash::new),
        })
    }

    /// Returns the payload hash and the verdict of the scan with this id.
    pub(super) async fn find_verdict(
        &mut self,
        scan: ScanId,
    ) -> Result<Option<([u8; 32], Verdict)>, OfflineError> {
        let row = sqlx::query(include_str!("statements/select_verdict.sql"))
            .bind(scan.as_uuid())
            .fetch_optional(self.reader().await?)
            .await?;
        row.map(|row| Ok((get_bytes(&row, "payload_sha256")?, get_json(&row, "verdict")?)))
            .transpose()
    }

    /// Returns the admissions and exits of a ticket on this phone, in the order of time.
    pub(super) async fn passages(
        &mut self,
        event: EventId,
        ticket: TicketKey,
    ) -> Result<Vec<LocalPassage>, OfflineError> {
        let rows = sqlx::query(include_str!("statements/select_passages.sql"))
            .bind(event.as_uuid())
            .bind(ticket.as_bytes().as_slice())
            .fetch_all(self.reader().await?)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(LocalPassage {
                    scan_id: get_uuid(row, "scan_id")?.into(),
                    direction: get_parsed(row, "direction")?,
                    reason: get_parsed(row, "reason")?,
                    at: Timestamp::from_millis(row.try_get("at")?),
                    gate_id: get_uuid(row, "gate_id")?.into(),
                    gate_name: row.try_get("gate_name")?,
                    known_at: row
                        .try_get::<Option<i64>, _>("known_at")?
                        .map(Timestamp::from_millis),
                })
            })
            .collect()
    }

    /// Returns whether this phone recorded an admission or exit of a ticket that the server does not have.
    pub(super) async fn unacknowledged(
        &mut self,
        event: EventId,
        ticket: TicketKey,
    ) -> Result<Option<Unacknowledged>, OfflineError> {
        let row = sqlx::query(include_str!("statements/select_unacknowledged.sql"))
            .bind(event.as_uuid())
            .bind(ticket.as_bytes().as_slice())
            .fetch_one(self.reader().await?)
            .await?;
        let is_refused: Option<bool> = row.try_get("is_refused")?;
        Ok(is_refused.map(|is_refused| {
            if is_refused {
                Unacknowledged::Refused
            } else {
                Unacknowledged::Waiting
            }
        }))
    }

    /// Appends a scan and, for an admission or exit, its passage, and ends its attempt, in one transaction.
    pub(super) async fn append(
        &mut self,
        entry: &LogEntry<'_>,
        passage: Option<(EventId, TicketKey, LocalPassage)>,
    ) -> Result<(), OfflineError> {
        let verdict = to_json(entry.verdict)?;
        let mut transaction = self.begin().await?;
        let statement = sqlx::query(include_str!("statements/insert_scan.sql"))
            .bind(i64::try_from(entry.sequence).map_err(|_| invalid_column("sequence"))?)
            .bind(entry.verdict.scan_id.as_uuid())
            .bind(entry.key.payload_sha256.as_slice())
            .bind(entry.key.direction.as_str())
            .bind(entry.json)
            .bind(entry.link.as_bytes().as_slice())
            .bind(verdict)
            .bind(entry.verdict.event_id.as_uuid())
            .bind(
                entry
                    .clock
                    .monotonic_ms
                    .and_then(|millis| i64::try_from(millis).ok()),
            )
            .bind(entry.clock.boot_id.as_deref())
            .bind(entry.verified_at.map(Timestamp::as_millis));
        transaction.execute(statement).await?;
        if let Some((event, ticket, passage)) = passage {
            transaction.insert_passage(event, ticket, &passage).await?;
        }
        transaction.end_attempt(entry.verdict.scan_id).await?;
        self.commit(transaction).await
    }

    /// Returns the number of scans that wait for upload.
    pub(super) async fn count_waiting(&mut self) -> Result<u64, OfflineError> {
        let row = sqlx::query(include_str!("statements/count_waiting.sql"))
            .fetch_one(self.reader().await?)
            .await?;
        get_count(&row)
    }

    /// Returns the first scans that wait for upload.
    pub(super) async fn waiting_scans(&mut self, limit: usize) -> Result<Vec<WaitingScan>, OfflineError> {
        let rows = sqlx::query(include_str!("statements/select_waiting.sql"))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.reader().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let json: String = row.try_get("sent")?;
                Ok(WaitingScan {
                    scan_id: get_uuid(row, "scan_id")?.into(),
                    json: RawValue::from_string(json).map_err(|_| invalid_column("sent"))?,
                    link: LinkHash::new(get_bytes(row, "link")?),
                    monotonic_ms: row.try_get("monotonic_ms")?,
                    boot_id: row.try_get("boot_id")?,
                })
            })
            .collect()
    }

    /// Stores the server's results, and what they say of tickets. Manifests that are made after `known_at` count the
    /// recorded scans.
    pub(super) async fn acknowledge(
        &mut self,
        results: &[SyncResult],
        known_at: Timestamp,
        learned: &[Learned],
    ) -> Result<(), OfflineError> {
        let mut transaction = self.begin().await?;
        for result in results {
            transaction.acknowledge(result, known_at).await?;
        }
        for one in learned {
            transaction.learn(one).await?;
        }
        self.commit(transaction).await
    }
}

impl Transaction {
    async fn acknowledge(&mut self, result: &SyncResult, known_at: Timestamp) -> Result<(), OfflineError> {
        let Some(scan) = result.scan_id else { return Ok(()) };
        let is_recorded = matches!(result.status, SyncStatus::Recorded | SyncStatus::Replayed);
        let statement = sqlx::query(include_str!("statements/update_scan_status.sql"))
            .bind(scan.as_uuid())
            .bind(result.status.as_str())
            .bind(to_json(&result.errors)?)
            .bind(is_recorded);
        self.execute(statement).await?;
        if is_recorded {
            let statement = sqlx::query(include_str!("statements/update_passage_known_at.sql"))
                .bind(scan.as_uuid())
                .bind(known_at.as_millis());
            self.execute(statement).await?;
        }
        if let Some(conflict) = &result.conflict {
            let statement = sqlx::query(include_str!("statements/upsert_conflict.sql"))
                .bind(conflict.other_scan_id.as_uuid())
                .bind(to_json(conflict)?);
            self.execute(statement).await?;
        }
        Ok(())
    }

    /// Records an admission or exit. A second record of the same scan changes nothing.
    pub(super) async fn insert_passage(
        &mut self,
        event: EventId,
        ticket: TicketKey,
        passage: &LocalPassage,
    ) -> Result<(), OfflineError> {
        let statement = sqlx::query(include_str!("statements/insert_passage.sql"))
            .bind(passage.scan_id.as_uuid())
            .bind(event.as_uuid())
            .bind(ticket.as_bytes().as_slice())
            .bind(passage.direction.as_str())
            .bind(passage.reason.as_str())
            .bind(passage.at.as_millis())
            .bind(passage.gate_id.as_uuid())
            .bind(&passage.gate_name)
            .bind(passage.known_at.map(Timestamp::as_millis));
        self.execute(statement).await
    }
}
