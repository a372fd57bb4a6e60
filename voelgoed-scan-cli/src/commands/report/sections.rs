//! The sections of a report: the same rows for tables, CSV and PDF.

use jiff::tz::TimeZone;
use voelgoed_scan_core::model::{TicketCode, Timestamp};
use voelgoed_scan_core::report::{
    Arrivals, DeviceActivity, EventReport, Interval, ReportedActor, ReportedOverride, ReportedUndo,
};
use voelgoed_scan_core::sync::Conflict;

use crate::view::View;

/// Up to how many gates the arrivals have a column each. More gates have a row each.
const MAX_GATE_COLUMNS: usize = 6;

/// A part of a report.
pub(super) struct Section {
    /// The name by which programs find its rows.
    pub(super) name: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// How many of the first columns are texts; the others are numbers.
    texts: usize,
    /// A remark below the rows.
    pub(super) note: Option<String>,
}

impl Section {
    fn new(name: &'static str, title: &'static str, columns: &[&str], texts: usize) -> Self {
        Self {
            name,
            title,
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
            texts,
            note: None,
        }
    }

    fn with_rows(mut self, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        self.rows = rows.into_iter().collect();
        self
    }

    fn with_note(mut self, note: Option<String>) -> Self {
        self.note = note;
        self
    }

    /// Whether a column holds numbers.
    pub(super) const fn is_numeric(&self, column: usize) -> bool {
        column >= self.texts
    }
}

/// The sections for tables and pages.
pub(super) fn for_people(report: &EventReport, view: View) -> Vec<Section> {
    let times = Times::of(report, view);
    let arrivals = if report.arrivals.gates.len() > MAX_GATE_COLUMNS {
        arrivals_by_row(&report.arrivals, &times)
    } else {
        arrivals_by_column(&report.arrivals, &times)
    };
    sections(report, arrivals, &times)
}

/// The sections for spreadsheets: each row of the arrivals is one gate in one interval.
pub(super) fn for_spreadsheets(report: &EventReport, view: View) -> Vec<Section> {
    let times = Times::of(report, view);
    sections(report, arrivals_by_row(&report.arrivals, &times), &times)
}

fn sections(report: &EventReport, arrivals: Section, times: &Times) -> Vec<Section> {
    let more = |left_out: i64, command: &str| {
        (left_out > 0).then(|| format!("and {left_out} more: voelgoed-scan {command} {}", report.event_id))
    };
    vec![
        head(report, times),
        classes(report),
        arrivals,
        peaks(&report.arrivals, times),
        Section::new("denials", "Denials by reason", &["REASON", "COUNT"], 1).with_rows(
            report
                .denials
                .iter()
                .map(|row| vec![row.reason.to_string(), row.count.to_string()]),
        ),
        overrides(&report.overrides, times)
            .with_note(more(report.left_out.overrides, "scans export --event")),
        undos(&report.undos, times).with_note(more(report.left_out.undos, "scans export --event")),
        conflicts(&report.conflicts, times).with_note(more(report.left_out.conflicts, "conflicts")),
        devices(&report.devices, times),
    ]
}

/// How times and ticket codes are shown: times in the time zone of the event.
struct Times {
    zone: TimeZone,
    name: String,
    view: View,
}

impl Times {
    fn of(report: &EventReport, view: View) -> Self {
        let zone = report.time_zone.zone().filter(|_| !view.utc);
        Self {
            name: zone
                .as_ref()
                .map_or_else(|| "UTC".to_owned(), |_| report.time_zone.to_string()),
            zone: zone.unwrap_or(TimeZone::UTC),
            view,
        }
    }

    fn code(&self, code: Option<TicketCode>) -> String {
        code.map_or_else(|| "-".to_owned(), |code| self.view.code(code))
    }

    /// Date and minute.
    fn minute(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%d %H:%M")
    }

    /// Date and second.
    fn second(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%d %H:%M:%S")
    }

    fn format(&self, at: Timestamp, format: &str) -> String {
        match jiff::Timestamp::from_millisecond(at.as_millis()) {
            Ok(instant) => instant.to_zoned(self.zone.clone()).strftime(format).to_string(),
            Err(_) => at.to_string(),
        }
    }
}

