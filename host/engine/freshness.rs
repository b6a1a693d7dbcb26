//! Decides whether a stored entry may be served.
//!
//! Pure: the caller brings the time. Times count from the start of the load (RFC 9111 §4.2, RFC 5861), or from the last renewal
//! of an entry that slides or was touched. A clock that went back counts as age zero.
//!
//! Invariant: as time passes, the answer for one entry only moves down the list of [`Freshness`].

/// How old an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it, and let one caller refresh it.
    Stale,
    /// Serve it only if a load fails.
    StaleIfError,
    /// Never serve it; it may help a conditional load.
    Kept,
    /// It is not there.
    Gone,
}

impl Freshness {
    /// The word in logs and tests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::StaleIfError => "stale-if-error",
            Self::Kept => "kept",
            Self::Gone => "gone",
        }
    }
}

/// The windows of an entry's life, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// `None`: it is fresh for ever.
    pub fresh_ms: Option<u64>,
    /// After `fresh`.
    pub stale_while_revalidate_ms: u64,
    /// After `fresh`.
    pub stale_if_error_ms: u64,
    /// After the later one of the two.
    pub keep_ms: u64,
    /// Caps both stale windows.
    pub max_stale_ms: Option<u64>,
}

impl Windows {
    /// The freshness of an entry that began at `since_ms`, seen at `now_ms`.
    #[must_use]
    pub fn at(&self, since_ms: u64, now_ms: u64) -> Freshness {
        let Some(fresh_ms) = self.fresh_ms else { return Freshness::Fresh };
        let age_ms = now_ms.saturating_sub(since_ms);
        if age_ms < fresh_ms {
            return Freshness::Fresh;
        }
        let past_ms = age_ms - fresh_ms;
        if past_ms < self.capped(self.stale_while_revalidate_ms) {
            Freshness::Stale
        } else if past_ms < self.stale_ms() {
            Freshness::StaleIfError
        } else if past_ms < self.stale_ms().saturating_add(self.keep_ms) {
            Freshness::Kept
        } else {
            Freshness::Gone
        }
    }

    /// The whole life; `None`: it has no end.
    #[must_use]
    pub fn life_ms(&self) -> Option<u64> {
        let fresh_ms = self.fresh_ms?;
        Some(fresh_ms.saturating_add(self.stale_ms()).saturating_add(self.keep_ms))
    }

    fn stale_ms(&self) -> u64 {
        self.capped(self.stale_while_revalidate_ms.max(self.stale_if_error_ms))
    }

    fn capped(&self, window_ms: u64) -> u64 {
        self.max_stale_ms.map_or(window_ms, |cap_ms| window_ms.min(cap_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows {
        fresh_ms: Some(50),
        stale_while_revalidate_ms: 20,
        stale_if_error_ms: 30,
        keep_ms: 40,
        max_stale_ms: None,
    };

    #[track_caller]
    fn check(windows: Windows, ages: &[(u64, &str)]) {
        for &(age_ms, expect) in ages {
            assert_eq!(windows.at(1_000, 1_000 + age_ms).as_str(), expect, "at age {age_ms}");
        }
    }

    #[test]
    fn an_entry_ages_at_its_bounds() {
        check(
            WINDOWS,
            &[
                (0, "fresh"),
                (49, "fresh"),
                (50, "stale"),
                (69, "stale"),
                (70, "stale-if-error"),
                (79, "stale-if-error"),
                (80, "kept"),
                (119, "kept"),
                (120, "gone"),
            ],
        );
        assert_eq!(WINDOWS.life_ms(), Some(120));
    }

    #[test]
    fn max_stale_caps_every_stale_window() {
        let never_stale = Windows { max_stale_ms: Some(0), ..WINDOWS };
        check(never_stale, &[(49, "fresh"), (50, "kept"), (89, "kept"), (90, "gone")]);
        let briefly = Windows { max_stale_ms: Some(25), ..WINDOWS };
        check(briefly, &[(69, "stale"), (74, "stale-if-error"), (75, "kept"), (115, "gone")]);
    }

    #[test]
    fn without_a_fresh_time_it_lives_for_ever() {
        let eternal = Windows { fresh_ms: None, ..WINDOWS };
        check(eternal, &[(0, "fresh"), (u64::MAX - 1_000, "fresh")]);
        assert_eq!(eternal.life_ms(), None);
    }

    #[test]
    fn a_clock_that_went_back_counts_as_age_zero() {
        assert_eq!(WINDOWS.at(1_000, 10), Freshness::Fresh);
    }

    #[test]
    fn freshness_only_moves_down() {
        let mut last = Freshness::Fresh;
        for age_ms in 0..200 {
            let now = WINDOWS.at(0, age_ms);
            assert!(now >= last, "at age {age_ms}");
            last = now;
        }
    }
}
