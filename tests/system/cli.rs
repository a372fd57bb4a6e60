//! The command line as people and scripts use it: the built binary against a running server.

mod codes;
mod demo;
mod offline;
mod prompt;
mod rehearse;
mod replay;
mod scanning;
mod secure;
mod setting_up;
mod tickets;
