//! One story: random calls of one or two phones, changes by the office, faults of network, disk and clock.

mod check;
mod ending;
mod steps;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use voelgoed_scan_core::client::{ClientError, ProblemCode, ScanInput, Verdict};
use voelgoed_scan_core::model::{Direction, EventId, ReasonText, Reentry, ScanId, StaleManifest, Timestamp};

use crate::clock::TrueClock;
use crate::office::{Kind, Office};
use crate::phone::{Phone, SCAN_BOUND, Shown};
use crate::rng::Rng;
use crate::rules::{Rule, Violation};
use crate::server::Server;

/// What a phone was told, and in which state it is.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// When the server first said that the device is inactive.
    told_inactive: Option<Timestamp>,
    /// The server said that there is no session, and none was started since.
    told_session_over: Option<Timestamp>,
    /// The tickets that the server denied, with the time of its answer and whether their status was the reason.
    denied: HashMap<usize, (Timestamp, bool)>,
    /// When the manifest of an event was last made that the phone got.
    manifests: HashMap<EventId, Timestamp>,
    disk_is_full: bool,
    /// What it had been told when its disk became full.
    stored: Told,
    /// Its database was damaged: it may have lost what was not uploaded.
    damaged: bool,
    /// The event and the gate at which it works: 0 or 1.
    place: usize,
    has_session: bool,
    /// The office ended its session or revoked its device, whether or not it knows.
    barred_by_office: bool,
    revoked: bool,
    /// Its clock was moved.
    clock_moved: bool,
    /// It was started again after its clock was moved, so that nothing confirms its time.
    time_unknown: bool,
}

/// What the server said that a phone keeps: whether the device is inactive, whether the session is over, and of which tickets
/// and events it knows.
type Told = (
    Option<Timestamp>,
    Option<Timestamp>,
    HashMap<usize, (Timestamp, bool)>,
    HashMap<EventId, Timestamp>,
);

impl Known {
    fn set_disk_full(&mut self, full: bool) {
        if full && !self.disk_is_full {
            self.stored = (
                self.told_inactive,
                self.told_session_over,
                self.denied.clone(),
                self.manifests.clone(),
            );
        }
        self.disk_is_full = full;
    }

    /// When the server said what an error says.
    fn when_told(&self, code: &str) -> Option<Timestamp> {
        match code {
            "device_inactive" => self.told_inactive,
            "no_active_session" => self.told_session_over,
            _ => None,
        }
    }

    /// The app starts again. What it was told while its disk was full was nowhere but in its memory.
    fn restart(&mut self) {
        if self.disk_is_full {
            let (inactive, session_over, denied, manifests) = self.stored.clone();
            self.told_inactive = self.told_inactive.and(inactive);
            self.told_session_over = self.told_session_over.and(session_over);
            self.denied = denied;
            self.manifests = manifests;
        }
    }
}

/// The readings of one ticket at one phone in one direction that count as one.
#[derive(Debug)]
pub(super) struct ReadingLog {
    phone: usize,
    ticket: usize,
    direction: Direction,
    overrides: bool,
    /// Whether the phone could store nothing, because its disk was full.
    is_unstored: bool,
    /// The scans that its callers were told of.
    scans: HashSet<ScanId>,
}

/// How a ticket is read.
#[derive(Debug, Clone)]
pub(super) struct Burst {
    phone: usize,
    ticket: usize,
    direction: Direction,
    overrides: bool,
    frames: u64,
    spacing: Duration,
    /// After which time the callers of the frames go away, if they do.
    patience: Vec<Option<Duration>>,
}

pub(crate) struct Story {
    office: Office,
    phones: Vec<Phone>,
    known: Vec<Known>,
    rng: Rng,
    log: Vec<String>,
    shown: Vec<Shown>,
    readings: Vec<ReadingLog>,
    /// The server's answers to scans.
    given: HashMap<ScanId, serde_json::Value>,
    /// Scans whose requests were held up on their way to the server.
    held_up: HashSet<ScanId>,
    violations: Vec<Violation>,
    /// A phone is out of use, so that the story cannot go on.
    is_over: bool,
}

/// The outcome of a story.
pub(crate) struct Outcome {
    pub(crate) violations: Vec<Violation>,
    pub(crate) log: Vec<String>,
    /// How many verdicts were shown, and how many of them the phones decided.
    pub(crate) verdicts: usize,
    pub(crate) by_phones: usize,
}

