//! Draws the dashboard.
//!
//! Invariant: everything is dimmed while there is no connection, with the time at which the figures were right.

#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Row, Sparkline, Table};
use voelgoed_scan_core::model::{
    DeviceState, GateStatus, PlaceCount, ResultCounts, ScanRecord, ScanResult, Timestamp,
};

use super::dashboard::{Dashboard, INTERVAL_MILLIS};

/// The width of a bar, in characters.
const BAR: usize = 20;

/// How much of the battery is little.
const LOW_BATTERY: f64 = 0.2;

/// Draws all of it.
pub(super) fn render(frame: &mut Frame<'_>, dashboard: &Dashboard, now: Timestamp) {
    let gates = dashboard.occupancy.as_ref().map_or(0, |all| all.gates.len());
    let gates = u16::try_from(gates).unwrap_or(u16::MAX).clamp(3, 12) + 2;
    let signals = u16::try_from(dashboard.signals.len()).unwrap_or(0);
    let [head, signal_area, top, middle, scans, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(signals),
        Constraint::Length(gates),
        Constraint::Length(8),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    render_head(frame, head, dashboard);
    render_signals(frame, signal_area, dashboard);
    let [gate_area, rate_area] =
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(top);
    render_gates(frame, gate_area, dashboard);
    render_rate(frame, rate_area, dashboard);
    let [denial_area, device_area] =
        Layout::horizontal([Constraint::Percentage(40), Constraint::Percentage(60)]).areas(middle);
    render_denials(frame, denial_area, dashboard);
    render_devices(frame, device_area, dashboard, now);
    render_scans(frame, scans, dashboard);
    frame.render_widget(
        Line::from(" q quit   ↑ ↓ PgUp PgDn scroll   Home newest").dim(),
        foot,
    );
    if !dashboard.is_connected {
        let everything = frame.area();
        frame
            .buffer_mut()
            .set_style(everything, Style::new().add_modifier(Modifier::DIM));
    }
}

fn render_head(frame: &mut Frame<'_>, area: Rect, dashboard: &Dashboard) {
    let inside = dashboard.occupancy.as_ref().map_or_else(
        || "waiting for the first figures".to_owned(),
        |occupancy| format!("inside {}", count(&occupancy.event)),
    );
    let state = if dashboard.is_connected {
        Span::from("● live").green()
    } else {
        let at = dashboard.clock(dashboard.heard_at);
        Span::from(format!("○ no connection, as of {at}")).red()
    };
    frame.render_widget(
        Line::from(vec![
            Span::from(format!(" {} ", dashboard.event_name)).bold(),
            Span::from(format!("({})   ", dashboard.event_status)),
            Span::from(format!("{inside}   ")).bold(),
            state,
        ]),
        area,
    );
}

fn render_signals(frame: &mut Frame<'_>, area: Rect, dashboard: &Dashboard) {
    let lines: Vec<Line<'_>> = dashboard
        .signals
        .iter()
        .map(|signal| Line::from(format!(" ! {signal}")).yellow())
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// The people inside, and the capacity where there is one.
fn count(count: &PlaceCount) -> String {
    match count.capacity {
        Some(capacity) => format!("{} of {capacity}", count.inside),
        None => count.inside.to_string(),
    }
}

fn render_gates(frame: &mut Frame<'_>, area: Rect, dashboard: &Dashboard) {
    let gates = dashboard.occupancy.as_ref().map(|occupancy| &occupancy.gates);
    // Without a capacity a bar shows the share of the fullest gate.
    let fullest = gates
        .into_iter()
        .flatten()
        .map(|gate| gate.count.inside)
        .max()
        .unwrap_or(0)
        .max(1);
    let rows = gates.into_iter().flatten().map(|gate| {
        let whole = gate.count.capacity.map_or(fullest, i64::from);
        let is_closed = dashboard.gate_statuses.get(&gate.id) == Some(&GateStatus::Closed);
        let status = if is_closed {
            Span::from("closed").red()
        } else {
            Span::from("open").green()
        };
        let is_full = gate.count.capacity.is_some() && gate.count.inside >= whole;
        let color = if is_full { Color::Red } else { Color::Cyan };
        Row::new([
            Line::from(gate.name.to_string()),
            Line::from(status),
            Line::from(bar(gate.count.inside, whole)).fg(color),
            Line::from(count(&gate.count)),
        ])
    });
    let bar_width = u16::try_from(BAR).unwrap_or(0);
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(bar_width),
        Constraint::Length(14),
    ];
    frame.render_widget(
        Table::new(rows, widths).block(Block::bordered().title(" Gates ")),
        area,
    );
}

/// A bar of full and empty blocks.
fn bar(part: i64, whole: i64) -> String {
    let filled = if whole <= 0 {
        BAR
    } else {
        let width = i64::try_from(BAR).unwrap_or(0);
        usize::try_from((part.clamp(0, whole) * width + whole / 2) / whole).unwrap_or(0)
    };
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

fn render_rate(frame: &mut Frame<'_>, area: Rect, dashboard: &Dashboard) {
    let a_minute = dashboard
        .occupancy
        .as_ref()
        .map_or(0, |occupancy| occupancy.scans_per_minute);
    let title = format!(" {a_minute} scans a minute ");
    let seconds = INTERVAL_MILLIS / 1000;
    let block = Block::bordered()
        .title(title)
        .title_bottom(format!(" one column is {seconds} s "));
    // The latest intervals, so that the sparkline ends with now.
    let width = usize::from(area.width.saturating_sub(2));
    let skipped = dashboard.rate.len().saturating_sub(width);
    let shown: Vec<u64> = dashboard.rate.iter().skip(skipped).copied().collect();
    frame.render_widget(
        Sparkline::default()
            .data(shown)
            .style(Style::new().fg(Color::Cyan))
            .block(block),
        area,
    );
}

fn render_denials(frame: &mut Frame<'_>, area: Rect, dashboard: &Dashboard) {
    let results = dashboard
        .occupancy
        .as_ref()
        .map_or_else(ResultCounts::default, |occupancy| occupancy.results);
    let denied = results.duplicate
        + results.invalid_token
        + results.wrong_event
        + results.wrong_gate
        + results.refused;
    let title = format!(" {denied} denials, {} valid ", results.valid);
    let totals = [
        ("duplicate", results.duplicate),
        ("invalid_token", results.invalid_token),
        ("wrong_event", results.wrong_event),
        ("wrong_gate", results.wrong_gate),
        ("refused", results.refused),
    ];
    let mut lines: Vec<Line<'_>> = totals
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| Line::from(format!("{count:>6} {name}")).red())
        .collect();
    let reasons = dashboard.denials();
    if let Some((reason, count)) = reasons.first() {
        let scans = dashboard.scans.len();
        lines.push(Line::from(format!("       of the last {scans}: {count} {reason}")).dim());
    }
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), area);
}

