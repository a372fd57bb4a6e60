//! The core of voelgoed-scan: decides at the gate of an event whether a ticket may come in.
//!
//! The crate has no HTTP server and no command line. Its main entry points are [`decide`], the pure decision about a scan;
//! `Scanner` and `Admin` (feature `node`), which run a server's scans and administration on a `Store`; and
//! `ScannerClient` (feature `client`), which runs on a phone and decides without a network.
//!
//! # Modules
//!
//! Each module uses only those above it. The last two do not depend on each other.
//!
//! | module | purpose |
//! |---|---|
//! | [`model`] | the types of the domain: identifiers, codes, times, objects of API and database |
//! | [`token`] | parses and verifies ticket payloads: VG1, VG2, Phoenix.Token, bare codes |
//! | [`rules`] | the rules of admission, as pure functions |
//! | [`manifest`] | the signed manifest of an event, for phones |
//! | [`sync`] | the upload of offline decisions: evaluation, conflicts, verification of logs |
//! | `audit` | the chain of the audit log: hashes, signatures, verification |
//! | [`net`] | which addresses belong to the public Internet |
//! | `shares` | limited resources, of which no tenant or credential gets all |
//! | `report` | the figures of an event after its end |
//! | `delivery` | signatures and retries of webhook deliveries |
//! | `bus` | messages between the nodes of a cluster |
//! | `store` | the storage traits and their SQL implementation |
//! | `node` | a running node: scanner, caches, write queue, administration |
//! | `client` | the phone's side: HTTP client and offline decisions |
//!
//! Invariants of all layers: the core never reads a clock, callers pass the time; a denied ticket is an answer and not an
//! error; caches may deny and never admit.
//!
//! # Features
//!
//! Without features the crate has the modules from `model` to `sync` and `net`, and depends on no async runtime, no database
//! and no network.
//!
//! | feature | adds |
//! |---|---|
//! | `node` | `shares`, `audit`, `report`, `delivery`, `bus`, `store` (traits) and `node` |
//! | `sqlite`, `postgres` | the SQL store on that database |
//! | `redis` | the Redis cache and bus |
//! | `client` | `client`, with a SQLite database on the phone |
//! | `schema` | JSON Schemas of the public types |

#[cfg(feature = "node")]
pub mod audit;
#[cfg(feature = "node")]
pub mod bus;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "node")]
pub mod delivery;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod layers;
pub mod manifest;
#[cfg(any(feature = "client", feature = "postgres", feature = "sqlite"))]
mod migrations;
pub mod model;
pub mod net;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "node")]
pub mod report;
pub mod rules;
#[cfg(feature = "node")]
pub mod shares;
#[cfg(feature = "node")]
mod spans;
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
#[cfg(feature = "node")]
pub use spans::SPAN_TARGET;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use store::open;
#[cfg(feature = "node")]
pub use store::{Store, StoreError};
pub use token::{Keyring, MasterSecret, Payload, verify};