fn head(report: &EventReport, times: &Times) -> Section {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| times.second(at));
    let scans = &report.scans;
    let fields = [
        ("Event", report.event_name.to_string()),
        ("Status", report.event_status.to_string()),
        ("Times in", times.name.clone()),
        ("Report made", times.second(report.generated_at)),
        ("First scan", time(scans.first_at)),
        ("Last scan", time(scans.last_at)),
        ("Scans", scans.recorded.to_string()),
        ("Let in", scans.entries.to_string()),
        ("Exit scans", scans.exits.to_string()),
        ("Inside", report.occupancy.inside.to_string()),
        ("Denials", scans.denials.to_string()),
        ("Overrides", scans.overrides.to_string()),
        ("Undos", scans.undos.to_string()),
        ("Conflicts", scans.conflicts.to_string()),
        ("Uploaded by offline devices", scans.uploaded.to_string()),
    ];
    Section::new("event", "Event", &["FIELD", "VALUE"], 2)
        .with_rows(fields.map(|(name, value)| vec![name.to_owned(), value]))
}

fn classes(report: &EventReport) -> Section {
    let row = |class: String, sold: i64, came: i64, no_shows: i64| {
        let share = if sold == 0 {
            "-".to_owned()
        } else {
            format!("{} %", (came * 200 + sold) / (sold * 2))
        };
        vec![
            class,
            sold.to_string(),
            came.to_string(),
            no_shows.to_string(),
            share,
        ]
    };
    let mut rows: Vec<_> = report
        .classes
        .iter()
        .map(|counts| {
            let class = counts
                .class
                .as_ref()
                .map_or_else(|| "(no class)".to_owned(), ToString::to_string);
            row(class, counts.sold, counts.came, counts.no_shows)
        })
        .collect();
    let all = &report.tickets;
    rows.push(row("All".to_owned(), all.sold, all.came, all.no_shows));
    let left_out = (all.voided + all.refunded > 0).then(|| {
        format!(
            "not counted as sold: {} voided, {} refunded",
            all.voided, all.refunded
        )
    });
    let columns = ["CLASS", "SOLD", "CAME", "NO-SHOWS", "CAME %"];
    Section::new("classes", "Tickets", &columns, 1)
        .with_rows(rows)
        .with_note(left_out)
}

/// Intervals as rows, gates as columns. Intervals without an entry between others are shown, so that a pause is seen.
fn arrivals_by_column(arrivals: &Arrivals, times: &Times) -> Section {
    let mut columns = vec!["FROM".to_owned()];
    columns.extend(arrivals.gates.iter().map(|gate| gate.gate_name.to_string()));
    columns.push("ALL".to_owned());
    let all: Vec<Interval> = arrivals
        .gates
        .iter()
        .flat_map(|gate| gate.intervals.iter().copied())
        .collect();
    let mut begins: Vec<Timestamp> = all.iter().map(|interval| interval.from).collect();
    begins.sort_unstable();
    begins.dedup();
    let rows = begins.into_iter().map(|from| {
        let entries = |intervals: &[Interval]| {
            let of_begin = intervals.iter().filter(|interval| interval.from == from);
            of_begin.map(|interval| interval.entries).sum::<i64>()
        };
        let mut row = vec![times.minute(from)];
        row.extend(
            arrivals
                .gates
                .iter()
                .map(|gate| entries(&gate.intervals).to_string()),
        );
        row.push(entries(&all).to_string());
        row
    });
    let mut section = Section::new("arrivals", "Arrivals by quarter of an hour", &[], 1).with_rows(rows);
    section.columns = columns;
    section
}

fn arrivals_by_row(arrivals: &Arrivals, times: &Times) -> Section {
    let mut rows: Vec<_> = arrivals
        .gates
        .iter()
        .flat_map(|gate| gate.intervals.iter().map(move |interval| (interval, gate)))
        .collect();
    rows.sort_by_key(|(interval, gate)| (interval.from, gate.gate_name.to_string()));
    let row = |(interval, gate): (&Interval, &voelgoed_scan_core::report::GateArrivals)| {
        vec![
            times.minute(interval.from),
            gate.gate_name.to_string(),
            interval.entries.to_string(),
        ]
    };
    let columns = ["FROM", "GATE", "ENTRIES"];
    Section::new("arrivals", "Arrivals by quarter of an hour", &columns, 2)
        .with_rows(rows.into_iter().map(row))
}

