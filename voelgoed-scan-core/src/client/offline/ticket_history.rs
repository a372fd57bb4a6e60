//! The history of a ticket as a phone knows it: what the manifest counts, what the server said since, and the phone's own
//! admissions and exits that neither of them counts.
//!
//! Invariants: pure; where two sources may or may not count the same scan, the ticket is denied rather than admitted once
//! more; a ticket that this phone admitted stays admitted under every manifest.

use uuid::Uuid;

use crate::client::VerdictPreviousScan;
use crate::client::offline::decide::OfflineContext;
use crate::client::offline::memory::{AdmissionsFact, Known, LocalPassage, StatusFact, TicketMemory};
use crate::manifest::ManifestTicket;
use crate::model::{
    DeviceId, Direction, GateId, Ledger, Passage, Reason, Reentry, ScanId, Ticket, TicketFacts, TicketStatus,
    Timestamp,
};
use crate::rules::Allowance;

impl OfflineContext<'_> {
    /// Returns a ticket with its status and its history. `listed` is its entry in the manifest.
    pub(super) fn facts(
        &self,
        ticket: Ticket,
        listed: Option<&ManifestTicket>,
        memory: &TicketMemory,
    ) -> TicketFacts {
        let ticket = match memory
            .status
            .as_ref()
            .filter(|known| self.is_newer(known, listed))
        {
            Some(known) => self.with_status(ticket, known, listed),
            None => ticket,
        };
        let known_online = memory
            .admissions
            .as_ref()
            .filter(|known| self.is_newer(known, listed));
        let mut facts = TicketFacts {
            ledger: listed.map_or_else(Ledger::default, |listed| self.manifest_ledger(listed)),
            version: 0,
            ticket,
        };
        let (before, after): (Vec<&LocalPassage>, Vec<&LocalPassage>) = memory
            .passages
            .iter()
            .partition(|passage| known_online.is_none_or(|known| is_covered(passage, known)));
        if let Some(known) = known_online {
            let allowance = self.allowance(&facts, known.at);
            let mut without_departures = facts.clone();
            self.apply(&mut without_departures, &before, Departures::Recorded);
            self.apply(&mut facts, &before, Departures::Implied);
            facts.ledger = if allowance.reentry == Reentry::Daily {
                self.adjusted_on_day(facts.ledger, known, &allowance)
            } else {
                self.adjusted(facts.ledger, &without_departures.ledger, known, &allowance)
            };
        } else {
            self.apply(&mut facts, &before, Departures::Recorded);
        }
        self.apply(&mut facts, &after, Departures::Recorded);
        facts.ticket.scan_count = facts.ledger.admissions();
        facts.ticket.status = facts.ticket.status.after_admissions(facts.ledger.admissions());
        facts
    }

    /// Whether the manifest does not contain a fact yet. A manifest that does not list the ticket contains no fact of it.
    fn is_newer<T>(&self, known: &Known<T>, listed: Option<&ManifestTicket>) -> bool {
        listed.is_none() || known.known_at >= self.manifest.head().made_at
    }

    fn with_status(
        &self,
        ticket: Ticket,
        known: &Known<StatusFact>,
        listed: Option<&ManifestTicket>,
    ) -> Ticket {
        // The manifest was made just after the answer. It may contain a later change, or not yet the answer itself.
        let is_unclear = listed.is_some() && known.at < self.manifest.head().made_at;
        if is_unclear && bars(ticket.status) {
            return ticket;
        }
        let status = known.fact.status;
        match &known.fact.terms {
            Some(terms) if !is_unclear => Ticket {
                status,
                ticket_class: terms.ticket_class.clone(),
                entry_limit: terms.entry_limit,
                ..ticket
            },
            _ => Ticket { status, ..ticket },
        }
    }

    /// Applies the passages that the manifest does not count.
    fn apply(&self, facts: &mut TicketFacts, passages: &[&LocalPassage], departures: Departures) {
        let made_at = self.manifest.head().made_at;
        let is_counted = |passage: &LocalPassage| passage.known_at.is_some_and(|known_at| known_at < made_at);
        let acknowledged_admissions = passages
            .iter()
            .filter(|passage| is_counted(passage) && passage.direction == Direction::Entry)
            .count();
        // If the manifest counts fewer admissions than the server acknowledged, the phone applies all of its passages:
        // a ticket that this phone admitted stays admitted.
        let trusts_manifest = facts.ledger.admissions() as usize >= acknowledged_admissions;
        for local in passages
            .iter()
            .filter(|passage| !(trusts_manifest && is_counted(passage)))
        {
            let passage = self.passage(local);
            let allowance = self.allowance(facts, local.at);
            let since = allowance.day.counted_since;
            match local.direction {
                Direction::Exit => {
                    facts.ledger.leave(passage, since);
                }
                Direction::Entry => {
                    let is_readmission = local.reason == Reason::Readmitted;
                    let replaces_person = match allowance.reentry {
                        Reentry::AfterExit => {
                            departures == Departures::Implied && local.reason != Reason::Overridden
                        }
                        Reentry::Never | Reentry::AfterWindow | Reentry::Daily => is_readmission,
                    };
                    let person_added = !replaces_person || facts.ledger.readmission_adds_person(&allowance);
                    facts.ledger.enter(passage, person_added, since);
                }
            }
        }
    }

    /// Returns the history as the server counted it. A ledger that agrees with the server stays, because it knows more
    /// about each admission. `without_departures` is the same ledger with [`Departures::Recorded`].
    fn adjusted(
        &self,
        ledger: Ledger,
        without_departures: &Ledger,
        known: &Known<AdmissionsFact>,
        allowance: &Allowance,
    ) -> Ledger {
        let AdmissionsFact {
            admissions,
            inside,
            is_exhausted,
            is_exceeded,
            is_exit,
            last,
        } = &known.fact;
        let limit = u32::from(allowance.entry_limit);
        let counts_inside = allowance.reentry == Reentry::AfterExit;
        let inside_of =
            |ledger: &Ledger| u32::try_from(ledger.inside(allowance.day.counted_since)).unwrap_or(u32::MAX);
        let own_inside = inside_of(&ledger);
        let own_admissions = ledger.admissions();
        let made_at = self.manifest.head().made_at;
        let mut admissions = admissions.unwrap_or(own_admissions);
        if known.at < made_at {
            // The manifest was made just after the answer, and may count more.
            admissions = admissions.max(own_admissions);
        }
        if *is_exhausted && !counts_inside {
            admissions = admissions.max(limit);
        }
        let inside = match *inside {
            Some(inside) => inside,
            None if counts_inside && *is_exceeded => own_inside.max(limit.saturating_add(1)),
            None if counts_inside && *is_exhausted => own_inside.max(limit),
            // People whom other devices admitted are taken to be inside.
            None if admissions >= own_admissions => {
                let grown = own_inside.saturating_add(admissions - own_admissions);
                if *is_exit {
                    grown.min(most_after_exit(limit, own_inside))
                } else if counts_inside {
                    grown.min(limit.max(own_inside))
                } else {
                    grown
                }
            }
            // Admissions were undone. People who had left by the count of the phone may be those of the undone admissions.
            None => {
                let undone = own_admissions - admissions;
                own_inside.min(inside_of(without_departures).saturating_sub(undone))
            }
        };
        let own_last = ledger.last_admission();
        let is_later = |last: &VerdictPreviousScan| own_last.is_none_or(|own| own.at < last.scanned_at);
        let last = last.as_ref().filter(|last| is_later(last));
        let agrees = (admissions, inside) == (own_admissions, own_inside)
            && last.is_none()
            && !(*is_exhausted && ledger.allows_entry(allowance, known.at));
        if agrees {
            return ledger;
        }
        let last = match (last, own_last) {
            (Some(last), _) => self.passage_of_server(last),
            (None, Some(own)) => own.clone(),
            (None, None) => Passage {
                at: known.at,
                ..unknown_passage()
            },
        };
        Ledger::from_counts(
            admissions,
            usize::try_from(inside).unwrap_or(usize::MAX),
            &last,
            allowance.entry_limit.into(),
        )
    }

    /// The same for a `daily` event. What the server said counts on the day on which it said it.
    fn adjusted_on_day(
        &self,
        ledger: Ledger,
        known: &Known<AdmissionsFact>,
        allowance: &Allowance,
    ) -> Ledger {
        let AdmissionsFact {
            admissions,
            inside,
            is_exhausted,
            is_exceeded: _,
            is_exit,
            last,
        } = &known.fact;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let limit = u32::from(allowance.entry_limit);
        let own_admissions = ledger.admissions();
        let own_today = count(ledger.admissions_since(allowance.day.from));
        let own_inside = count(ledger.inside(allowance.day.counted_since));
        let mut admissions = admissions.unwrap_or(own_admissions);
        if known.at < self.manifest.head().made_at {
            // The manifest was made just after the answer, and may count more.
            admissions = admissions.max(own_admissions);
        }
        // Admissions that this phone does not know are taken to be of that day, and their people to be inside.
        let more = admissions.saturating_sub(own_admissions);
        let fewer = own_admissions.saturating_sub(admissions);
        let adjust = |own: u32| own.saturating_add(more).saturating_sub(fewer);
        let mut today = adjust(own_today);
        if *is_exhausted {
            today = today.max(limit);
        }
        let admissions = admissions.max(today);
        let inside = inside.unwrap_or_else(|| {
            let inside = adjust(own_inside);
            if *is_exit {
                inside.min(most_after_exit(limit, own_inside))
            } else {
                inside
            }
        });
        let own_last = ledger.last_admission();
        let is_later = |last: &VerdictPreviousScan| own_last.is_none_or(|own| own.at < last.scanned_at);
        let last = last.as_ref().filter(|last| is_later(last));
        if (admissions, today, inside) == (own_admissions, own_today, own_inside) && last.is_none() {
            return ledger;
        }
        let is_of_day = |own: &&Passage| today == 0 || own.at >= allowance.day.from;
        let last = match (last, own_last.filter(is_of_day)) {
            (Some(last), _) => self.passage_of_server(last),
            (None, Some(own)) => own.clone(),
            (None, None) => Passage {
                at: known.at,
                ..unknown_passage()
            },
        };
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Ledger::from_counts(admissions, size(inside), &last, size(today))
    }

    /// The allowance of a ticket at a time.
    fn allowance(&self, facts: &TicketFacts, at: Timestamp) -> Allowance {
        Allowance {
            day: self.manifest.head().day(at),
            ..self.scan_context().allowance(facts)
        }
    }

    /// Returns the history that the manifest contains: counts and the time of the last admission.
    fn manifest_ledger(&self, listed: &ManifestTicket) -> Ledger {
        let last = Passage {
            at: listed.last_admission.unwrap_or(self.manifest.head().made_at),
            ..unknown_passage()
        };
        let counted = match self.manifest.head().event.reentry {
            Reentry::Daily => usize::try_from(listed.day_admissions).unwrap_or(usize::MAX),
            Reentry::Never | Reentry::AfterWindow | Reentry::AfterExit => listed.entry_limit.into(),
        };
        Ledger::from_counts(listed.admissions, listed.inside.into(), &last, counted)
    }

    fn passage(&self, local: &LocalPassage) -> Passage {
        Passage {
            scan_id: local.scan_id,
            at: local.at,
            gate_id: local.gate_id,
            gate_name: local.gate_name.clone(),
            device_id: self.device_id,
            device_name: self.device_name.to_owned(),
        }
    }

    fn passage_of_server(&self, previous: &VerdictPreviousScan) -> Passage {
        let unknown = unknown_passage();
        Passage {
            scan_id: previous.scan_id.unwrap_or(unknown.scan_id),
            at: previous.scanned_at,
            gate_id: previous.gate.as_ref().map_or(unknown.gate_id, |gate| gate.id),
            gate_name: previous
                .gate
                .as_ref()
                .map_or_else(String::new, |gate| gate.name.clone()),
            device_id: if previous.same_device {
                self.device_id
            } else {
                unknown.device_id
            },
            device_name: previous.device_name.clone().unwrap_or_default(),
        }
    }
}

