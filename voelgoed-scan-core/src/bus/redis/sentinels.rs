//! Follows the master that the sentinels name.
//!
//! All sentinels are asked again and again. The latest configuration counts: each failover has a higher epoch, so a sentinel
//! that was cut off and still names the old master changes nothing. Where most sentinels agree on an older epoch, they were
//! set up anew.
//!
//! A node that most sentinels have not answered for a while uses no Redis: it may be cut off together with an old master, and
//! would not hear the nodes that follow the new one.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Client, ErrorKind, RedisError, RedisResult};
use tokio::sync::watch;
use tokio::time::Instant;

use super::address::SentinelAddress;
use super::server::{PresentServer, Server};

/// How often the sentinels are asked, and how long an answer may take.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const ANSWER_TIMEOUT: Duration = Duration::from_millis(400);

/// How long a master is used after most sentinels have answered. A node counts as cut off about as fast where the bus fails.
const TRUSTED_FOR: Duration = Duration::from_millis(1500);

/// The master as a sentinel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Master {
    epoch: u64,
    host: String,
    port: u16,
}

impl Master {
    fn is_at(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }
}

/// Starts to follow the master. The task ends with the last user of the server.
pub(super) fn follow(address: SentinelAddress) -> PresentServer {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(ask_again_and_again(address, sender));
    PresentServer::named_by(receiver)
}

async fn ask_again_and_again(address: SentinelAddress, sender: watch::Sender<Option<Server>>) {
    let SentinelAddress {
        sentinels,
        master,
        server,
    } = address;
    let mut sentinels: Vec<_> = sentinels.into_iter().map(Sentinel::new).collect();
    let mut latest: Option<Master> = None;
    let mut answered_at = Instant::now();
    while !sender.is_closed() {
        let answers = join_all(sentinels.iter_mut().map(|one| one.master(&master))).await;
        if most_answer(&answers) {
            answered_at = Instant::now();
        }
        let is_trusted = answered_at.elapsed() < TRUSTED_FOR;
        let next = next_master(latest.as_ref(), &answers);
        let is_replaced = next.is_some();
        latest = next.or(latest);
        let is_used = sender.borrow().is_some();
        match &latest {
            Some(present) if is_trusted && (is_replaced || !is_used) => {
                tracing::info!(
                    host = present.host,
                    port = present.port,
                    "the sentinels name this Redis"
                );
                let connected = server.at(&present.host, present.port).map(Server::new);
                sender.send_replace(connected.ok().and_then(Result::ok));
            }
            _ if is_used && !is_trusted => {
                tracing::warn!("most sentinels do not answer, so that Redis is not used");
                sender.send_replace(None);
            }
            _ => {}
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn most_answer(answers: &[Option<Master>]) -> bool {
    answers.iter().flatten().count() * 2 > answers.len()
}

/// The master that takes the place of the present one, if one does.
fn next_master(present: Option<&Master>, answers: &[Option<Master>]) -> Option<Master> {
    let newest = answers.iter().flatten().max_by_key(|master| master.epoch)?;
    let Some(present) = present else {
        return Some(newest.clone());
    };
    let agreeing = answers.iter().flatten().filter(|one| one.is_at(newest)).count();
    let counts = newest.epoch >= present.epoch || agreeing * 2 > answers.len();
    (counts && !newest.is_at(present)).then(|| newest.clone())
}

/// A sentinel with its connection.
struct Sentinel {
    client: Client,
    connection: Option<MultiplexedConnection>,
}

impl Sentinel {
    fn new(client: Client) -> Self {
        Self {
            client,
            connection: None,
        }
    }

    /// The master of this name. `None` if the sentinel does not answer or does not know it.
    async fn master(&mut self, name: &str) -> Option<Master> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.ask(name)).await;
        let failure = match answer {
            Ok(Ok(master)) => return Some(master),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        self.connection = None;
        tracing::debug!(failure, "a sentinel does not name the Redis");
        None
    }

    async fn ask(&mut self, name: &str) -> RedisResult<Master> {
        let mut connection = if let Some(connection) = &self.connection {
            connection.clone()
        } else {
            let connection = self.client.get_multiplexed_async_connection().await?;
            self.connection.insert(connection).clone()
        };
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(name);
        let fields: HashMap<String, String> = command.query_async(&mut connection).await?;
        parse(&fields).ok_or_else(|| RedisError::from((ErrorKind::UnexpectedReturnType, "not a master")))
    }
}

fn parse(fields: &HashMap<String, String>) -> Option<Master> {
    Some(Master {
        epoch: fields.get("config-epoch")?.parse().ok()?,
        host: fields.get("ip").filter(|host| !host.is_empty())?.clone(),
        port: fields.get("port")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(epoch: u64, host: &str) -> Master {
        Master {
            epoch,
            host: host.to_owned(),
            port: 6379,
        }
    }

    #[test]
    fn most_sentinels_have_to_answer() {
        let one = || Some(master(1, "a"));
        assert!(most_answer(&[one()]));
        assert!(most_answer(&[one(), None, one()]));
        assert!(!most_answer(&[one(), None, None]));
        assert!(!most_answer(&[one(), None]));
        assert!(!most_answer(&[None]));
    }

    #[test]
    fn the_master_of_the_latest_epoch_counts() {
        let (old, new) = (master(1, "a"), master(2, "b"));
        let answers = |masters: [&Master; 3]| masters.map(|one| Some(one.clone()));
        assert_eq!(next_master(None, &answers([&old, &new, &old])), Some(new.clone()));
        assert_eq!(
            next_master(Some(&old), &answers([&old, &new, &old])),
            Some(new.clone())
        );
        // A sentinel that was cut off changes nothing, even if it alone answers.
        assert_eq!(next_master(Some(&new), &[Some(old.clone()), None, None]), None);
        assert_eq!(next_master(Some(&new), &answers([&new, &new, &old])), None);
        assert_eq!(next_master(Some(&new), &[None, None, None]), None);
        // All sentinels were set up anew.
        assert_eq!(
            next_master(Some(&new), &answers([&old, &old, &old])),
            Some(old.clone())
        );
    }
}
