//! After any sequence of scans that the server answered, a phone without a network admits a ticket only if the server would.
//!
//! All scans are of this phone. The office undoes admissions, of which the phone hears nothing.

use super::memory::online_verdict;
use super::*;
use crate::model::{Ledger, Passage};
use crate::rules::{Allowance, ScanDay};

/// What happens to a ticket while the phone is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Entry,
    /// An entry that a steward forces if the rules deny it.
    Override,
    Exit,
    /// The office undoes the last admission whose person is inside.
    Undo,
}

const STEPS: [Step; 4] = [Step::Entry, Step::Override, Step::Exit, Step::Undo];

/// The length of the sequences.
const LENGTH: u32 = 5;

/// The tickets of one phone.
const TICKETS: usize = 200;

/// A ticket as the server has it.
struct ServerTicket {
    allowance: Allowance,
    passages: Vec<(Passage, Direction, Reason)>,
}

impl ServerTicket {
    const fn new(reentry: Reentry, entry_limit: u8) -> Self {
        Self {
            allowance: Allowance {
                reentry,
                entry_limit,
                dedup_window: Duration::from_mins(5),
                day: ScanDay::ENDLESS,
            },
            passages: Vec::new(),
        }
    }

    fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for (passage, direction, reason) in &self.passages {
            match direction {
                Direction::Exit => {
                    ledger.leave(passage.clone(), Timestamp::MIN);
                }
                Direction::Entry => {
                    let adds_person =
                        *reason != Reason::Readmitted || ledger.readmission_adds_person(&self.allowance);
                    ledger.enter(passage.clone(), adds_person, Timestamp::MIN);
                }
            }
        }
        ledger
    }

    fn allows_entry(&self, at: Timestamp) -> bool {
        self.ledger().allows_entry(&self.allowance, at)
    }

    /// The server's answer to a scan.
    fn scan(&mut self, number: u8, step: Step, seconds: i64) -> Verdict {
        let ledger = self.ledger();
        let direction = if step == Step::Exit {
            Direction::Exit
        } else {
            Direction::Entry
        };
        let reason = match step {
            Step::Exit if ledger.inside(Timestamp::MIN) == 0 => Reason::NotInside,
            Step::Exit => Reason::Exited,
            _ if self.allows_entry(after(seconds)) => {
                if ledger.admissions() < u32::from(self.allowance.entry_limit) {
                    Reason::Admitted
                } else {
                    Reason::Readmitted
                }
            }
            Step::Override => Reason::Overridden,
            Step::Entry | Step::Undo => self.allowance.denial(),
        };
        let mut verdict = online_verdict(number, reason, TicketStatus::Active, 0, seconds);
        verdict.direction = direction;
        let previous = match direction {
            Direction::Entry => ledger.blocking_admission(&self.allowance),
            Direction::Exit => ledger.last_passage(),
        };
        let device = DeviceId::from_uuid(uuid(7));
        verdict.previous_scan = previous
            .filter(|_| matches!(reason.result(), ScanResult::Duplicate) || reason == Reason::NotInside)
            .map(|passage| VerdictPreviousScan::of(passage, after(seconds), device));
        if reason.result() == ScanResult::Valid {
            let passage = Passage {
                scan_id: verdict.scan_id,
                at: after(seconds),
                gate_id: gate_id(MAIN),
                gate_name: "Main".to_owned(),
                device_id: device,
                device_name: "Phone 7".to_owned(),
            };
            self.passages.push((passage, direction, reason));
        }
        let admissions = self.ledger().admissions();
        let ticket = verdict.ticket.as_mut().expect("it names the ticket");
        ticket.entry_limit = self.allowance.entry_limit;
        ticket.scan_count = admissions;
        ticket.status = ticket.status.after_admissions(admissions);
        verdict
    }

    /// Undoes the last admission whose person is inside. Returns whether there was one.
    fn undo(&mut self) -> bool {
        let ledger = self.ledger();
        let is_open =
            |(passage, ..): &(Passage, Direction, Reason)| ledger.open_admission(passage.scan_id).is_some();
        let last = self.passages.iter().rposition(is_open);
        if let Some(index) = last {
            self.passages.remove(index);
        }
        last.is_some()
    }
}

/// All sequences that begin with an entry.
fn sequences() -> impl Iterator<Item = Vec<Step>> {
    (0..4_usize.pow(LENGTH - 1)).map(|number| {
        let digits = (0..LENGTH - 1).map(|place| STEPS[number / 4_usize.pow(place) % 4]);
        std::iter::once(Step::Entry).chain(digits).collect()
    })
}

async fn phone(reentry: Reentry, entry_limit: u8) -> (TestEvent, Phone) {
    let mut test_event = TestEvent::new();
    test_event.event.reentry = reentry;
    test_event.tickets = (0..TICKETS)
        .map(|number| test_event.ticket(u8::try_from(number).expect("few tickets")))
        .collect();
    for ticket in &mut test_event.tickets {
        ticket.entry_limit = entry_limit;
    }
    let phone = test_event.phone().await;
    (test_event, phone)
}

async fn compare(reentry: Reentry, entry_limit: u8) {
    let sequences: Vec<Vec<Step>> = sequences().collect();
    let (mut decided, mut undone) = (0, 0);
    for chunk in sequences.chunks(TICKETS) {
        let (test_event, phone) = phone(reentry, entry_limit).await;
        for (number, steps) in (0..).zip(chunk) {
            let mut server = ServerTicket::new(reentry, entry_limit);
            let mut seconds = 0;
            let mut knows_all = true;
            for step in steps {
                seconds += 10;
                if *step == Step::Undo {
                    let is_undone = server.undo();
                    undone += usize::from(is_undone);
                    knows_all &= !is_undone;
                } else {
                    phone.learn(&server.scan(number, *step, seconds)).await;
                }
            }
            seconds += 10;
            let reason = phone.reason(entry(test_event.vg2(number), seconds)).await;
            let admits = reason.result() == ScanResult::Valid;
            let allowed = server.allows_entry(after(seconds));
            assert!(
                allowed || !admits,
                "{reentry}, limit {entry_limit}, {steps:?}: {reason}, which the server would deny"
            );
            assert!(
                admits || !allowed || !knows_all,
                "{reentry}, limit {entry_limit}, {steps:?}: {reason}, which the server would admit"
            );
            decided += 1;
        }
    }
    assert!(decided == sequences.len() && undone > decided / 4);
}

#[tokio::test]
async fn a_ticket_that_admits_for_good_admits_offline_as_online() {
    for entry_limit in [1, 2] {
        compare(Reentry::Never, entry_limit).await;
    }
}

#[tokio::test]
async fn a_ticket_that_admits_after_an_exit_admits_offline_as_online() {
    for entry_limit in [1, 2] {
        compare(Reentry::AfterExit, entry_limit).await;
    }
}
