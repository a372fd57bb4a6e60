//! The number of open connections: of the node, and of each address.
//!
//! Invariants: connections that stall never keep others away: a node that has too many closes a stalled one for each new
//! one; the limit of the node leaves [`RESERVED_DESCRIPTORS`] file descriptors for the database, Redis and the log;
//! the addresses of one IPv6 /64 count as one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::limit::subscriber;

/// The file descriptors that connections of clients never use.
const RESERVED_DESCRIPTORS: u64 = 256;

/// The maximum of the derived limit. Each connection also needs memory.
const MAX_DERIVED: usize = 65_536;

/// How long a connection has stalled before it makes place for another.
const MIN_STALL: Duration = Duration::from_millis(200);

/// The descriptors that every system allows, for a system that does not tell its limit.
const UNKNOWN_DESCRIPTORS: u64 = 1024;

/// Raises the soft limit of file descriptors to the hard limit, and returns the limit of connections that follows from it.
pub(super) fn derived_limit() -> usize {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(descriptors) => connections_for(descriptors),
        Err(error) => {
            tracing::warn!(%error, "the limit of file descriptors cannot be raised");
            connections_for(current_descriptors())
        }
    }
}

#[cfg(unix)]
fn current_descriptors() -> u64 {
    rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(UNKNOWN_DESCRIPTORS, |(soft, _)| soft)
}

#[cfg(not(unix))]
fn current_descriptors() -> u64 {
    UNKNOWN_DESCRIPTORS
}

/// The limit of connections of a process that may open this many descriptors.
fn connections_for(descriptors: u64) -> usize {
    // A very low limit is shared in halves.
    let connections = descriptors
        .saturating_sub(RESERVED_DESCRIPTORS)
        .max(descriptors / 2);
    usize::try_from(connections).map_or(MAX_DERIVED, |connections| connections.min(MAX_DERIVED))
}

/// Counts open connections.
pub(super) struct ConnectionLimit {
    node: usize,
    address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, Connection>,
    next_id: u64,
    by_address: HashMap<IpAddr, usize>,
}

struct Connection {
    /// The address for which the connection counts.
    counted: Option<IpAddr>,
    progress: Arc<Progress>,
    evicted: CancellationToken,
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The node has too many connections, and works for all of them.
    Node,
    /// The address has too many connections.
    Address,
}

impl ConnectionLimit {
    /// Limits for the node and for each address; 0 turns the limit of addresses off.
    pub(super) fn new(node: usize, address: usize) -> Self {
        Self {
            node: node.max(1),
            address: if address == 0 { usize::MAX } else { address },
            open: Mutex::default(),
        }
    }

    /// Counts a connection until the returned value is dropped. Connections of exempt addresses count for the node only. A
    /// node that has too many connections closes the one of least use; when that has ended, there is a place.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        is_exempt: bool,
        progress: &Arc<Progress>,
        now: Instant,
    ) -> Result<OpenConnection, Refused> {
        let mut open = self.open.lock();
        let counted = (!is_exempt).then(|| subscriber(address));
        let from_address = counted.and_then(|address| open.by_address.get(&address));
        if from_address.is_some_and(|&connections| connections >= self.address) {
            return Err(Refused::Address);
        }
        if open.connections.len() >= self.node {
            open.evict(now);
            return Err(Refused::Node);
        }
        if let Some(address) = counted {
            *open.by_address.entry(address).or_default() += 1;
        }
        let id = open.next_id;
        open.next_id += 1;
        let evicted = CancellationToken::new();
        let connection = Connection {
            counted,
            progress: Arc::clone(progress),
            evicted: evicted.clone(),
        };
        open.connections.insert(id, connection);
        Ok(OpenConnection {
            limit: Arc::clone(self),
            id,
            evicted,
        })
    }
}

