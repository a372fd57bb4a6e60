//! `rehearse`: a load test. Simulated devices scan on a temporary copy of an event.

mod connection;
mod event_copy;
mod load;
mod measurements;
mod percentage;
mod recommendation;
mod removal;
mod report;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::model::Event;
use voelgoed_scan_server::config::parse_duration;

use self::connection::Target;
use self::event_copy::{EventCopy, RemovedCopy, WorkloadSize};
use self::load::{LoadPlan, Rate};
use self::measurements::Measurements;
use self::percentage::Percentage;
use self::removal::{Leftover, REMOVE_LEFTOVERS, Rehearsals, Removal};
use self::report::RehearsalReport;
use super::confirm::Confirmation;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::names::NamedEvent;
use crate::output::Report;
use crate::{env, progress};

/// The maximum number of tickets that are created without `--tickets`.
const MAX_DEFAULT_TICKETS: u64 = 1_000_000;

/// The scans a second for which a closed run gets tickets.
const CLOSED_RATE_ESTIMATE: u64 = 5_000;

/// The number of tickets that are scanned repeatedly where duplicates are asked for.
const DUPLICATE_TICKETS: usize = 1_000;

/// The arguments of `rehearse`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs an API key of an owner or admin. Makes a live copy of the event and its gates (with raised capacities and \
without class lists, so that every ticket is admitted), registers devices, starts their sessions, creates tickets, and \
scans them over real connections, one for each device.

At a fixed rate, the latency of a scan counts from the moment at which it was due, not from the moment at which it was \
sent: a stall of the server counts for every scan that it delays. With --closed, each client scans again as soon as it \
has its answer, which shows the maximum throughput of the server.

Afterwards, also after Ctrl-C or a failure, the devices are revoked and the copy is deleted with its tickets and scans. With \
--keep the copy is archived instead: it cannot admit any more, and its records stay. If something cannot be removed, the \
command says what, and how to remove it. If a rehearsal was killed, the next rehearsal removes what it left, once its time is \
over; --remove-leftovers removes it at once. The command exits 1 if a scan was answered with an error, or if something could not be removed.

The end is a recommendation: the scans a second and the devices that the server carries, and what limits it.

The payloads are fetched from the server, one request a ticket. With the servers' master secret (--secret-key-file or \
VOELGOED_SCAN_SECRET_KEY) they are signed here, which is faster. The server's --rate-limit applies: for more than 50 \
scans a second and device, raise it or add devices.

Examples:
  voelgoed-scan rehearse --event EVENT --devices 50 --rate 500 --duration 60s
  voelgoed-scan rehearse --event EVENT --duplicates 20% --output json | jq .latency_ms.p99
  voelgoed-scan rehearse --event EVENT --closed --concurrency 32 --duration 10s
  voelgoed-scan rehearse --remove-leftovers")]
pub(crate) struct Rehearse {
    /// The event to copy
    #[arg(long, env = env::EVENT, required_unless_present = "remove_leftovers")]
    event: Option<NamedEvent>,
    /// The number of devices
    #[arg(long, value_name = "N", default_value = "50", conflicts_with = "closed")]
    devices: NonZeroU32,
    /// Scans a second of all devices together
    #[arg(long, value_name = "N", default_value = "500", conflicts_with = "closed")]
    rate: NonZeroU32,
    /// The duration of the measurement, such as 60s or 5m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_positive_duration)]
    duration: Duration,
    /// The time before the measurement, in which scans do not count
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    warm_up: Duration,
    /// Scan as fast as answers arrive instead of at a rate
    #[arg(long)]
    closed: bool,
    /// With --closed: the number of clients, each a device with its own connection
    #[arg(long, value_name = "N", default_value = "32", requires = "closed")]
    concurrency: NonZeroU32,
    /// The percentage of scans whose ticket was scanned before, such as 20%
    #[arg(long, value_name = "PERCENT", default_value = "0%")]
    duplicates: Percentage,
    /// The number of tickets to create [default: enough for the run]
    #[arg(long, value_name = "N")]
    tickets: Option<usize>,
    /// The file with the servers' master secret, to sign payloads here
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// Archive the copy at the end instead of deleting it
    #[arg(long)]
    keep: bool,
    /// Only remove what earlier rehearsals left, also of one that may still run, and kept copies
    #[arg(long)]
    remove_leftovers: bool,
    /// With --remove-leftovers: whether to ask
    #[command(flatten)]
    confirmation: Confirmation,
    /// Send the scans to this server instead: measures what requests of the same size cost on a bare HTTP server
    #[arg(long, value_name = "URL", hide_short_help = true)]
    against: Option<String>,
}

