//! Decides whether a stored entry may be served.
//!
//! Pure: the caller brings the time. Times count from the start of the load (RFC 9111 §4.2, RFC 5861), or from the last renewal
//! of an entry that slides or was touched. A clock that went back counts as age zero.
//!
//! Early refresh is XFetch (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention", 2015): an entry with
//! `r` left is refreshed by a read with the chance `e^(-r / (β δ))`, where δ is how long its load took.
//!
//! Invariants: as time passes, the answer for one entry only moves down the list of [`Freshness`]; an extension takes from the stale
//! windows and from `max-stale` what it adds to the fresh time, so that no number of them makes an entry older than those allow.

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

    /// The same life, but fresh for `ms` more at an age of `age_ms`: within `max-stale`, and at the cost of the stale windows.
    #[must_use]
    pub fn extended(&self, age_ms: u64, ms: u64) -> Self {
        let Some(fresh_ms) = self.fresh_ms else { return *self };
        let more_ms = self.capped(age_ms.saturating_add(ms).saturating_sub(fresh_ms));
        Self {
            fresh_ms: Some(fresh_ms.saturating_add(more_ms)),
            stale_while_revalidate_ms: self.stale_while_revalidate_ms.saturating_sub(more_ms),
            stale_if_error_ms: self.stale_if_error_ms.saturating_sub(more_ms),
            keep_ms: self.keep_ms,
            max_stale_ms: self.max_stale_ms.map(|cap_ms| cap_ms - more_ms),
        }
    }

    fn stale_ms(&self) -> u64 {
        self.capped(self.stale_while_revalidate_ms.max(self.stale_if_error_ms))
    }

    fn capped(&self, window_ms: u64) -> u64 {
        self.max_stale_ms.map_or(window_ms, |cap_ms| window_ms.min(cap_ms))
    }
}

/// Beyond so many β δ before its end no read refreshes an entry early: the chance is below one in ten million.
const EARLY_SPAN: f64 = 16.0;

/// How long before its end an entry may be refreshed early; 0: never. `load_ms` is how long its load took.
#[must_use]
pub fn early_window_ms(load_ms: u32, beta: f32) -> u64 {
    let window_ms = EARLY_SPAN * scale_ms(load_ms, beta);
    // A float that does not fit is clamped, and what is no number is 0.
    window_ms.ceil() as u64
}

/// Whether a read of a fresh entry with `left_ms` left refreshes it, by this throw of the die.
#[must_use]
pub fn is_early(left_ms: u64, load_ms: u32, beta: f32, random: u64) -> bool {
    // 53 bits are a float's: uniform in (0, 1], so the logarithm is finite.
    let uniform = ((random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    let ahead_ms = -uniform.ln() * scale_ms(load_ms, beta);
    left_ms < early_window_ms(load_ms, beta) && ahead_ms >= left_ms as f64
}

fn scale_ms(load_ms: u32, beta: f32) -> f64 {
    if beta > 0.0 { f64::from(load_ms) * f64::from(beta) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::clock::{Clock, VirtualClock};

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

    #[test]
    fn an_extension_takes_from_the_stale_windows() {
        let extended = WINDOWS.extended(55, 10);
        assert_eq!(
            (extended.fresh_ms, extended.stale_while_revalidate_ms, extended.stale_if_error_ms),
            (Some(65), 5, 15)
        );
        check(extended, &[(64, "fresh"), (65, "stale"), (70, "stale-if-error"), (80, "kept"), (120, "gone")]);
        // However often it is extended, it is fresh no longer than it was told at last, and then there is nothing stale of it.
        let often = (0..10).fold(WINDOWS, |windows, n| windows.extended(60 + n, 10));
        check(often, &[(78, "fresh"), (79, "stale-if-error"), (80, "kept")]);
        let eternal = Windows { fresh_ms: None, ..WINDOWS };
        assert_eq!(eternal.extended(10, 10), eternal);
    }

    #[test]
    fn no_extension_overrides_max_stale() {
        for cap_ms in [0, 7, 25] {
            let mut windows = Windows { max_stale_ms: Some(cap_ms), ..WINDOWS };
            for age_ms in 50..200 {
                windows = windows.extended(age_ms, 1_000);
                let served = windows.at(0, age_ms) < Freshness::Kept;
                assert_eq!(served, age_ms < 50 + cap_ms, "at age {age_ms} with max-stale {cap_ms}");
            }
        }
    }

    /// How many of 100,000 reads refresh, against the formula.
    #[track_caller]
    fn check_early(left_ms: u64, load_ms: u32, beta: f32, chance: f64) {
        let clock = VirtualClock::new(0, 11);
        let n = 100_000;
        let early = (0..n).filter(|_| is_early(left_ms, load_ms, beta, clock.random())).count();
        let share = early as f64 / f64::from(n);
        // Five standard deviations: one seed, so it either holds or does not.
        let bound = 5.0 * (chance * (1.0 - chance) / f64::from(n)).sqrt() + 1e-9;
        assert!((share - chance).abs() <= bound, "{share} of the reads, expected {chance} ± {bound}");
    }

    #[test]
    fn early_refresh_has_the_chance_of_the_paper() {
        check_early(0, 100, 1.0, 1.0);
        check_early(100, 100, 1.0, (-1.0_f64).exp());
        check_early(300, 100, 1.0, (-3.0_f64).exp());
        check_early(300, 100, 3.0, (-1.0_f64).exp());
        check_early(1_600, 100, 1.0, 0.0);
        for (load_ms, beta) in [(0, 1.0), (100, 0.0), (100, -1.0), (100, f32::NAN)] {
            check_early(1, load_ms, beta, 0.0);
            assert_eq!(early_window_ms(load_ms, beta), 0);
        }
        assert_eq!(early_window_ms(u32::MAX, f32::INFINITY), u64::MAX);
        assert_eq!(early_window_ms(100, 1.0), 1_600);
    }
}
