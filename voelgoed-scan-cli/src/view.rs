//! How tables show ids, times and ticket codes. JSON always has the ids, UTC, and the codes that the server sent.

use std::fmt::Display;

use jiff::tz::TimeZone;
use voelgoed_scan_core::model::Timestamp;

use crate::client::Client;
use crate::failure::Failure;

/// How many characters of a masked code are shown.
const SHOWN_OF_CODE: usize = 4;

/// How tables show ids, times and ticket codes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct View {
    /// Ids in place of names.
    pub(crate) ids: bool,
    /// UTC in place of the event's time zone.
    pub(crate) utc: bool,
    /// Whole ticket codes.
    pub(crate) codes: bool,
}

impl View {
    /// The name of what has an id, or the id.
    pub(crate) fn name(self, id: impl Display, name: Option<&str>) -> String {
        match name.filter(|_| !self.ids) {
            Some(name) => name.to_owned(),
            None => id.to_string(),
        }
    }

    /// A time in a time zone, to the second. In UTC where the zone is not known.
    pub(crate) fn time(self, at: Timestamp, zone: Option<&TimeZone>) -> String {
        let zone = zone.filter(|_| !self.utc);
        let local = zone.and_then(|zone| {
            let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
            Some(
                at.to_zoned(zone.clone())
                    .strftime("%Y-%m-%d %H:%M:%S")
                    .to_string(),
            )
        });
        local.unwrap_or_else(|| at.to_string())
    }

    /// A ticket code, masked but for its last four characters unless whole codes are wanted.
    pub(crate) fn code(self, code: impl Display) -> String {
        let code = code.to_string();
        if self.codes {
            return code;
        }
        let hidden = code.chars().count().saturating_sub(SHOWN_OF_CODE);
        let shown = code.chars().skip(hidden);
        std::iter::repeat_n('•', hidden).chain(shown).collect()
    }

    /// Fails where whole codes are wanted and the caller is neither owner nor admin.
    pub(crate) async fn check_codes(self, client: &Client) -> Result<(), Failure> {
        if self.codes {
            // Owner and admin may list webhooks, and nobody else.
            client
                .get::<serde_json::Value>("/api/v1/webhooks?limit=1")
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_masked_but_for_their_last_four_characters() {
        let view = View::default();
        assert_eq!(view.code("3KQR7F924M1XaB0z"), "••••••••••••aB0z");
        let whole = View { codes: true, ..view };
        assert_eq!(whole.code("3KQR7F924M1XaB0z"), "3KQR7F924M1XaB0z");
    }

    #[test]
    fn times_are_shown_in_the_zone_of_the_event_unless_utc_is_wanted() {
        let at: Timestamp = "2026-11-29T17:00:05.120Z".parse().expect("a time");
        let zone = "Africa/Johannesburg"
            .parse()
            .ok()
            .and_then(|name: voelgoed_scan_core::model::TimeZoneName| name.zone());
        let view = View::default();
        assert_eq!(view.time(at, zone.as_ref()), "2026-11-29 19:00:05");
        let utc = View { utc: true, ..view };
        assert_eq!(utc.time(at, zone.as_ref()), "2026-11-29T17:00:05.120Z");
        assert_eq!(view.time(at, None), "2026-11-29T17:00:05.120Z");
    }

    #[test]
    fn names_stand_for_ids_unless_ids_are_wanted() {
        let view = View::default();
        assert_eq!(view.name(7, Some("Main")), "Main");
        assert_eq!(view.name(7, None), "7");
        assert_eq!(View { ids: true, ..view }.name(7, Some("Main")), "7");
    }
}
