//! Draws QR codes in a terminal. Half-block characters show two rows of modules on one line.

use anstyle::{AnsiColor, Style};
use qrcode::{Color, EcLevel, QrCode};

use crate::failure::Failure;

/// The width of the light border around a code, in modules. Two are enough for a camera in front of a screen.
const QUIET_ZONE: usize = 2;

/// Light modules on a dark background, independent of the terminal's own colours.
const LIGHT_ON_DARK: Style = Style::new()
    .fg_color(Some(anstyle::Color::Ansi(AnsiColor::BrightWhite)))
    .bg_color(Some(anstyle::Color::Ansi(AnsiColor::Black)));

/// The QR code of `text`, as lines for a terminal. Fails where the text is too long for a QR code.
///
/// Without colours only the light modules are drawn, which is right on the dark background of most terminals.
pub(crate) fn render_terminal(text: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| Failure::invalid("the payload", format!("makes no QR code: {error}")))?;
    let width = code.width();
    let modules = code.to_colors();
    let side = width + 2 * QUIET_ZONE;
    let is_light = |x: usize, y: usize| {
        let module = |at: usize| at.checked_sub(QUIET_ZONE).filter(|&at| at < width);
        match (module(x), module(y)) {
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
    fn a_line_shows_two_rows_of_modules_inside_a_light_border() {
        let text = render_terminal("VG1.1.fO7PQD0HtpbJu1DB.VGtaswiiCdSvrK4-qZ36BQ").expect("a code");
        let text = anstream::adapter::strip_str(&text).to_string();
        let lines: Vec<_> = text.lines().collect();
        // Version 4 has 33 modules, plus 2 of quiet zone on each side.
        assert_eq!(lines.len(), 19);
        assert!(lines.iter().all(|line| line.chars().count() == 37));
        assert!(lines[0].chars().all(|block| block == '█'));
    }
}
