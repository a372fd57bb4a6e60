//! How is it kept? The phone's own SQLite database: WAL, every commit on the disk before it returns.

mod own;

use std::path::Path;
use std::time::Duration;

use serde_json::value::RawValue;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};
use uuid::Uuid;

use crate::client::offline::debounce::ReadingKey;
use crate::client::offline::decide::OwnMovement;
use crate::client::{OfflineError, OfflineGateSetup, Verdict};
use crate::manifest::TicketKey;
use crate::migrations;
use crate::model::{EventId, ScanId, Timestamp};
use crate::sync::{Conflict, LinkHash, SyncResult, SyncStatus};

/// The database of one device.
#[derive(Debug)]
pub(super) struct Log {
    connection: SqliteConnection,
}

/// What is written for a scan that was decided here.
pub(super) struct NewScan<'a> {
    pub(super) sequence: u64,
    pub(super) key: &'a ReadingKey,
    pub(super) sent: &'a str,
    pub(super) link: LinkHash,
    pub(super) verdict: &'a Verdict,
}

/// A scan that waits to be handed in.
pub(super) struct WaitingScan {
    pub(super) scan_id: ScanId,
    pub(super) sent: Box<RawValue>,
    pub(super) link: LinkHash,
}

/// The end of the log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct End {
    pub(super) sequence: u64,
    pub(super) link: Option<LinkHash>,
}

fn id(row: &SqliteRow, column: &str) -> Result<Uuid, sqlx::Error> {
    row.try_get(column)
}

fn broken(column: &'static str) -> OfflineError {
    OfflineError::InvalidColumn { column }
}

fn parse<T: std::str::FromStr>(row: &SqliteRow, column: &'static str) -> Result<T, OfflineError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| broken(column))
}

fn json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, OfflineError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|_| broken(column))
}

