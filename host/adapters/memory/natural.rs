//! Natural numbers of any size, for exact decimal arithmetic: only what `extended.rs` needs.
//!
//! Invariant: limbs are little-endian and the last one is not zero; zero has none.

use std::cmp::Ordering;

/// A natural number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Natural(Vec<u32>);

const LIMB_BITS: usize = 32;

impl From<u64> for Natural {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
    fn from(n: u64) -> Self {
        let mut limbs = Self(vec![n as u32, (n >> LIMB_BITS) as u32]);
        limbs.trim();
        limbs
    }
}

impl Natural {
    /// A power of ten.
    pub(super) fn power_of_ten(exponent: usize) -> Self {
        let mut power = Self::from(1);
        power.times_power_of_ten(exponent);
        power
    }

    pub(super) const fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bits it takes; 0 for zero.
    pub(super) fn bits(&self) -> usize {
        self.0.last().map_or(0, |last| self.0.len() * LIMB_BITS - last.leading_zeros() as usize)
    }

    /// Its value if it fits.
    pub(super) fn to_u64(&self) -> Option<u64> {
        match self.0[..] {
            [] => Some(0),
            [low] => Some(u64::from(low)),
            [low, high] => Some(u64::from(high) << LIMB_BITS | u64::from(low)),
            _ => None,
        }
    }

    fn bit(&self, index: usize) -> bool {
        self.0.get(index / LIMB_BITS).is_some_and(|limb| limb >> (index % LIMB_BITS) & 1 == 1)
    }

    /// Whether any of the lowest `bits` bits is set.
    pub(super) fn any_below(&self, bits: usize) -> bool {
        (0..bits.min(self.bits())).any(|index| self.bit(index))
    }

    /// Whether this bit is set.
    pub(super) fn has_bit(&self, index: usize) -> bool {
        self.bit(index)
    }

    /// `self = self · factor + more`.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    pub(super) fn times_plus(&mut self, factor: u32, more: u32) {
        let mut carry = u64::from(more);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= LIMB_BITS;
        }
        if carry != 0 {
            self.0.push(carry as u32);
        }
        self.trim();
    }

    pub(super) fn times_power_of_ten(&mut self, exponent: usize) {
        const STEP: usize = 9;
        for _ in 0..exponent / STEP {
            self.times_plus(1_000_000_000, 0);
        }
        for _ in 0..exponent % STEP {
            self.times_plus(10, 0);
        }
    }

    pub(super) fn shifted_left(&self, bits: usize) -> Self {
        let mut shifted = Self(vec![0; bits / LIMB_BITS]);
        shifted.0.extend_from_slice(&self.0);
        shifted.trim();
        shifted.times_plus(1 << (bits % LIMB_BITS), 0);
        shifted
    }

    pub(super) fn shifted_right(&self, bits: usize) -> Self {
        let (limbs, bits) = (bits / LIMB_BITS, bits % LIMB_BITS);
        let kept = self.0.get(limbs..).unwrap_or_default();
        let above = kept.iter().skip(1).copied().chain([0]);
        let join = |(low, high): (u32, u32)| if bits == 0 { low } else { low >> bits | high << (LIMB_BITS - bits) };
        let mut shifted = Self(kept.iter().copied().zip(above).map(join).collect());
        shifted.trim();
        shifted
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a + b)
    }

    /// The difference; `other` must not be larger.
    pub(super) fn minus(&self, other: &Self) -> Self {
        assert!(*self >= *other, "natural numbers have no negatives");
        self.combine(other, |a, b| a - b)
    }

    /// Limb by limb, with carry or borrow.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the low half is meant")]
    fn combine(&self, other: &Self, work: impl Fn(i64, i64) -> i64) -> Self {
        let limb = |of: &Self, index: usize| i64::from(of.0.get(index).copied().unwrap_or(0));
        let mut carry = 0;
        let length = self.0.len().max(other.0.len()) + 1;
        let limbs = (0..length).map(|index| {
            carry += work(limb(self, index), limb(other, index));
            let low = carry as u32;
            carry >>= LIMB_BITS;
            low
        });
        let mut combined = Self(limbs.collect());
        combined.trim();
        combined
    }

    /// The quotient, and whether something remains. Schoolbook division in base 2, for quotients of few bits.
    pub(super) fn divided_by(&self, divisor: &Self) -> (Self, bool) {
        assert!(!divisor.is_zero(), "division by zero");
        let steps = self.bits().saturating_sub(divisor.bits() - 1);
        let (mut quotient, mut rest) = (Self::default(), self.shifted_right(steps));
        for index in (0..steps).rev() {
            rest.times_plus(2, u32::from(self.bit(index)));
            let fits = rest >= *divisor;
            if fits {
                rest = rest.minus(divisor);
            }
            quotient.times_plus(2, u32::from(fits));
        }
        (quotient, !rest.is_zero())
    }

    /// In decimal, with leading zeros up to `width`.
    pub(super) fn to_decimal(&self, width: usize) -> String {
        const STEP: u32 = 1_000_000_000;
        let (mut rest, mut groups) = (self.clone(), Vec::new());
        while !rest.is_zero() {
            groups.push(rest.divide_small(STEP));
        }
        let digits: String = groups.iter().rev().map(|group| format!("{group:09}")).collect();
        format!("{:0>width$}", digits.trim_start_matches('0'))
    }

    /// Divides itself; the remainder.
    #[expect(clippy::cast_possible_truncation, reason = "a remainder and a digit are smaller than the divisor's type")]
    fn divide_small(&mut self, divisor: u32) -> u32 {
        let mut rest = 0_u64;
        for limb in self.0.iter_mut().rev() {
            rest = rest << LIMB_BITS | u64::from(*limb);
            *limb = (rest / u64::from(divisor)) as u32;
            rest %= u64::from(divisor);
        }
        self.trim();
        rest as u32
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
