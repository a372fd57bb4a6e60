//! `ticket qr`: draws the QR code of a ticket, in the terminal or as a file.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use voelgoed_scan_core::model::{KeyFormat, TicketCode};

use super::super::value_parsers::variant;
use super::TicketArgs;
use crate::args::OutputFormat;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Report, TextStyle, styled};
use crate::qr;

/// The arguments of `ticket qr`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voelgoed-scan ticket qr 3KQR-7F92-4M1X-aB0z --event EVENT
  voelgoed-scan ticket qr 3KQR7F924M1XaB0z --event EVENT --as png --file ticket.png
  voelgoed-scan ticket qr 3KQR7F924M1XaB0z --event EVENT --as text --format vg2")]
pub(crate) struct Qr {
    /// The ticket
    #[command(flatten)]
    ticket: TicketArgs,
    /// Format of the payload: vg1 is small, vg2 can be verified with a public key
    #[arg(long, default_value = "vg1", value_parser = variant::<KeyFormat>(KeyFormat::STRINGS))]
    format: KeyFormat,
    /// Format of the drawing
    #[arg(long = "as", value_enum, default_value_t = Drawing::Terminal)]
    drawing: Drawing,
    /// Write it to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The formats of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Drawing {
    /// Block characters, for this terminal
    Terminal,
    /// The payload itself
    Text,
    /// Scalable Vector Graphics
    Svg,
    /// Portable Network Graphics
    Png,
}

/// A payload in JSON output.
#[derive(Serialize)]
struct SignedPayload {
    code: TicketCode,
    format: KeyFormat,
    qr: String,
}

/// A file that was written.
#[derive(Serialize)]
struct WrittenFile {
    code: TicketCode,
    format: KeyFormat,
    file: PathBuf,
}

impl Qr {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let requested = match self.drawing {
            Drawing::Terminal | Drawing::Text => "text",
            Drawing::Svg => "svg",
            Drawing::Png => "png",
        };
        if self.drawing == Drawing::Png && self.file.is_none() && std::io::stdout().is_terminal() {
            return Err(Failure::Usage {
                reason: "a terminal cannot show a PNG".to_owned(),
                hint: "write it to a file: --file ticket.png",
            });
        }
        let (code, format) = (self.ticket.code, self.format);
        let client = context.client()?;
        let ticket = self.ticket.path(&client).await?;
        let path = format!("{ticket}/qr?format={format}&as={requested}");
        let mut bytes = client.get_bytes(&path).await?;
        let payload = || String::from_utf8_lossy(&bytes).trim_ascii().to_owned();
        let text = match self.drawing {
            Drawing::Terminal => Some(format!(
                "{}\n{}",
                qr::render_terminal(&payload())?,
                styled(TextStyle::Dim, &code.grouped())
            )),
            Drawing::Text => Some(payload()),
            Drawing::Svg | Drawing::Png => None,
        };
        if let Some(file) = self.file {
            if let Some(text) = text {
                bytes = (anstream::adapter::strip_str(&text).to_string() + "\n").into();
            }
            tokio::fs::write(&file, &bytes)
                .await
                .map_err(|error| Failure::file(&file, error))?;
            return Report::object(&WrittenFile { code, format, file });
        }
        match text {
            Some(text) => Report::one(
                &SignedPayload {
                    code,
                    format,
                    qr: payload(),
                },
                text,
            ),
            None if context.output == OutputFormat::Json => Err(Failure::Usage {
                reason: "a picture cannot be JSON".to_owned(),
                hint: "write it to a file with --file, or use --as text",
            }),
            None => Ok(Report::bytes(bytes)),
        }
    }
}
