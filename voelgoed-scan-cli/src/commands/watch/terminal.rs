//! Runs the dashboard on the terminal: messages and keys in, frames out.
//!
//! Invariant: the terminal is restored however the dashboard ends, also by a panic.

use std::pin::pin;
use std::time::Duration;

use crossterm::event::{Event as Input, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures_util::{StreamExt as _, stream};
use ratatui::DefaultTerminal;
use voelgoed_scan_core::model::{Device, Event, EventId, Gate, ScanRecord};

use super::dashboard::{Dashboard, Facts};
use super::subscription::{Subscription, Update};
use super::view;
use crate::client::Client;
use crate::env;
use crate::failure::Failure;
use crate::output::Report;

/// How often gates and devices are read again.
const FACTS_EVERY: Duration = Duration::from_secs(10);

/// How often the dashboard is drawn at least, because ages change.
const DRAW_EVERY: Duration = Duration::from_secs(1);

/// How many scans from before the start are shown.
const PAST_SCANS: usize = 50;

/// How many scans a page key scrolls.
const PAGE: isize = 10;

/// Shows the dashboard until a key ends it.
pub(super) async fn run(
    client: &Client,
    event: EventId,
    subscription: Subscription,
) -> Result<Report, Failure> {
    let facts = read(client, event).await?;
    let past = format!("/api/v1/scanning/scans?event_id={event}");
    let past = client.first::<ScanRecord>(&past, PAST_SCANS).await?;
    let mut dashboard = Dashboard::new(facts, env::now());
    dashboard.add_past(past);
    // Restores the terminal in a panic, too.
    let mut terminal = ratatui::try_init()?;
    let outcome = watch(client, event, subscription, &mut dashboard, &mut terminal).await;
    ratatui::restore();
    outcome.map(|()| Report::bytes(""))
}

/// Reads what the stream does not tell.
async fn read(client: &Client, event: EventId) -> Result<Facts, Failure> {
    let path = format!("/api/v1/events/{event}");
    let found: Event = client.get(&path).await?;
    let gates: Vec<Gate> = client.all(&format!("{path}/gates")).await?;
    let devices: Vec<Device> = client.all("/api/v1/scanning/devices?status=active").await?;
    let occupancy = format!("/api/v1/scanning/events/{event}/occupancy");
    Ok(Facts {
        event: found,
        gates,
        devices,
        occupancy: client.find(&occupancy).await?,
    })
}

async fn watch(
    client: &Client,
    event: EventId,
    subscription: Subscription,
    dashboard: &mut Dashboard,
    terminal: &mut DefaultTerminal,
) -> Result<(), Failure> {
    // A stream keeps its attempt to reconnect while something else happens.
    let updates = stream::unfold(subscription, async |mut subscription| {
        let update = subscription.next().await;
        Some((update, subscription))
    });
    let facts = stream::unfold((), async |()| {
        tokio::time::sleep(FACTS_EVERY).await;
        Some((read(client, event).await, ()))
    });
    let mut updates = pin!(updates);
    let mut facts = pin!(facts);
    let mut keys = EventStream::new();
    let mut draw = tokio::time::interval(DRAW_EVERY);
    loop {
        dashboard.pass_to(env::now());
        terminal.draw(|frame| view::render(frame, dashboard, env::now()))?;
        tokio::select! {
            Some(update) = updates.next() => match update? {
                Update::Message(message) => dashboard.take(&message, env::now()),
                Update::Alive => dashboard.mark_alive(env::now()),
                Update::Lost => dashboard.is_connected = false,
            },
            input = keys.next() => match input {
                Some(Ok(input)) if ends(&input, dashboard) => return Ok(()),
                Some(Ok(_)) => {}
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            Some(facts) = facts.next() => match facts {
                Ok(facts) => dashboard.set_facts(facts),
                Err(failure) if failure.is_transient() => {}
                Err(failure) => return Err(failure),
            },
            _ = draw.tick() => {}
        }
    }
}

/// Takes a key. Returns whether it ends the dashboard.
fn ends(input: &Input, dashboard: &mut Dashboard) -> bool {
    let Input::Key(key) = input else {
        return false;
    };
    if key.kind == KeyEventKind::Release {
        return false;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Down | KeyCode::Char('j') => dashboard.scroll_by(1),
        KeyCode::Up | KeyCode::Char('k') => dashboard.scroll_by(-1),
        KeyCode::PageDown => dashboard.scroll_by(PAGE),
        KeyCode::PageUp => dashboard.scroll_by(-PAGE),
        KeyCode::Home => dashboard.scroll = 0,
        _ => {}
    }
    false
}
