//! The 80-bit floating-point format of x86 (IEEE 754 extended precision), in which Redis does `INCRBYFLOAT`.
//!
//! Redis computes with C's `long double` and prints `%.17Lf` without the zeros at the end. With 64-bit floats 10.5 + 0.1 would
//! read 10.59999999999999964; with this it reads 10.6, as there. Every step is exact or rounded once, to nearest, ties to even.

use std::fmt;

use super::natural::Natural;

/// Bits of the significand.
const PRECISION: usize = 64;
/// Exponent of the last bit of the smallest numbers.
const EXPONENT_MIN: i64 = -16_445;
/// Exponent of the last bit of the largest numbers.
const EXPONENT_MAX: i64 = 16_320;
/// Redis' buffer for such a number; a text that does not fit is none.
const TEXT_BYTES_MAX: usize = 5 * 1024;
/// Digits after the point.
const FRACTION_DIGITS: usize = 17;

/// A number, or an infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extended {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    /// `significand · 2^exponent`.
    Finite {
        significand: u64,
        exponent: i64,
    },
    Infinite,
}

impl Extended {
    pub(super) const ZERO: Self = Self { negative: false, magnitude: Magnitude::ZERO };

    /// A number as C's `strtold` reads it, if it is one and fits.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_BYTES_MAX {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let magnitude = if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            Magnitude::Infinite
        } else if let [b'0', b'x' | b'X', digits @ ..] = text {
            Literal::read(digits, 16, b'p')?.hexadecimal()?
        } else {
            Literal::read(text, 10, b'e')?.decimal()?
        };
        Some(Self { negative, magnitude })
    }

    pub(super) const fn is_finite(&self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { .. })
    }

    /// The sum; infinite if it does not fit, `None` for the sum of both infinities.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let (Some((a, a_exponent)), Some((b, b_exponent))) = (self.magnitude.parts(), other.magnitude.parts()) else {
            let opposite = !self.is_finite() && !other.is_finite() && self.negative != other.negative;
            return (!opposite).then_some(if self.is_finite() { *other } else { *self });
        };
        let exponent = a_exponent.min(b_exponent);
        let a = a.shifted_left(usize::try_from(a_exponent - exponent).ok()?);
        let b = b.shifted_left(usize::try_from(b_exponent - exponent).ok()?);
        let (negative, sum) = if self.negative == other.negative {
            (self.negative, a.plus(&b))
        } else if a >= b {
            (self.negative, a.minus(&b))
        } else {
            (other.negative, b.minus(&a))
        };
        Some(Self { negative, magnitude: Magnitude::rounded(&sum, exponent, false) })
    }
}

impl Magnitude {
    const ZERO: Self = Self::Finite { significand: 0, exponent: 0 };

    fn parts(self) -> Option<(Natural, i64)> {
        match self {
            Self::Finite { significand, exponent } => Some((Natural::from(significand), exponent)),
            Self::Infinite => None,
        }
    }

    /// The nearest to `n · 2^exponent`, or to a little more if `more` (then `n` must have more bits than fit).
    fn rounded(n: &Natural, exponent: i64, more: bool) -> Self {
        if n.is_zero() {
            return Self::ZERO;
        }
        let excess = bits(n) - PRECISION as i64;
        let shift = excess.max(EXPONENT_MIN - exponent);
        let (mut significand, mut exponent) = (round_shift(n, shift, more), exponent + shift);
        if bits(&significand) > PRECISION as i64 {
            significand = significand.shifted_right(1);
            exponent += 1;
        }
        match significand.to_u64() {
            Some(0) => Self::ZERO,
            Some(significand) if exponent <= EXPONENT_MAX => Self::Finite { significand, exponent },
            _ => Self::Infinite,
        }
    }
}

fn bits(n: &Natural) -> i64 {
    i64::try_from(n.bits()).unwrap_or(i64::MAX)
}

/// `n / 2^shift`, rounded to nearest, ties to even; `more` says that `n` stands for a little more than it is.
fn round_shift(n: &Natural, shift: i64, more: bool) -> Natural {
    let distance = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
    if shift <= 0 {
        return n.shifted_left(distance);
    }
    let mut quotient = n.shifted_right(distance);
    let half = n.has_bit(distance - 1);
    if half && (more || n.any_below(distance - 1) || quotient.has_bit(0)) {
        quotient.times_plus(1, 1);
    }
    quotient
}

