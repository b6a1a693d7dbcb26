//! Durations and sizes, as constants in Rust and as text in settings.

use std::time::Duration;

/// So many milliseconds.
pub const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// So many seconds.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many minutes.
pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(60))
}

/// So many hours.
pub const fn hours(count: u64) -> Duration {
    minutes(count.saturating_mul(60))
}

/// So many days.
pub const fn days(count: u64) -> Duration {
    hours(count.saturating_mul(24))
}

/// Whole milliseconds; ends at `u64::MAX`, and without the 128-bit arithmetic of [`Duration::as_millis`].
pub const fn in_ms(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1000).saturating_add(time.subsec_millis() as u64)
}

/// `24h`, `5m`, `30s`, `500ms`, `7d`; a plain number counts seconds.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (count, unit) = number_and_unit(text)?;
    let in_ms: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    count.checked_mul(in_ms).map(Duration::from_millis)
}

/// `512KB`, `4MB`, `1GB`, powers of 1024; a plain number counts bytes.
pub(crate) fn parse_size_bytes(text: &str) -> Option<u64> {
    let (count, unit) = number_and_unit(text)?;
    let in_bytes: u64 = match unit {
        "" | "B" => 1,
        "KB" | "KiB" => 1 << 10,
        "MB" | "MiB" => 1 << 20,
        "GB" | "GiB" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(in_bytes)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_count_seconds_without() {
        for (text, ms) in [("24h", 86_400_000), ("5m", 300_000), ("30s", 30_000), ("500ms", 500), ("7 d", 604_800_000)]
        {
            assert_eq!(parse_duration(text), Some(milliseconds(ms)), "{text}");
        }
        assert_eq!(parse_duration("86400"), Some(hours(24)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        for text in ["", "h", "1.5h", "-1", "1 hour", "1h30m", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size_bytes("100"), Some(100));
        assert_eq!(parse_size_bytes("512KB"), Some(512 * 1024));
        assert_eq!(parse_size_bytes("4 MiB"), Some(4 << 20));
        assert_eq!(parse_size_bytes("1TB"), None);
    }
}
