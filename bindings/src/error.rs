//! Why did it not work? One flat list of errors for every language, by the codes that HTTP, CLI and logs use.

use voelgoed_scan_core::client::{ClientError, OfflineError};
use voelgoed_scan_core::manifest::ManifestError;
use voelgoed_scan_core::model::SessionId;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident = $code:literal;)+) => {
        /// Why something did not work. `reason` is for logs and developers; what an app shows goes by the kind.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
        pub enum GateError {
            /// Not an id, code, name or key of the kind that was asked for.
            #[error("invalid_text: {kind} {reason}")]
            InvalidText {
                /// What was asked for.
                kind: String,
                /// Why it is not one.
                reason: String,
            },
            /// The server said no, by a code of its own such as `device_inactive` or `session_already_active`.
            #[error("{code}: {reason}")]
            Refused {
                /// The HTTP status.
                status: u16,
                /// The problem's code.
                code: String,
                /// The problem in words.
                reason: String,
                /// On `session_already_active`: that session.
                session_id: Option<SessionId>,
                /// On 429 and 503: after how many seconds it may be tried again.
                retry_after_s: Option<u32>,
            },
            $(
                $(#[$doc])*
                #[error("{}: {reason}", $code)]
                $variant {
                    /// The error in words.
                    reason: String,
                },
            )+
        }

        /// The shared code of an error, such as `no_manifest`; of a refusal the server's own.
        #[uniffi::export]
        pub fn error_code(error: GateError) -> String {
            match error {
                GateError::InvalidText { .. } => "invalid_text".to_owned(),
                GateError::Refused { code, .. } => code,
                $(GateError::$variant { .. } => $code.to_owned(),)+
            }
        }
    };
}

errors! {
    /// The server was not reached, and the call needs it.
    Offline = "offline";
    /// The server said what this version does not understand.
    UnexpectedAnswer = "unexpected_answer";
    /// The app's store for secrets failed.
    SecretStoreFailed = "secret_store_failed";
    /// The phone was not enrolled: show it a code.
    NotEnrolled = "not_enrolled";
    /// The device stands at no gate.
    NoActiveSession = "no_active_session";
    /// The server's address is not `https://`, and plain HTTP was not allowed.
    InsecureServer = "insecure_server";
    /// No manifest is in use: the phone cannot decide alone yet.
    NoManifest = "no_manifest";
    /// The manifest is older than the event allows, and the event wants no decision then.
    StaleManifest = "stale_manifest";
    /// The manifest does not know the gate.
    UnknownGate = "unknown_gate";
    /// The device may not do this, such as override.
    Forbidden = "forbidden";
    /// The `scan_id` names another payload or direction.
    ScanIdReused = "scan_id_reused";
    /// The database on the phone is another device's.
    OtherDevice = "other_device";
    /// The phone's own database failed: a full or worn-out disk.
    StorageUnavailable = "storage_unavailable";
    /// The manifest names another organization than the device's.
    ManifestOtherOrganization = "manifest_other_organization";
    /// A byte of the manifest was changed, or another key signed it than the one pinned at enrolment.
    ManifestBadSignature = "manifest_bad_signature";
    /// The manifest is written in a form that this version does not read.
    ManifestUnknownForm = "manifest_unknown_form";
    /// The manifest has a status or a policy that this version does not know: update the app.
    ManifestUnknownValue = "manifest_unknown_value";
    /// The manifest's bytes make no sense.
    ManifestMalformed = "manifest_malformed";
    /// The manifest is another event's.
    ManifestOtherEvent = "manifest_other_event";
    /// The manifest is older than the one in use.
    ManifestOlder = "manifest_older";
    /// The manifest is a delta onto a version that is not in use.
    ManifestOtherBase = "manifest_other_base";
    /// The manifest had expired when it was to be taken.
    ManifestExpired = "manifest_expired";
}

impl GateError {
    pub(crate) fn invalid(kind: &str, reason: impl ToString) -> Self {
        Self::InvalidText {
            kind: kind.to_owned(),
            reason: reason.to_string(),
        }
    }
}

