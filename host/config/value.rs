//! Values of settings in human form: durations, sizes, addresses, shares.

use crate::limits::L1_SHARES_MAX;

/// A duration in milliseconds: `500ms`, `30s`, `5m`, `24h`, `7d`; a plain number counts in `plain_ms`.
///
/// # Errors
/// What is wrong with the text.
pub fn duration_ms(text: &str, plain_ms: u64) -> Result<u64, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("", plain_ms)];
    scaled(text, &units).ok_or_else(|| format!("'{text}' is no duration; write 500ms, 30s, 5m, 24h or 7d"))
}

/// A size in bytes: `64KiB`, `256MiB`, `1GiB`, `100kB`, `5MB`, or a plain number.
///
/// # Errors
/// What is wrong with the text.
pub fn size_bytes(text: &str) -> Result<u64, String> {
    let units = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
        ("", 1),
    ];
    scaled(text, &units).ok_or_else(|| format!("'{text}' is no size; write 64KiB, 256MiB, 1GiB or a number of bytes"))
}

/// A whole number from `min` to `max`.
///
/// # Errors
/// What is wrong with the text.
pub fn number(text: &str, min: u64, max: u64) -> Result<u64, String> {
    match text.trim().parse::<u64>() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(format!("'{text}' is not a whole number from {min} to {max}")),
    }
}

/// Yes or no.
///
/// # Errors
/// What is wrong with the text.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = units.iter().find(|(name, _)| *name == unit.trim())?.1;
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// Parts of a size: `profile=25%,session=64MiB`.
///
/// # Errors
/// What is wrong with the text; parts that are more than there is.
pub fn shares(text: &str, of_bytes: u64) -> Result<Vec<(String, u64)>, String> {
    let mut shares: Vec<(String, u64)> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (domain, size) = part.split_once('=').ok_or_else(|| format!("'{part}' is no share; write profile=25%"))?;
        let (domain, size) = (domain.trim(), size.trim());
        let bytes = match size.strip_suffix('%') {
            Some(percent) => of_bytes / 100 * number(percent, 1, 100)?,
            None => size_bytes(size)?,
        };
        if domain.is_empty() || domain == "default" {
            return Err(format!("'{domain}' cannot have a share; its keys are what the shares leave"));
        }
        if shares.iter().any(|(known, _)| known == domain) {
            return Err(format!("'{domain}' has two shares"));
        }
        shares.push((domain.to_owned(), bytes));
    }
    let sum = shares.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
    if sum > of_bytes {
        return Err(format!("the shares are {sum} bytes together, of {of_bytes}"));
    }
    match shares.len() {
        0..=L1_SHARES_MAX => Ok(shares),
        n => Err(format!("{n} shares; {L1_SHARES_MAX} are allowed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, expect) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("24h", Some(86_400_000)),
            ("7 d", Some(604_800_000)),
            ("100", Some(100)),
            ("", None),
            ("ms", None),
            ("-1s", None),
            ("5 parsecs", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(duration_ms(text, 1).ok(), expect, "{text:?}");
        }
    }

    #[test]
    fn shares_read_as_people_write_them() {
        let check = |text: &str, expect: &str| {
            let found = shares(text, 1_000).map_or_else(|what| what, |shares| format!("{shares:?}"));
            assert_eq!(found, expect, "{text:?}");
        };
        check("", "[]");
        check("profile=25%, session = 700", r#"[("profile", 250), ("session", 700)]"#);
        check("profile", "'profile' is no share; write profile=25%");
        check("profile=0%", "'0' is not a whole number from 1 to 100");
        check("profile=50%,profile=1", "'profile' has two shares");
        check("default=1%", "'default' cannot have a share; its keys are what the shares leave");
        check("a=60%,b=41%", "the shares are 1010 bytes together, of 1000");
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, expect) in [
            ("64KiB", Some(65_536)),
            ("1GiB", Some(1 << 30)),
            ("5MB", Some(5_000_000)),
            ("12", Some(12)),
            ("1TiB", None),
        ] {
            assert_eq!(size_bytes(text).ok(), expect, "{text:?}");
        }
    }
}
