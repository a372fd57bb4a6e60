//! The steps of a story.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use voelgoed_scan_core::client::{ClientError, ScannerClient};
use voelgoed_scan_core::model::{Direction, SettableStatus};

use super::{Burst, Story};
use crate::link::Weather;
use crate::phone::{CALL_BOUND, cancelled_after};
use crate::rules::{Rule, is_green};

impl Story {
    /// Makes one step.
    pub(super) async fn step(&mut self) {
        let phone = self.rng.index(self.phones.len());
        match self.rng.below(100) {
            0..44 => self.read_some(phone).await,
            44..48 => self.turn_around(phone).await,
            48..59 => self.change_weather(phone),
            59..63 => self.call_sync(phone).await,
            63..67 => self.call_refresh(phone).await,
            67..71 => self.pass_time().await,
            71..75 => self.kill(phone, false).await,
            75..78 => self.move_clock(phone),
            78..86 => self.change_by_office(phone).await,
            86..90 => self.move_to_other_event(phone).await,
            90..94 => self.fill_disk(phone, !self.known[phone].disk_is_full).await,
            94..95 => self.kill(phone, true).await,
            95..97 => self.start_session_again(phone).await,
            97..99 => self.toggle_maintenance(phone),
            _ => self.look_at_state(phone).await,
        }
        for phone in 0..self.phones.len() {
            self.absorb(phone);
        }
    }

    fn some_ticket(&mut self) -> usize {
        // Some tickets are read often.
        if self.rng.percent(60) {
            self.rng.index(3)
        } else {
            self.rng.index(self.office.tickets.len())
        }
    }

    fn some_burst(&mut self, phone: usize) -> Burst {
        let ticket = self.some_ticket();
        let direction = if self.rng.percent(15) {
            Direction::Exit
        } else {
            Direction::Entry
        };
        let overrides = direction == Direction::Entry && self.rng.percent(6);
        let frames = match self.rng.below(10) {
            _ if overrides => 1,
            0..5 => 1,
            5..8 => 2 + self.rng.below(7),
            _ => 9 + self.rng.below(42),
        };
        let spacing = Duration::from_millis(self.rng.pick(&[0, 1, 33, 33, 45]));
        let leaving = self.rng.pick(&[0, 0, 0, 0, 30, 100]);
        let patience = (0..frames)
            .map(|_| {
                let leaves = self.rng.percent(leaving);
                let patience = Duration::from_millis(self.rng.below(400));
                (leaves && !overrides).then_some(patience)
            })
            .collect();
        Burst {
            phone,
            ticket,
            direction,
            overrides,
            frames,
            spacing,
            patience,
        }
    }

    async fn read_some(&mut self, phone: usize) {
        let burst = self.some_burst(phone);
        let is_first = !self.readings.iter().any(|reading| reading.ticket == burst.ticket);
        let begun = self.office.clock.now();
        let verdict = self.read(&burst).await;
        let is_entry = burst.direction == Direction::Entry;
        if verdict.is_some() || !is_entry || self.may_fail(phone) || self.rng.percent(30) {
            return;
        }
        // All callers went away. The next one comes while it is still the same reading.
        let elapsed = self.office.clock.now().millis_since(begun);
        if elapsed > 1200 {
            return;
        }
        let again = Burst {
            frames: 1,
            patience: Vec::new(),
            ..burst
        };
        let readings = self.readings.len();
        let Some(verdict) = self.read(&again).await else {
            return;
        };
        // It is one reading.
        self.readings.truncate(readings);
        if let Some(reading) = self.readings.last_mut() {
            reading.scans.insert(verdict.scan_id);
        }
        if is_first && self.is_good_at(phone, again.ticket) && !is_green(verdict.result) {
            let what = format!("ticket {}: {}", again.ticket, verdict.reason);
            self.violate(Rule::CancelledReadingKeepsItsVerdict, what);
        }
    }

