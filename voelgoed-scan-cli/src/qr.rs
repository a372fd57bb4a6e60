//! How does a terminal show a QR code? Two rows of modules to a line, by half blocks.

use anstyle::{AnsiColor, Style};
use qrcode::{Color, EcLevel, QrCode};

use crate::failure::Failure;

/// The quiet zone that scanners want around a code, in modules. Two are enough for a camera that looks at a screen.
const QUIET: usize = 2;

/// Light modules on a dark ground, whatever the terminal's own colours are.
const LIGHT_ON_DARK: Style = Style::new()
    .fg_color(Some(anstyle::Color::Ansi(AnsiColor::BrightWhite)))
    .bg_color(Some(anstyle::Color::Ansi(AnsiColor::Black)));

/// The code of a text, for a terminal.
///
/// Without colours, the light modules are the ones that are drawn: right on the dark ground that most terminals have.
pub(crate) fn on_terminal(text: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| Failure::unfit("the payload", format!("makes no QR code: {error}")))?;
    let width = code.width();
    let modules = code.to_colors();
    let side = width + 2 * QUIET;
    let is_light = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|&at| at < width);
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => modules.get(y * width + x) != Some(&Color::Dark),
            _ => true,
        }
    };
    let lines: Vec<String> = (0..side)
        .step_by(2)
        .map(|y| {
            let blocks: String = (0..side)
                .map(|x| match (is_light(x, y), is_light(x, y + 1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                })
                .collect();
            format!("{LIGHT_ON_DARK}{blocks}{LIGHT_ON_DARK:#}")
        })
        .collect();
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_half_as_many_lines_as_modules_and_a_light_border() {
        let text = on_terminal("VG1.1.fO7PQD0HtpbJu1DB.VGtaswiiCdSvrK4-qZ36BQ").expect("a code");
        let text = anstream::adapter::strip_str(&text).to_string();
        let lines: Vec<_> = text.lines().collect();
        // Version 4 has 33 modules, and 2 of quiet zone on each side.
        assert_eq!(lines.len(), 19);
        assert!(lines.iter().all(|line| line.chars().count() == 37));
        assert!(lines[0].chars().all(|block| block == '█'));
    }
}
