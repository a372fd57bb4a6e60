//! Chooses the one of several that a text means.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use uuid::Uuid;

use crate::failure::Failure;

/// How many characters of a UUID are enough to name it by its start or its end.
const MIN_PART: usize = 4;

/// How many near names a failure shows.
const MAX_NEAR: usize = 3;

/// How similar a name is to the text at least, from 0 to 1, to be a near one.
const NEAR: f64 = 0.5;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event.
    Event,
    /// A gate.
    Gate,
    /// A device.
    Device,
    /// A session.
    Session,
}

impl Kind {
    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Gate => "gate",
            Self::Device => "device",
            Self::Session => "session",
        }
    }

    /// How to see them all.
    pub(crate) const fn list(self) -> &'static str {
        match self {
            Self::Event => "`voelgoed-scan event list` shows them all",
            Self::Gate => "`voelgoed-scan gate list --event EVENT` shows them all",
            Self::Device => "`voelgoed-scan device list` shows them all",
            Self::Session => "`voelgoed-scan session list` shows them all",
        }
    }
}

/// One of those that a text may mean.
#[derive(Debug, Clone)]
pub(super) struct Candidate<T> {
    /// Its id.
    pub(super) id: Uuid,
    /// Its names and codes, each of which names it.
    pub(super) names: Vec<String>,
    /// What else tells it from others with the same name.
    pub(super) about: String,
    /// What is returned for it.
    pub(super) value: T,
}

impl<T> Candidate<T> {
    /// The line of a failure that lists it.
    fn line(&self) -> String {
        match self.names.first() {
            Some(name) => format!("{}  {name} ({})", self.id, self.about),
            None => format!("{}  {}", self.id, self.about),
        }
    }
}

/// A text in the form in which names are compared: without case, accents and outer blanks.
pub(crate) fn fold(text: &str) -> String {
    let unaccented: String = text
        .trim()
        .nfkd()
        .filter(|one| !is_combining_mark(*one))
        .collect();
    unaccented.to_lowercase()
}

/// Whether the text is the start or the end of an id, with or without its hyphens.
fn is_part_of(text: &str, id: Uuid) -> bool {
    let text = text.to_ascii_lowercase();
    let is_part = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let fits = |id: String| id.starts_with(&text) || id.ends_with(&text);
    is_part && text.len() >= MIN_PART && (fits(id.hyphenated().to_string()) || fits(id.simple().to_string()))
}

/// The one candidate that the text means. Fails where it is none, or one of several.
pub(super) fn choose<T>(kind: Kind, text: &str, candidates: Vec<Candidate<T>>) -> Result<T, Failure> {
    let wanted = fold(text);
    let has_name = |one: &Candidate<T>| one.names.iter().any(|name| fold(name) == wanted);
    let (mut fitting, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(has_name);
    let mut rest = others;
    if fitting.is_empty() {
        (fitting, rest) = rest.into_iter().partition(|one| is_part_of(text, one.id));
    }
    if fitting.len() > 1 {
        return Err(Failure::Ambiguous {
            kind: kind.word(),
            name: text.to_owned(),
            found: fitting.iter().map(Candidate::line).collect(),
        });
    }
    fitting
        .pop()
        .map(|one| one.value)
        .ok_or_else(|| Failure::NoSuchName {
            kind: kind.word(),
            name: text.to_owned(),
            near: near(&wanted, &rest),
            hint: kind.list(),
        })
}

/// The names that are most like the text.
fn near<T>(wanted: &str, candidates: &[Candidate<T>]) -> Vec<String> {
    let mut found: Vec<(f64, &str)> = candidates
        .iter()
        .flat_map(|one| &one.names)
        .map(|name| {
            let folded = fold(name);
            let similarity = strsim::normalized_damerau_levenshtein(wanted, &folded);
            let contains = !wanted.is_empty() && folded.contains(wanted);
            (
                if contains {
                    similarity.max(NEAR)
                } else {
                    similarity
                },
                name.as_str(),
            )
        })
        .filter(|(similarity, _)| *similarity >= NEAR)
        .collect();
    found.sort_by(|(a, name_a), (b, name_b)| b.total_cmp(a).then(name_a.cmp(name_b)));
    found.dedup_by(|(_, a), (_, b)| a == b);
    found
        .into_iter()
        .take(MAX_NEAR)
        .map(|(_, name)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHT: u128 = 0x0192_f0c1_7a4e_7000_8000_0000_0000_ab01;
    const DAY: u128 = 0x0192_f0c1_7a4e_7000_8000_0000_0000_cd02;
    const NAMED_LIKE_A_PART: u128 = 0x1111_2222_3333_4444_8555_6666_7777_8888;

    fn candidates() -> Vec<Candidate<u128>> {
        let candidate = |id: u128, names: &[&str]| Candidate {
            id: Uuid::from_u128(id),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            about: "live".to_owned(),
            value: id,
        };
        vec![
            candidate(NIGHT, &["Café Été", "N"]),
            candidate(DAY, &["Summer Day"]),
            candidate(NAMED_LIKE_A_PART, &["ab01"]),
            candidate(4, &["Twin"]),
            candidate(5, &["TWIN"]),
        ]
    }

    fn chosen(text: &str) -> Result<u128, Failure> {
        choose(Kind::Event, text, candidates())
    }

    #[test]
    fn a_name_counts_without_case_and_accents_and_wins_over_a_part() {
        for (text, id) in [
            ("Café Été", NIGHT),
            ("cafe ete", NIGHT),
            ("CAFE\u{301} E\u{301}TE\u{301}", NIGHT),
            ("n", NIGHT),
            ("summer day ", DAY),
            ("ab01", NAMED_LIKE_A_PART),
            ("cd02", DAY),
            ("CD02", DAY),
            ("00000000cd02", DAY),
            ("11112222", NAMED_LIKE_A_PART),
            ("11112222-3333", NAMED_LIKE_A_PART),
        ] {
            assert_eq!(chosen(text).ok(), Some(id), "{text}");
        }
    }

    #[test]
    fn two_that_fit_are_both_listed() {
        for (text, ids) in [("twin", [4, 5]), ("0192", [NIGHT, DAY])] {
            match chosen(text) {
                Err(Failure::Ambiguous { found, .. }) => {
                    assert_eq!(found.len(), 2, "{found:?}");
                    for (line, id) in found.iter().zip(ids) {
                        assert!(line.starts_with(&Uuid::from_u128(id).to_string()), "{line}");
                    }
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn nothing_fits_a_short_part_and_near_names_are_told() {
        for (text, near) in [
            ("d02", &[][..]),
            ("192f", &[]),
            ("sumer day", &["Summer Day"]),
            ("Summer", &["Summer Day"]),
        ] {
            match chosen(text) {
                Err(Failure::NoSuchName { near: found, .. }) => assert_eq!(found, near, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