impl Open {
    /// Closes the connection of least use, one at a time: until it has ended, it has its file descriptor.
    fn evict(&mut self, now: Instant) {
        let is_closing = |connection: &Connection| connection.evicted.is_cancelled();
        if self.connections.values().any(is_closing) {
            return;
        }
        let stalled = self.connections.values().filter_map(|connection| {
            let (stall, since) = connection.progress.stall()?;
            (since + MIN_STALL <= now).then_some((stall, since, connection))
        });
        if let Some((.., connection)) = stalled.min_by_key(|&(stall, since, _)| (stall, since)) {
            connection.evicted.cancel();
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        if let Some(address) = connection.counted
            && let Some(connections) = self.by_address.get_mut(&address)
        {
            *connections -= 1;
            if *connections == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

/// An open connection.
pub(super) struct OpenConnection {
    limit: Arc<ConnectionLimit>,
    id: u64,
    evicted: CancellationToken,
}

impl OpenConnection {
    /// Waits until the connection has to make place for another.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.limit.open.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Arc<Progress> {
        Progress::new(Duration::from_secs(30))
    }

    /// Admits a connection for which the server works.
    fn admit(
        limit: &Arc<ConnectionLimit>,
        address: &str,
        is_exempt: bool,
    ) -> Result<OpenConnection, Refused> {
        let progress = progress();
        std::mem::forget(progress.request());
        limit.admit(
            address.parse().expect("an address"),
            is_exempt,
            &progress,
            Instant::now(),
        )
    }

    #[test]
    fn an_address_that_reached_its_limit_does_not_stop_others() {
        let limit = Arc::new(ConnectionLimit::new(100, 2));
        let first = admit(&limit, "2001:db8::1", false);
        let second = admit(&limit, "2001:db8::2", false);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(admit(&limit, "2001:db8::3", false).err(), Some(Refused::Address));
        assert!(admit(&limit, "192.0.2.1", false).is_ok());
        assert!(admit(&limit, "2001:db8::3", true).is_ok());
        drop(first);
        assert!(admit(&limit, "2001:db8::3", false).is_ok());
        drop(second);
        assert!(limit.open.lock().by_address.is_empty());
        assert!(limit.open.lock().connections.is_empty());
    }

    #[test]
    fn a_node_that_works_for_all_its_connections_refuses_another() {
        let limit = Arc::new(ConnectionLimit::new(2, 0));
        let open = [1, 2].map(|number| admit(&limit, &format!("192.0.2.{number}"), false));
        assert!(open.iter().all(Result::is_ok));
        assert_eq!(admit(&limit, "192.0.2.3", true).err(), Some(Refused::Node));
        drop(open);
        assert!(admit(&limit, "192.0.2.3", false).is_ok());
    }

    #[test]
    fn a_full_node_closes_the_connection_of_least_use() {
        let address = "192.0.2.1".parse().expect("an address");
        let limit = Arc::new(ConnectionLimit::new(4, 0));
        let [idle, silent, unread, works] = [(); 4].map(|()| progress());
        drop(idle.request());
        drop(unread.request());
        let _request = works.request();
        let mut open = Vec::new();
        for progress in [&works, &idle, &silent, &unread] {
            open.push(
                limit
                    .admit(address, false, progress, Instant::now())
                    .expect("below the limit"),
            );
        }
        unread.note_write(true);
        assert_eq!(
            limit.admit(address, false, &progress(), Instant::now()).err(),
            Some(Refused::Node),
            "none has stalled for long"
        );
        let later = Instant::now() + MIN_STALL;
        let mut younger = Vec::new();
        for evicted in [3, 2, 1] {
            let progress = progress();
            std::mem::forget(progress.request());
            let admit = || limit.admit(address, false, &progress, later);
            for _ in 0..2 {
                assert_eq!(admit().err(), Some(Refused::Node), "it has not ended");
            }
            let closing: Vec<_> = (0..open.len())
                .filter(|&at| open[at].evicted.is_cancelled())
                .collect();
            assert_eq!(closing, [evicted]);
            drop(open.remove(evicted));
            younger.push(admit().expect("a place"));
        }
        assert_eq!(
            limit.admit(address, false, &progress(), later).err(),
            Some(Refused::Node)
        );
        assert!(!open[0].evicted.is_cancelled());
        drop(open);
        assert_eq!(limit.open.lock().connections.len(), 3);
        assert_eq!(limit.open.lock().by_address.get(&address), Some(&3));
    }

    #[test]
    fn the_limit_leaves_descriptors_for_everything_else() {
        for (descriptors, connections) in [
            (1024, 768),
            (256, 128),
            (20_000, 19_744),
            (1_048_576, MAX_DERIVED),
            (u64::MAX, MAX_DERIVED),
        ] {
            assert_eq!(connections_for(descriptors), connections, "{descriptors}");
        }
    }
}
