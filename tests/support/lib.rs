//! What the system tests share: a server on a free port with a world in it, a client that holds every answer against
//! the server's own OpenAPI document, a bare socket for what no client would send, and several nodes on databases that
//! can be stopped.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "tests end where something is not as it should be"
)]

pub mod book;
pub mod client;
pub mod cluster;
pub mod events;
pub mod services;
pub mod socket;
pub mod world;

pub use client::{Client, Reply};
pub use cluster::{Cluster, until};
pub use services::{Postgres, Redis};
pub use world::World;
