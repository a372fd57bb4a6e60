//! `ticket qr`: what the holder shows at the gate.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use voelgoed_scan_core::model::{KeyFormat, TicketCode};

use super::super::typed::word;
use super::Which;
use crate::args::Form;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::output::{Report, Tone, paint};
use crate::qr;

/// What `ticket qr` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voelgoed-scan ticket qr 3KQR-7F92-4M1X-aB0z --event EVENT
  voelgoed-scan ticket qr 3KQR7F924M1XaB0z --event EVENT --as png --file ticket.png
  voelgoed-scan ticket qr 3KQR7F924M1XaB0z --event EVENT --as text --format vg2")]
pub(crate) struct Qr {
    /// Which ticket
    #[command(flatten)]
    which: Which,
    /// What signs it: vg1 is small, vg2 can be verified offline
    #[arg(long, default_value = "vg1", value_parser = word::<KeyFormat>(KeyFormat::STRINGS))]
    format: KeyFormat,
    /// What is drawn
    #[arg(long = "as", value_enum, default_value_t = Drawn::Terminal)]
    form: Drawn,
    /// Write it into this file instead of standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Drawn {
    /// Blocks, for this terminal
    Terminal,
    /// The payload itself
    Text,
    /// Scalable Vector Graphics
    Svg,
    /// Portable Network Graphics
    Png,
}

#[derive(Serialize)]
struct Signed {
    code: TicketCode,
    format: KeyFormat,
    qr: String,
}

#[derive(Serialize)]
struct Written {
    code: TicketCode,
    format: KeyFormat,
    file: PathBuf,
}

impl Qr {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let wanted = match self.form {
            Drawn::Terminal | Drawn::Text => "text",
            Drawn::Svg => "svg",
            Drawn::Png => "png",
        };
        if self.form == Drawn::Png && self.file.is_none() && std::io::stdout().is_terminal() {
            return Err(Failure::Usage {
                reason: "a PNG is nothing for a terminal".to_owned(),
                hint: "write it into a file: --file ticket.png",
            });
        }
        let (code, format) = (self.which.code, self.format);
        let path = format!("{}/qr?format={format}&as={wanted}", self.which.path());
        let mut bytes = desk.client()?.file(&path).await?;
        let payload = || String::from_utf8_lossy(&bytes).trim_ascii().to_owned();
        let drawn = match self.form {
            Drawn::Terminal => Some(format!(
                "{}\n{}",
                qr::on_terminal(&payload())?,
                paint(Tone::Faint, &code.grouped())
            )),
            Drawn::Text => Some(payload()),
            Drawn::Svg | Drawn::Png => None,
        };
        if let Some(file) = self.file {
            if let Some(drawn) = drawn {
                bytes = (anstream::adapter::strip_str(&drawn).to_string() + "\n").into();
            }
            tokio::fs::write(&file, &bytes)
                .await
                .map_err(|error| Failure::File {
                    path: file.clone(),
                    error,
                })?;
            return Report::card(&Written { code, format, file });
        }
        match drawn {
            Some(text) => Report::one(
                &Signed {
                    code,
                    format,
                    qr: payload(),
                },
                text,
            ),
            // A picture is not JSON: its payload is.
            None if desk.form == Form::Json => Err(Failure::Usage {
                reason: "a picture is not JSON".to_owned(),
                hint: "write it into a file with --file, or take --as text",
            }),
            None => Ok(Report::bytes(bytes)),
        }
    }
}