fn render_devices(frame: &mut Frame<'_>, area: Rect, dashboard: &Dashboard, now: Timestamp) {
    let state_of = |index: usize| DeviceState::at(dashboard.devices[index].last_seen_at, now);
    let mut order: Vec<usize> = (0..dashboard.devices.len()).collect();
    // What needs somebody comes first.
    order.sort_by_key(|&index| match state_of(index) {
        DeviceState::Silent => 0,
        DeviceState::Idle => 1,
        DeviceState::Online => 2,
        DeviceState::Never => 3,
    });
    let online = order
        .iter()
        .filter(|&&index| state_of(index) == DeviceState::Online)
        .count();
    let title = format!(" {online} of {} devices online ", order.len());
    let rows = order.into_iter().map(|index| {
        let device = &dashboard.devices[index];
        let state = state_of(index);
        let color = match state {
            DeviceState::Online => Color::Green,
            DeviceState::Idle => Color::Yellow,
            DeviceState::Silent => Color::Red,
            DeviceState::Never => Color::DarkGray,
        };
        let battery = device.battery.map_or_else(
            || Line::from("-"),
            |battery| {
                let line = Line::from(format!("{:.0} %", battery * 100.0));
                if battery < LOW_BATTERY { line.red() } else { line }
            },
        );
        let waiting = device.waiting.unwrap_or(0);
        Row::new([
            Line::from(device.name.to_string()),
            Line::from(state.to_string()).fg(color),
            battery,
            Line::from(if waiting > 0 {
                format!("{waiting} waiting")
            } else {
                String::new()
            })
            .yellow(),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(13),
    ];
    frame.render_widget(
        Table::new(rows, widths).block(Block::bordered().title(title)),
        area,
    );
}

fn render_scans(frame: &mut Frame<'_>, area: Rect, dashboard: &Dashboard) {
    let rows = dashboard
        .scans
        .iter()
        .skip(dashboard.scroll)
        .take(usize::from(area.height))
        .map(|scan| scan_row(scan, dashboard));
    let title = if dashboard.scroll > 0 {
        format!(" Last scans, {} newer above ", dashboard.scroll)
    } else {
        " Last scans ".to_owned()
    };
    let widths = [
        Constraint::Length(8),
        Constraint::Length(15),
        Constraint::Length(22),
        Constraint::Length(5),
        Constraint::Length(6),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ];
    frame.render_widget(
        Table::new(rows, widths).block(Block::bordered().title(title)),
        area,
    );
}

fn scan_row(scan: &ScanRecord, dashboard: &Dashboard) -> Row<'static> {
    let is_valid = scan.result == ScanResult::Valid;
    let (mark, color) = if is_valid {
        ("✔", Color::Green)
    } else {
        ("✘", Color::Red)
    };
    let reason = if scan.undone.is_some() {
        format!("{} (undone)", scan.reason)
    } else {
        scan.reason.to_string()
    };
    // A code admits its bearer where codes may be typed, and other people see this screen.
    let code = scan.ticket_code.map_or_else(
        || "-".to_owned(),
        |code| {
            let code = code.to_string();
            let end: String = code
                .chars()
                .skip(code.chars().count().saturating_sub(4))
                .collect();
            format!("…{end}")
        },
    );
    Row::new([
        Line::from(dashboard.clock(scan.scanned_at)).dim(),
        Line::from(format!("{mark} {}", scan.result)).fg(color),
        Line::from(reason),
        Line::from(scan.direction.to_string()),
        Line::from(code),
        Line::from(dashboard.gate_name(scan.gate_id)),
        Line::from(dashboard.device_name(scan.device_id)),
    ])
}