// Without a wildcard: an error that the core learns does not build until it stands in the list.
impl From<ManifestError> for GateError {
    fn from(error: ManifestError) -> Self {
        let reason = error.to_string();
        match error {
            ManifestError::OtherOrganization => Self::ManifestOtherOrganization { reason },
            ManifestError::BadSignature => Self::ManifestBadSignature { reason },
            ManifestError::UnknownForm { .. } => Self::ManifestUnknownForm { reason },
            ManifestError::UnknownValue { .. } => Self::ManifestUnknownValue { reason },
            ManifestError::Malformed => Self::ManifestMalformed { reason },
            ManifestError::OtherEvent => Self::ManifestOtherEvent { reason },
            ManifestError::Older { .. } => Self::ManifestOlder { reason },
            ManifestError::OtherBase { .. } => Self::ManifestOtherBase { reason },
            ManifestError::Expired { .. } => Self::ManifestExpired { reason },
        }
    }
}

impl From<OfflineError> for GateError {
    fn from(error: OfflineError) -> Self {
        let reason = error.to_string();
        match error {
            OfflineError::NoManifest => Self::NoManifest { reason },
            OfflineError::StaleManifest { .. } => Self::StaleManifest { reason },
            OfflineError::UnknownGate => Self::UnknownGate { reason },
            OfflineError::OverrideNotAllowed => Self::Forbidden { reason },
            OfflineError::ScanIdReused => Self::ScanIdReused { reason },
            OfflineError::OtherDevice => Self::OtherDevice { reason },
            OfflineError::Manifest(error) => error.into(),
            OfflineError::Database(_)
            | OfflineError::Migration(_)
            | OfflineError::InvalidColumn { .. }
            | OfflineError::Json(_) => Self::StorageUnavailable { reason },
        }
    }
}

impl From<ClientError> for GateError {
    fn from(error: ClientError) -> Self {
        let reason = error.to_string();
        match error {
            ClientError::Transport(_) => Self::Offline { reason },
            ClientError::Refused {
                status,
                code,
                detail,
                session_id,
                retry_after_s,
            } => Self::Refused {
                status,
                code,
                reason: detail,
                session_id,
                retry_after_s,
            },
            ClientError::UnexpectedAnswer => Self::UnexpectedAnswer { reason },
            ClientError::Offline(error) => error.into(),
            ClientError::Secrets(_) => Self::SecretStoreFailed { reason },
            ClientError::NoActiveSession => Self::NoActiveSession { reason },
            ClientError::InsecureServer => Self::InsecureServer { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use voelgoed_scan_core::client::{SecretStoreError, TransportError};

    use super::*;
    use crate::Timestamp;

    #[test]
    fn the_codes_are_the_cores_own() {
        let time = Timestamp::from_millis(0);
        let manifest = [
            ManifestError::OtherOrganization,
            ManifestError::BadSignature,
            ManifestError::UnknownForm { format: 9 },
            ManifestError::Malformed,
            ManifestError::OtherEvent,
            ManifestError::Older { held: 2, offered: 1 },
            ManifestError::OtherBase { base: 1 },
            ManifestError::Expired { expires_at: time },
        ];
        for error in manifest {
            assert_eq!(error_code(error.into()), error.code());
        }
        let offline = [
            OfflineError::NoManifest,
            OfflineError::StaleManifest { made_at: time },
            OfflineError::UnknownGate,
            OfflineError::OverrideNotAllowed,
            OfflineError::ScanIdReused,
            OfflineError::OtherDevice,
            ManifestError::Malformed.into(),
        ];
        for error in offline {
            let code = error.code();
            assert_eq!(error_code(error.into()), code);
        }
        let refused = ClientError::Refused {
            status: 401,
            code: "device_inactive".to_owned(),
            detail: String::new(),
            session_id: None,
            retry_after_s: None,
        };
        let client = [
            TransportError::TimedOut.into(),
            refused,
            ClientError::UnexpectedAnswer,
            OfflineError::NoManifest.into(),
            SecretStoreError {
                reason: String::new(),
            }
            .into(),
            ClientError::NoActiveSession,
            ClientError::InsecureServer,
        ];
        for error in client {
            let code = error.code().to_owned();
            assert_eq!(error_code(error.into()), code);
        }
    }
}
