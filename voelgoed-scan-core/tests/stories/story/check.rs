//! The checks after each step.

use std::collections::HashSet;

use serde_json::Value;
use voelgoed_scan_core::model::{Direction, Reason, Reentry, ScanId, ScanResult, Timestamp};

use super::{Burst, Story};
use crate::office::Kind;
use crate::phone::Shown;
use crate::rules::{Rule, is_green};
use crate::server::WINDOW;

/// By how much a phone's idea of the time may be wrong: an offset of up to 2 s counts as none.
const CLOCK_MARGIN_MS: i64 = 4000;

impl Story {
    /// Takes note of what a phone was told since the last step.
    pub(super) fn absorb(&mut self, phone: usize) {
        let delivered = self.phones[phone].link.take_delivered();
        self.absorb_requests(phone);
        for exchange in delivered.into_iter().filter(|exchange| exchange.genuine) {
            let code = exchange.body["code"].as_str().unwrap_or_default().to_owned();
            let known = &mut self.known[phone];
            match (exchange.call.as_str(), exchange.status) {
                (_, 401) if code == "device_inactive" => {
                    known.told_inactive.get_or_insert(exchange.delivered_at);
                }
                ("POST scanning/scan", 409) if code == "no_active_session" => {
                    known.told_session_over.get_or_insert(exchange.delivered_at);
                }
                ("POST scanning/sessions", 201) => known.told_session_over = None,
                ("POST scanning/scan", 200) => {
                    self.note_answer(phone, &exchange.request, &exchange.body, exchange.answered_at);
                }
                (call, 200) if call.contains("/manifest") => {
                    let event = call.split('/').nth(2).and_then(|id| id.parse().ok());
                    known
                        .manifests
                        .insert(event.expect("an event"), exchange.answered_at);
                }
                _ => {}
            }
        }
    }

    /// Takes note of what the server answered, and of requests that were held up, whether or not the phone knows.
    pub(super) fn absorb_requests(&mut self, phone: usize) {
        let link = &self.phones[phone].link;
        self.held_up.extend(link.take_held_up());
        for answer in link.take_given() {
            let id = answer["scan_id"].as_str().and_then(|id| id.parse().ok());
            self.given.insert(id.expect("an answer has its id"), answer);
        }
    }

    /// The server answered a scan.
    fn note_answer(&mut self, phone: usize, request: &Value, answer: &Value, at: Timestamp) {
        let qr = request["qr"].as_str().unwrap_or_default();
        let Some(ticket) = self.office.tickets.iter().position(|ticket| ticket.qr == qr) else {
            return;
        };
        let reason: Option<Reason> = answer["reason"].as_str().and_then(|reason| reason.parse().ok());
        let known = &mut self.known[phone];
        match reason {
            Some(Reason::TicketUsed | Reason::TicketVoided | Reason::TicketRefunded) => {
                known.denied.insert(ticket, (at, true));
            }
            Some(Reason::AlreadyScanned | Reason::EntryLimitReached | Reason::AlreadyInside) => {
                known.denied.insert(ticket, (at, false));
            }
            Some(reason) if reason.result() == ScanResult::Valid => {
                known.denied.remove(&ticket);
            }
            _ => {}
        }
    }

    /// Checks the errors of a reading.
    pub(super) fn check_errors(&mut self, burst: &Burst, is_first: bool, errors: &[String]) {
        let known = &self.known[burst.phone];
        for code in errors {
            if code == "storage_unavailable" && !known.disk_is_full {
                self.violate(Rule::StorageRecovers, format!("a scan fails: {code}"));
                return;
            }
        }
        let is_good = self.is_good_at(burst.phone, burst.ticket);
        if is_first && is_good && !self.may_fail(burst.phone) && !errors.is_empty() {
            self.violate(
                Rule::GoodTicketEnters,
                format!("ticket {}: {errors:?}", burst.ticket),
            );
        }
    }