/// A duration in which something can be measured.
fn parse_positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("is no time to measure anything".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

impl Rehearse {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let rehearsals = Rehearsals::read(&client).await?;
        let Some(event) = self.event.as_ref().filter(|_| !self.remove_leftovers) else {
            return self.remove_leftovers(&client, &rehearsals).await;
        };
        let target = Target::new(
            self.against.as_deref().unwrap_or(client.server()),
            context.connector()?,
        )?;
        let event = event.id(&client).await?;
        let stop = CancellationToken::new();
        let signal_task = {
            let stop = stop.clone();
            tokio::spawn(async move {
                env::shutdown_signal().await;
                stop.cancel();
            })
        };
        let bar = progress::spinner(context.quiet);
        bar.set_message("removing what earlier rehearsals left");
        let earlier = rehearsals.remove_abandoned(&client).await;
        let mut copy = EventCopy::new(client, event);
        let outcome = self.measure(&mut copy, target, &bar, &stop).await;
        bar.set_message("removing the copy");
        let removed = copy.remove(self.keep).await;
        bar.finish_and_clear();
        signal_task.abort();
        let outcome = outcome.and_then(|measurements| {
            measurements.ok_or_else(|| Failure::invalid("the rehearsal", "was ended before it began"))
        });
        match outcome {
            Ok(measurements) => self.report(&measurements, removed, &earlier, &rehearsals),
            Err(failure) => Err(failure.with_leftovers(&removed.removal.left)),
        }
    }

    /// Creates the copy and scans on it. `None` where it was stopped before the first scan.
    async fn measure(
        &self,
        copy: &mut EventCopy,
        target: Target,
        bar: &ProgressBar,
        stop: &CancellationToken,
    ) -> Result<Option<Measurements>, Failure> {
        let size = self.workload_size();
        let prepared = async {
            let workload = copy.create(&size, bar).await?;
            copy.open_for(self.warm_up + self.duration).await?;
            Ok::<_, Failure>(workload)
        };
        let workload = tokio::select! {
            workload = prepared => workload?,
            () = stop.cancelled() => return Ok(None),
        };
        let plan = LoadPlan {
            target: Arc::new(target),
            workload: Arc::new(workload),
            rate: self.rate(),
            duplicates: self.duplicates,
            warm_up: self.warm_up,
            duration: self.duration,
        };
        load::run(plan, bar, stop.clone()).await.map(Some)
    }

    /// Removes what all rehearsals left. Asks first where one may still run.
    async fn remove_leftovers(&self, client: &Client, rehearsals: &Rehearsals) -> Result<Report, Failure> {
        let running: Vec<_> = rehearsals.in_use().map(in_use_note).collect();
        if !running.is_empty() {
            self.confirmation
                .ask(&format!("{}\nRemove it all the same?", running.join("\n")))?;
        }
        let removal = rehearsals.remove_all(client).await;
        let mut lines = vec![format!(
            "Removed {} copies of events and revoked {} devices.",
            removal.events.len(),
            removal.devices
        )];
        lines.extend(removal.left.iter().map(|left| format!("Left: {left}")));
        let exit = exit_of(&removal);
        Ok(Report::one(&removal, lines.join("\n"))?.with_exit(exit))
    }

    fn rate(&self) -> Rate {
        if self.closed {
            Rate::Closed
        } else {
            Rate::Open(self.rate)
        }
    }

    fn clients(&self) -> u32 {
        if self.closed {
            self.concurrency.get()
        } else {
            self.devices.get()
        }
    }

    fn workload_size(&self) -> WorkloadSize {
        let rate = match self.rate() {
            Rate::Open(rate) => u64::from(rate.get()),
            Rate::Closed => CLOSED_RATE_ESTIMATE,
        };
        let seconds = (self.duration + self.warm_up).as_secs_f64().ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the duration of a load test in seconds is far below 2^52"
        )]
        let scans = rate.saturating_mul(seconds as u64);
        let tickets = self.duplicates.remainder_of(scans).min(MAX_DEFAULT_TICKETS);
        WorkloadSize {
            devices: self.clients(),
            unscanned: self
                .tickets
                .unwrap_or_else(|| usize::try_from(tickets).unwrap_or(usize::MAX)),
            scanned: if self.duplicates.is_zero() {
                0
            } else {
                DUPLICATE_TICKETS
            },
            secret_key_file: self.secret_key_file.clone(),
        }
    }

    fn report(
        &self,
        measurements: &Measurements,
        copy: RemovedCopy,
        earlier: &Removal,
        rehearsals: &Rehearsals,
    ) -> Result<Report, Failure> {
        let rate = (!self.closed).then(|| self.rate.get());
        let removed = exit_of(&copy.removal);
        let rehearsal = RehearsalReport::new(measurements, self.clients(), rate, copy);
        let exit = if rehearsal.errors.is_empty() {
            removed
        } else {
            Exit::Failed
        };
        let mut notes: Vec<String> = rehearsals.in_use().map(in_use_note).collect();
        notes.extend(
            earlier
                .events
                .iter()
                .map(|event| format!("an earlier rehearsal had left its copy {event}, which is removed now")),
        );
        notes.extend(
            earlier
                .left
                .iter()
                .map(|left| format!("an earlier rehearsal left {left}")),
        );
        if rehearsal.errors.contains_key("rate_limited") {
            notes.push(
                "the server limits the scans of each device: add --devices, or raise its --rate-limit"
                    .to_owned(),
            );
        } else if measurements.tickets_ran_out {
            notes
                .push("the tickets ran out before the end of the run: create more with --tickets".to_owned());
        }
        let report = Report::one(&rehearsal, rehearsal.to_string())?.with_exit(exit);
        if notes.is_empty() {
            Ok(report)
        } else {
            Ok(report.with_note(notes.join("\n")))
        }
    }
}

/// Where something is left that should not be, the command fails.
fn exit_of(removal: &Removal) -> Exit {
    if removal.left.iter().all(Leftover::is_kept) {
        Exit::Done
    } else {
        Exit::Failed
    }
}

fn in_use_note(event: &Event) -> String {
    format!(
        "the rehearsal of {} on {} may still run; if it was killed, remove it: {REMOVE_LEFTOVERS}",
        event.inserted_at, event.name
    )
}
