//! System tests: real servers in this process, called over sockets. Each test starts its own server.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod app_version;
mod broken_connections;
mod bulk_writes;
mod cli;
mod cluster;
mod configuration;
mod connections;
mod database_tls;
mod devices;
mod differential;
mod drain;
mod enrollment;
mod event_stream;
mod events_and_gates;
mod history;
mod keys;
mod lifecycle;
mod lists;
mod manifest;
mod manifest_transfer;
mod memory_answers;
mod metrics;
mod model;
mod operation_calls;
mod operations;
mod outages;
mod phone_client;
mod platform_tokens;
mod proxies;
mod rate_limits;
mod request_bodies;
mod request_checks;
mod resumed_streams;
mod roles;
mod routes;
mod rule_changes;
mod scan;
mod sessions;
mod stalled_connections;
mod storage;
mod sync;
mod tenant_isolation;
mod ticket_import;
