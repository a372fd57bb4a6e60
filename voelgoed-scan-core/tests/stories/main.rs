//! Random stories of phones at a door: overlapping scans, outages, kills, full disks, wrong clocks, changes by the office.
//!
//! The phones are the real client with its database; the server is the real node on SQLite. Time is virtual. A story is
//! determined by its seed, which a failure prints. `docs/testing.md` says what is injected and what must hold.
//!
//! Every test of this program runs alone: [`run`] holds a lock, because the virtual time of a story stands still while any
//! database thread of the process works.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot continue fails with the reason"
)]

mod clock;
mod idle;
mod link;
mod office;
mod phone;
mod rng;
mod rules;
mod server;
mod story;
mod themes;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use clock::TrueClock;
use idle::Threads;
use rules::Rule;
use server::Server;
use story::Story;

/// How many stories the ordinary test run has.
const STORIES: u64 = 60;

/// Held while a story runs.
static ALONE: Mutex<()> = Mutex::new(());

/// The value of a variable.
fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var_os(name)?.into_string().ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
    )
}

/// Runs a test in virtual time.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce(Arc<Server>, TrueClock) -> F) {
    let _alone = ALONE.lock();
    let server = Server::start();
    let threads = Threads::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .on_thread_park(move || threads.wait_for_databases())
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let clock = TrueClock::start();
        test(Arc::clone(&server), clock).await;
    });
}

/// Tells stories and prints the seeds of those that break a rule, with the log of the first one.
#[expect(clippy::print_stderr, reason = "a person repeats a seed")]
async fn tell(server: &Arc<Server>, clock: TrueClock, seeds: Range<u64>) -> BTreeMap<Rule, usize> {
    let mut broken = BTreeMap::new();
    let (mut verdicts, mut by_phones) = (0, 0);
    for seed in seeds.clone() {
        let outcome = Story::run(server, clock, seed).await;
        verdicts += outcome.verdicts;
        by_phones += outcome.by_phones;
        if let Some(violation) = outcome.violations.first() {
            if broken.is_empty() {
                eprintln!("{}", outcome.log.join("\n"));
            }
            eprintln!("seed {seed}: {:?}: {}", violation.rule, violation.what);
            *broken.entry(violation.rule).or_insert(0) += 1;
        }
    }
    eprintln!("stories from seed {seeds:?}: {verdicts} verdicts, {by_phones} of them by phones");
    if seeds.clone().count() > 1 {
        assert!(
            verdicts > by_phones && by_phones > 0,
            "both the server and phones decided"
        );
    }
    broken
}

#[test]
fn stories_with_faults_break_no_rule() {
    let stories: u64 = variable("VOELGOED_SCAN_STORIES").unwrap_or(STORIES);
    let first = variable("VOELGOED_SCAN_STORY_SEED").unwrap_or(1);
    run(async |server, clock| {
        let broken = tell(&server, clock, first..first + stories).await;
        assert!(
            broken.is_empty(),
            "repeat with VOELGOED_SCAN_STORIES=1 VOELGOED_SCAN_STORY_SEED=...: {broken:?}"
        );
    });
}