fn peaks(arrivals: &Arrivals, times: &Times) -> Section {
    let row = |gate: String, entries: i64, peak: Option<Interval>| {
        let (from, most) = peak.map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |peak| (times.minute(peak.from), peak.entries.to_string()),
        );
        vec![gate, from, most, entries.to_string()]
    };
    let mut rows: Vec<_> = arrivals
        .gates
        .iter()
        .map(|gate| row(gate.gate_name.to_string(), gate.entries, gate.peak))
        .collect();
    rows.push(row("All".to_owned(), arrivals.entries, arrivals.peak));
    let columns = ["GATE", "PEAK FROM", "PEAK ENTRIES", "ALL ENTRIES"];
    Section::new("gates", "Gates and their peaks", &columns, 2).with_rows(rows)
}

fn overrides(rows: &[ReportedOverride], times: &Times) -> Section {
    let columns = ["TIME", "GATE", "TICKET", "INSTEAD OF", "BY", "WHY", "UNDONE"];
    Section::new("overrides", "Overrides", &columns, columns.len()).with_rows(rows.iter().map(|row| {
        vec![
            times.second(row.at),
            text(row.gate_name.as_deref()),
            times.code(row.ticket_code),
            row.would_have_been
                .map_or_else(|| "-".to_owned(), |reason| reason.to_string()),
            actor(&row.by),
            text(row.reason.as_deref()),
            if row.undone { "yes" } else { "no" }.to_owned(),
        ]
    }))
}

fn undos(rows: &[ReportedUndo], times: &Times) -> Section {
    let columns = ["TIME", "LET IN", "GATE", "TICKET", "BY", "WHY"];
    Section::new("undos", "Undos", &columns, columns.len()).with_rows(rows.iter().map(|row| {
        vec![
            times.second(row.at),
            times.second(row.scanned_at),
            text(row.gate_name.as_deref()),
            times.code(row.ticket_code),
            actor(&row.by),
            text(row.reason.as_deref()),
        ]
    }))
}

fn conflicts(rows: &[Conflict], times: &Times) -> Section {
    let columns = ["KIND", "TIMES", "TICKET", "GATES", "DEVICES"];
    let join = |texts: Vec<String>| texts.join(" / ");
    Section::new("conflicts", "Conflicts", &columns, columns.len()).with_rows(rows.iter().map(|row| {
        vec![
            row.kind.to_string(),
            join(row.times.iter().map(|at| times.second(*at)).collect()),
            times.code(row.ticket_code),
            join(row.gates.iter().map(|gate| gate.name.clone()).collect()),
            join(row.devices.iter().map(|device| device.name.clone()).collect()),
        ]
    }))
}

fn devices(rows: &[DeviceActivity], times: &Times) -> Section {
    let columns = [
        "DEVICE",
        "FIRST SCAN",
        "LAST SCAN",
        "SCANS",
        "LET IN",
        "EXITS",
        "DENIALS",
        "OVERRIDES",
        "OFFLINE",
    ];
    Section::new("devices", "Devices", &columns, 3).with_rows(rows.iter().map(|row| {
        let name = match (row.device_id, &row.name) {
            (_, Some(name)) => name.clone(),
            (Some(id), None) => id.to_string(),
            (None, None) => "(by hand)".to_owned(),
        };
        let numbers = [
            row.scans,
            row.entries,
            row.exits,
            row.denials,
            row.overrides,
            row.uploaded,
        ];
        let mut cells = vec![name, times.minute(row.first_at), times.minute(row.last_at)];
        cells.extend(numbers.map(|number| number.to_string()));
        cells
    }))
}

fn text(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

fn actor(by: &ReportedActor) -> String {
    match (&by.name, by.id) {
        (Some(name), _) => name.clone(),
        (None, Some(id)) => format!("{} {id}", by.kind),
        (None, None) => by.kind.to_string(),
    }
}
