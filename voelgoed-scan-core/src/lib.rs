//! What a ticket scan is.

mod code;
mod id;
pub mod random;
mod time;

pub use code::{CODE_LENGTH, InvalidCode, TicketCode};
pub use id::{ApiKeyId, DeviceId, EventId, GateId, InvalidId, OrganizationId, ScanId, SessionId, TicketId};
pub use time::{InvalidTimestamp, Timestamp};
