//! The whole server over sockets. One process, many servers: each test has its own.

mod bodies;
mod cli;
mod imports;
mod limits;
mod order;
mod roles;
mod scans;
mod shapes;
mod streams;
mod tenants;
