//! The end of a story: the network is back, everything is uploaded, and the server's record is compared with what was
//! shown.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::sleep;
use voelgoed_scan_core::model::{Reentry, ScanId, ScanRecord};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::sync::Conflict;

use super::Story;
use crate::link::Weather;
use crate::phone::Shown;
use crate::rules::Rule;

/// How often a phone tries to upload its scans at the end.
const ATTEMPTS: usize = 10;

impl Story {
    pub(super) async fn end(&mut self) {
        self.note("the network is back");
        for phone in 0..self.phones.len() {
            if self.known[phone].disk_is_full {
                self.fill_disk(phone, false).await;
            }
            self.phones[phone].rest();
            self.phones[phone].link.set(Weather::Clear);
        }
        if self.is_over {
            return;
        }
        // Requests that were under way arrive.
        sleep(Duration::from_mins(2)).await;
        for phone in 0..self.phones.len() {
            self.hand_in(phone).await;
        }
        if self.violations.is_empty() {
            self.compare().await;
        }
    }

    async fn hand_in(&mut self, phone: usize) {
        for _ in 0..ATTEMPTS {
            self.call(phone, "sync", async |client| client.sync().await).await;
            let state = self
                .call(phone, "state", async |client| client.state().await)
                .await;
            if let Some(Ok(state)) = state
                && state.waiting == 0
            {
                return;
            }
            sleep(Duration::from_mins(2)).await;
        }
        self.violate(
            Rule::EverythingIsHandedIn,
            format!("phone {phone} still has scans"),
        );
    }

    async fn compare(&mut self) {
        let records = self.office.records().await;
        let by_id: HashMap<ScanId, &ScanRecord> =
            records.iter().map(|record| (record.scan_id, record)).collect();
        let mut missing = Vec::new();
        let mut seen = HashSet::new();
        for shown in self.shown.clone() {
            if !seen.insert(shown.scan_id) {
                continue;
            }
            match by_id.get(&shown.scan_id) {
                Some(record) => {
                    // The server may have decided the same scan, and what the phone decided may be lost with its database, or in
                    // quarantine.
                    let known = &self.known[shown.phone];
                    let is_lost = shown.is_by_phone()
                        && (known.damaged || known.revoked)
                        && record.local_result.is_none();
                    if let Some(what) = difference(&shown, record).filter(|_| !is_lost) {
                        self.violate(Rule::EveryVerdictIsOnRecord, what);
                    }
                }
                None => missing.push(shown),
            }
        }
        for shown in missing {
            let known = &self.known[shown.phone];
            let is_quarantined = known.revoked && self.office.is_quarantined(shown.scan_id).await;
            if !is_quarantined && !self.known[shown.phone].damaged {
                let what = format!("ticket {}: {} is missing", shown.ticket, shown.verdict.reason);
                self.violate(Rule::EveryVerdictIsOnRecord, what);
            }
        }
        self.compare_counts(&records);
        self.check_conflicts().await;
    }

    /// Every record belongs to a reading, and no reading has two.
    fn compare_counts(&mut self, records: &[ScanRecord]) {
        let ids: HashSet<ScanId> = records.iter().map(|record| record.scan_id).collect();
        let mut told: HashSet<ScanId> = HashSet::new();
        let mut twice = 0;
        for reading in &self.readings {
            twice += reading
                .scans
                .iter()
                .filter(|id| ids.contains(id))
                .count()
                .saturating_sub(1);
            told.extend(&reading.scans);
        }
        if twice > 0 {
            self.violate(
                Rule::OneReadingOneRecord,
                format!("{twice} readings have two records"),
            );
        }
        for phone in 0..self.phones.len() {
            let device = self.phones[phone].device;
            let of_phone = records.iter().filter(|record| record.device_id == Some(device));
            let unseen = of_phone.filter(|record| !told.contains(&record.scan_id)).count();
            let silent = self
                .readings
                .iter()
                .filter(|reading| reading.phone == phone && reading.scans.is_empty())
                .count();
            if unseen > silent {
                let what = format!("phone {phone}: {unseen} records of {silent} readings without a verdict");
                self.violate(Rule::OneReadingOneRecord, what);
            }
        }
    }

    async fn check_conflicts(&mut self) {
        let is_untimed = self.office.reentry == Reentry::AfterWindow && self.known[0].time_unknown;
        if self.phones.len() > 1 || self.known[0].damaged || is_untimed {
            return;
        }
        for conflict in self.office.conflicts().await {
            if conflict.kind == ConflictKind::DoubleEntry && !self.is_explained(&conflict) {
                let what = format!(
                    "ticket {:?}: {} wins against {}",
                    conflict.ticket_code,
                    conflict
                        .winner_scan_id
                        .map_or_else(String::new, |id| id.to_string()),
                    conflict.other_scan_id
                );
                self.violate(Rule::NoConflictWithItself, what);
            }
        }
    }

    /// Whether a steward overrode the rules for the ticket, or it was read while the phone's disk was full: the phone then
    /// forgets what it asked the server, and what the server answered, when it starts again. Or a request was held up: by
    /// its time of arrival, which is all that the server knows, its scans are later than others of the phone that came after.
    fn is_explained(&self, conflict: &Conflict) -> bool {
        let is_it = |ticket: usize| self.office.tickets[ticket].code == conflict.ticket_code;
        let shown = self.shown.iter().filter(|shown| is_it(shown.ticket));
        let mut readings = self.readings.iter().filter(|reading| is_it(reading.ticket));
        let scans = [conflict.winner_scan_id, Some(conflict.other_scan_id)];
        let is_late = scans
            .into_iter()
            .flatten()
            .any(|scan| self.held_up.contains(&scan));
        is_late
            || shown.clone().any(Shown::is_override)
            || shown.clone().any(|shown| shown.is_unstored)
            || readings.any(|reading| reading.is_unstored && reading.scans.is_empty())
    }
}

/// What differs between a verdict and its record.
fn difference(shown: &Shown, record: &ScanRecord) -> Option<String> {
    let verdict = &shown.verdict;
    let same = if shown.is_by_phone() {
        // The server may have decided the same scan before, and its answer was lost.
        record.local_result.unwrap_or(record.result) == verdict.result
    } else {
        (record.result, record.reason) == (verdict.result, verdict.reason)
    };
    (!same || record.direction != verdict.direction).then(|| {
        format!(
            "ticket {}: shown {} by {}, on record {} (on the phone {:?}) {}",
            shown.ticket,
            verdict.reason,
            verdict.decided_by,
            record.reason,
            record.local_result,
            record.direction
        )
    })
}
