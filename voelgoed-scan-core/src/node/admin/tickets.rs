//! Changes the status of tickets, and signs their payloads.

use std::num::NonZeroU8;

use super::Admin;
use crate::model::{
    AuditContext, Claims, ClassName, EventId, KeyFormat, OrganizationId, ScanRecord, SettableStatus,
    TicketCode, TicketFacts, Timestamp,
};
use crate::store::StoreError;
use crate::token::{Payload, Vg2Claims, verify};

impl Admin {
    /// The code of the ticket that a payload of the organization's names by its code, its id or both. `None` for any other
    /// text, and if there is no such ticket: the signature is checked, but not the validity window.
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
        let of_organization = |claims: &Claims| claims.organization_id.is_none_or(|id| id == organization);
        let Some(claims) = claims.ok().filter(of_organization) else {
            return Ok(None);
        };
        let (code, id) = (claims.ticket_code, claims.ticket_id);
        self.store.code_of_named_ticket(organization, code, id).await
    }

    /// Changes the status of a ticket. `None` where there is no such ticket.
    pub async fn set_ticket_status(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
        status: SettableStatus,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<Option<TicketFacts>, StoreError> {
        let ticket = self
            .store
            .set_ticket_status(organization, event, code, status, now, self.audit(by, now))
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
