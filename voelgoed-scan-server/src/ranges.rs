//! Byte ranges of a response (RFC 9110, 13.1.5 and 14): one range a request, of the bytes as they are sent.
//!
//! A request for several ranges gets the whole response, which the RFC allows, and so does one whose `Range` is not valid.

use std::ops::Range;

use hyper::header::{ACCEPT_RANGES, CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue, IF_RANGE, RANGE};
use hyper::{Response, StatusCode};

use crate::problem::Problem;
use crate::response::ResponseBody;

/// The range of a request, before the length of the response is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteRange {
    /// From this byte to the last one that is named, or to the end.
    From(u64, Option<u64>),
    /// This many bytes at the end.
    Last(u64),
}

/// What a request asks for with `Range` and `If-Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RangeRequest<'a> {
    range: ByteRange,
    condition: Condition<'a>,
}

/// The header `If-Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition<'a> {
    /// It is absent: the range holds for whatever is sent.
    None,
    /// The range holds for the representation with this strong tag.
    Tag(&'a str),
    /// A date or a weak tag, which no representation matches.
    Never,
}

impl<'a> RangeRequest<'a> {
    /// The range that a request asks for, if it asks for one.
    pub(crate) fn read(headers: &'a HeaderMap) -> Option<Self> {
        Some(Self {
            range: ByteRange::parse(only(headers, &RANGE)?)?,
            condition: if headers.contains_key(IF_RANGE) {
                only(headers, &IF_RANGE)
                    .and_then(strong_tag)
                    .map_or(Condition::Never, Condition::Tag)
            } else {
                Condition::None
            },
        })
    }

    /// The tag of the representation that the client has a part of.
    pub(crate) const fn tag(&self) -> Option<&'a str> {
        match self.condition {
            Condition::Tag(tag) => Some(tag),
            Condition::None | Condition::Never => None,
        }
    }

    /// The part to send of the representation with this tag and length. `None` if the whole must be sent; an error if the
    /// range begins behind its end.
    pub(crate) fn part(&self, tag: &str, length: usize) -> Result<Option<Range<usize>>, Problem> {
        match self.condition {
            Condition::Never => Ok(None),
            Condition::Tag(expected) if expected != tag => Ok(None),
            Condition::Tag(_) | Condition::None => self
                .range
                .within(length)
                .map(Some)
                .ok_or_else(|| Problem::range_not_satisfiable(length)),
        }
    }
}

/// The value of a header that occurs once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok().map(str::trim)
}

/// The text in a strong entity tag.
fn strong_tag(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

impl ByteRange {
    fn parse(text: &str) -> Option<Self> {
        let (unit, ranges) = text.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = ranges.trim().split_once('-')?;
        match (first, last) {
            ("", last) => Some(Self::Last(position(last)?)),
            (first, "") => Some(Self::From(position(first)?, None)),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// The positions in a representation of this length. `None` if there are none.
    fn within(self, length: usize) -> Option<Range<usize>> {
        let clamped = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(length);
        let range = match self {
            Self::From(first, last) => {
                let end = last.map_or(length, |last| clamped(last.saturating_add(1)));
                clamped(first)..end
            }
            Self::Last(count) => length - clamped(count)..length,
        };
        (!range.is_empty()).then_some(range)
    }
}

/// A number of digits only. One that is too large is beyond every end.
fn position(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Marks a response as one that has ranges.
pub(crate) fn accept_ranges(response: &mut Response<ResponseBody>) {
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

/// Turns a response with a part of a representation into 206. `length` is the length of the whole.
pub(crate) fn mark_partial(response: &mut Response<ResponseBody>, part: &Range<usize>, length: usize) {
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let last = part.end.saturating_sub(1);
    if let Ok(value) = HeaderValue::try_from(format!("bytes {}-{last}/{length}", part.start)) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn one_range_of_bytes_is_read_and_any_other_header_is_ignored() {
        for (text, expected) in [
            ("bytes=0-499", Some(ByteRange::From(0, Some(499)))),
            ("bytes=500-", Some(ByteRange::From(500, None))),
            ("bytes=-500", Some(ByteRange::Last(500))),
            ("Bytes= 7-7", Some(ByteRange::From(7, Some(7)))),
            (
                "bytes=0-99999999999999999999999",
                Some(ByteRange::From(0, Some(u64::MAX))),
            ),
            ("bytes=5-4", None),
            ("bytes=0-1,5-6", None),
            ("bytes=-", None),
            ("bytes=", None),
            ("bytes", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("bytes=1--2", None),
            ("items=0-1", None),
        ] {
            assert_eq!(ByteRange::parse(text), expected, "{text}");
        }
        assert_eq!(RangeRequest::read(&headers(&[])), None);
        let twice = headers(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=2-3")]);
        assert_eq!(RangeRequest::read(&twice), None);
    }

    #[test]
    fn a_range_is_cut_at_the_end_and_one_behind_it_is_none() {
        for (text, expected) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=0-", Some(0..10)),
            ("bytes=9-", Some(9..10)),
            ("bytes=4-7", Some(4..8)),
            ("bytes=4-99999999999999999999999", Some(4..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-99", Some(0..10)),
            ("bytes=10-", None),
            ("bytes=10-20", None),
            ("bytes=99999999999999999999999-", None),
            ("bytes=-0", None),
        ] {
            let range = ByteRange::parse(text).expect("a range");
            assert_eq!(range.within(10), expected, "{text}");
        }
        assert_eq!(ByteRange::From(0, None).within(0), None, "an empty response");
    }

    #[test]
    fn if_range_is_compared_strongly() {
        let part = |if_range: &[&'static str]| {
            let mut values = vec![(RANGE, "bytes=2-")];
            values.extend(if_range.iter().map(|value| (IF_RANGE, *value)));
            let headers = headers(&values);
            let request = RangeRequest::read(&headers).expect("a range");
            (
                request.tag().map(str::to_owned),
                request.part("7-ab", 10).expect("within"),
            )
        };
        assert_eq!(part(&[]), (None, Some(2..10)));
        assert_eq!(part(&["\"7-ab\""]), (Some("7-ab".to_owned()), Some(2..10)));
        assert_eq!(part(&["\"7-cd\""]), (Some("7-cd".to_owned()), None));
        for never in ["W/\"7-ab\"", "7-ab", "Sun, 29 Nov 2026 18:00:00 GMT", "*", ""] {
            assert_eq!(part(&[never]), (None, None), "{never}");
        }
        assert_eq!(part(&["\"7-ab\"", "\"7-ab\""]), (None, None), "two headers");
    }

    #[test]
    fn a_range_behind_the_end_is_416_only_if_its_condition_holds() {
        let behind = headers(&[(RANGE, "bytes=10-"), (IF_RANGE, "\"7-ab\"")]);
        let request = RangeRequest::read(&behind).expect("a range");
        assert!(request.part("7-ab", 10).is_err());
        assert!(request.part("8-ab", 10).is_ok_and(|part| part.is_none()));
    }
}
