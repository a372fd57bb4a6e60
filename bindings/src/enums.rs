//! The enums of the core and their shared codes.

use voelgoed_scan_core as core;

pub use core::client::VerdictSource;
pub use core::model::{Direction, Format, Reason, ScanResult, TicketStatus, Warning as ScanWarning};
pub use core::rules::ConflictKind;

use crate::text::language_of;

/// The result, which decides the colour.
#[uniffi::remote(Enum)]
pub enum ScanResult {
    /// Green: the person may enter or leave.
    Valid,
    /// Red: the ticket has already admitted its people.
    Duplicate,
    /// Red: the payload is not a ticket of this organization.
    InvalidToken,
    /// Red: the ticket belongs to another event.
    WrongEvent,
    /// Red: another gate admits this ticket.
    WrongGate,
    /// Red: the ticket is not admitted now.
    Refused,
}

/// The reason for a result.
#[uniffi::remote(Enum)]
pub enum Reason {
    /// A first admission, within the ticket's entry limit.
    Admitted,
    /// A later admission, allowed by the event's re-entry policy.
    Readmitted,
    /// A person left.
    Exited,
    /// A steward forced the admission.
    Overridden,
    /// A ticket for one person has already been used.
    AlreadyScanned,
    /// A ticket for several people has admitted all of them.
    EntryLimitReached,
    /// Re-entry needs an exit first.
    AlreadyInside,
    /// The payload does not have the shape of a ticket.
    Malformed,
    /// The organization has no key with this id.
    UnknownKey,
    /// The key is revoked.
    KeyRevoked,
    /// An unsigned code, where the event requires signed payloads.
    UnsignedNotAllowed,
    /// The signature is invalid: a forgery, or another organization's ticket.
    BadSignature,
    /// The time window of the payload is over.
    TokenExpired,
    /// The time window of the payload has not started.
    TokenNotYetValid,
    /// The organization has no such ticket.
    TicketNotFound,
    /// The ticket belongs to another event.
    OtherEvent,
    /// The ticket is admitted at other gates.
    GateNotAllowed,
    /// The platform marked the ticket as used.
    TicketUsed,
    /// The platform voided the ticket.
    TicketVoided,
    /// The ticket was refunded.
    TicketRefunded,
    /// The time window of the ticket has not started.
    TicketNotYetValid,
    /// The time window of the ticket is over.
    TicketExpired,
    /// The event is not live.
    EventNotLive,
    /// The event is cancelled.
    EventCancelled,
    /// The event is postponed, and its new date has not come.
    EventPostponed,
    /// The doors of the event are not open yet.
    DoorsNotOpen,
    /// The doors of the event have closed.
    DoorsClosed,
    /// The gate is closed.
    GateClosed,
    /// The gate has reached its capacity.
    GateFull,
    /// The event has reached its capacity.
    EventFull,
    /// An exit without a previous entry.
    NotInside,
}

/// What a steward should know in addition to the verdict.
#[uniffi::remote(Enum)]
pub enum ScanWarning {
    /// The device's clock is wrong by more than 300 s.
    ClockSkew,
    /// A dry run at an event that is published and not live yet: a scan would be refused.
    EventNotLive,
    /// The signature was not checked, because a phone has no key for this format.
    SignatureUnchecked,
    /// The manifest does not list the ticket, because it was sold later.
    NotInManifest,
    /// The capacity was not checked, because it is unknown offline.
    CapacityUnknown,
    /// The manifest is older than the event allows.
    StaleManifest,
    /// The manifest lists the ticket with a value that this version of the app does not know: update the app.
    ManifestNewer,
    /// The reading has only capital or only small letters: Caps Lock is on, or the scanner is set to another keyboard
    /// layout.
    ScannerSettings,
    /// Somebody set the phone's clock since its last exchange with the server. The phone corrects for it.
    ClockMoved,
    /// The phone was restarted since its last exchange with the server, so nothing confirms its clock.
    ClockUnverified,
    /// The phone's database was replaced, and earlier admissions of this phone may be unknown.
    StorageReplaced,
    /// The phone could not write to its disk. The server has recorded the scan.
    StorageFull,
}

/// The direction of a scan.
#[uniffi::remote(Enum)]
pub enum Direction {
    /// A person enters.
    Entry,
    /// A person leaves.
    Exit,
}

/// The status of a ticket.
#[uniffi::remote(Enum)]
pub enum TicketStatus {
    /// It has admitted no one yet.
    Active,
    /// It has admitted at least one person.
    Scanned,
    /// It was marked as used by hand.
    Used,
    /// It was voided.
    Voided,
    /// It was refunded.
    Refunded,
}

/// Where a verdict was decided.
#[uniffi::remote(Enum)]
pub enum VerdictSource {
    /// On the server.
    Server,
    /// On the phone, without the server.
    Device,
}

/// The kind of a conflict.
#[uniffi::remote(Enum)]
pub enum ConflictKind {
    /// One ticket admitted more people than its limit, on devices without a connection.
    DoubleEntry,
    /// A device admitted a ticket against the rules.
    NotAdmissible,
    /// The server denied the scan, but the device did not receive the answer and admitted the ticket.
    AdmittedOffline,
    /// A device admitted a ticket that had been voided, refunded or marked as used before.
    LetInDespiteStatus,
    /// The scan is quarantined, or its number in the device's log belongs to another scan.
    Unverified,
}

/// The formats of payloads.
#[uniffi::remote(Enum)]
pub enum Format {
    /// HMAC-SHA256 over a code. Only a server can verify it.
    Vg1,
    /// Ed25519 over claims. A phone can verify it.
    Vg2,
    /// A Phoenix.Token of the ticketing platform. Only a server can verify it.
    Phoenix,
    /// A code without a signature, typed by staff.
    Bare,
    /// A barcode that another system issued.
    Barcode,
    /// The id of a wristband or a card.
    Nfc,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $function:ident($type:ident);)+) => {$(
        $(#[$doc])*
        #[uniffi::export]
        pub fn $function(value: $type) -> String {
            value.as_str().to_owned()
        }
    )+};
}

codes! {
    /// Returns the code of a result, such as `invalid_token`, which HTTP, logs and exports use too.
    result_code(ScanResult);
    /// Returns the code of a reason, such as `already_scanned`, which HTTP, logs and exports use too.
    reason_code(Reason);
    /// Returns the code of a warning, such as `not_in_manifest`.
    warning_code(ScanWarning);
    /// Returns the code of a conflict kind, such as `double_entry`.
    conflict_code(ConflictKind);
    /// Returns the code of a payload format, such as `vg2`.
    format_code(Format);
}

/// Returns the library's message of a reason in the first language of `language` that the library has, otherwise in English.
/// A verdict has the message in the words of the organization.
#[uniffi::export(default(language = None))]
pub fn reason_message(reason: Reason, language: Option<String>) -> String {
    language_of(language.as_deref()).message(reason).to_owned()
}

/// Returns the result of a reason.
#[uniffi::export]
pub fn reason_result(reason: Reason) -> ScanResult {
    reason.result()
}

/// Returns all reasons, in the order of `docs/results.md`.
#[uniffi::export]
pub fn all_reasons() -> Vec<Reason> {
    Reason::ALL.to_vec()
}
