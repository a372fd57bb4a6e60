//! `stats`: shows how many people are inside, by gate and for the whole event.

use clap::Args;
use comfy_table::{Cell, Table};
use voelgoed_scan_core::model::{EventOccupancy, PlaceCount};

use crate::context::Context;
use crate::env;
use crate::failure::Failure;
use crate::names::NamedEvent;
use crate::output::{Report, TextStyle, align_right, new_table, render_table, styled};

/// The arguments of `stats`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  voelgoed-scan stats EVENT\n  watch -n 1 voelgoed-scan --color always stats EVENT"
)]
pub(crate) struct Stats {
    /// The event
    #[arg(env = env::EVENT)]
    event: NamedEvent,
}

impl Stats {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        let event = self.event.id(&client).await?;
        let path = format!("/api/v1/scanning/events/{event}/occupancy");
        let occupancy: EventOccupancy = client.get(&path).await?;
        Report::one(&occupancy, occupancy_text(&occupancy))
    }
}

/// A table of the gates and the event, then the scans by result.
fn occupancy_text(occupancy: &EventOccupancy) -> String {
    let mut table = new_table(&["", "INSIDE", "CAPACITY", "ENTRIES", "EXITS"]);
    for gate in &occupancy.gates {
        add_row(&mut table, gate.name.as_str(), &gate.count);
    }
    add_row(&mut table, "Event", &occupancy.event);
    align_right(&mut table);
    let results = &occupancy.results;
    let denied: Vec<_> = [
        ("duplicate", results.duplicate),
        ("invalid_token", results.invalid_token),
        ("wrong_event", results.wrong_event),
        ("wrong_gate", results.wrong_gate),
        ("refused", results.refused),
    ]
    .iter()
    .map(|(name, count)| {
        let text = format!("{name} {count}");
        if *count > 0 {
            styled(TextStyle::Error, &text)
        } else {
            styled(TextStyle::Dim, &text)
        }
    })
    .collect();
    format!(
        "{}\n\n{}  {}\n{} scans in the last minute",
        render_table(&table),
        styled(TextStyle::Success, &format!("valid {}", results.valid)),
        denied.join("  "),
        occupancy.scans_per_minute,
    )
}

fn add_row(table: &mut Table, name: &str, count: &PlaceCount) {
    let capacity = count
        .capacity
        .map_or_else(|| "-".to_owned(), |capacity| capacity.to_string());
    let full = count
        .capacity
        .is_some_and(|capacity| count.inside >= i64::from(capacity));
    let inside = Cell::new(count.inside);
    table.add_row([
        Cell::new(name),
        if full {
            inside.fg(comfy_table::Color::Red)
        } else {
            inside
        },
        Cell::new(capacity),
        Cell::new(count.entries),
        Cell::new(count.exits),
    ]);
}
