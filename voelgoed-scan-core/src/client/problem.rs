//! What is wrong with a phone now, and what its steward can do about it.
//!
//! A problem stays until its cause is gone. Several may exist at once; the app shows the most serious one.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::client::{ClientError, DeviceRefusal};
use crate::model::Timestamp;
use crate::model::text::string_enum;

string_enum! {
    /// The kind of a problem. The first kinds are the most serious ones.
    pub enum ProblemCode {
        /// The device was revoked or made inactive. It may not scan.
        DeviceInactive = "device_inactive",
        /// The server does not know the device's token. Another phone may be enrolled as this device.
        InvalidToken = "invalid_token",
        /// The server refuses this version of the app.
        UpgradeRequired = "upgrade_required",
        /// The device may not work at the gate of its session.
        OutOfScope = "out_of_scope",
        /// The phone's disk is full. The phone cannot record scans.
        StorageFull = "storage_full",
        /// The phone's database was unusable. It was set aside, and a new one is in use.
        StorageReplaced = "storage_replaced",
        /// The device has no session: none was started, or the office ended it.
        NoActiveSession = "no_active_session",
        /// The phone's clock was changed.
        ClockMoved = "clock_moved",
        /// The manifest in use is older than the event allows.
        ManifestStale = "stale_manifest",
        /// Something else answers in the server's place: a captive portal, a proxy, a server of another version.
        CaptivePortal = "captive_portal",
        /// The server answers that it is busy.
        ServerBusy = "server_busy",
        /// The server cannot be reached.
        ServerUnreachable = "server_unreachable",
    }
}

impl ProblemCode {
    pub(super) const fn of_refusal(refusal: DeviceRefusal) -> Self {
        match refusal {
            DeviceRefusal::Inactive => Self::DeviceInactive,
            DeviceRefusal::InvalidToken => Self::InvalidToken,
        }
    }

    /// Returns what the steward or the organizer can do, as an English sentence.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::DeviceInactive => {
                "The office has switched this phone off. Stop scanning and ask the office to set its device active again. If \
                 it was revoked, this phone has to be enrolled as a new device."
            }
            Self::InvalidToken => {
                "The server does not accept this phone's enrolment. Ask the office for a new enrolment code."
            }
            Self::UpgradeRequired => {
                "Update the app. Until then the phone decides with the manifest that it has."
            }
            Self::OutOfScope => {
                "This phone may not work at this gate. Choose another gate, or ask the office."
            }
            Self::StorageFull => "The phone's storage is full. Delete photos or apps, then scan again.",
            Self::StorageReplaced => {
                "The phone's database was damaged and was set aside. Find a network and upload its scans."
            }
            Self::NoActiveSession => "Choose an event and a gate to start scanning.",
            Self::ClockMoved => "The phone's clock was changed. Set it to automatic time.",
            Self::ManifestStale => "The phone has been offline for long. Find a network.",
            Self::CaptivePortal => {
                "Something else answers in the server's place. Sign in to the Wi-Fi, or use another network."
            }
            Self::ServerBusy => "The server is busy. The phone decides by itself and tries again.",
            Self::ServerUnreachable => {
                "The server cannot be reached. The phone decides by itself and tries again."
            }
        }
    }
}

/// A problem of the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientProblem {
    /// The kind of problem.
    pub code: ProblemCode,
    /// Since when it exists, by the device's clock.
    pub since: Timestamp,
    /// What the steward or the organizer can do, as an English sentence.
    pub advice: &'static str,
}

/// The problems that exist now.
#[derive(Debug, Default)]
pub(super) struct Problems(Mutex<BTreeMap<ProblemCode, Timestamp>>);

/// The problems of the connection. At most one of them exists.
const OF_THE_CONNECTION: [ProblemCode; 3] = [
    ProblemCode::CaptivePortal,
    ProblemCode::ServerBusy,
    ProblemCode::ServerUnreachable,
];

/// The problems that a successful request disproves.
const OF_THE_DEVICE: [ProblemCode; 3] = [
    ProblemCode::DeviceInactive,
    ProblemCode::InvalidToken,
    ProblemCode::UpgradeRequired,
];

impl Problems {
    /// Records that a problem exists. Returns whether it is new.
    pub(super) fn raise(&self, code: ProblemCode, now: Timestamp) -> bool {
        let mut problems = self.0.lock();
        let is_new = !problems.contains_key(&code);
        problems.entry(code).or_insert(now);
        is_new
    }