impl Story {
    /// Runs the story of a seed.
    pub(crate) async fn run(server: &Arc<Server>, clock: TrueClock, seed: u64) -> Outcome {
        let mut rng = Rng::new(seed);
        let reentry = rng.pick(&[
            Reentry::Never,
            Reentry::Never,
            Reentry::AfterExit,
            Reentry::AfterWindow,
        ]);
        let stale = rng.pick(&[StaleManifest::Warn, StaleManifest::Refuse]);
        let mut kinds = vec![Kind::Plain, Kind::Plain, Kind::Plain];
        for _ in 0..6 {
            kinds.push(rng.pick(&Kind::ALL));
        }
        let office = Office::open(server, clock, reentry, stale, &kinds).await;
        let phones = if rng.percent(60) { 1 } else { 2 };
        let mut story = Self {
            office,
            phones: Vec::new(),
            known: Vec::new(),
            rng,
            log: vec![format!(
                "seed {seed}: {reentry}, {stale}, {kinds:?}, phones: {phones}"
            )],
            shown: Vec::new(),
            readings: Vec::new(),
            given: HashMap::new(),
            held_up: HashSet::new(),
            violations: Vec::new(),
            is_over: false,
        };
        for number in 0..phones {
            story.add_phone(number).await;
        }
        let steps = 10 + story.rng.below(25);
        for _ in 0..steps {
            story.step().await;
            // Past the reading before.
            let pause = 2600 + story.rng.below(12_000);
            sleep(Duration::from_millis(pause)).await;
            if story.is_over || story.violations.len() > 3 {
                break;
            }
        }
        if !story.is_over && story.violations.is_empty() {
            story.end().await;
        }
        Outcome {
            verdicts: story.shown.len(),
            by_phones: story.shown.iter().filter(|shown| shown.is_by_phone()).count(),
            violations: story.violations,
            log: story.log,
        }
    }

    async fn add_phone(&mut self, number: usize) {
        let error = match self.rng.below(4) {
            0 => 0,
            1 => i64::try_from(self.rng.below(4000)).expect("small") - 2000,
            2 => 600_000,
            _ => -90_000,
        };
        let seed = self.rng.next();
        let phone = Phone::enroll(&self.office, &format!("phone-{number}"), seed, error).await;
        self.phones.push(phone);
        self.known.push(Known {
            has_session: true,
            ..Known::default()
        });
        self.absorb(number);
    }

    fn note(&mut self, text: &str) {
        let at = self.office.clock.now().millis_since(self.office.started_at);
        self.log.push(format!("{at:>9} ms  {text}"));
    }

    fn violate(&mut self, rule: Rule, what: String) {
        self.note(&format!("VIOLATION {rule:?}: {what}"));
        self.violations.push(Violation { rule, what });
    }

    fn input(&self, burst: &Burst) -> ScanInput {
        let mut input = ScanInput::entry(self.office.tickets[burst.ticket].qr.clone());
        input.direction = burst.direction;
        input.override_reason = burst
            .overrides
            .then(|| ReasonText::new("the steward knows them").expect("a reason"));
        input
    }

    /// Reads a ticket with a camera: several frames, whose calls overlap. Returns the verdict that the callers were told.
    async fn read(&mut self, burst: &Burst) -> Option<Verdict> {
        let before = self.readings.len();
        let might_fail = self.may_fail(burst.phone);
        let mut calls = Vec::new();
        for frame in 0..burst.frames {
            let client = Arc::clone(&self.phones[burst.phone].client);
            let input = self.input(burst);
            let clock = self.office.clock;
            let delay = burst.spacing * u32::try_from(frame).expect("few frames");
            let patience = burst.patience.get(usize::try_from(frame).expect("few frames"));
            let patience = patience.copied().flatten();
            calls.push(tokio::spawn(async move {
                sleep(delay).await;
                let scan = timeout(SCAN_BOUND, client.scan(input));
                let result = match patience {
                    Some(patience) => timeout(patience, scan).await.ok(),
                    None => Some(scan.await),
                };
                (result, clock.now())
            }));
        }
        let mut told = Vec::new();
        let mut is_over = true;
        for call in calls {
            let (result, at) = call.await.expect("a scan does not panic");
            is_over &= result.is_some();
            match result {
                Some(Ok(result)) => told.push((result, at)),
                Some(Err(_)) => {
                    self.violate(Rule::EveryCallEnds, format!("a scan of {burst:?}"));
                }
                None => {}
            }
        }
        self.absorb(burst.phone);
        let is_first = !self.readings.iter().any(|reading| reading.ticket == burst.ticket);
        let may_fail = might_fail || self.may_fail(burst.phone);
        self.tell(burst, told, may_fail);
        // The first reading of a ticket asks the server, and a phone that decides it alone got no answer.
        let is_by_phone = self.shown.last().is_some_and(Shown::is_by_phone);
        let has_verdict = self
            .readings
            .last()
            .is_some_and(|reading| !reading.scans.is_empty());
        let is_cut_off = self.phones[burst.phone].link.weather().cuts_off();
        // The attempt of a caller who went away may still be under way.
        if is_over {
            self.check_state(burst.phone, is_first && has_verdict && is_by_phone && is_cut_off)
                .await;
        }
        debug_assert!(self.readings.len() > before, "the reading is logged");
        let last = self
            .shown
            .last()
            .filter(|_| !self.readings.last().expect("logged").scans.is_empty());
        last.map(|shown| shown.verdict.clone())
    }