    /// Whether a ticket that nobody has scanned yet must enter at the place of a phone.
    pub(super) fn is_good_at(&self, phone: usize, ticket: usize) -> bool {
        let ticket = &self.office.tickets[ticket];
        let place = self.office.places[self.known[phone].place];
        let kind = matches!(ticket.kind, Kind::Plain | Kind::PlainVg1 | Kind::Group);
        kind && !ticket.touched && ticket.event == place.event
    }

    /// Checks a verdict that a steward sees.
    pub(super) fn check_shown(&mut self, shown: &Shown, is_first: bool) {
        self.check_source(shown);
        self.check_stopped(shown);
        let verdict = &shown.verdict;
        if verdict.direction != Direction::Entry {
            return;
        }
        if !is_green(verdict.result) {
            if is_first && !shown.is_override() && self.is_good_at(shown.phone, shown.ticket) {
                let what = format!("ticket {}: {}", shown.ticket, verdict.reason);
                self.violate(Rule::GoodTicketEnters, what);
            }
            return;
        }
        if shown.is_override() {
            self.check_overrides(shown);
        } else {
            self.check_admissible(shown);
            self.check_memory(shown);
        }
        self.check_count(shown);
    }

    /// A ticket is overridden at most as often as a steward asked for it.
    fn check_overrides(&mut self, shown: &Shown) {
        if shown.verdict.reason != Reason::Overridden {
            return;
        }
        let of_ticket =
            |other: &&Shown| other.ticket == shown.ticket && other.verdict.reason == Reason::Overridden;
        let mut scans: HashSet<ScanId> = self
            .shown
            .iter()
            .filter(of_ticket)
            .map(|one| one.scan_id)
            .collect();
        scans.insert(shown.scan_id);
        let asked = self
            .readings
            .iter()
            .filter(|reading| reading.ticket == shown.ticket && reading.overrides)
            .count();
        if scans.len() > asked {
            let what = format!("ticket {}: {} overrides of {asked}", shown.ticket, scans.len());
            self.violate(Rule::NoAdmissionTooMany, what);
        }
    }

    fn check_source(&mut self, shown: &Shown) {
        if shown.is_by_phone() {
            return;
        }
        let verdict = &shown.verdict;
        let given = self.given.get(&shown.scan_id);
        let same = given.is_some_and(|given| {
            given["reason"] == verdict.reason.as_str()
                && given["event_id"] == verdict.event_id.to_string()
                && given["gate"]["id"] == verdict.gate.id.to_string()
        });
        if !same {
            let what = format!(
                "shown {} at {}, the server said {given:?}",
                verdict.reason, verdict.gate.id
            );
            self.violate(Rule::ServerVerdictIsTheServers, what);
        }
    }

    fn check_stopped(&mut self, shown: &Shown) {
        let known = &self.known[shown.phone];
        // A verdict of the server that was under way when the phone was told is the server's own.
        let was_told = |told: Option<Timestamp>| told.is_some_and(|told_at| told_at < shown.at);
        if !shown.is_by_phone() || shown.verdict.repeated {
            return;
        }
        if was_told(known.told_inactive) {
            self.violate(Rule::RevokedPhoneStops, format!("shows {}", shown.verdict.reason));
        } else if was_told(known.told_session_over) {
            self.violate(Rule::EndedSessionStops, format!("shows {}", shown.verdict.reason));
        }
    }

