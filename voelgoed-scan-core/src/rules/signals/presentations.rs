//! What the scans of one ticket show: many duplicate denials, and a duplicate at another gate shortly after the first one.

use std::collections::BTreeSet;

use super::{Opening, count, millis};
use crate::model::{
    Direction, EventId, GateId, ScanId, ScanResult, Signal, SignalDetails, SignalKind, SignalSettings,
    TicketId, Timestamp,
};

/// A scan of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presentation {
    /// The scan.
    pub scan_id: ScanId,
    /// Its event.
    pub event_id: EventId,
    /// Its gate.
    pub gate_id: GateId,
    /// When it was made.
    pub at: Timestamp,
    /// Its result.
    pub result: ScanResult,
    /// Its direction.
    pub direction: Direction,
}

impl Presentation {
    /// Whether somebody wanted to come in with the ticket and was admitted or had to be a second person. A holder whom a
    /// gate sends to another one, or who goes out, is no second person.
    fn is_at_entrance(&self) -> bool {
        let was_here = match self.result {
            ScanResult::Valid | ScanResult::Duplicate => true,
            ScanResult::InvalidToken
            | ScanResult::WrongEvent
            | ScanResult::WrongGate
            | ScanResult::Refused => false,
        };
        was_here && self.direction == Direction::Entry
    }

    fn is_duplicate(&self) -> bool {
        self.result == ScanResult::Duplicate
    }
}

/// The signals that new scans of a ticket open. `presentations` are its scans around the new ones, in any order.
pub fn ticket_signals(
    ticket: TicketId,
    presentations: &[Presentation],
    new: &BTreeSet<ScanId>,
    settings: &SignalSettings,
    opening: &mut Opening<'_>,
) -> Vec<Signal> {
    let mut sorted: Vec<Presentation> = presentations.to_vec();
    sorted.sort_by_key(|scan| (scan.at, scan.scan_id));
    let found = [
        (SignalKind::DuplicateSpam, duplicate_spam(&sorted, new, settings)),
        (
            SignalKind::ImpossibleTravel,
            impossible_travel(&sorted, new, settings),
        ),
    ];
    found
        .into_iter()
        .filter_map(|(kind, found)| {
            let (scan, details) = found?;
            Some(Signal {
                event_id: Some(scan.event_id),
                gate_id: Some(scan.gate_id),
                ticket_id: Some(ticket),
                ..opening.signal(kind, details)
            })
        })
        .collect()
}

/// More than `limit` duplicate denials within a time, one of them new.
fn duplicate_spam(
    sorted: &[Presentation],
    new: &BTreeSet<ScanId>,
    settings: &SignalSettings,
) -> Option<(Presentation, SignalDetails)> {
    let rule = settings.rule(SignalKind::DuplicateSpam);
    let (limit, within_s) = (rule.limit?, rule.within_s.filter(|_| rule.enabled)?);
    let denials: Vec<Presentation> = sorted
        .iter()
        .filter(|scan| scan.is_duplicate())
        .copied()
        .collect();
    let size = usize::try_from(limit).ok()?.checked_add(1)?;
    let (first, last) = denials
        .windows(size)
        .filter(|group| group.iter().any(|scan| new.contains(&scan.scan_id)))
        .filter_map(|group| Some((group.first()?, group.last()?)))
        .rfind(|(first, last)| last.at.millis_since(first.at) <= millis(within_s))?;
    let counted = denials
        .iter()
        .filter(|scan| scan.at <= last.at && last.at.millis_since(scan.at) <= millis(within_s));
    let details = SignalDetails {
        limit: Some(limit),
        within_s: Some(within_s),
        scans: Some(count(counted.count())),
        first_at: Some(first.at),
        last_at: Some(last.at),
        ..SignalDetails::default()
    };
    Some((*last, details))
}

