//! Follows the master that the sentinels name.
//!
//! All sentinels are asked again and again. The latest configuration counts: each failover has a higher epoch, so a sentinel
//! that was cut off and still names the old master changes nothing.
//!
//! A node that most sentinels have not answered for a while uses no Redis: it may be cut off together with an old master, and
//! would not hear the nodes that follow the new one.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult};
use tokio::time::Instant;

use super::address::SentinelAddress;
use super::connection::{CHECK_TIMEOUT, RedisSetupError};
use super::server::{PresentServer, PresentServerRef, Server};

/// How often the sentinels are asked, and how long an answer may take.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const ANSWER_TIMEOUT: Duration = Duration::from_millis(400);

/// How long a master is used after most sentinels have answered. With the time of one round of questions it is less than the
/// time after which a silent node no longer counts for the others (`bus/liveness.rs`).
const TRUSTED_FOR: Duration = Duration::from_secs(1);

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

/// What a sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Master(Master),
    /// It watches no master of this name.
    Unknown,
    /// It does not answer, or not with a master.
    Nothing,
}

impl Answer {
    fn master(&self) -> Option<&Master> {
        match self {
            Self::Master(master) => Some(master),
            Self::Unknown | Self::Nothing => None,
        }
    }
}

/// Refuses a name that most sentinels do not know. Sentinels that do not answer may start later.
pub(super) async fn check(address: &SentinelAddress) -> Result<(), RedisSetupError> {
    let mut sentinels: Vec<_> = address.sentinels.iter().cloned().map(Sentinel::new).collect();
    let answers = ask_all(&mut sentinels, &address.master, CHECK_TIMEOUT).await;
    let unknown = answers.iter().filter(|one| **one == Answer::Unknown).count();
    if unknown * 2 > answers.len() {
        return Err(RedisSetupError::UnknownMaster(address.master.clone()));
    }
    Ok(())
}

/// Starts to follow the master. The task ends with the last user of the server.
pub(super) fn follow(address: SentinelAddress) -> PresentServer {
    let server = PresentServer::not_known_yet();
    tokio::spawn(ask_again_and_again(address, server.downgrade()));
    server
}

