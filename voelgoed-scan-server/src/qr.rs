//! QR codes of ticket payloads, with error correction level M.
//!
//! Each payload format has a fixed QR version, so that all printed tickets of a format have the same size. Some payloads
//! would fit a smaller version, because their characters encode compactly.

use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode, Version};

/// The width of the quiet zone around a code, in modules (ISO/IEC 18004).
const QUIET_ZONE: usize = 4;

/// The side of a module in a PNG, in pixels.
const MODULE_PIXELS: usize = 8;

/// A payload could not be rendered as a QR code.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// The payload exceeds the capacity of the largest QR code.
    #[error("the payload is too long for a QR code")]
    TooLong(#[from] qrcode::types::QrError),
    /// The PNG image could not be encoded.
    #[error("the PNG image could not be encoded")]
    Png(#[from] png::EncodingError),
}

/// The fixed QR version of the payload's format; `None` for an unknown format.
fn fixed_version(payload: &str) -> Option<Version> {
    if payload.starts_with("VG1.") {
        Some(Version::Normal(4))
    } else if payload.starts_with("VG2.") {
        Some(Version::Normal(8))
    } else {
        None
    }
}

fn code(payload: &str) -> Result<QrCode, QrError> {
    let fixed =
        fixed_version(payload).and_then(|version| QrCode::with_version(payload, version, EcLevel::M).ok());
    match fixed {
        Some(code) => Ok(code),
        // A payload with a long key name or of an unknown format gets the smallest version that fits.
        None => Ok(QrCode::with_error_correction_level(payload, EcLevel::M)?),
    }
}

/// Renders a payload as a QR code in SVG.
pub fn svg(payload: &str) -> Result<String, QrError> {
    Ok(code(payload)?
        .render::<svg::Color<'_>>()
        .quiet_zone(true)
        .module_dimensions(8, 8)
        .build())
}

/// Renders a payload as a QR code in PNG, black on white, with eight pixels per module.
pub fn png(payload: &str) -> Result<Vec<u8>, QrError> {
    let code = code(payload)?;
    let width = code.width();
    let side = width + 2 * QUIET_ZONE;
    let modules = code.into_colors();
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QUIET_ZONE).filter(|&at| at < width);
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => modules.get(y * width + x) == Some(&Color::Dark),
            _ => false,
        }
    };
    let pixels = side * MODULE_PIXELS;
    let mut image = Vec::with_capacity(pixels * pixels);
    for y in 0..pixels {
        image.extend((0..pixels).map(|x| {
            if is_dark(x / MODULE_PIXELS, y / MODULE_PIXELS) {
                0
            } else {
                255
            }
        }));
    }
    let mut file = Vec::new();
    // A QR code has at most 177 modules per side.
    let size = u32::try_from(pixels).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut file, size, size);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&image)?;
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
    fn a_png_has_eight_pixels_per_module() {
        let file = png(VG1).expect("an image");
        let reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .expect("a PNG");
        assert_eq!((reader.info().width, reader.info().height), (41 * 8, 41 * 8));
    }

    #[test]
    fn an_svg_is_rendered_and_a_payload_that_is_too_long_is_an_error() {
        assert!(svg(VG1).expect("an image").contains("<svg"));
        assert!(matches!(svg(&"x".repeat(3000)), Err(QrError::TooLong(_))));
    }
}