    /// Records that a problem is gone. Returns whether it existed.
    pub(super) fn clear(&self, code: ProblemCode) -> bool {
        self.0.lock().remove(&code).is_some()
    }

    /// Records whether a problem exists.
    pub(super) fn set(&self, code: ProblemCode, exists: bool, now: Timestamp) {
        if exists {
            self.raise(code, now);
        } else {
            self.clear(code);
        }
    }

    /// Records why the server is unavailable.
    pub(super) fn server_unavailable(&self, error: &ClientError, now: Timestamp) {
        let code = match error {
            // The problem is the app, not the connection.
            ClientError::Refused { code, .. } if code == ProblemCode::UpgradeRequired.as_str() => return,
            ClientError::UnexpectedAnswer => ProblemCode::CaptivePortal,
            ClientError::Refused { .. } => ProblemCode::ServerBusy,
            _ => ProblemCode::ServerUnreachable,
        };
        for other in OF_THE_CONNECTION {
            if other != code {
                self.clear(other);
            }
        }
        self.raise(code, now);
    }

    /// Records that a scan could not wait for the server. Returns whether the connection had no problem before.
    pub(super) fn server_not_reached(&self, now: Timestamp) -> bool {
        let mut problems = self.0.lock();
        let is_new = !OF_THE_CONNECTION.iter().any(|code| problems.contains_key(code));
        if is_new {
            problems.insert(ProblemCode::ServerUnreachable, now);
        }
        is_new
    }

    /// Records that the server refused the device itself, if it did.
    pub(super) fn refused(&self, error: &ClientError, now: Timestamp) {
        if let ClientError::Refused { code, .. } = error
            && let Some(problem) = OF_THE_DEVICE.into_iter().find(|known| known.as_str() == code)
        {
            self.raise(problem, now);
        }
    }

    /// Records that the server answered a request of the device.
    pub(super) fn server_answered(&self) {
        for code in OF_THE_CONNECTION.into_iter().chain(OF_THE_DEVICE) {
            self.clear(code);
        }
    }

    /// Returns the most serious problem. `others` are problems that follow from the rest of the state.
    pub(super) fn worst(&self, others: &[Option<(ProblemCode, Timestamp)>]) -> Option<ClientProblem> {
        let raised = self
            .0
            .lock()
            .first_key_value()
            .map(|(code, since)| (*code, *since));
        let worst = others
            .iter()
            .copied()
            .flatten()
            .chain(raised)
            .min_by_key(|(code, _)| *code);
        worst.map(|(code, since)| ClientProblem {
            code,
            since,
            advice: code.advice(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_serious_problem_is_shown_with_the_time_at_which_it_began() {
        let problems = Problems::default();
        let at = Timestamp::from_seconds;
        assert_eq!(problems.worst(&[None]), None);
        assert!(problems.raise(ProblemCode::ServerUnreachable, at(1)));
        assert!(problems.raise(ProblemCode::StorageFull, at(2)));
        assert!(
            !problems.raise(ProblemCode::StorageFull, at(3)),
            "it exists already"
        );
        let worst = |others: &[_]| {
            problems
                .worst(others)
                .map(|problem| (problem.code, problem.since))
        };
        assert_eq!(worst(&[]), Some((ProblemCode::StorageFull, at(2))));
        let revoked = Some((ProblemCode::DeviceInactive, at(9)));
        assert_eq!(worst(&[None, revoked]), revoked);
        assert!(problems.clear(ProblemCode::StorageFull) && !problems.clear(ProblemCode::StorageFull));
        assert_eq!(worst(&[]), Some((ProblemCode::ServerUnreachable, at(1))));
        problems.server_unavailable(&ClientError::UnexpectedAnswer, at(4));
        assert_eq!(worst(&[]), Some((ProblemCode::CaptivePortal, at(4))));
        problems.server_answered();
        assert_eq!(worst(&[]), None);
        assert!(problems.server_not_reached(at(5)) && !problems.server_not_reached(at(6)));
        assert_eq!(worst(&[]), Some((ProblemCode::ServerUnreachable, at(5))));
        problems.server_unavailable(&ClientError::UnexpectedAnswer, at(7));
        assert!(
            !problems.server_not_reached(at(8)),
            "the captive portal is the problem"
        );
        assert_eq!(worst(&[]), Some((ProblemCode::CaptivePortal, at(7))));
    }

    #[test]
    fn every_problem_says_what_to_do() {
        for code in ProblemCode::ALL {
            assert!(code.advice().ends_with('.'), "{code}");
        }
    }
}
