//! The server against a plain model: random histories over HTTP, and every answer compared.
//!
//! A history has two events with gates, tickets and devices of its own. Its steps scan, repeat scans, undo, move devices, and
//! change tickets, gates and events. The model (`model.rs`) gets the time of each decision from the answer, so that the
//! comparison depends on no clock. Between two phases the server is started again with a clock that is further ahead, so
//! that windows of minutes pass; all that it remembers then comes from the database.
//!
//! A run prints its seed. `VOELGOED_SCAN_DIFFERENTIAL_SEED` repeats it, `VOELGOED_SCAN_DIFFERENTIAL_SECONDS` sets the
//! length. In every second history policies and entry limits change; `VOELGOED_SCAN_DIFFERENTIAL_RULE_CHANGES=0` turns that
//! off.

mod world;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tempfile::TempDir;
use voelgoed_scan_server::{Config, Running, start};
use voelgoed_scan_suite::fixture::new_id;

use crate::model::{BrokenRule, Policy};
use world::{World, WorldSettings};

/// The length of a run without `VOELGOED_SCAN_DIFFERENTIAL_SECONDS`.
const DEFAULT_SECONDS: u64 = 45;

/// The number of histories at the same server.
const HISTORIES: u64 = 4;

/// The number of steps between two starts of the server.
const STEPS: usize = 60;

/// How far the clock is moved before each phase, in milliseconds. Two steps together are longer than a re-entry window and
/// one alone is shorter; then come more than a window, and more than the time in which a device may undo.
const CLOCK_STEPS: [i64; 5] = [0, 200_000, 200_000, 310_000, 1_000_000];

const REENTRY_WINDOW: Duration = Duration::from_secs(300);

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the settings of a run"
)]
fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(format!("VOELGOED_SCAN_DIFFERENTIAL_{name}")).ok()?;
    Some(text.parse().expect("a whole number"))
}

#[expect(clippy::print_stderr, reason = "a person reads what a run did")]
fn log(message: &str) {
    eprintln!("differential: {message}");
}

/// A server on a database file, which can be started again with another clock.
struct Server {
    running: Option<Running>,
    config: Config,
    _directory: TempDir,
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("gate.db");
        let mut config = Config::on_free_port(format!("sqlite://{}", file.display()));
        config.rate_limit = 0;
        config.dedup_window = REENTRY_WINDOW;
        let running = start(config.clone()).await.expect("a server");
        Self {
            running: Some(running),
            config,
            _directory: directory,
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a running server")
    }

    fn address(&self) -> SocketAddr {
        self.running().address()
    }

    /// Starts the server again with its clock moved forward.
    async fn move_clock(&mut self, millis: i64) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.config.clock_offset_millis += millis;
        self.running = Some(start(self.config.clone()).await.expect("a server"));
    }
}

/// Runs histories at one server until each has ended. Returns the first difference of each history.
async fn run(settings: &[WorldSettings]) -> (Vec<Option<String>>, usize) {
    let mut server = Server::start().await;
    let mut worlds = Vec::new();
    for one in settings {
        worlds.push(World::new(server.running(), one.clone()).await);
    }
    for clock_step in CLOCK_STEPS {
        if clock_step > 0 {
            server.move_clock(clock_step).await;
            for world in &mut worlds {
                world.continue_at(server.address(), clock_step);
            }
        }
        join_all(worlds.iter_mut().map(|world| world.run(STEPS))).await;
    }
    let steps = worlds.iter().map(World::steps).sum();
    let differences = worlds.into_iter().map(World::into_difference).collect();
    if let Some(running) = server.running.take() {
        running.stop().await;
    }
    (differences, steps)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_that_of_the_model() {
    let seed = env_number("SEED").unwrap_or_else(|| {
        let id = new_id().replace('-', "");
        let last = id
            .get(20..)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        last.expect("hexadecimal digits") % 1_000_000
    });
    let seconds = env_number("SECONDS").unwrap_or(DEFAULT_SECONDS);
    let rule_changes = env_number("RULE_CHANGES") != Some(0);
    let started = Instant::now();
    let (mut round, mut total) = (0, 0);
    // A repeated seed runs once.
    while round == 0 || (env_number("SEED").is_none() && started.elapsed() < Duration::from_secs(seconds)) {
        let round_seed = seed + round;
        log(&format!("VOELGOED_SCAN_DIFFERENTIAL_SEED={round_seed}"));
        let settings: Vec<_> = (0..HISTORIES)
            .map(|history| WorldSettings {
                seed: round_seed * 1000 + history,
                rule_changes: rule_changes && history % 2 == 1,
                policy: None,
                broken: None,
            })
            .collect();
        let (differences, steps) = run(&settings).await;
        total += steps;
        let differences: Vec<_> = differences.into_iter().flatten().collect();
        assert!(
            differences.is_empty(),
            "seed {round_seed}:\n{}",
            differences.join("\n")
        );
        round += 1;
    }
    log(&format!("{total} steps in {round} rounds"));
}

/// A model with a broken rule differs from the server: so the test notices when the server breaks one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_rule_is_noticed() {
    let mut rules = vec![
        (BrokenRule::LimitOffByOne, Policy::Never),
        (BrokenRule::GateAfterStatus, Policy::Never),
        (BrokenRule::ExitAtItsOwnGate, Policy::AfterExit),
        (BrokenRule::RetryIsNew, Policy::Never),
        (BrokenRule::UndoneCounts, Policy::Never),
        (BrokenRule::DenialExtendsWindow, Policy::AfterWindow),
    ];
    for seed in 1..=12 {
        let settings: Vec<_> = rules
            .iter()
            .map(|(rule, policy)| WorldSettings {
                seed,
                rule_changes: false,
                policy: Some(*policy),
                broken: Some(*rule),
            })
            .collect();
        let (differences, _) = run(&settings).await;
        let noticed: Vec<bool> = differences.iter().map(Option::is_some).collect();
        let mut noticed = noticed.into_iter();
        rules.retain(|_| !noticed.next().unwrap_or(false));
        if rules.is_empty() {
            return;
        }
    }
    panic!("nobody noticed {rules:?}");
}
