//! The errors: one flat list for all languages, with the codes that HTTP, CLI and logs share.

use voelgoed_scan_core::client::{ClientError, OfflineError};
use voelgoed_scan_core::manifest::ManifestError;
use voelgoed_scan_core::model::SessionId;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident = $code:literal;)+) => {
        /// Why a call failed. `reason` is for logs and developers. An app decides by the variant what it shows.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
        pub enum ScannerError {
            /// A text is not a valid id, code, name or key.
            #[error("invalid_text: {kind} {reason}")]
            InvalidText {
                /// The kind of text that is expected.
                kind: String,
                /// Why the text is invalid.
                reason: String,
            },
            /// The server refused the request, with its own code such as `device_inactive` or `session_already_active`.
            #[error("{code}: {reason}")]
            Refused {
                /// The HTTP status.
                status: u16,
                /// The `code` of the problem document.
                code: String,
                /// The `detail` of the problem document.
                reason: String,
                /// On `session_already_active`: the active session.
                session_id: Option<SessionId>,
                /// On 429 and 503: the server's `Retry-After`, in seconds.
                retry_after_s: Option<u32>,
            },
            $(
                $(#[$doc])*
                #[error("{}: {reason}", $code)]
                $variant {
                    /// The error message.
                    reason: String,
                },
            )+
        }

        /// Returns the shared code of an error, such as `no_manifest`. For a refusal, the server's own code.
        #[uniffi::export]
        pub fn error_code(error: ScannerError) -> String {
            match error {
                ScannerError::InvalidText { .. } => "invalid_text".to_owned(),
                ScannerError::Refused { code, .. } => code,
                $(ScannerError::$variant { .. } => $code.to_owned(),)+
            }
        }
    };
}

errors! {
    /// The server was not reached, and the call needs it.
    Offline = "offline";
    /// The response is not one that this version understands.
    UnexpectedAnswer = "unexpected_answer";
    /// The app's secret store failed.
    SecretStoreFailed = "secret_store_failed";
    /// The phone is not enrolled. It needs an enrolment code.
    NotEnrolled = "not_enrolled";
    /// The device has no session.
    NoActiveSession = "no_active_session";
    /// The server's address does not start with `https://`, and plain HTTP is not allowed.
    InsecureServer = "insecure_server";
    /// No manifest is in use. The phone cannot decide by itself yet.
    NoManifest = "no_manifest";
    /// The manifest is older than the event allows, and the event's settings refuse offline decisions then.
    StaleManifest = "stale_manifest";
    /// The manifest does not contain the gate.
    UnknownGate = "unknown_gate";
    /// The device may not do this, for example override.
    Forbidden = "forbidden";
    /// The device may not work at this event or gate.
    OutOfScope = "out_of_scope";
    /// An earlier scan with this `scan_id` has another payload or direction.
    ScanIdReused = "scan_id_reused";
    /// The database on the phone belongs to another device.
    OtherDevice = "other_device";
    /// Another client uses the database: a second one in this app, or a second app.
    DatabaseInUse = "database_in_use";
    /// The phone's disk is full. Once there is room, the next scan works.
    StorageFull = "storage_full";
    /// The phone's database failed, for example because the disk is damaged.
    StorageUnavailable = "storage_unavailable";
    /// The log cannot be passed on, because the program already has a log of its own.
    LogUnavailable = "log_unavailable";
    /// The manifest belongs to another organization.
    ManifestOtherOrganization = "manifest_other_organization";
    /// The manifest was changed, or it was not signed with the key pinned at enrolment.
    ManifestBadSignature = "manifest_bad_signature";
    /// The manifest has a format version that this version cannot read.
    ManifestUnknownForm = "manifest_unknown_form";
    /// The manifest is malformed.
    ManifestMalformed = "manifest_malformed";
    /// The manifest has a status or a policy that this version does not know: update the app.
    ManifestUnknownValue = "manifest_unknown_value";
    /// The manifest has a part that this version does not know and must not ignore: update the app.
    ManifestUnknownSection = "manifest_unknown_section";
    /// The manifest belongs to another event.
    ManifestOtherEvent = "manifest_other_event";
    /// The manifest is older than the one in use.
    ManifestOlder = "manifest_older";
    /// The manifest is a delta whose base version is not in use.
    ManifestOtherBase = "manifest_other_base";
    /// The manifest has expired.
    ManifestExpired = "manifest_expired";
}

impl ScannerError {
    pub(crate) fn invalid(kind: &str, reason: impl ToString) -> Self {
        Self::InvalidText {
            kind: kind.to_owned(),
            reason: reason.to_string(),
        }
    }
}

