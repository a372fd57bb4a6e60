//! Parses and verifies what a device read: checks 1 to 3, without the validity window that the payload claims.

use super::Scanner;
use crate::model::{
    AuthenticatedDevice, Claims, Device, Event, Fingerprint, OrganizationId, Reading, Reason,
};
use crate::store::StoreError;
use crate::token::{Keyring, MediumClaim, MediumUse, medium_of, take_reading, verify_reading};

/// A reading after checks 1 to 3: its fingerprint, and its claims or the reason of the denial.
pub(super) type VerifiedReading = (Fingerprint, Result<Claims, Reason>);

impl Scanner {
    /// Parses and verifies a reading as the event takes it: as a payload, or as a medium. The ticket of a medium is looked up
    /// here, so that all later steps name it by its code, like every other.
    pub(super) async fn verify_at_event(
        &self,
        authenticated: &AuthenticatedDevice,
        event: &Event,
        reading: &Reading,
        keyring: &Keyring,
    ) -> Result<VerifiedReading, StoreError> {
        let Device {
            organization_id,
            settings,
            ..
        } = &authenticated.device;
        // A device that may search gets codes from the server, so it may also send one without a signature.
        let event = if settings.can_search && !event.allow_unsigned {
            &Event {
                allow_unsigned: true,
                ..event.clone()
            }
        } else {
            event
        };
        let medium = medium_of(reading).map(|(_, claim)| claim);
        let phoenix = self.0.keyrings.phoenix();
        let read = verify_reading(reading, medium.as_ref(), keyring, phoenix, event.allow_unsigned);
        match medium {
            Some(medium) => Box::pin(self.take_as_medium(*organization_id, event, medium, read)).await,
            None => Ok(read),
        }
    }

    /// Takes a reading that may name a medium as the event takes it.
    async fn take_as_medium(
        &self,
        organization: OrganizationId,
        event: &Event,
        medium: MediumClaim,
        read: VerifiedReading,
    ) -> Result<VerifiedReading, StoreError> {
        let (fingerprint, claims) = &read;
        let use_ = medium.used_at(event, fingerprint.format);
        let code = claims.as_ref().ok().and_then(|claims| claims.ticket_code);
        let is_code = match (use_, code) {
            (MediumUse::CodeOrMedium, Some(code)) => {
                let found = self.store().code_of_named_ticket(organization, Some(code), None);
                found.await?.is_some()
            }
            _ => false,
        };
        let named = match use_ {
            MediumUse::Medium | MediumUse::CodeOrMedium if !is_code => {
                let tickets = self
                    .store()
                    .tickets_by_media(organization, &[medium.sha256])
                    .await?;
                Claims::of_medium(
                    event.id,
                    tickets.iter().map(|one| (one.event_id, one.ticket_code)),
                )
            }
            _ => Claims::default(),
        };
        Ok(take_reading(event, Some(&medium), read, |_| is_code, || named))
    }
}
