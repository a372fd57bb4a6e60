//! `rehearse`: will it hold? Simulated devices against a scratch copy of an event, before the doors open.

mod load;
mod share;
mod stage;
mod tally;
mod wire;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::model::EventId;
use voelgoed_scan_server::config::parse_duration;

use self::load::{Pace, Plan};
use self::share::Share;
use self::stage::{Cast, Stage};
use self::tally::{Outlook, Score};
use self::wire::Address;
use crate::desk::Desk;
use crate::failure::{Exit, Failure};
use crate::output::Report;
use crate::{progress, world};

/// The most tickets that are made unasked.
const MOST_TICKETS: u64 = 1_000_000;

/// Scans a second that a run without a rate is given tickets for.
const GENEROUS_RATE: u64 = 5_000;

/// How many tickets are scanned over and over where duplicates are asked for.
const SEEN: usize = 1_000;

/// What `rehearse` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs an API key of an owner or admin. Makes a live copy of the event and its gates (capacities raised and class lists \
left out, so that every ticket is let in), registers devices, starts their sessions, makes tickets, and scans \
them over real connections, one a device.

At a fixed rate, latency counts from the moment at which a scan was due, not from when it was sent: a server \
that stalls is charged for every scan that it held up. With --closed each client scans again as soon as it is \
answered: the most that the server can do.

Afterwards, after Ctrl-C too, the devices are revoked, which ends their sessions, and the copy is archived: \
nothing of it can scan or admit any more. Its records stay, because an audit trail forgets nothing. It exits 1 \
where a scan was answered with an error.

The payloads are fetched from the server, one call a ticket; where the servers' master secret is at hand \
(--secret-key-file, VOELGOED_SCAN_SECRET_KEY) they are signed here, which is faster. A server's --rate-limit \
counts: at more than 50 scans a second a device, raise it or add devices.

Examples:
  voelgoed-scan rehearse --event EVENT --devices 50 --rate 500 --duration 60s
  voelgoed-scan rehearse --event EVENT --duplicates 20% --output json | jq .latency_ms.p99
  voelgoed-scan rehearse --event EVENT --closed --concurrency 32 --duration 10s")]
pub(crate) struct Rehearse {
    /// The event to copy
    #[arg(long)]
    event: EventId,
    /// How many devices scan
    #[arg(long, value_name = "N", default_value = "50", conflicts_with = "closed")]
    devices: NonZeroU32,
    /// Scans a second, all devices together
    #[arg(long, value_name = "N", default_value = "500", conflicts_with = "closed")]
    rate: NonZeroU32,
    /// How long, such as 60s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    duration: Duration,
    /// How long before that nothing is counted
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    warm_up: Duration,
    /// As fast as answers come, instead of at a rate
    #[arg(long)]
    closed: bool,
    /// With --closed: how many clients, each a device with its own connection
    #[arg(long, value_name = "N", default_value = "32", requires = "closed")]
    concurrency: NonZeroU32,
    /// The share of scans whose ticket was scanned before, such as 20%
    #[arg(long, value_name = "PERCENT", default_value = "0%")]
    duplicates: Share,
    /// How many tickets to make; without it, enough for the run
    #[arg(long, value_name = "N")]
    tickets: Option<usize>,
    /// The file with the servers' master secret, to sign payloads here
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// Send the scans here instead: what a bare server costs with requests of the same size
    #[arg(long, value_name = "URL", hide_short_help = true)]
    against: Option<String>,
}

impl Rehearse {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let client = desk.client()?;
        let address = Address::new(
            self.against.as_deref().unwrap_or(client.server()),
            desk.connector()?,
        )?;
        let stop = CancellationToken::new();
        let watching = {
            let stop = stop.clone();
            tokio::spawn(async move {
                world::enough().await;
                stop.cancel();
            })
        };
        let bar = progress::watching(desk.quiet);
        let mut stage = Stage::new(client, self.event);
        let played = async {
            let cast = self.cast();
            let made = tokio::select! {
                made = stage.build(&cast, &bar) => made?,
                () = stop.cancelled() => return Ok(None),
            };
            let plan = Plan {
                address: Arc::new(address),
                made: Arc::new(made),
                pace: self.pace(),
                duplicates: self.duplicates,
                warm_up: self.warm_up,
                duration: self.duration,
            };
            load::run(plan, &bar, stop.clone()).await.map(Some)
        }
        .await;
        bar.set_message("removing the copy");
        let left = stage.strike().await;
        bar.finish_and_clear();
        watching.abort();
        let left = left?;
        let Some(score) = played? else {
            return Err(Failure::unfit("the rehearsal", "was ended before it began"));
        };
        self.report(&score, left)
    }

    fn pace(&self) -> Pace {
        if self.closed {
            Pace::Closed
        } else {
            Pace::Open(self.rate)
        }
    }

    fn clients(&self) -> u32 {
        if self.closed {
            self.concurrency.get()
        } else {
            self.devices.get()
        }
    }

    fn cast(&self) -> Cast {
        let rate = match self.pace() {
            Pace::Open(rate) => u64::from(rate.get()),
            Pace::Closed => GENEROUS_RATE,
        };
        let seconds = (self.duration + self.warm_up).as_secs_f64().ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of seconds that somebody waits"
        )]
        let scans = rate.saturating_mul(seconds as u64);
        let fresh = self.duplicates.rest_of(scans).min(MOST_TICKETS);
        Cast {
            devices: self.clients(),
            fresh: self
                .tickets
                .unwrap_or_else(|| usize::try_from(fresh).unwrap_or(usize::MAX)),
            seen: if self.duplicates.is_none() { 0 } else { SEEN },
            secret_key_file: self.secret_key_file.clone(),
        }
    }

    fn report(&self, score: &Score, left: stage::Left) -> Result<Report, Failure> {
        let outlook = Outlook::new(
            score,
            self.clients(),
            (!self.closed).then(|| self.rate.get()),
            left,
        );
        let exit = if outlook.errors.is_empty() {
            Exit::Done
        } else {
            Exit::Failed
        };
        let report = Report::one(&outlook, outlook.to_string())?.ending(exit);
        let limited = outlook.errors.contains_key("rate_limited");
        Ok(match (limited, score.ran_out) {
            (true, _) => {
                report.noted("the server limits scans by device: add --devices, or raise its --rate-limit")
            }
            (_, true) => report.noted("the tickets ran out before the time did: give more with --tickets"),
            _ => report,
        })
    }
}