// No wildcard: a new error of the core does not compile until it is added here.
impl From<ManifestError> for ScannerError {
    fn from(error: ManifestError) -> Self {
        let reason = error.to_string();
        match error {
            ManifestError::OtherOrganization => Self::ManifestOtherOrganization { reason },
            ManifestError::BadSignature => Self::ManifestBadSignature { reason },
            ManifestError::UnknownForm { .. } => Self::ManifestUnknownForm { reason },
            ManifestError::Malformed => Self::ManifestMalformed { reason },
            ManifestError::OtherEvent => Self::ManifestOtherEvent { reason },
            ManifestError::Older { .. } => Self::ManifestOlder { reason },
            ManifestError::OtherBase { .. } => Self::ManifestOtherBase { reason },
            ManifestError::UnknownValue { .. } => Self::ManifestUnknownValue { reason },
            ManifestError::UnknownSection { .. } => Self::ManifestUnknownSection { reason },
            ManifestError::Expired { .. } => Self::ManifestExpired { reason },
        }
    }
}

impl From<OfflineError> for ScannerError {
    fn from(error: OfflineError) -> Self {
        Self::from(&error)
    }
}

impl From<&OfflineError> for ScannerError {
    fn from(error: &OfflineError) -> Self {
        let reason = error.to_string();
        match error {
            OfflineError::NoManifest => Self::NoManifest { reason },
            OfflineError::StaleManifest { .. } => Self::StaleManifest { reason },
            OfflineError::UnknownGate => Self::UnknownGate { reason },
            OfflineError::OutOfScope => Self::OutOfScope { reason },
            OfflineError::OverrideNotAllowed => Self::Forbidden { reason },
            OfflineError::ScanIdReused => Self::ScanIdReused { reason },
            OfflineError::OtherDevice => Self::OtherDevice { reason },
            OfflineError::Manifest(error) => (*error).into(),
            OfflineError::DeviceRefused { code } => Self::Refused {
                status: 401,
                code: code.to_string(),
                reason,
                session_id: None,
                retry_after_s: None,
            },
            OfflineError::DatabaseInUse => Self::DatabaseInUse { reason },
            OfflineError::StorageFull(_) => Self::StorageFull { reason },
            OfflineError::Database(_)
            | OfflineError::Damaged(_)
            | OfflineError::NewerDatabase { .. }
            | OfflineError::File(_)
            | OfflineError::Migration(_)
            | OfflineError::InvalidColumn { .. }
            | OfflineError::Json(_) => Self::StorageUnavailable { reason },
        }
    }
}

impl From<ClientError> for ScannerError {
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
            ClientError::Offline(error) => (&*error).into(),
            ClientError::Secrets(_) => Self::SecretStoreFailed { reason },
            ClientError::NoActiveSession => Self::NoActiveSession { reason },
            ClientError::NotEnrolled => Self::NotEnrolled { reason },
            ClientError::InsecureServer => Self::InsecureServer { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use voelgoed_scan_core::client::{DeviceRefusal, SecretStoreError, TransportError};

    use super::*;
    use crate::Timestamp;

    #[test]
    fn the_codes_equal_the_codes_of_the_core() {
        let time = Timestamp::from_millis(0);
        let manifest = [
            ManifestError::OtherOrganization,
            ManifestError::BadSignature,
            ManifestError::UnknownForm { format: 9 },
            ManifestError::Malformed,
            ManifestError::OtherEvent,
            ManifestError::Older {
                installed: 2,
                offered: 1,
            },
            ManifestError::OtherBase { base: 1 },
            ManifestError::UnknownValue {
                field: "reentry",
                number: 9,
            },
            ManifestError::UnknownSection { tag: 99 },
            ManifestError::Expired { expires_at: time },
        ];
        for error in manifest {
            assert_eq!(error_code(error.into()), error.code());
        }
        let offline = [
            OfflineError::NoManifest,
            OfflineError::StaleManifest { made_at: time },
            OfflineError::UnknownGate,
            OfflineError::OutOfScope,
            OfflineError::OverrideNotAllowed,
            OfflineError::ScanIdReused,
            OfflineError::OtherDevice,
            OfflineError::DatabaseInUse,
            OfflineError::DeviceRefused {
                code: DeviceRefusal::Inactive,
            },
            OfflineError::NewerDatabase { version: 9 },
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
            ClientError::NotEnrolled,
            ClientError::InsecureServer,
        ];
        for error in client {
            let code = error.code().to_owned();
            assert_eq!(error_code(error.into()), code);
        }
    }
}
