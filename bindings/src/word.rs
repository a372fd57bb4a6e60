//! Which words does every language know? The closed lists of the core, and what each word says.

use voelgoed_scan_core as core;

pub use core::client::VerdictBy;
pub use core::model::{Direction, Format, Reason, ScanResult, TicketStatus, Warning};
pub use core::rules::ConflictKind;

/// What the gate does.
#[uniffi::remote(Enum)]
pub enum ScanResult {
    /// Green: the person may pass.
    Valid,
    /// Red: the ticket let its people in already.
    Duplicate,
    /// Red: the payload is not a ticket of this organization.
    InvalidToken,
    /// Red: a ticket of another event.
    WrongEvent,
    /// Red: a ticket that another gate lets in.
    WrongGate,
    /// Red: a ticket that is not let in now.
    Refused,
}

/// Why the gate does what it does.
#[uniffi::remote(Enum)]
pub enum Reason {
    /// One of the ticket's first admissions, as many as its entry limit.
    Admitted,
    /// A later admission, allowed by the event's re-entry policy.
    Readmitted,
    /// Somebody left.
    Exited,
    /// A steward forced the admission.
    Overridden,
    /// A ticket for one, used up.
    AlreadyScanned,
    /// A ticket for several, all of them in.
    EntryLimitReached,
    /// Coming in again needs an exit first.
    AlreadyInside,
    /// The payload has no shape that a ticket has.
    Malformed,
    /// No key of the organization has this name.
    UnknownKey,
    /// The key was withdrawn for good.
    KeyRevoked,
    /// A bare code, where the event wants signed payloads.
    UnsignedNotAllowed,
    /// The signature does not hold: a forgery, or another organization's ticket.
    BadSignature,
    /// The payload's own window is over.
    TokenExpired,
    /// The payload's own window has not begun.
    TokenNotYetValid,
    /// No such ticket in this organization.
    TicketNotFound,
    /// The ticket is for another event.
    OtherEvent,
    /// The ticket is let in at other gates.
    GateNotAllowed,
    /// The platform marked the ticket as used.
    TicketUsed,
    /// The platform voided the ticket.
    TicketVoided,
    /// The ticket's price was paid back.
    TicketRefunded,
    /// The ticket's window has not begun.
    TicketNotYetValid,
    /// The ticket's window is over.
    TicketExpired,
    /// The event is not live.
    EventNotLive,
    /// The gate is closed.
    GateClosed,
    /// The gate let in as many as it may.
    GateFull,
    /// As many are inside as the event may hold.
    EventFull,
    /// An exit without an entry.
    NotInside,
}

/// What a steward should know beside the verdict.
#[uniffi::remote(Enum)]
pub enum Warning {
    /// The device's clock is more than 300 s off.
    ClockSkew,
    /// A phone holds no key for this format: the signature was not checked.
    SignatureUnchecked,
    /// The manifest does not list the ticket: it was sold later.
    NotInManifest,
    /// Capacity cannot be known offline.
    CapacityUnknown,
    /// The manifest is older than the event allows.
    StaleManifest,
    /// The manifest lists the ticket with a value that this version of the app does not know: update the app.
    ManifestNewer,
}

/// Which way a person goes.
#[uniffi::remote(Enum)]
pub enum Direction {
    /// In.
    Entry,
    /// Out.
    Exit,
}

/// What became of a ticket.
#[uniffi::remote(Enum)]
pub enum TicketStatus {
    /// It has not admitted anybody yet.
    Active,
    /// It has admitted somebody.
    Scanned,
    /// Used up by hand, outside the gates.
    Used,
    /// Taken back.
    Voided,
    /// Taken back against money.
    Refunded,
}

/// Who reached a verdict.
#[uniffi::remote(Enum)]
pub enum VerdictBy {
    /// The server.
    Server,
    /// The phone, alone.
    Device,
}

/// What is at odds between what a device did and what the rules say.
#[uniffi::remote(Enum)]
pub enum ConflictKind {
    /// One ticket let in more people than it may: two devices that could not talk.
    DoubleEntry,
    /// A device let somebody in against the rules.
    NotAdmissible,
    /// The server had denied the scan, and the device, which did not hear of it, let the person in.
    AdmittedOffline,
    /// A scan in quarantine.
    Unverified,
}

/// The formats of payloads.
#[uniffi::remote(Enum)]
pub enum Format {
    /// HMAC-SHA256 over a code: only a server can check it.
    Vg1,
    /// Ed25519 over claims: a phone can check it.
    Vg2,
    /// A Phoenix.Token of the ticketing platform: only a server can check it.
    Phoenix,
    /// A code without a signature, typed by staff.
    Bare,
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
    /// The shared code of a result, such as `invalid_token`: as in HTTP, in logs and in exports.
    result_code(ScanResult);
    /// The shared code of a reason, such as `already_scanned`: as in HTTP, in logs and in exports.
    reason_code(Reason);
    /// The shared code of a warning, such as `not_in_manifest`.
    warning_code(Warning);
    /// The shared code of a kind of conflict, such as `double_entry`.
    conflict_code(ConflictKind);
    /// The shared code of a payload's format, such as `vg2`.
    format_code(Format);
}

/// A short English sentence for the steward. An app that speaks other languages translates the reason's code.
#[uniffi::export]
pub fn reason_message(reason: Reason) -> String {
    reason.message().to_owned()
}

/// What the gate does for a reason.
#[uniffi::export]
pub fn reason_result(reason: Reason) -> ScanResult {
    reason.result()
}

/// Every reason, in the order of the contract.
#[uniffi::export]
pub fn all_reasons() -> Vec<Reason> {
    Reason::ALL.to_vec()
}
