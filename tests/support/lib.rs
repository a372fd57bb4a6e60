//! The test support library of the system tests.
//!
//! It starts a server with two tenants on a free port, calls it with a client that checks every response against the
//! server's own OpenAPI document, sends raw bytes that no HTTP client would send, and starts several nodes on databases
//! that a test can stop.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a test fails by panicking"
)]

pub mod client;
pub mod cluster;
pub mod event_stream;
pub mod fault_proxy;
pub mod fixture;
pub mod openapi;
pub mod program;
pub mod proxy;
pub mod services;
pub mod socket;
pub mod wait;
pub mod webhook_receiver;

pub use client::{Client, Response};
pub use cluster::Cluster;
pub use fault_proxy::{FaultProxy, Faults};
pub use fixture::Fixture;
pub use proxy::Proxy;
pub use services::{Postgres, Redis};
pub use wait::wait_until;
pub use webhook_receiver::{Reply, WebhookReceiver};
