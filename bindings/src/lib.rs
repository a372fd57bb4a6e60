//! The bindings of the core's client for Kotlin, Swift and Python, generated with uniffi.
//!
//! The core's types are exported directly (`#[uniffi::remote]`, `custom_type!`), so that a new reason, warning or field
//! in the core does not compile until it is added here.
//!
//! Invariants:
//! - Nothing panics: a panic ends a Swift program.
//! - No error has a field `message`: Kotlin's exceptions already have one.
//! - Secrets cross the boundary only through the app's own secret store.
//! - The text of a type (`repr`, `toString`, `description`) shows no secret and no personal data.

mod callbacks;
mod client;
mod clock;
mod custom_types;
mod enums;
mod error;
mod listener;
mod log;
mod office;
mod offline;
mod problem;
mod runtime;
mod self_test;
mod storage;
mod text;
mod ticket;
mod verdict;

pub use callbacks::*;
pub use client::*;
pub use custom_types::*;
pub use enums::*;
pub use error::*;
pub use listener::*;
pub use log::*;
pub use office::*;
pub use offline::*;
pub use problem::*;
pub use self_test::*;
pub use storage::*;
pub use ticket::*;
pub use verdict::*;

uniffi::setup_scaffolding!("voelgoed_scan");
