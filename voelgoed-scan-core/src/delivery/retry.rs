//! When a delivery that failed is tried again.

use std::time::Duration;

use crate::model::Timestamp;

/// The waits after the first attempt, the second one, and so on. After the last wait and its attempt the delivery has
/// failed.
const WAITS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// How many attempts a delivery has.
pub const MAX_ATTEMPTS: u32 = 10;

/// The longest wait that a receiver can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// How long to wait after a failed attempt; `None` if it was the last one.
///
/// `attempts` counts the failed one: 1 after the first. `random` lengthens the wait by up to 20 %, so that the deliveries of
/// an outage do not all return at the same time. The wait that the receiver asked for (`Retry-After`) replaces the
/// schedule's, shorter or longer, up to a day.
#[must_use]
pub fn next_wait(attempts: u32, random: u32, retry_after: Option<Duration>) -> Option<Duration> {
    let wait = *WAITS.get(usize::try_from(attempts.checked_sub(1)?).ok()?)?;
    if let Some(asked) = retry_after {
        return Some(asked.min(MAX_RETRY_AFTER));
    }
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let longer = (u128::from(millis / 5) * u128::from(random)) / u128::from(u32::MAX);
    Some(wait + Duration::from_millis(u64::try_from(longer).unwrap_or(u64::MAX)))
}

/// The wait that a header `Retry-After` (RFC 9110, section 10.2.3) asks for at `now`: seconds, or an HTTP date in one of its
/// three forms. A date in the past is no wait. `None` for any other text.
#[must_use]
pub fn parse_retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim_ascii();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are longer than any wait.
        return Some(header.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let at = httpdate::parse_http_date(header).ok()?;
    let at = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schedule in seconds.
    const SCHEDULE: [u64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

    #[test]
    fn the_waits_follow_the_schedule_and_are_up_to_a_fifth_longer() {
        for (attempts, seconds) in (1..).zip(SCHEDULE) {
            let wait = |random| next_wait(attempts, random, None);
            assert_eq!(wait(0), Some(Duration::from_secs(seconds)), "{attempts}");
            assert_eq!(
                wait(u32::MAX),
                Some(Duration::from_millis(seconds * 1200)),
                "{attempts}"
            );
            let middle = wait(u32::MAX / 2).expect("a wait").as_secs_f64();
            assert!(
                (middle / (1.1 * f64::from(u32::try_from(seconds).expect("small"))) - 1.0).abs() < 0.001,
                "{middle}"
            );
        }
    }

    #[test]
    fn after_the_tenth_attempt_a_delivery_has_failed() {
        assert_eq!(usize::try_from(MAX_ATTEMPTS).expect("small"), WAITS.len() + 1);
        for attempts in [0, 10, 11, u32::MAX] {
            assert_eq!(next_wait(attempts, 0, None), None);
            assert_eq!(next_wait(attempts, 0, Some(Duration::from_secs(1))), None);
        }
    }

    #[test]
    fn the_receiver_replaces_the_wait_by_a_shorter_or_a_longer_one_up_to_a_day() {
        for (asked, waited) in [(0, 0), (1, 1), (600, 600), (86_400, 86_400), (86_401, 86_400)] {
            for attempts in [1, 9] {
                let wait = next_wait(attempts, u32::MAX, Some(Duration::from_secs(asked)));
                assert_eq!(wait, Some(Duration::from_secs(waited)), "{asked}");
            }
        }
        assert_eq!(
            next_wait(1, 0, Some(Duration::MAX)),
            Some(Duration::from_secs(86_400))
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // Sun, 06 Nov 1994 08:48:37 GMT, one minute before the dates below.
        let now = Timestamp::from_seconds(784_111_717);
        for (header, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(60)),
            ("Sun Nov  6 08:49:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:47:37 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            let wait = parse_retry_after(header, now);
            assert_eq!(wait.map(|wait| wait.as_secs()), seconds, "{header}");
        }
    }
}