async fn ask_again_and_again(address: SentinelAddress, server: PresentServerRef) {
    let mut sentinels: Vec<_> = address.sentinels.iter().cloned().map(Sentinel::new).collect();
    let (mut latest, mut used): (Option<Master>, Option<Master>) = (None, None);
    let mut answered_at = None;
    loop {
        let answers = ask_all(&mut sentinels, &address.master, ANSWER_TIMEOUT).await;
        let Some(server) = server.upgrade() else { return };
        if most_name_a_master(&answers) {
            answered_at = Some(Instant::now());
        }
        let is_trusted = answered_at.is_some_and(|at| at.elapsed() < TRUSTED_FOR);
        latest = latest_master(latest.as_ref(), &answers);
        let wanted = latest.clone().filter(|_| is_trusted);
        if !are_at_one_place(wanted.as_ref(), used.as_ref()) {
            server.replace(wanted.as_ref().and_then(|master| connect(&address, master)));
            used = wanted;
        }
        drop(server);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn ask_all(sentinels: &mut [Sentinel], master: &str, limit: Duration) -> Vec<Answer> {
    join_all(sentinels.iter_mut().map(|one| one.master(master, limit))).await
}

fn most_name_a_master(answers: &[Answer]) -> bool {
    answers.iter().filter_map(Answer::master).count() * 2 > answers.len()
}

/// The latest master, given the one that was the latest before these answers.
fn latest_master(before: Option<&Master>, answers: &[Answer]) -> Option<Master> {
    let agreeing = |master: &Master| {
        let masters = answers.iter().filter_map(Answer::master);
        masters.filter(|one| one.is_at(master)).count()
    };
    let masters = answers.iter().filter_map(Answer::master);
    let newest = masters.max_by_key(|master| (master.epoch, agreeing(master)));
    let (Some(newest), Some(before)) = (newest, before) else {
        return newest.or(before).cloned();
    };
    let agreeing = agreeing(newest);
    let counts = newest.epoch > before.epoch
        || (newest.epoch == before.epoch && agreeing * 2 > answers.len())
        // The sentinels were set up anew, and count from the beginning.
        || agreeing == answers.len();
    Some(if counts { newest } else { before }.clone())
}

fn are_at_one_place(one: Option<&Master>, other: Option<&Master>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is_at(other),
        (None, None) => true,
        _ => false,
    }
}

/// The connection to a master, which is made in the background.
fn connect(address: &SentinelAddress, master: &Master) -> Option<Server> {
    let Master { host, port, .. } = master;
    let connected = address.server.at(host, *port).map(Server::new);
    if let Ok(Ok(server)) = connected {
        tracing::info!(host, port, "the sentinels name this Redis");
        return Some(server);
    }
    tracing::error!(host, port, "the Redis that the sentinels name cannot be used");
    None
}

/// A sentinel with its connection.
struct Sentinel {
    client: Client,
    connection: Option<MultiplexedConnection>,
    /// Whether its last answer was of no use, which is logged once.
    is_failing: bool,
}

impl Sentinel {
    fn new(client: Client) -> Self {
        Self {
            client,
            connection: None,
            is_failing: false,
        }
    }

    /// What it says of the master of this name.
    async fn master(&mut self, name: &str, limit: Duration) -> Answer {
        let answer = tokio::time::timeout(limit, self.ask(name)).await;
        let (answer, failure) = match answer {
            Ok(Ok(Answer::Unknown)) => (Answer::Unknown, "it does not know the master".to_owned()),
            Ok(Ok(answer)) => {
                self.is_failing = false;
                return answer;
            }
            Ok(Err(error)) => (Answer::Nothing, error.to_string()),
            Err(_) => (Answer::Nothing, "no answer in time".to_owned()),
        };
        self.connection = None;
        if !std::mem::replace(&mut self.is_failing, true) {
            let sentinel = self.client.get_connection_info().addr();
            tracing::warn!(%sentinel, failure, "a sentinel does not name the Redis");
        }
        answer
    }

    async fn ask(&mut self, name: &str) -> RedisResult<Answer> {
        let mut connection = if let Some(connection) = &self.connection {
            connection.clone()
        } else {
            let connection = self.client.get_multiplexed_async_connection().await?;
            self.connection.insert(connection).clone()
        };
        // During a failover its leader has the new epoch before `SENTINEL MASTER` shows the new address. The other command
        // shows it at once, and comes second, so that no old address comes with a new epoch.
        let mut pipeline = redis::pipe();
        pipeline.cmd("SENTINEL").arg("MASTER").arg(name);
        pipeline.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let answered: RedisResult<(HashMap<String, String>, (String, u16))> =
            pipeline.query_async(&mut connection).await;
        let (fields, (host, port)) = match answered {
            Ok(answered) => answered,
            Err(error) if error.to_string().contains("No such master") => return Ok(Answer::Unknown),
            Err(error) => return Err(error),
        };
        let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok());
        Ok(epoch.map_or(Answer::Nothing, |epoch| {
            Answer::Master(Master { epoch, host, port })
        }))
    }
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

    fn named(masters: [&Master; 3]) -> [Answer; 3] {
        masters.map(|master| Answer::Master(master.clone()))
    }

    #[test]
    fn most_sentinels_have_to_name_a_master() {
        let one = || Answer::Master(master(1, "a"));
        assert!(most_name_a_master(&[one()]));
        assert!(most_name_a_master(&[one(), Answer::Nothing, one()]));
        assert!(!most_name_a_master(&[one(), Answer::Unknown, Answer::Nothing]));
        assert!(!most_name_a_master(&[one(), Answer::Nothing]));
        assert!(!most_name_a_master(&[Answer::Unknown]));
    }

    #[test]
    fn the_master_of_the_latest_epoch_counts() {
        let (old, new) = (master(1, "a"), master(2, "b"));
        let after = |before: Option<&Master>, answers: [&Master; 3]| latest_master(before, &named(answers));
        assert_eq!(after(None, [&old, &new, &old]), Some(new.clone()));
        assert_eq!(after(Some(&old), [&old, &new, &old]), Some(new.clone()));
        assert_eq!(after(Some(&new), [&old, &old, &new]), Some(new.clone()));
        let silent = [Answer::Nothing, Answer::Nothing, Answer::Nothing];
        assert_eq!(latest_master(Some(&new), &silent), Some(new.clone()));
        assert_eq!(latest_master(None, &silent), None);
    }

    #[test]
    fn sentinels_that_were_cut_off_change_nothing() {
        let (old, new) = (master(1, "a"), master(2, "b"));
        for silent in [Answer::Nothing, Answer::Unknown] {
            let [first, second, _] = named([&old, &old, &old]);
            let one = [first.clone(), silent.clone(), silent.clone()];
            assert_eq!(latest_master(Some(&new), &one), Some(new.clone()));
            assert_eq!(
                latest_master(Some(&new), &[first, second, silent]),
                Some(new.clone())
            );
        }
        // They were set up anew.
        let all = named([&old, &old, &old]);
        assert_eq!(latest_master(Some(&new), &all), Some(old.clone()));
    }

    #[test]
    fn the_epoch_of_a_master_that_stays_is_remembered() {
        let (old, stays) = (master(1, "a"), master(3, "b"));
        let before = latest_master(Some(&master(1, "b")), &named([&stays, &stays, &old]));
        assert_eq!(before, Some(stays.clone()));
        let cut_off = [Answer::Master(master(2, "a")), Answer::Nothing, Answer::Nothing];
        assert_eq!(latest_master(before.as_ref(), &cut_off), Some(stays));
    }

    #[test]
    fn of_one_epoch_the_place_counts_that_most_sentinels_name() {
        let (one, other) = (master(2, "a"), master(2, "b"));
        for before in [&one, &other] {
            for answers in [[&one, &other, &other], [&other, &other, &one]] {
                assert_eq!(latest_master(Some(before), &named(answers)), Some(other.clone()));
            }
            let undecided = [Answer::Master(other.clone()), Answer::Master(one.clone())];
            assert_eq!(latest_master(Some(before), &undecided), Some(before.clone()));
        }
    }
}
