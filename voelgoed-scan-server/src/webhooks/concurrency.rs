//! How many attempts to one receiver run at a time. A receiver that answers gets more, and one that fails gets fewer.

/// The limit for a receiver of which nothing is known.
const INITIAL: usize = 2;

/// The highest limit.
const MAX: usize = 32;

/// The limit of one receiver.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: usize,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { limit: INITIAL }
    }
}

impl Concurrency {
    /// How many attempts may run.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Notes the end of an attempt.
    pub(super) fn note(&mut self, succeeded: bool) {
        self.limit = if succeeded {
            MAX.min(self.limit + 1)
        } else {
            1.max(self.limit / 2)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_answers_gets_more_attempts_at_a_time_up_to_a_limit() {
        let mut concurrency = Concurrency::default();
        for _ in 0..100 {
            concurrency.note(true);
        }
        assert_eq!(concurrency.limit(), MAX);
    }

    #[test]
    fn a_receiver_that_fails_gets_one_attempt_at_a_time_until_it_answers() {
        let mut concurrency = Concurrency::default();
        concurrency.note(false);
        concurrency.note(false);
        assert_eq!(concurrency.limit(), 1);
        concurrency.note(true);
        assert_eq!(concurrency.limit(), 2);
    }
}
