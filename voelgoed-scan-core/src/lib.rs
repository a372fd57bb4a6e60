//! What a ticket scan is.

mod attempt;
mod backoffice;
pub mod bus;
mod changes;
#[cfg(feature = "client")]
mod client;
mod code;
mod credential;
mod decision;
mod device;
mod event;
mod feed;
mod fold;
mod gate;
pub mod hex;
mod id;
mod json;
mod judge;
mod keyring;
mod ledger;
mod manifest;
mod memory;
mod nodes;
mod occupancy;
#[cfg(feature = "sqlite")]
mod offline;
mod organization;
mod pairing;
mod press;
pub mod random;
mod reason;
mod recent;
mod recorder;
#[cfg(feature = "redis")]
mod redis_link;
mod scan;
mod scanner;
mod session;
mod setup;
pub mod store;
pub mod sync;
mod text;
mod ticket;
mod time;
pub mod token;
mod vitals;

pub use attempt::{Attempt, Decided, Denial, Fingerprint, Recorded, Rules, Shown, Stage};
pub use backoffice::BackOffice;
#[cfg(feature = "client")]
pub use client::{
    ClientError, ClientSettings, ClientSetup, ClientState, Clock, HttpHeader, HttpMethod, HttpRequest,
    HttpResponse, HttpTransport, ManifestRefresh, ScanInput, ScannerClient, SecretStore, SecretStoreError,
    SyncReport, Transport, TransportError,
};
pub use code::{CODE_LENGTH, InvalidCode, TicketCode};
pub use credential::{ApiKeySecret, DeviceToken, InvalidToken};
pub use decision::{Situation, can_be_overridden, decide};
pub use device::{
    App, Device, DeviceHealth, DeviceLabel, DevicePatch, DeviceRegister, DeviceSettings, DeviceStatus,
    DeviceType, InvalidLabel,
};
pub use event::{Event, EventPut, EventStatus, Reentry, StaleManifest};
pub use feed::{Feed, FeedItem, Subscription};
pub use fold::{Folded, Part, PastScan, Placing, difference, fold};
pub use gate::{Gate, GatePut, GateStatus};
pub use id::{
    ApiKeyId, BatchId, DeviceId, EventId, GateId, InvalidId, OrganizationId, ScanId, SessionId, TicketId,
};
pub use judge::{CountChange, Facts, KnownScan, NewScan, Post, Writes, answer, judge};
pub use keyring::{
    InvalidKeyId, InvalidMasterSecret, KeyFormat, KeyId, KeyStatus, Keyring, KeyringError, MasterSecret,
    SigningKey, manifest_signature_holds,
};
pub use ledger::{Admission, Allowance, Ledger, Movement, Sighting};
pub use manifest::{
    MANIFEST_MEDIA_TYPE, Manifest, ManifestDraft, ManifestError, ManifestFacts, ManifestGate, ManifestHead,
    ManifestPart, ManifestTicket, ManifestTooLarge, TicketKey,
};
pub use occupancy::{EventOccupancy, GateCount, Headcount, Occupancy, PlaceCount, ResultCounts};
#[cfg(feature = "sqlite")]
pub use offline::{
    DeviceSecret, ManifestState, OfflineError, OfflineGate, OfflineGateSetup, OfflineScan, OfflineState,
    SeenBefore, SeenTicket, Station, Verdict, VerdictBy, WaitingBatch,
};
pub use organization::{ApiKey, ApiKeyCreate, Organization, Role};
pub use pairing::{
    DeviceSelf, EnrollAnswer, EnrollRequest, Enrollment, EnrollmentCode, EnrollmentUri,
    InvalidEnrollmentCode, InvalidEnrollmentUri, IssuedToken, ManifestKey,
};
pub use press::{Held, Issued, ManifestFailure, ManifestIssue};
pub use reason::{Reason, ScanResult};
#[cfg(feature = "redis")]
pub use recent::redis::TierHealth;
#[cfg(feature = "redis")]
pub use redis_link::{InvalidRedisUrl, RedisLink};
pub use scan::{
    DecidedBy, Direction, InvalidScanRequest, Metadata, NamedGate, Outcome, Override, PreviousScan,
    RawScanRequest, Reading, ScanAnswer, ScanRecord, ScanRequest, ScannedTicket, Source, UndoRequest, Undone,
    Warning,
};
pub use scanner::{ScanError, Scanner, Undoer};
pub use session::{ScanSession, SessionStart, SessionStatus};
pub use setup::{Setup, SetupError};
pub use store::{Store, StoreError};
pub use text::{
    ClassName, GateCode, HolderName, InvalidName, Name, Note, OrderRef, ReasonText, SeatPart, UnknownWord,
};
pub use ticket::{
    Field, Seat, SettableStatus, Ticket, TicketFacts, TicketLine, TicketListing, TicketPatch, TicketStatus,
};
pub use time::{InvalidTimestamp, Timestamp};
pub use token::phoenix::{InvalidPhoenixKeys, KeyDerivation, KeyDigest, PhoenixKeys};
pub use token::{Claims, Format, MAX_PAYLOAD, Malformed, Payload, Vg2Claims, Window, payload_sha256, verify};
pub use vitals::{Vitals, WRITE_TIMES, WriteCounts};