impl fmt::Display for Extended {
    /// As C prints `%.17Lf`, without zeros at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((mut n, exponent)) = self.magnitude.parts() else {
            return f.write_str(if self.negative { "-inf" } else { "inf" });
        };
        n.times_power_of_ten(FRACTION_DIGITS);
        let digits = round_shift(&n, -exponent, false).to_decimal(FRACTION_DIGITS + 1);
        let (whole, fraction) = digits.split_at(digits.len() - FRACTION_DIGITS);
        let fraction = fraction.trim_end_matches('0');
        let is_zero = whole == "0" && fraction.is_empty();
        let sign = if self.negative && !is_zero { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// A number as it is written: `digits · base^-places`, and the exponent behind it.
struct Literal {
    digits: Natural,
    places: i64,
    exponent: i64,
}

impl Literal {
    /// Digits with at most one point, then perhaps an exponent after `mark`. All of the text, or none.
    fn read(text: &[u8], base: u32, mark: u8) -> Option<Self> {
        let end = text.iter().position(|byte| byte.eq_ignore_ascii_case(&mark)).unwrap_or(text.len());
        let (number, exponent) = text.split_at(end);
        let (mut digits, mut seen, mut places) = (Natural::default(), 0, None);
        for &byte in number {
            if byte == b'.' && places.is_none() {
                places = Some(0);
                continue;
            }
            digits.times_plus(base, char::from(byte).to_digit(base)?);
            places = places.map(|places: i64| places + 1);
            seen += 1;
        }
        let exponent = match exponent {
            [] => 0,
            [_, digits @ ..] => Self::read_exponent(digits)?,
        };
        (seen > 0).then_some(Self { digits, places: places.unwrap_or(0), exponent })
    }

    fn read_exponent(text: &[u8]) -> Option<i64> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if digits.is_empty() {
            return None;
        }
        let mut exponent = 0_i64;
        for &byte in digits {
            exponent = exponent.saturating_mul(10).saturating_add(i64::from(char::from(byte).to_digit(10)?));
        }
        Some(if negative { -exponent } else { exponent })
    }

    fn hexadecimal(&self) -> Option<Magnitude> {
        let exponent = self.exponent.saturating_sub(4 * self.places).clamp(-100_000, 100_000);
        self.fit(Magnitude::rounded(&self.digits, exponent, false))
    }

    fn decimal(&self) -> Option<Magnitude> {
        // Beyond this no text that is short enough makes a number that fits; it also bounds the work below.
        const EXPONENT: i64 = 3 * TEXT_BYTES_MAX as i64;
        let exponent = self.exponent.saturating_sub(self.places).clamp(-EXPONENT, EXPONENT);
        let scale = usize::try_from(exponent.unsigned_abs()).ok()?;
        if exponent >= 0 {
            let mut n = self.digits.clone();
            n.times_power_of_ten(scale);
            return self.fit(Magnitude::rounded(&n, 0, false));
        }
        let divisor = Natural::power_of_ten(scale);
        // As many bits as make the quotient longer than the significand, so that the rest only breaks ties.
        let more_bits = (divisor.bits() + PRECISION + 3).saturating_sub(self.digits.bits());
        let (quotient, rest) = self.digits.shifted_left(more_bits).divided_by(&divisor);
        self.fit(Magnitude::rounded(&quotient, -i64::try_from(more_bits).ok()?, rest))
    }

    /// `None` for what is too large, and for what is not zero but too small for anything else.
    fn fit(&self, magnitude: Magnitude) -> Option<Magnitude> {
        let vanished = magnitude == Magnitude::ZERO && !self.digits.is_zero();
        (magnitude != Magnitude::Infinite && !vanished).then_some(magnitude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expect: &str) {
        let [a, b] = [a, b].map(|text| Extended::parse(text.as_bytes()));
        let sum = a.zip(b).and_then(|(a, b)| a.plus(&b));
        assert_eq!(sum.map_or_else(|| "none".to_owned(), |sum| sum.to_string()), expect);
    }

    #[test]
    fn a_sum_reads_as_redis_prints_it() {
        check("10.5", "0.1", "10.6");
        check("3.0e3", "200", "3200");
        check("0.1", "0.2", "0.3");
        check("-1.5", "1.5", "0");
        check("-0", "-0", "0");
        check("1e-20", "0", "0");
        check("9007199254740993", "0", "9007199254740993");
        check("18446744073709551616", "1", "18446744073709551616");
        check("0x1.8p1", "0", "3");
        check("1", "-3", "-2");
        check("inf", "1", "inf");
        check("inf", "-inf", "none");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1e", "e1", "1 ", " 1", "nan", "1e5000", "1e-5000", "0x", "0x.p1", "1.2.3", "1_0"] {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