    /// Somebody comes in, turns around and comes in again, within 2.5 s.
    async fn turn_around(&mut self, phone: usize) {
        let ticket = self.some_ticket();
        let mut scans = Vec::new();
        for direction in [Direction::Entry, Direction::Exit, Direction::Entry] {
            let burst = Burst {
                phone,
                ticket,
                direction,
                overrides: false,
                frames: 1,
                spacing: Duration::ZERO,
                patience: Vec::new(),
            };
            let before = self.office.clock.now();
            if let Some(verdict) = self.read(&burst).await {
                scans.push(verdict.scan_id);
            }
            if self.office.clock.now().millis_since(before) > 500 {
                return;
            }
            sleep(Duration::from_millis(300)).await;
        }
        if let [first, _, last] = scans.as_slice()
            && first == last
        {
            let what = format!("ticket {ticket}: entry, exit and entry are two scans");
            self.violate(Rule::OtherDirectionEndsReading, what);
        }
    }

    fn change_weather(&mut self, phone: usize) {
        let weather = if self.rng.percent(35) {
            Weather::Clear
        } else {
            self.rng.pick(&Weather::FAULTS)
        };
        self.note(&format!("phone {phone}: the network is {weather:?}"));
        self.phones[phone].link.set(weather);
    }

    /// Runs a call of the client, which must end.
    pub(super) async fn call<T>(
        &mut self,
        phone: usize,
        name: &str,
        call: impl AsyncFnOnce(Arc<ScannerClient>) -> Result<T, ClientError>,
    ) -> Option<Result<T, ClientError>> {
        let client = Arc::clone(&self.phones[phone].client);
        let result = timeout(CALL_BOUND, call(client)).await.ok();
        self.absorb(phone);
        let text = match &result {
            None => {
                self.violate(Rule::EveryCallEnds, format!("{name} of phone {phone}"));
                "no end".to_owned()
            }
            Some(Ok(_)) => "ok".to_owned(),
            Some(Err(error)) => error.code().to_owned(),
        };
        let weather = self.phones[phone].link.weather();
        self.note(&format!("phone {phone}: {name}, {weather:?}: {text}"));
        if text == "storage_unavailable" && !self.known[phone].disk_is_full {
            self.violate(Rule::StorageRecovers, format!("{name} fails: {text}"));
        }
        result
    }

    async fn call_sync(&mut self, phone: usize) {
        self.call(phone, "sync", async |client| client.sync().await).await;
    }

    async fn call_refresh(&mut self, phone: usize) {
        self.call(phone, "refresh", async |client| client.refresh_manifest().await)
            .await;
    }

    async fn look_at_state(&mut self, phone: usize) {
        self.call(phone, "state", async |client| client.state().await)
            .await;
    }

    async fn start_session_again(&mut self, phone: usize) {
        let place = self.known[phone].place;
        self.start_session(phone, place).await;
    }

    async fn start_session(&mut self, phone: usize, place: usize) {
        let at = self.office.places[place];
        let started = self
            .call(phone, "start_session", async |client| {
                client.start_session(at.event, at.main, true).await
            })
            .await;
        // Without an answer that the phone could store, the server may have replaced the session.
        self.known[phone].barred_by_office |= !matches!(started, Some(Ok(_)));
        if let Some(Ok(session)) = started {
            let known = &mut self.known[phone];
            known.place = place;
            known.has_session = true;
            known.told_session_over = None;
            if session.is_some() && !known.revoked {
                known.barred_by_office = false;
            }
        }
    }

    async fn move_to_other_event(&mut self, phone: usize) {
        let place = 1 - self.known[phone].place;
        self.start_session(phone, place).await;
        if self.rng.percent(80) {
            self.call_refresh(phone).await;
        }
    }

    async fn pass_time(&mut self) {
        let seconds = match self.rng.below(10) {
            0..4 => self.rng.below(60),
            4..8 => self.rng.below(1200),
            _ => self.rng.below(5 * 3600),
        };
        self.note(&format!("{seconds} s pass"));
        sleep(Duration::from_secs(seconds)).await;
    }

    fn move_clock(&mut self, phone: usize) {
        let millis = self.rng.pick(&[
            6 * 3_600_000,
            -6 * 3_600_000,
            1500,
            -1500,
            90_000,
            -90_000,
            400_000,
        ]);
        self.note(&format!("phone {phone}: the clock moves by {millis} ms"));
        self.phones[phone].move_clock(millis);
        self.known[phone].clock_moved = true;
    }

