//! Tests a phone before the doors open: its key, its database, its clock, the network, the manifest.
//!
//! Each check says what is wrong by a code, and what to do in a sentence that a steward understands.

use crate::client::api::ApiRequest;
use crate::client::secrets::DeviceCredentials;
use crate::client::{ClientError, ClockState, OfflineError, ScannerClient};
use crate::model::DeviceSelf;
use crate::model::text::string_enum;

/// A clock that is wrong by more than this gives the warning `clock_skew` on the server, too.
const CLOCK_TOLERANCE_MS: i64 = 300_000;

string_enum! {
    /// What a check tests.
    pub enum SelfTestSubject {
        /// The credentials in the app's secret store.
        Key = "key",
        /// The phone's database.
        Store = "store",
        /// The phone's clock.
        Clock = "clock",
        /// The way to the server, and whether it accepts this device.
        Network = "network",
        /// The manifest of the session's event.
        Manifest = "manifest",
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTestCheck {
    /// What was tested.
    pub subject: SelfTestSubject,
    /// The code of what is wrong, such as `offline` or `stale_manifest`. `None` if nothing is.
    pub problem: Option<String>,
    /// What to do. Empty if nothing is wrong.
    pub advice: String,
}

impl SelfTestCheck {
    /// Returns whether nothing is wrong.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.problem.is_none()
    }

    fn new(subject: SelfTestSubject, problem: Option<&str>) -> Self {
        Self {
            subject,
            problem: problem.map(str::to_owned),
            advice: problem.map(|code| advice(code).to_owned()).unwrap_or_default(),
        }
    }
}

/// Returns what a steward does about a problem.
fn advice(code: &str) -> &'static str {
    match code {
        "not_enrolled" => "Enrol this phone again with a code from the office.",
        "secret_store_failed" => "Unlock the phone and open the app again.",
        "storage_unavailable" | "storage_full" => {
            "Make room on this phone: delete photos or apps, then test again."
        }
        "clock_skew" => "Let the phone set its clock by the network.",
        "clock_unknown" => "Connect once to the server, so that this phone can compare its clock.",
        "device_inactive" => {
            "The office has switched this phone off. Ask the office to set its device active again. If it was revoked, enrol \
             this phone as a new device."
        }
        "invalid_token" | "missing_token" => {
            "The server does not accept this phone's enrolment. Ask the office for a new enrolment code."
        }
        "upgrade_required" => "Update the app.",
        "unexpected_answer" => {
            "Something else answers in the server's place. Sign in to the Wi-Fi, or use mobile data."
        }
        "offline" => "Connect the phone to the Wi-Fi or to mobile data. It scans alone until then.",
        "no_active_session" => "Choose an event and a gate.",
        "no_manifest" => {
            "Stay connected until the list of tickets has arrived. Without it this phone cannot scan alone."
        }
        "stale_manifest" => "Connect the phone, so that it fetches a new list of tickets.",
        "unknown_gate" => "This gate is not in the list of tickets. Choose the event and the gate again.",
        _ => "Ask the office, and name this code.",
    }
}

impl ScannerClient {
    /// Tests the phone, in the order of [`SelfTestSubject`]. Reads the credentials from the app's secret store and asks
    /// the server once.
    pub async fn self_test(&self) -> Vec<SelfTestCheck> {
        // First, because the server may refuse the device, or accept it again.
        let offset = self.measure_clock().await;
        let key = self.check_key().await.err();
        let store = self.offline.probe_storage().await.err();
        let network = offset.as_ref().err().map(ClientError::code);
        let (_, clock) = self.offline.server_time(self.setup.clock.now()).await;
        let clock = match (&offset, clock) {
            (Ok(offset), _) if offset.abs() > CLOCK_TOLERANCE_MS => Some("clock_skew"),
            (_, ClockState::Moved) => Some("clock_moved"),
            (Err(_), ClockState::Unverified) => Some("clock_unverified"),
            (Err(_), ClockState::Trusted) => Some("clock_unknown"),
            (Ok(_), ClockState::Trusted | ClockState::Unverified) => None,
        };
        vec![
            SelfTestCheck::new(SelfTestSubject::Key, key.as_ref().map(ClientError::code)),
            SelfTestCheck::new(SelfTestSubject::Store, store.as_ref().map(OfflineError::code)),
            SelfTestCheck::new(SelfTestSubject::Clock, clock),
            SelfTestCheck::new(SelfTestSubject::Network, network),
            SelfTestCheck::new(SelfTestSubject::Manifest, self.check_manifest().await),
        ]
    }

    /// Checks that the secret store still has this device's credentials, and that the server has not refused them.
    async fn check_key(&self) -> Result<(), ClientError> {
        match DeviceCredentials::load(&*self.setup.secrets)? {
            Some(stored) if stored.device.id == self.credentials.device.id => self.check_not_refused().await,
            _ => Err(ClientError::NotEnrolled),
        }
    }

    /// Asks the server for this device and returns the server's clock minus the phone's, in milliseconds.
    async fn measure_clock(&self) -> Result<i64, ClientError> {
        let request = ApiRequest::get("/api/v1/scanning/device", self.setup.settings.call_timeout);
        let sent_at = self.setup.clock.now();
        let answer: DeviceSelf = self.api().call(request).await?;
        let received_at = self.setup.clock.now();
        if answer.device.id != self.credentials.device.id {
            return Err(ClientError::UnexpectedAnswer);
        }
        self.heed_acceptance().await?;
        let halfway = received_at.millis_since(sent_at).max(0) / 2;
        Ok(answer.server_time.millis_since(sent_at.plus_millis(halfway)))
    }

    /// Returns what is wrong with the manifest of the session's event.
    async fn check_manifest(&self) -> Option<&'static str> {
        let Some(session) = self.offline.session().await else {
            return Some("no_active_session");
        };
        let head = self.offline.manifest_head().await;
        let Some(head) = head.filter(|head| head.event.id == session.event_id) else {
            return Some("no_manifest");
        };
        let (now, _) = self.offline.server_time(self.setup.clock.now()).await;
        if head.gate(session.gate_id).is_none() {
            Some("unknown_gate")
        } else if head.is_stale(now) {
            Some("stale_manifest")
        } else {
            None
        }
    }
}