    /// Logs what the callers of one reading were told, and checks it. `may_fail`: something about the phone, other than the
    /// ticket, may have made a call fail.
    fn tell(&mut self, burst: &Burst, told: Vec<(Result<Verdict, ClientError>, Timestamp)>, may_fail: bool) {
        let is_first = !self.readings.iter().any(|reading| reading.ticket == burst.ticket);
        let mut scans = HashSet::new();
        let mut verdicts: Vec<Shown> = Vec::new();
        let mut errors = Vec::new();
        let decided_at = told
            .iter()
            .filter_map(|(result, at)| result.is_ok().then_some(*at))
            .min();
        let mut fails_late = false;
        for (result, at) in told {
            match result {
                Ok(verdict) => {
                    scans.insert(verdict.scan_id);
                    let is_known = verdicts.iter().any(|shown| {
                        (shown.scan_id, shown.verdict.reason) == (verdict.scan_id, verdict.reason)
                    });
                    if !is_known {
                        verdicts.push(Shown {
                            phone: burst.phone,
                            ticket: burst.ticket,
                            overrides: burst.overrides,
                            scan_id: verdict.scan_id,
                            verdict,
                            at,
                            is_unstored: self.known[burst.phone].disk_is_full,
                        });
                    }
                }
                Err(error) => {
                    let was_told = self.known[burst.phone].when_told(error.code());
                    fails_late |= decided_at.is_some_and(|decided_at| {
                        decided_at < at && was_told.is_none_or(|told_at| told_at < decided_at)
                    });
                    errors.push(error.code().to_owned());
                }
            }
        }
        errors.dedup();
        let kind = self.office.tickets[burst.ticket].kind;
        let texts: Vec<String> = verdicts
            .iter()
            .map(|shown| {
                let verdict = &shown.verdict;
                let id = verdict.scan_id.to_string();
                format!(
                    "{} by {} (…{}) {:?}",
                    verdict.reason,
                    verdict.decided_by,
                    id.get(28..).unwrap_or_default(),
                    verdict.warnings
                )
            })
            .collect();
        let weather = self.phones[burst.phone].link.weather();
        self.note(&format!(
            "phone {} reads ticket {} ({kind:?}) {} x{}{}, {weather:?}: {texts:?} {errors:?}",
            burst.phone,
            burst.ticket,
            burst.direction,
            burst.frames,
            if burst.overrides { " overriding" } else { "" },
        ));
        // An error is no verdict: the next caller tries again, and may get one. It then stays until the phone is told to stop.
        let is_mixed = !verdicts.is_empty() && !errors.is_empty();
        if !burst.overrides && (verdicts.len() > 1 || is_mixed && (fails_late || !may_fail)) {
            self.violate(Rule::OneReadingOneVerdict, format!("{texts:?} and {errors:?}"));
        }
        self.check_errors(burst, is_first, &errors);
        self.readings.push(ReadingLog {
            phone: burst.phone,
            ticket: burst.ticket,
            direction: burst.direction,
            overrides: burst.overrides,
            is_unstored: self.known[burst.phone].disk_is_full,
            scans,
        });
        let is_alone = verdicts.len() == 1;
        for shown in verdicts {
            self.check_shown(&shown, is_first && is_alone);
            self.shown.push(shown);
        }
    }

    /// The state of a phone names what is wrong with it, as far as it was told.
    async fn check_state(&mut self, phone: usize, is_cut_off: bool) {
        let client = Arc::clone(&self.phones[phone].client);
        let Ok(state) = client.state().await else {
            return;
        };
        let known = &self.known[phone];
        let problem = state.problem.as_ref().map(|problem| problem.code);
        let expected = if known.told_inactive.is_some() {
            Some(ProblemCode::DeviceInactive)
        } else if known.told_session_over.is_some() {
            Some(ProblemCode::NoActiveSession)
        } else {
            None
        };
        let is_named = match expected {
            // A more serious problem may hide it. With its database, a phone loses what it was told.
            Some(expected) => problem.is_some_and(|problem| {
                problem <= expected || (known.damaged && problem == ProblemCode::StorageReplaced)
            }),
            None => problem.is_some() || !is_cut_off,
        };
        if !is_named {
            let what = format!("phone {phone}: {problem:?}, expected {expected:?}, cut off: {is_cut_off}");
            self.violate(Rule::StateSaysWhatIsWrong, what);
        }
    }

    /// Whether something about a phone, other than the ticket, may make a scan fail.
    fn may_fail(&self, phone: usize) -> bool {
        let known = &self.known[phone];
        !known.has_session
            || known.barred_by_office
            || known.disk_is_full
            || known.damaged
            || !known
                .manifests
                .contains_key(&self.office.places[known.place].event)
            || self.is_stale(phone)
    }

    /// Whether the phone's manifest is older than the event allows.
    fn is_stale(&self, phone: usize) -> bool {
        let known = &self.known[phone];
        let made = known.manifests.get(&self.office.places[known.place].event);
        let now = self.office.clock.now();
        made.is_none_or(|made| now.millis_since(*made) > 11 * 3_600_000)
    }
}