    fn toggle_maintenance(&mut self, phone: usize) {
        if self.rng.percent(70) {
            self.note(&format!("phone {phone}: the maintenance runs"));
            self.phones[phone].maintain();
        } else {
            self.note(&format!("phone {phone}: the maintenance rests"));
            self.phones[phone].rest();
        }
    }

    /// The system kills the app in the middle of a call, and it is opened again.
    pub(super) async fn kill(&mut self, phone: usize, corrupt: bool) {
        if self.known[phone].disk_is_full {
            return;
        }
        let polls = self.rng.below(40);
        let client = Arc::clone(&self.phones[phone].client);
        let choice = self.rng.below(4);
        let mut what = "nothing";
        if choice == 0 {
            what = "sync";
            cancelled_after(polls, client.sync()).await;
        } else if choice == 1 {
            what = "refresh";
            cancelled_after(polls, client.refresh_manifest()).await;
        } else if choice == 2 {
            what = "scan";
            let burst = Burst {
                overrides: false,
                frames: 1,
                ..self.some_burst(phone)
            };
            let input = self.input(&burst);
            let result = cancelled_after(polls, client.scan(input)).await;
            let told = result.map(|result| (result, self.office.clock.now()));
            // What the app was told in its last moment, nobody saw.
            if told.is_some() {
                self.absorb(phone);
            }
            let may_fail = self.may_fail(phone);
            self.tell(&burst, told.into_iter().collect(), may_fail);
        }
        drop(client);
        let lost = self.phones[phone].link.take_delivered().len();
        self.note(&format!(
            "phone {phone}: the app is killed during {what} at poll {polls} ({lost} answers unseen){}",
            if corrupt { ", and its file is damaged" } else { "" }
        ));
        if self.rng.percent(20) {
            self.note(&format!("phone {phone}: the system starts again"));
            self.phones[phone].clock.boots.fetch_add(1, Ordering::SeqCst);
            self.known[phone].time_unknown |= self.known[phone].clock_moved;
        }
        self.known[phone].damaged |= corrupt;
        self.known[phone].restart();
        self.absorb_requests(phone);
        if let Err(error) = self.phones[phone].kill_and_reopen(corrupt).await {
            self.violate(Rule::AppOpens, format!("phone {phone}: {error}"));
            self.is_over = true;
        }
    }

    pub(super) async fn fill_disk(&mut self, phone: usize, full: bool) {
        self.absorb(phone);
        self.note(&format!(
            "phone {phone}: the disk is {}",
            if full { "full" } else { "free again" }
        ));
        if let Err(error) = self.phones[phone].fill_disk(full).await {
            self.violate(Rule::AppOpens, format!("phone {phone}: {error}"));
            self.is_over = true;
        }
        let known = &mut self.known[phone];
        known.restart();
        known.set_disk_full(full);
    }

    async fn change_by_office(&mut self, phone: usize) {
        let ticket = self.some_ticket();
        match self.rng.below(10) {
            0..3 => {
                let status = self.rng.pick(&[
                    SettableStatus::Voided,
                    SettableStatus::Refunded,
                    SettableStatus::Used,
                ]);
                let changed = self.office.set_status(ticket, status).await;
                self.note(&format!("the office sets ticket {ticket} to {status}: {changed}"));
            }
            3..4 => {
                let changed = self.office.set_status(ticket, SettableStatus::Active).await;
                self.note(&format!("the office sets ticket {ticket} to active: {changed}"));
            }
            4..6 => {
                let last = self.shown.iter().rev().find(|shown| {
                    is_green(shown.verdict.result) && shown.verdict.direction == Direction::Entry
                });
                if let Some((ticket, scan)) = last.map(|shown| (shown.ticket, shown.scan_id)) {
                    let undone = self.office.undo(ticket, scan).await;
                    self.note(&format!(
                        "the office undoes an admission of ticket {ticket}: {undone}"
                    ));
                }
            }
            6..8 => {
                self.office.end_session(self.phones[phone].device).await;
                self.known[phone].barred_by_office = true;
                self.note(&format!("the office ends the session of phone {phone}"));
            }
            8..9 => {
                self.office.revoke(self.phones[phone].device).await;
                self.known[phone].barred_by_office = true;
                self.known[phone].revoked = true;
                self.note(&format!("the office revokes phone {phone}"));
            }
            _ => {
                self.office.sell().await;
                self.note("tickets are sold");
            }
        }
    }
}
