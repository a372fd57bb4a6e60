//! How does a ticket look? Its payload as a QR code, level M, in the one version that its format has.
//!
//! Some payloads would fit a smaller version, by luck with their characters: printed tickets of one format are to have
//! one size.

use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode, Version};

/// The empty border that readers need around a code, in modules (ISO/IEC 18004).
const QUIET: usize = 4;

/// Pixels of a module's side in a PNG.
const SCALE: usize = 8;

/// A payload that no QR code was made of.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// It is longer than the largest QR code holds.
    #[error("the payload is too long for a QR code")]
    TooLong(#[from] qrcode::types::QrError),
    /// The picture could not be written.
    #[error("the picture could not be written")]
    Picture(#[from] png::EncodingError),
}

/// The version of a payload's format; nothing for a payload of another.
fn usual_version(payload: &str) -> Option<Version> {
    if payload.starts_with("VG1.") {
        Some(Version::Normal(4))
    } else if payload.starts_with("VG2.") {
        Some(Version::Normal(8))
    } else {
        None
    }
}

fn code(payload: &str) -> Result<QrCode, QrError> {
    let usual =
        usual_version(payload).and_then(|version| QrCode::with_version(payload, version, EcLevel::M).ok());
    match usual {
        Some(code) => Ok(code),
        // A payload with a long key name, or of another format: the smallest that holds it.
        None => Ok(QrCode::with_error_correction_level(payload, EcLevel::M)?),
    }
}

/// The QR code of a payload as an SVG document.
pub fn svg(payload: &str) -> Result<String, QrError> {
    Ok(code(payload)?
        .render::<svg::Color<'_>>()
        .quiet_zone(true)
        .module_dimensions(8, 8)
        .build())
}

/// The QR code of a payload as a PNG picture, black on white, eight pixels a module.
pub fn png(payload: &str) -> Result<Vec<u8>, QrError> {
    let code = code(payload)?;
    let width = code.width();
    let side = width + 2 * QUIET;
    let modules = code.into_colors();
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|&at| at < width);
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => modules.get(y * width + x) == Some(&Color::Dark),
            _ => false,
        }
    };
    let pixels = side * SCALE;
    let mut picture = Vec::with_capacity(pixels * pixels);
    for y in 0..pixels {
        picture.extend((0..pixels).map(|x| if is_dark(x / SCALE, y / SCALE) { 0 } else { 255 }));
    }
    let mut file = Vec::new();
    // A QR code has at most 177 modules a side.
    let size = u32::try_from(pixels).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut file, size, size);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&picture)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VG1: &str = "VG1.1.3KQR7F924M1XaB0z.VGtaswiiCdSvrK4-qZ36BQ";

    #[test]
    fn payloads_fit_the_versions_of_the_contract() {
        let version = |payload: &str| code(payload).expect("a code").version();
        assert_eq!(version(VG1), Version::Normal(4));
        let vg2 = |length: usize| format!("VG2.{}", "x".repeat(length - 4));
        assert_eq!(version(&vg2(147)), Version::Normal(8));
        assert_eq!(version(&vg2(152)), Version::Normal(8));
        assert_eq!(version(&vg2(154)), Version::Normal(9));
    }

    #[test]
    fn a_picture_is_a_png_of_eight_pixels_a_module() {
        let file = png(VG1).expect("a picture");
        let reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .expect("a PNG");
        assert_eq!((reader.info().width, reader.info().height), (41 * 8, 41 * 8));
    }

    #[test]
    fn a_drawing_is_svg_and_what_is_too_long_is_none() {
        assert!(svg(VG1).expect("a drawing").contains("<svg"));
        assert!(matches!(svg(&"x".repeat(3000)), Err(QrError::TooLong(_))));
    }
}
