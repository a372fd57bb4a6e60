//! What the phone remembers of tickets, in its database.

use std::time::Duration;

use sqlx::Row as _;

use crate::client::offline::log::{
    DeviceLog, Transaction, get_bytes, get_json, get_parsed, get_uuid, invalid_column, to_json,
};
use crate::client::offline::memory::{FactKind, Known, Learned, TicketMemory, UploadedScan};
use crate::client::{OfflineError, Verdict};
use crate::manifest::TicketKey;
use crate::model::{EventId, GateId, ScanId, Timestamp};

/// How long a verdict of the server is kept for calls with its `scan_id`.
const VERDICT_LIFETIME: Duration = Duration::from_hours(24);

impl DeviceLog {
    /// Returns what the phone remembers of a ticket and of a payload.
    pub(in crate::client::offline) async fn memory(
        &mut self,
        event: EventId,
        ticket: Option<TicketKey>,
        payload: &[u8; 32],
    ) -> Result<TicketMemory, OfflineError> {
        let mut memory = TicketMemory::default();
        let refused = sqlx::query(include_str!("../statements/select_refused_payload.sql"))
            .bind(event.as_uuid())
            .bind(payload.as_slice())
            .fetch_optional(self.reader().await?)
            .await?;
        if let Some(row) = refused {
            let known_at = Timestamp::from_millis(row.try_get("known_at")?);
            memory.refused = Some((get_parsed(&row, "reason")?, known_at));
        }
        let Some(ticket) = ticket else { return Ok(memory) };
        memory.passages = self.passages(event, ticket).await?;
        let rows = sqlx::query(include_str!("../statements/select_server_facts.sql"))
            .bind(event.as_uuid())
            .bind(ticket.as_bytes().as_slice())
            .fetch_all(self.reader().await?)
            .await?;
        for row in rows {
            let at = Timestamp::from_millis(row.try_get("at")?);
            let known_at = Timestamp::from_millis(row.try_get("known_at")?);
            let kind: String = row.try_get("kind")?;
            match FactKind::parse(&kind).ok_or_else(|| invalid_column("kind"))? {
                FactKind::Status => {
                    let fact = get_json(&row, "fact")?;
                    memory.status = Some(Known { at, known_at, fact });
                }
                FactKind::Admissions => {
                    let fact = get_json(&row, "fact")?;
                    memory.admissions = Some(Known { at, known_at, fact });
                }
            }
        }
        Ok(memory)
    }

    /// Returns a scan of the log.
    pub(in crate::client::offline) async fn uploaded_scan(
        &mut self,
        scan: ScanId,
    ) -> Result<Option<UploadedScan>, OfflineError> {
        let row = sqlx::query(include_str!("../statements/select_scan.sql"))
            .bind(scan.as_uuid())
            .fetch_optional(self.reader().await?)
            .await?;
        row.map(|row| {
            Ok(UploadedScan {
                payload_sha256: get_bytes(&row, "payload_sha256")?,
                verdict: get_json(&row, "verdict")?,
            })
        })
        .transpose()
    }

    /// Returns the event, the ticket and the gate of an admission or exit of this phone.
    pub(in crate::client::offline) async fn passage(
        &mut self,
        scan: ScanId,
    ) -> Result<Option<(EventId, TicketKey, GateId)>, OfflineError> {
        let row = sqlx::query(include_str!("../statements/select_passage.sql"))
            .bind(scan.as_uuid())
            .fetch_optional(self.reader().await?)
            .await?;
        row.map(|row| {
            let key = TicketKey::from_bytes(get_bytes(&row, "ticket_key")?);
            let gate = get_uuid(&row, "gate_id")?.into();
            Ok((get_uuid(&row, "event_id")?.into(), key, gate))
        })
        .transpose()
    }
}

impl Transaction {
    /// Stores something to remember, unless something newer is stored.
    pub(in crate::client::offline) async fn learn(&mut self, learned: &Learned) -> Result<(), OfflineError> {
        let statement = match learned {
            Learned::Fact {
                event,
                ticket,
                kind,
                at,
                known_at,
                json,
            } => sqlx::query(include_str!("../statements/upsert_server_fact.sql"))
                .bind(event.as_uuid())
                .bind(ticket.as_bytes().as_slice())
                .bind(kind.as_str())
                .bind(at.as_millis())
                .bind(known_at.as_millis())
                .bind(json),
            Learned::Refused {
                event,
                payload,
                reason,
                known_at,
            } => sqlx::query(include_str!("../statements/upsert_refused_payload.sql"))
                .bind(event.as_uuid())
                .bind(payload.as_slice())
                .bind(reason.as_str())
                .bind(known_at.as_millis()),
            Learned::Accepted {
                event,
                payload,
                known_at,
            } => sqlx::query(include_str!("../statements/delete_refused_payload.sql"))
                .bind(event.as_uuid())
                .bind(payload.as_slice())
                .bind(known_at.as_millis()),
        };
        self.execute(statement).await
    }

    /// Keeps a verdict for calls with this `scan_id`, and deletes those that are too old for one. It is that of a scan which the
    /// server decided, or of one that a call with an id of its own joined.
    pub(in crate::client::offline) async fn insert_server_verdict(
        &mut self,
        scan_id: ScanId,
        payload_sha256: &[u8; 32],
        verdict: &Verdict,
    ) -> Result<(), OfflineError> {
        let oldest = verdict.scanned_at.minus(VERDICT_LIFETIME).as_millis();
        let statement =
            sqlx::query(include_str!("../statements/delete_old_server_verdicts.sql")).bind(oldest);
        self.execute(statement).await?;
        let statement = sqlx::query(include_str!("../statements/insert_server_verdict.sql"))
            .bind(scan_id.as_uuid())
            .bind(payload_sha256.as_slice())
            .bind(to_json(verdict)?)
            .bind(verdict.scanned_at.as_millis());
        self.execute(statement).await
    }

    /// Deletes an admission that was undone.
    pub(in crate::client::offline) async fn delete_passage(
        &mut self,
        scan: ScanId,
    ) -> Result<(), OfflineError> {
        let statement = sqlx::query(include_str!("../statements/delete_passage.sql")).bind(scan.as_uuid());
        self.execute(statement).await
    }
}
