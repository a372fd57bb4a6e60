//! `messages`: lists the texts that stewards see, and replaces them by the organization's own.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::Serialize;
use voelgoed_scan_core::model::{
    CustomMessages, CustomMessagesPatch, Language, MessageText, Reason, ScanResult,
};

use super::value_parsers::variant;
use crate::client::Client;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Report, TableRow};

const PATH: &str = "/api/v1/organization/messages";

/// The arguments of `messages`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Without a credential it lists the texts of this program and needs no server. With one it asks the server for the texts
of the organization too.

Examples:
  voelgoed-scan messages --lang nl
  voelgoed-scan messages --lang af --output json | jq -r '[.reason, .message] | @tsv'
  voelgoed-scan messages set gate_full 'Please use gate B' --lang en
  voelgoed-scan messages reset gate_full --lang en")]
pub(crate) struct Messages {
    #[command(subcommand)]
    command: Option<MessagesCommand>,
    #[command(flatten)]
    language: LanguageArgument,
}

/// The option that names a language.
#[derive(Debug, Args)]
struct LanguageArgument {
    /// The language of the texts
    #[arg(long, value_parser = variant::<Language>(Language::STRINGS), default_value = Language::English.as_str())]
    lang: Language,
}

/// The subcommands of `messages`.
#[derive(Debug, Subcommand)]
enum MessagesCommand {
    /// Replace the text of a reason by the organization's own
    #[command(after_help = "\
Examples:
  voelgoed-scan messages set gate_full 'Please use gate B' --lang en
  voelgoed-scan messages set admitted 'Welkom' --lang nl")]
    Set(Set),
    /// Take the organization's own text of a reason back
    #[command(after_help = "\
Examples:
  voelgoed-scan messages reset gate_full --lang en")]
    Reset(Reset),
}

/// The arguments of `messages set`.
#[derive(Debug, Args)]
struct Set {
    /// The reason
    #[arg(value_parser = variant::<Reason>(Reason::STRINGS), hide_possible_values = true)]
    reason: Reason,
    /// The text, of at most 120 characters
    text: MessageText,
    #[command(flatten)]
    language: LanguageArgument,
}

/// The arguments of `messages reset`.
#[derive(Debug, Args)]
struct Reset {
    /// The reason
    #[arg(value_parser = variant::<Reason>(Reason::STRINGS), hide_possible_values = true)]
    reason: Reason,
    #[command(flatten)]
    language: LanguageArgument,
}

impl Messages {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        let client = context.client()?;
        match self.command {
            Some(MessagesCommand::Set(set)) => {
                change(&client, set.language.lang, set.reason, Some(set.text)).await
            }
            Some(MessagesCommand::Reset(reset)) => {
                change(&client, reset.language.lang, reset.reason, None).await
            }
            None => {
                let messages = if client.token_prefix().is_some() {
                    client.get(PATH).await?
                } else {
                    CustomMessages::default()
                };
                let texts = Reason::ALL
                    .iter()
                    .map(|reason| Message::of(&messages, self.language.lang, *reason));
                Report::list(&texts.collect::<Vec<_>>())
            }
        }
    }
}

/// Replaces one text, or takes it back, and shows what stewards see then.
async fn change(
    client: &Client,
    language: Language,
    reason: Reason,
    text: Option<MessageText>,
) -> Result<Report, Failure> {
    let patch = CustomMessagesPatch::of(language, reason, text);
    let messages: CustomMessages = client.put(PATH, &patch).await?;
    Report::list(&[Message::of(&messages, language, reason)])
}

/// The text of a reason, as a line of the output.
#[derive(Serialize)]
struct Message {
    language: Language,
    result: ScanResult,
    reason: Reason,
    message: String,
    /// Whether it is the organization's own text.
    custom: bool,
}

impl Message {
    fn of(messages: &CustomMessages, language: Language, reason: Reason) -> Self {
        Self {
            language,
            result: reason.result(),
            reason,
            message: messages.message(language, reason).to_owned(),
            custom: messages.custom(language, reason).is_some(),
        }
    }
}

impl TableRow for Message {
    const COLUMNS: &'static [&'static str] = &["RESULT", "REASON", "MESSAGE", "OWN"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.result),
            Cell::new(self.reason),
            Cell::new(&self.message),
            Cell::new(if self.custom { "yes" } else { "-" }),
        ]
    }
}
