//! The types of the domain: identifiers, codes, times, and the objects of the API and the database.
//!
//! Invariants: text is parsed into these types once, at the boundary; this module decides nothing, reads no clock and does
//! no I/O; it depends on no other module of the crate.

mod activity;
mod attempt;
mod audit;
pub(crate) mod bytes;
mod claims;
mod code;
mod credential;
mod device;
mod device_context;
mod device_scope;
mod device_state;
mod enrollment;
mod event;
mod gate;
pub mod hex;
mod id;
pub(crate) mod json;
mod language;
mod ledger;
mod local_time;
mod medium;
mod messages;
mod occupancy;
mod organization;
pub mod random;
mod reading;
mod reason;
mod scan;
mod session;
mod signal;
mod signing_key;
pub(crate) mod text;
mod ticket;
mod time;
pub(crate) mod webhook;

pub use activity::{ActivityMinutes, EventActivity, GateActivity};
pub use attempt::{
    AnswerSnapshot, Attempt, Decided, Denial, Fingerprint, Recorded, RuleSettings, ScannedBy, Verification,
};
pub use audit::{
    AuditAction, AuditActor, AuditActorKind, AuditChanges, AuditContext, AuditEntry, AuditSignature,
    AuditSubject, AuditSubjectKind,
};
pub use bytes::{DeviceKey, InvalidBytes};
pub use claims::{Claims, Format, Window};
pub use code::{CODE_LENGTH, InvalidCode, TicketCode};
pub use credential::{ApiKeySecret, DeviceToken, InvalidToken, TokenHash};
pub use device::{
    App, Device, DeviceHealth, DeviceLabel, DevicePatch, DeviceRegister, DeviceSettings, DeviceStatus,
    DeviceType, InvalidLabel,
};
pub use device_context::{ActiveSession, AuthenticatedDevice};
pub use device_scope::DeviceScope;
pub use device_state::DeviceState;
pub use enrollment::{
    DeviceSelf, EnrollAnswer, EnrollRequest, Enrollment, EnrollmentCode, EnrollmentUri,
    InvalidEnrollmentCode, InvalidEnrollmentUri, IssuedToken, ManifestKey,
};
pub use event::{Event, EventPut, EventRules, EventStatus, Reentry, StaleManifest};
pub use gate::{Gate, GatePut, GateStatus};
pub use id::{
    ApiKeyId, BatchId, DeliveryId, DeviceId, EventId, GateId, InvalidId, OrganizationId, ScanId, SessionId,
    SignalId, TicketId, WebhookId,
};
pub use language::Language;
pub use ledger::{Admission, Ledger, Movement, Passage};
pub use local_time::{InvalidLocalTime, InvalidTimeZoneName, LocalTime, TimeZoneName};
pub use medium::{InvalidMedium, MAX_MEDIA, Media, Medium, MediumTicket, TooManyMedia};
pub use messages::{CustomMessages, CustomMessagesPatch, MessageText};
pub use occupancy::{EventOccupancy, GateCount, Headcount, Occupancy, PlaceCount, ResultCounts};
pub use organization::{ApiKey, ApiKeyCreate, Organization, Role};
pub use reading::{Reading, trim_reading};
pub use reason::{Reason, ScanResult};
pub use scan::{
    CheckInRequest, DecidedBy, Direction, InvalidScanRequest, Metadata, NamedGate, Outcome, Override,
    PreviousScan, RawScanRequest, RecordedOverride, ScanAnswer, ScanRecord, ScanRequest, ScannedTicket,
    Source, UndoRequest, Undone, Warning,
};
pub use session::{ScanSession, SessionStart, SessionStatus};
pub use signal::{
    Figure, Figures, Signal, SignalDetails, SignalKind, SignalRule, SignalRulePatch, SignalSettings,
    SignalSettingsPatch, SignalSubject,
};
pub use signing_key::{InvalidKeyId, KeyFormat, KeyId, KeyStatus, SigningKey};
pub use text::{
    ClassName, GateCode, HolderName, InvalidText, Name, Note, OrderRef, ReasonText, SeatPart, UnknownVariant,
    WebhookDescription,
};
pub use ticket::{
    FieldUpdate, ImportStatus, Seat, SettableStatus, Ticket, TicketFacts, TicketLine, TicketListing,
    TicketPatch, TicketStatus, TicketWithMedia,
};
pub use time::{InvalidTimestamp, Timestamp};
pub use webhook::{
    AcceptedDelivery, CreatedWebhook, DeliveryStatus, DisabledReason, InvalidWebhookSecret,
    InvalidWebhookTypes, InvalidWebhookUrl, RotatedSecret, Webhook, WebhookCreate, WebhookDelivery,
    WebhookHost, WebhookPatch, WebhookSecret, WebhookStatus, WebhookType, WebhookTypes, WebhookUrl,
};