/// A new duplicate denial within a time after the ticket was presented at another gate.
fn impossible_travel(
    sorted: &[Presentation],
    new: &BTreeSet<ScanId>,
    settings: &SignalSettings,
) -> Option<(Presentation, SignalDetails)> {
    let rule = settings.rule(SignalKind::ImpossibleTravel);
    let within_s = rule.within_s.filter(|_| rule.enabled)?;
    let denials = sorted
        .iter()
        .filter(|scan| scan.is_duplicate() && new.contains(&scan.scan_id));
    let pair = |second: &Presentation| {
        let first = sorted.iter().rfind(|first| {
            first.is_at_entrance()
                && first.gate_id != second.gate_id
                && first.at <= second.at
                && second.at.millis_since(first.at) <= millis(within_s)
        })?;
        Some((*first, *second))
    };
    let (first, second) = denials.rev().find_map(pair)?;
    let details = SignalDetails {
        within_s: Some(within_s),
        first_at: Some(first.at),
        last_at: Some(second.at),
        gate_ids: vec![first.gate_id, second.gate_id],
        scan_ids: vec![first.scan_id, second.scan_id],
        ..SignalDetails::default()
    };
    Some((second, details))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{SignalId, SignalSettingsPatch};
    use ScanResult::{Duplicate, Refused, Valid, WrongGate};

    const START: Timestamp = Timestamp::from_millis(1_795_370_400_000);
    const TICKET: TicketId = TicketId::from_uuid(Uuid::from_u128(3));

    /// A scan with this result at a gate, some seconds after the start.
    fn scan(result: ScanResult, gate: u128, seconds: i64) -> Presentation {
        Presentation {
            scan_id: ScanId::from_uuid(Uuid::from_u128(
                gate * 1_000_000 + u128::from(seconds.unsigned_abs()),
            )),
            event_id: EventId::from_uuid(Uuid::from_u128(1)),
            gate_id: GateId::from_uuid(Uuid::from_u128(gate)),
            at: START.plus_millis(seconds * 1000),
            result,
            direction: Direction::Entry,
        }
    }

    /// What the scans show if all from `first_new` on are new.
    fn found(scans: &[Presentation], first_new: usize, settings: &SignalSettings) -> Vec<Signal> {
        let mut next_id = || SignalId::from_uuid(Uuid::from_u128(1));
        let mut opening = Opening {
            now: START,
            next_id: &mut next_id,
        };
        let new = scans.iter().skip(first_new).map(|scan| scan.scan_id).collect();
        ticket_signals(TICKET, scans, &new, settings, &mut opening)
    }

    fn kinds(scans: &[Presentation]) -> Vec<SignalKind> {
        let found = found(scans, 0, &SignalSettings::default());
        found.iter().map(|signal| signal.kind).collect()
    }

    fn denials(number: i64, total_seconds: i64) -> Vec<Presentation> {
        let mut scans = vec![scan(Valid, 1, -9000)];
        scans.extend((0..number).map(|one| scan(Duplicate, 1, one * total_seconds / (number - 1))));
        scans
    }

    #[test]
    fn more_than_five_duplicate_denials_within_an_hour_are_too_many() {
        assert_eq!(kinds(&denials(5, 10)), []);
        assert_eq!(kinds(&denials(6, 10)), [SignalKind::DuplicateSpam]);
        assert_eq!(kinds(&denials(6, 3600)), [SignalKind::DuplicateSpam]);
        assert_eq!(kinds(&denials(6, 3601)), []);
        let signals = found(&denials(8, 10), 0, &SignalSettings::default());
        assert_eq!(signals[0].details.scans, Some(8));
        assert_eq!(signals[0].ticket_id, Some(TICKET));
    }

    #[test]
    fn without_a_new_denial_nothing_opens() {
        let scans = denials(9, 10);
        assert_eq!(found(&scans, scans.len(), &SignalSettings::default()), []);
        assert_eq!(
            found(&scans, scans.len() - 1, &SignalSettings::default()).len(),
            1
        );
    }

    #[test]
    fn a_duplicate_at_another_gate_within_300_seconds_is_impossible_travel() {
        for (scans, expected) in [
            (vec![scan(Valid, 1, 0), scan(Duplicate, 2, 300)], true),
            (vec![scan(Valid, 1, 0), scan(Duplicate, 2, 301)], false),
            (vec![scan(Valid, 1, 0), scan(Duplicate, 1, 5)], false),
            (vec![scan(Duplicate, 1, 0), scan(Duplicate, 2, 5)], true),
            (vec![scan(Valid, 1, 0), scan(Refused, 2, 5)], false),
            (vec![scan(Valid, 1, 0), scan(Valid, 2, 5)], false),
            // In the order of their times, whichever arrives first.
            (vec![scan(Duplicate, 2, 300), scan(Valid, 1, 0)], true),
            (vec![scan(Valid, 1, 5), scan(Duplicate, 2, 0)], false),
        ] {
            let expected: &[SignalKind] = if expected {
                &[SignalKind::ImpossibleTravel]
            } else {
                &[]
            };
            assert_eq!(kinds(&scans), expected, "{scans:?}");
        }
    }

    #[test]
    fn a_holder_whom_the_wrong_gate_sent_on_is_no_second_person() {
        let scans = [scan(WrongGate, 1, 0), scan(Valid, 2, 60), scan(Duplicate, 2, 65)];
        assert_eq!(kinds(&scans), []);
        let out = Presentation {
            direction: Direction::Exit,
            ..scan(Valid, 1, 0)
        };
        assert_eq!(kinds(&[out, scan(Duplicate, 2, 60)]), []);
    }

    #[test]
    fn the_details_name_both_gates_and_both_scans() {
        let scans = [scan(Valid, 1, 0), scan(Duplicate, 2, 30)];
        let signals = found(&scans, 1, &SignalSettings::default());
        assert_eq!(signals[0].gate_id, Some(scans[1].gate_id));
        assert_eq!(signals[0].details.gate_ids, [scans[0].gate_id, scans[1].gate_id]);
        assert_eq!(signals[0].details.scan_ids, [scans[0].scan_id, scans[1].scan_id]);
    }

    #[test]
    fn the_figures_are_those_of_the_organization() {
        let patch: SignalSettingsPatch = serde_json::from_value(serde_json::json!({
            "duplicate_spam": { "limit": 1, "within_s": 10 }, "impossible_travel": { "enabled": false },
        }))
        .expect("a patch");
        let settings = SignalSettings::with(&patch);
        let kinds = |scans: &[Presentation]| {
            let found = found(scans, 0, &settings);
            found.iter().map(|signal| signal.kind).collect::<Vec<_>>()
        };
        assert_eq!(
            kinds(&[scan(Duplicate, 1, 0), scan(Duplicate, 2, 10)]),
            [SignalKind::DuplicateSpam]
        );
        assert_eq!(kinds(&[scan(Duplicate, 1, 0), scan(Duplicate, 2, 11)]), []);
    }
}
