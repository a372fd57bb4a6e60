//! Imports tickets, changes their status, and signs their payloads.

use std::num::NonZeroU8;

use super::Admin;
use crate::model::{
    ClassName, EventId, KeyFormat, OrganizationId, ScanRecord, SettableStatus, TicketCode, TicketFacts,
    Timestamp,
};
use crate::node::write_queue::BulkKind;
use crate::store::{ImportOutcome, NumberedLine, StoreError};
use crate::token::{Payload, Vg2Claims, verify};

impl Admin {
    /// Imports tickets in chunks that wait behind the scans. Returns one outcome per line; `None` where there is no such
    /// event. After an error, the chunks before it are imported.
    pub async fn import(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        let imported = self.import_in_chunks(organization, event, lines, now).await;
        // A line may add a ticket class, which changes the event. After an error, some chunks may be imported.
        self.invalidator.facts_changed(organization);
        imported
    }

    async fn import_in_chunks(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        let mut outcomes = Vec::with_capacity(lines.len());
        let mut rest = lines;
        while !rest.is_empty() {
            let permit = self
                .write_queue
                .bulk_writes()
                .start_chunk(organization, BulkKind::Import)
                .await;
            let (chunk, next) = rest.split_at(rest.len().min(permit.max_items()));
            let Some(imported) = self.store.import(organization, event, chunk, now).await? else {
                return Ok(None);
            };
            permit.complete(chunk.len());
            let updated: Vec<_> = imported.iter().filter_map(updated_ticket).collect();
            self.invalidator
                .tickets_imported(organization, event, &updated, now)
                .await;
            outcomes.extend(imported);
            rest = next;
        }
        Ok(Some(outcomes))
    }

    /// The ticket code that a payload of the organization's names. `None` for any other text: its signature is checked, but
    /// not its validity window.
    pub async fn code_of_payload(
        &self,
        organization: OrganizationId,
        text: &str,
    ) -> Result<Option<TicketCode>, StoreError> {
        let Ok(payload) = Payload::parse(text) else {
            return Ok(None);
        };
        let keyring = self.keyrings.get(organization).await?;
        let claims = verify(&payload, &keyring, self.keyrings.phoenix(), false);
        Ok(claims.ok().and_then(|claims| claims.ticket_code))
    }

    /// Changes the status of a ticket. `None` where there is no such ticket.
    pub async fn set_ticket_status(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
        status: SettableStatus,
        now: Timestamp,
    ) -> Result<Option<TicketFacts>, StoreError> {
        let ticket = self
            .store
            .set_ticket_status(organization, event, code, status, now)
            .await?;
        if let Some(ticket) = &ticket {
            self.invalidator
                .tickets_changed(organization, &[(code, ticket.version)], now)
                .await;
        }
        Ok(ticket)
    }

    /// The signed payload of a ticket. The outer `None` means that there is no such ticket, the inner one that no key of
    /// the format is active.
    pub async fn qr_payload(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
        format: KeyFormat,
    ) -> Result<Option<Option<String>>, StoreError> {
        let Some(facts) = self.store.ticket(organization, event, code).await? else {
            return Ok(None);
        };
        let keyring = self.keyrings.get(organization).await?;
        Ok(Some(match format {
            KeyFormat::Vg1 => keyring.sign_vg1(code),
            KeyFormat::Vg2 => {
                let classes = self
                    .store
                    .event(organization, event)
                    .await?
                    .map(|event| event.ticket_classes);
                keyring.sign_vg2(&vg2_claims(&facts, &classes.unwrap_or_default()))
            }
        }))
    }

    /// The payload of a scan's ticket as VG1, signed anew, for an export. `None` where the scan has no ticket code (its
    /// signature was not valid), or where no VG1 key is active.
    pub async fn export_qr(&self, record: &ScanRecord) -> Result<Option<String>, StoreError> {
        let Some(code) = record.ticket_code else {
            return Ok(None);
        };
        let keyring = self.keyrings.get(record.organization_id).await?;
        Ok(keyring.sign_vg1(code))
    }
}

/// The ticket that a line changed, with the version below which cached ones are outdated.
fn updated_ticket(outcome: &ImportOutcome) -> Option<(TicketCode, i64)> {
    match outcome {
        // The new version is unknown here, and every cached version is older.
        ImportOutcome::Updated(code, _) => Some((*code, i64::MAX)),
        ImportOutcome::Inserted(..) | ImportOutcome::Unchanged(..) | ImportOutcome::Rejected(_) => None,
    }
}

/// The claims of a ticket's VG2 payload. `classes` are the event's ticket classes in their order.
fn vg2_claims(facts: &TicketFacts, classes: &[ClassName]) -> Vg2Claims {
    let ticket = &facts.ticket;
    let position = ticket
        .ticket_class
        .as_ref()
        .and_then(|class| classes.iter().position(|known| known == class));
    Vg2Claims {
        ticket_code: ticket.code,
        event_id: ticket.event_id,
        not_before: ticket.valid_from,
        not_after: ticket.valid_until,
        ticket_class: position.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0),
        entry_limit: NonZeroU8::new(ticket.entry_limit).unwrap_or(NonZeroU8::MIN),
    }
}
