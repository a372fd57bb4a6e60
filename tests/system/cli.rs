//! The command line interface: the built binary against a running server, as people and scripts use it.

mod administration;
mod audit;
mod dashboard;
mod demo;
mod desk;
mod exit_codes;
mod fixture;
mod imports;
mod messages;
mod names;
mod offline;
mod output;
mod prune;
mod rehearse;
mod replay;
mod report;
mod scan;
mod sheets;
mod signals;
mod tickets;
mod tls;
mod webhooks;
mod what_if;
