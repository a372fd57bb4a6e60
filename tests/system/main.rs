//! The whole server over sockets. One process, many servers: each test has its own.

#![expect(
    clippy::expect_used,
    reason = "tests end where something is not as it should be"
)]

mod bodies;
mod cli;
mod history;
mod imports;
mod limits;
mod manifests;
mod measures;
mod nodes;
mod order;
mod outages;
mod pairing;
mod phones;
mod platform;
mod roles;
mod scans;
mod secure;
mod shapes;
mod streams;
mod sync;
mod tenants;
