//! `stats`: how many people are inside?

use clap::Args;
use comfy_table::{Cell, CellAlignment, Table};
use voelgoed_scan_core::model::{EventId, EventOccupancy, PlaceCount};

use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::{Report, Tone, paint, table, trimmed};

/// What `stats` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  voelgoed-scan stats EVENT\n  watch -n 1 voelgoed-scan --color always stats EVENT"
)]
pub(crate) struct Stats {
    /// The event
    event: EventId,
}

impl Stats {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let path = format!("/api/v1/scanning/events/{}/occupancy", self.event);
        let occupancy: EventOccupancy = desk.client()?.get(&path).await?;
        Report::one(&occupancy, shown(&occupancy))
    }
}

/// Gates, the whole event, and all scans by result.
pub(super) fn shown(occupancy: &EventOccupancy) -> String {
    let mut places = table(&["", "INSIDE", "CAPACITY", "ENTRIES", "EXITS"]);
    for gate in &occupancy.gates {
        row(&mut places, gate.name.as_str(), &gate.count);
    }
    row(&mut places, "Event", &occupancy.event);
    for column in 1..5 {
        if let Some(column) = places.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
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
            paint(Tone::Bad, &text)
        } else {
            paint(Tone::Faint, &text)
        }
    })
    .collect();
    format!(
        "{}\n\n{}  {}\n{} scans in the last minute",
        trimmed(&places),
        paint(Tone::Good, &format!("valid {}", results.valid)),
        denied.join("  "),
        occupancy.scans_per_minute,
    )
}

fn row(table: &mut Table, name: &str, count: &PlaceCount) {
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