    /// What a ticket is from the start forbids its entry, on the server and on a phone.
    fn check_admissible(&mut self, shown: &Shown) {
        let ticket = &self.office.tickets[shown.ticket];
        let known = &self.known[shown.phone];
        let place = self.office.places[known.place];
        let since_start = shown.at.millis_since(self.office.started_at);
        let knows_time = !shown.is_by_phone() || !known.time_unknown;
        let forbidden = if matches!(
            ticket.kind,
            Kind::Malformed | Kind::Forged | Kind::RevokedKey | Kind::UnknownVg1
        ) {
            Some("it is no ticket")
        } else if ticket.event != place.event {
            Some("another event's")
        } else if ticket.kind == Kind::Expired && knows_time {
            Some("expired")
        } else if ticket.kind == Kind::Later && knows_time && since_start < 3_600_000 - CLOCK_MARGIN_MS {
            Some("not valid yet")
        } else if ticket.kind == Kind::VipGateOnly {
            Some("another gate's")
        } else {
            let manifest = known.manifests.get(&place.event);
            let knows = |since: Timestamp| manifest.is_some_and(|made| *made > since);
            let by_phone = shown.is_by_phone() && !known.damaged;
            ticket
                .barred_since
                .filter(|since| by_phone && knows(*since))
                .map(|_| "barred, and its manifest says so")
        };
        if let Some(why) = forbidden {
            let what = format!("ticket {} enters, but is {why}", shown.ticket);
            self.violate(Rule::NothingForbiddenEnters, what);
        }
    }

    /// What the server told this phone of the ticket.
    fn check_memory(&mut self, shown: &Shown) {
        let known = &self.known[shown.phone];
        let ticket = &self.office.tickets[shown.ticket];
        let Some((told_at, by_status)) = known.denied.get(&shown.ticket).copied() else {
            return;
        };
        let is_freed = ticket.freed_at.is_some_and(|freed| freed >= told_at);
        let holds = by_status || self.office.reentry == Reentry::Never;
        if shown.is_by_phone() && holds && !is_freed && !known.damaged {
            let what = format!("ticket {} enters after the server denied it", shown.ticket);
            self.violate(Rule::NothingToldIsForgotten, what);
        }
    }

    /// How often a phone admitted a ticket.
    fn check_count(&mut self, shown: &Shown) {
        let known = &self.known[shown.phone];
        let is_untimed = self.office.reentry == Reentry::AfterWindow && known.time_unknown;
        if known.damaged || shown.is_override() || is_untimed {
            return;
        }
        let ticket = &self.office.tickets[shown.ticket];
        let mut same: Vec<&Shown> = self
            .shown
            .iter()
            .filter(|other| (other.phone, other.ticket) == (shown.phone, shown.ticket))
            .filter(|other| is_green(other.verdict.result))
            // A phone cannot count an entry that it could not store. An exit gives a right to enter wherever it is on record.
            .filter(|other| !other.is_unstored || other.verdict.direction == Direction::Exit)
            .collect();
        same.push(shown);
        let mut entries: Vec<&Shown> = Vec::new();
        let mut exits = HashSet::new();
        for one in same {
            match one.verdict.direction {
                Direction::Exit => {
                    exits.insert(one.scan_id);
                }
                Direction::Entry if one.is_override() => {}
                Direction::Entry => {
                    if !entries.iter().any(|entry| entry.scan_id == one.scan_id) {
                        entries.push(one);
                    }
                }
            }
        }
        let limit = usize::from(ticket.limit);
        // Exits whose callers went away count, and so do those at another phone.
        let unseen_exits = self
            .readings
            .iter()
            .filter(|reading| reading.ticket == shown.ticket && reading.direction == Direction::Exit)
            .filter(|reading| reading.phone != shown.phone || reading.scans.is_empty())
            .count();
        let allowed = match self.office.reentry {
            // No story lasts until a day of its event begins.
            Reentry::Never | Reentry::Daily => limit + ticket.undone,
            Reentry::AfterExit => limit + ticket.undone + exits.len() + unseen_exits,
            Reentry::AfterWindow => {
                let window = i64::try_from(WINDOW.as_millis()).expect("small") - CLOCK_MARGIN_MS;
                entries.retain(|entry| shown.at.millis_since(entry.at) < window);
                limit + ticket.undone
            }
        };
        if entries.len() > allowed {
            let reasons: Vec<_> = entries
                .iter()
                .map(|entry| entry.verdict.reason.as_str())
                .collect();
            let what = format!(
                "ticket {}: {} of {allowed} entries: {reasons:?}",
                shown.ticket,
                entries.len()
            );
            self.violate(Rule::NoAdmissionTooMany, what);
        }
    }
}
