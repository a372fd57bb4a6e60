//! What a ticket scan is.

#[cfg(feature = "node")]
pub mod bus;
#[cfg(feature = "client")]
pub mod client;
pub mod manifest;
#[cfg(any(feature = "client", feature = "postgres", feature = "sqlite"))]
mod migrations;
pub mod model;
#[cfg(feature = "node")]
pub mod node;
pub mod rules;
#[cfg(feature = "node")]
pub mod store;
pub mod sync;
pub mod token;

#[cfg(feature = "client")]
pub use client::{ClientError, ScannerClient};
pub use manifest::Manifest;
pub use model::{
    Claims, DeviceToken, Event, Gate, Reason, ScanAnswer, ScanRequest, ScanResult, Ticket, TicketCode,
    Timestamp,
};
#[cfg(feature = "node")]
pub use node::{Admin, ScanError, Scanner, Setup, SetupError};
pub use rules::{ScanContext, decide};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::open;
#[cfg(feature = "node")]
pub use store::{Store, StoreError};
pub use token::{Keyring, MasterSecret, Payload, verify};