fn bytes<const N: usize>(row: &SqliteRow, column: &'static str) -> Result<[u8; N], OfflineError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes.try_into().map_err(|_| broken(column))
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String, OfflineError> {
    Ok(serde_json::to_string(value)?)
}

impl Log {
    /// Opens the database of a device, made where it is missing. Another device's is refused.
    pub(super) async fn open(file: &Path, setup: &OfflineGateSetup) -> Result<Self, OfflineError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // WAL with `full` syncs at every commit: what was shown survives the battery.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .foreign_keys(false);
        let mut connection = options.connect().await?;
        migrations::device().run(&mut connection).await?;
        sqlx::query(
            "insert into device (id, organization_id, device_id, can_override) values (1, $1, $2, $3) \
             on conflict do nothing",
        )
        .bind(setup.organization_id.as_uuid())
        .bind(setup.device_id.as_uuid())
        .bind(setup.can_override)
        .execute(&mut connection)
        .await?;
        let row = sqlx::query("select organization_id, device_id from device")
            .fetch_one(&mut connection)
            .await?;
        let owner = (id(&row, "organization_id")?, id(&row, "device_id")?);
        if owner != (*setup.organization_id.as_uuid(), *setup.device_id.as_uuid()) {
            return Err(OfflineError::OtherDevice);
        }
        Ok(Self { connection })
    }

    /// The end of the log, where the next scan begins.
    pub(super) async fn end(&mut self) -> Result<End, OfflineError> {
        let row = sqlx::query("select sequence, link from scans order by sequence desc limit 1")
            .fetch_optional(&mut self.connection)
            .await?;
        let Some(row) = row else { return Ok(End::default()) };
        let sequence: i64 = row.try_get("sequence")?;
        Ok(End {
            sequence: u64::try_from(sequence).map_err(|_| broken("sequence"))?,
            link: Some(LinkHash::new(bytes(&row, "link")?)),
        })
    }

    /// A scan that was decided here under this id.
    pub(super) async fn known(&mut self, scan: ScanId) -> Result<Option<([u8; 32], Verdict)>, OfflineError> {
        let row = sqlx::query("select payload_sha256, verdict from scans where scan_id = $1")
            .bind(scan.as_uuid())
            .fetch_optional(&mut self.connection)
            .await?;
        row.map(|row| Ok((bytes(&row, "payload_sha256")?, json(&row, "verdict")?)))
            .transpose()
    }

    /// Who went in and out here on a ticket, in the order of time.
    pub(super) async fn movements(
        &mut self,
        event: EventId,
        ticket: TicketKey,
    ) -> Result<Vec<OwnMovement>, OfflineError> {
        let rows = sqlx::query(
            "select scan_id, direction, reason, at, gate_id, gate_name, known_at from movements \
             where event_id = $1 and ticket_key = $2 order by at, scan_id",
        )
        .bind(event.as_uuid())
        .bind(ticket.as_bytes().as_slice())
        .fetch_all(&mut self.connection)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(OwnMovement {
                    scan_id: id(row, "scan_id")?.into(),
                    direction: parse(row, "direction")?,
                    reason: parse(row, "reason")?,
                    at: Timestamp::from_millis(row.try_get("at")?),
                    gate_id: id(row, "gate_id")?.into(),
                    gate_name: row.try_get("gate_name")?,
                    known_at: row
                        .try_get::<Option<i64>, _>("known_at")?
                        .map(Timestamp::from_millis),
                })
            })
            .collect()
    }

    /// Whether somebody went in or out here on a ticket, and the server does not know it.
    #[cfg(feature = "client")]
    pub(super) async fn has_unknown(
        &mut self,
        event: EventId,
        ticket: TicketKey,
    ) -> Result<bool, OfflineError> {
        let row = sqlx::query(
            "select exists (select 1 from movements where event_id = $1 and ticket_key = $2 and known_at is null) \
             as unknown",
        )
        .bind(event.as_uuid())
        .bind(ticket.as_bytes().as_slice())
        .fetch_one(&mut self.connection)
        .await?;
        Ok(row.try_get("unknown")?)
    }

    /// Writes a scan and, where somebody went in or out, that: both are on the disk when this returns, or neither.
    pub(super) async fn write(
        &mut self,
        scan: &NewScan<'_>,
        movement: Option<(EventId, TicketKey, OwnMovement)>,
    ) -> Result<(), OfflineError> {
        let verdict = to_json(scan.verdict)?;
        let mut write = self.connection.begin_with("begin immediate").await?;
        sqlx::query(
            "insert into scans (sequence, scan_id, payload_sha256, direction, sent, link, verdict) \
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(i64::try_from(scan.sequence).map_err(|_| broken("sequence"))?)
        .bind(scan.verdict.scan_id.as_uuid())
        .bind(scan.key.payload_sha256.as_slice())
        .bind(scan.key.direction.as_str())
        .bind(scan.sent)
        .bind(scan.link.as_bytes().as_slice())
        .bind(verdict)
        .execute(&mut *write)
        .await?;
        if let Some((event, ticket, movement)) = movement {
            write_movement(&mut write, event, ticket, &movement).await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// Writes who went in or out by a decision of the server's.
    pub(super) async fn note(
        &mut self,
        event: EventId,
        ticket: TicketKey,
        movement: &OwnMovement,
    ) -> Result<(), OfflineError> {
        write_movement(&mut self.connection, event, ticket, movement).await
    }

    /// How many scans wait to be handed in.
    pub(super) async fn waiting(&mut self) -> Result<u64, OfflineError> {
        let row = sqlx::query("select count(*) as n from scans where status is null")
            .fetch_one(&mut self.connection)
            .await?;
        u64::try_from(row.try_get::<i64, _>("n")?).map_err(|_| broken("n"))
    }

    /// The first scans that wait.
    pub(super) async fn waiting_scans(&mut self, limit: usize) -> Result<Vec<WaitingScan>, OfflineError> {
        let rows = sqlx::query(
            "select scan_id, sent, link from scans where status is null order by sequence limit $1",
        )
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut self.connection)
        .await?;
        rows.iter()
            .map(|row| {
                let sent: String = row.try_get("sent")?;
                Ok(WaitingScan {
                    scan_id: id(row, "scan_id")?.into(),
                    sent: RawValue::from_string(sent).map_err(|_| broken("sent"))?,
                    link: LinkHash::new(bytes(row, "link")?),
                })
            })
            .collect()
    }

    /// Keeps what the server made of scans; `known_at` is when a manifest counts them.
    pub(super) async fn acknowledge(
        &mut self,
        results: &[SyncResult],
        known_at: Timestamp,
    ) -> Result<(), OfflineError> {
        let mut write = self.connection.begin_with("begin immediate").await?;
        for result in results {
            let Some(scan) = result.scan_id else { continue };
            let on_record = matches!(result.status, SyncStatus::Recorded | SyncStatus::Replayed);
            sqlx::query(
                "update scans set status = $2, errors = $3, sent = case when $4 then null else sent end \
                 where scan_id = $1",
            )
            .bind(scan.as_uuid())
            .bind(result.status.as_str())
            .bind(to_json(&result.errors)?)
            // The payload is a bearer secret: once the server has the scan, nothing needs it here.
            .bind(on_record)
            .execute(&mut *write)
            .await?;
            if on_record {
                sqlx::query("update movements set known_at = $2 where scan_id = $1 and known_at is null")
                    .bind(scan.as_uuid())
                    .bind(known_at.as_millis())
                    .execute(&mut *write)
                    .await?;
            }
            if let Some(conflict) = &result.conflict {
                sqlx::query(
                    "insert into conflicts (other_scan_id, conflict) values ($1, $2) \
                     on conflict (other_scan_id) do update set conflict = excluded.conflict",
                )
                .bind(conflict.other_scan_id.as_uuid())
                .bind(to_json(conflict)?)
                .execute(&mut *write)
                .await?;
            }
        }
        write.commit().await?;
        Ok(())
    }

    /// How many conflicts are known.
    pub(super) async fn conflict_count(&mut self) -> Result<u64, OfflineError> {
        let row = sqlx::query("select count(*) as n from conflicts")
            .fetch_one(&mut self.connection)
            .await?;
        u64::try_from(row.try_get::<i64, _>("n")?).map_err(|_| broken("n"))
    }

    /// What the server found at odds, in the order of scan ids.
    pub(super) async fn conflicts(&mut self) -> Result<Vec<Conflict>, OfflineError> {
        let rows = sqlx::query("select conflict from conflicts order by other_scan_id")
            .fetch_all(&mut self.connection)
            .await?;
        rows.iter().map(|row| json(row, "conflict")).collect()
    }

    /// Closes the database.
    pub(super) async fn close(self) -> Result<(), OfflineError> {
        Ok(self.connection.close().await?)
    }
}

async fn write_movement(
    connection: &mut SqliteConnection,
    event: EventId,
    ticket: TicketKey,
    movement: &OwnMovement,
) -> Result<(), OfflineError> {
    sqlx::query(
        "insert into movements (scan_id, event_id, ticket_key, direction, reason, at, gate_id, gate_name, known_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (scan_id) do nothing",
    )
    .bind(movement.scan_id.as_uuid())
    .bind(event.as_uuid())
    .bind(ticket.as_bytes().as_slice())
    .bind(movement.direction.as_str())
    .bind(movement.reason.as_str())
    .bind(movement.at.as_millis())
    .bind(movement.gate_id.as_uuid())
    .bind(&movement.gate_name)
    .bind(movement.known_at.map(Timestamp::as_millis))
    .execute(connection)
    .await?;
    Ok(())
}
