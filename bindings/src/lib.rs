//! How do Kotlin, Swift and Python scan? The core, seen from there.
//!
//! Types of the core cross as they are (`#[uniffi::remote]`, `custom_type!`), so that a new reason, warning or field
//! does not build until it stands here too. Invariants: nothing here panics, because a panic ends a Swift program;
//! no error has a field called `message`, because Kotlin's exceptions have one already; no secret crosses but through
//! the app's own store for secrets.

mod app;
mod client;
mod clock;
mod error;
mod offline;
mod opening;
mod ticket;
mod value;
mod verdict;
mod word;

pub use app::*;
pub use client::*;
pub use error::*;
pub use offline::*;
pub use ticket::*;
pub use value::*;
pub use verdict::*;
pub use word::*;

uniffi::setup_scaffolding!("voelgoed_scan");
