//! Ticket codes and payloads without a scan: for a search field, a preview or a kiosk.

use std::collections::HashMap;

use voelgoed_scan_core::model::{KeyFormat, KeyStatus, SigningKey, Window};
use voelgoed_scan_core::rules::vectors::DecisionFile;
use voelgoed_scan_core::token::{Keyring, Payload, verify};

use crate::text::shown_as_debug;
use crate::{EventId, Format, KeyId, OrganizationId, Reason, ScannerError, TicketCode, Timestamp};

/// Parses a typed ticket code. Hyphens and spaces are allowed between groups.
#[uniffi::export]
pub fn parse_ticket_code(text: String) -> Result<TicketCode, ScannerError> {
    TicketCode::parse_typed(&text).map_err(|error| ScannerError::invalid("ticket code", error))
}

/// Returns a ticket code in groups for people to read, such as `3KQR-7F92-4M1X-aB0z`.
#[uniffi::export]
pub fn grouped_ticket_code(code: TicketCode) -> Result<String, ScannerError> {
    Ok(code.grouped())
}

/// Returns the format of a payload by its shape. Verifies nothing.
#[uniffi::export]
pub fn payload_format(payload: String) -> Option<Format> {
    Payload::parse(&payload).ok().map(|payload| payload.format())
}

/// The claims of a payload with a valid signature.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct VerifiedTicket {
    /// The ticket code.
    pub ticket_code: Option<TicketCode>,
    /// The event.
    pub event_id: Option<EventId>,
    /// The first moment at which the payload is valid.
    pub not_before: Option<Timestamp>,
    /// The last moment at which the payload is valid.
    pub not_after: Option<Timestamp>,
    /// The number of the ticket class.
    pub ticket_class: Option<u16>,
    /// How many people the ticket admits.
    pub entry_limit: Option<u8>,
}

shown_as_debug!(VerifiedTicket);

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
#[uniffi::export(Debug, Display)]
pub enum VerificationResult {
    /// Key, signature and time window are valid. A gate may still deny the ticket.
    Genuine {
        /// The claims.
        ticket: VerifiedTicket,
    },
    /// The payload is not valid.
    Refused {
        /// The reason.
        reason: Reason,
    },
}

shown_as_debug!(VerificationResult);

/// Verifies `VG2` payloads with public keys only, as a kiosk or a wallet does.
#[derive(Debug, uniffi::Object)]
pub struct TicketVerifier {
    keyring: Keyring,
}

#[uniffi::export]
impl TicketVerifier {
    /// Creates a verifier with an organization's Ed25519 public keys, 32 bytes each, by key id.
    #[uniffi::constructor]
    pub fn new(
        organization_id: OrganizationId,
        public_keys: HashMap<KeyId, Vec<u8>>,
    ) -> Result<Self, ScannerError> {
        let keys = public_keys
            .into_iter()
            .map(|(kid, bytes)| {
                let bytes = bytes
                    .try_into()
                    .map_err(|_| ScannerError::invalid("public key", "must have 32 bytes"))?;
                Ok(SigningKey {
                    format: KeyFormat::Vg2,
                    kid,
                    status: KeyStatus::VerifyOnly,
                    public_key: Some(bytes),
                    inserted_at: Timestamp::from_millis(0),
                })
            })
            .collect::<Result<Vec<_>, ScannerError>>()?;
        let keyring = Keyring::public(organization_id, &keys)
            .map_err(|error| ScannerError::invalid("public key", error))?;
        Ok(Self { keyring })
    }

    /// Verifies a payload's shape, key, signature and time window, in this order.
    pub fn verify(&self, payload: String, now: Timestamp) -> VerificationResult {
        self.claims(&payload, now).map_or_else(
            |reason| VerificationResult::Refused { reason },
            |ticket| VerificationResult::Genuine { ticket },
        )
    }
}

impl TicketVerifier {
    fn claims(&self, payload: &str, now: Timestamp) -> Result<VerifiedTicket, Reason> {
        let payload = Payload::parse(payload)?;
        let claims = verify(&payload, &self.keyring, None, false)?;
        let window: Window = claims.window;
        window.check(now)?;
        Ok(VerifiedTicket {
            ticket_code: claims.ticket_code,
            event_id: claims.event_id,
            not_before: window.not_before,
            not_after: window.not_after,
            ticket_class: claims.ticket_class,
            entry_limit: claims.entry_limit,
        })
    }
}

/// How this build compares with a file of decisions.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct DecisionReport {
    /// The number of cases that were decided.
    pub cases: u64,
    /// The number of cases of `daily` events, which a phone decides by its manifest alone.
    pub skipped: u64,
    /// What this build decides differently, a line for each scan.
    pub differences: Vec<String>,
}

shown_as_debug!(DecisionReport);

/// Decides every scan of a file of decisions, such as the project's `tests/vectors/decisions.json`, with this build.
#[uniffi::export]
pub fn check_decisions(json: String) -> Result<DecisionReport, ScannerError> {
    let file =
        DecisionFile::parse(&json).map_err(|error| ScannerError::invalid("file of decisions", error))?;
    Ok(DecisionReport {
        cases: u64::try_from(file.case_count()).unwrap_or(u64::MAX),
        skipped: u64::try_from(file.skipped_count()).unwrap_or(u64::MAX),
        differences: file.mismatches().iter().map(ToString::to_string).collect(),
    })
}