/// Whether people leave whose exits the phone does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Departures {
    /// Only people leave whose exits are recorded.
    Recorded,
    /// Under `after_exit` the server admits by right only while fewer people are inside than the entry limit: if the phone
    /// counts more, the first one has left, by an exit at another phone or because the admission was undone.
    Implied,
}

/// The greatest number of people inside after an exit, of whom the phone itself counts `own_inside`. There are more than the
/// limit only by an override or a conflict.
fn most_after_exit(limit: u32, own_inside: u32) -> u32 {
    limit.saturating_sub(1).max(own_inside)
}

/// Whether the server counted a passage when it said a fact.
fn is_covered(passage: &LocalPassage, known: &Known<AdmissionsFact>) -> bool {
    let is_acknowledged = passage
        .known_at
        .is_some_and(|known_at| known_at <= known.known_at);
    // The loser of a conflict tells how the ticket stood at its own time.
    is_acknowledged && (!known.fact.is_exceeded || passage.at <= known.at)
}

const fn bars(status: TicketStatus) -> bool {
    match status {
        TicketStatus::Used | TicketStatus::Voided | TicketStatus::Refunded => true,
        TicketStatus::Active | TicketStatus::Scanned => false,
    }
}

/// A passage of which nothing is known. The nil ids mark it.
fn unknown_passage() -> Passage {
    Passage {
        scan_id: ScanId::from_uuid(Uuid::nil()),
        at: Timestamp::from_millis(0),
        gate_id: GateId::from_uuid(Uuid::nil()),
        gate_name: String::new(),
        device_id: DeviceId::from_uuid(Uuid::nil()),
        device_name: String::new(),
    }
}
