//! One number of each of [`BLOCK`](crate::level::BLOCK) rows, and arithmetic on all of them.

use std::ops::{Add, Div, Mul, Sub};

use crate::level::Level;
use crate::real::Real;

/// One number of each of 32 rows, in `V` vectors.
pub(crate) type Lanes<S, R, const V: usize> = [<R as Real>::Vector<S>; V];

/// [`Lanes`] that calculate.
#[derive(Clone, Copy)]
pub(crate) struct Block<S: Level, R: Real, const V: usize> {
    pub(crate) simd: S,
    pub(crate) lanes: Lanes<S, R, V>,
}

macro_rules! operator {
    ($name:ident, $function:ident, $of_lanes:ident) => {
        impl<S: Level, R: Real, const V: usize> $name for Block<S, R, V> {
            type Output = Self;

            #[inline(always)]
            fn $function(mut self, other: Self) -> Self {
                for (a, &b) in self.lanes.iter_mut().zip(&other.lanes) {
                    *a = R::$of_lanes(self.simd, *a, b);
                }
                self
            }
        }

        impl<S: Level, R: Real, const V: usize> $name<R> for Block<S, R, V> {
            type Output = Self;

            #[inline(always)]
            fn $function(self, other: R) -> Self {
                $name::$function(self, Self::splat(self.simd, other))
            }
        }
    };
}

operator!(Add, add, sum);
operator!(Sub, sub, difference);
operator!(Mul, mul, product);
operator!(Div, div, quotient);

impl<S: Level, R: Real, const V: usize> Block<S, R, V> {
    #[inline(always)]
    pub(crate) fn new(simd: S, lanes: Lanes<S, R, V>) -> Self {
        Self { simd, lanes }
    }

    #[inline(always)]
    pub(crate) fn splat(simd: S, value: R) -> Self {
        Self::new(simd, [R::splat(simd, value); V])
    }

    #[inline(always)]
    pub(crate) fn zero(simd: S) -> Self {
        Self::splat(simd, R::zero())
    }

    #[inline(always)]
    fn like(self, value: f64) -> Self {
        Self::splat(self.simd, R::of(value))
    }

    /// `self · factor + term`.
    #[inline(always)]
    pub(crate) fn mul_add(mut self, factor: Self, term: Self) -> Self {
        for ((a, &b), &c) in self.lanes.iter_mut().zip(&factor.lanes).zip(&term.lanes) {
            *a = R::product_and_sum(self.simd, *a, b, c);
        }
        self
    }

    /// `yes` where `self < other`, `no` elsewhere, also where either is no number.
    #[inline(always)]
    pub(crate) fn select_less(self, other: Self, yes: Self, no: Self) -> Self {
        let mut result = no;
        for v in 0..V {
            result.lanes[v] = R::select_less(
                self.simd,
                self.lanes[v],
                other.lanes[v],
                yes.lanes[v],
                no.lanes[v],
            );
        }
        result
    }

    /// The larger of the two; `self` where that is no number.
    #[inline(always)]
    pub(crate) fn at_least(self, other: Self) -> Self {
        self.select_less(other, other, self)
    }

    /// The smaller of the two; `self` where that is no number.
    #[inline(always)]
    pub(crate) fn at_most(self, other: Self) -> Self {
        other.select_less(self, other, self)
    }

    /// `max(0, x)`; no number stays none.
    #[inline(always)]
    pub(crate) fn rectified(self) -> Self {
        self.at_least(Self::zero(self.simd))
    }

    #[inline(always)]
    pub(crate) fn negated(self) -> Self {
        Self::zero(self.simd) - self
    }

    #[inline(always)]
    pub(crate) fn absolute(self) -> Self {
        let zero = Self::zero(self.simd);
        self.select_less(zero, zero - self, self)
    }

    /// Reduced argument of the exponential: `x = k ln 2 + r`; returns `eʳ − 1` and 2^(k−1).
    #[inline(always)]
    fn reduced_exponential(self) -> (Self, Self) {
        let precision = R::PRECISION;
        let scaled = self * R::of(std::f64::consts::LOG2_E);
        let (mut k, mut half_power) = (scaled, scaled);
        for v in 0..V {
            (k.lanes[v], half_power.lanes[v]) = R::round_and_half_power(self.simd, scaled.lanes[v]);
        }
        let [high, low] = precision.ln_2;
        let r = k.mul_add(self.like(-high), self);
        let r = k.mul_add(self.like(-low), r);
        let (&last, others) = precision.exponential.split_last().expect("not empty");
        let mut sum = self.like(last);
        for &coefficient in others.iter().rev() {
            sum = sum.mul_add(r, self.like(coefficient));
        }
        ((sum * r).mul_add(r, r), half_power)
    }

    /// `eˣ`; 0 below about −87 (f32) or −708 (f64), infinite where the type overflows.
    #[inline(always)]
    pub(crate) fn exp(self) -> Self {
        let (reduced, half_power) = self.reduced_exponential();
        // Twice half the power: 2^k itself overflows before the exponential does.
        let value = (reduced * half_power + half_power) * R::of(2.);
        let value =
            self.like(R::PRECISION.overflow)
                .select_less(self, self.like(f64::INFINITY), value);
        let zero = Self::zero(self.simd);
        self.select_less(self.like(R::PRECISION.underflow), zero, value)
    }

    /// `eˣ` of an argument of at most 0.
    #[inline(always)]
    pub(crate) fn exp_of_not_positive(self) -> Self {
        let (reduced, half_power) = self.reduced_exponential();
        let value = (reduced * half_power + half_power) * R::of(2.);
        let zero = Self::zero(self.simd);
        self.select_less(self.like(R::PRECISION.underflow), zero, value)
    }

    /// Natural logarithm; of 0 minus infinity, of a negative number none.
    #[inline(always)]
    pub(crate) fn ln(self) -> Self {
        let smallest = Self::splat(self.simd, R::min_positive_value());
        let infinity = self.like(f64::INFINITY);
        let zero = Self::zero(self.simd);
        // Numbers with fewer digits than normal are brought among the normal ones.
        let (up, steps) = (2f64.powi(60), -60. * std::f64::consts::LN_2);
        let normal = self.select_less(smallest, self * R::of(up), self);
        let added = self.select_less(smallest, self.like(steps), zero);
        let value = normal.ln_of_normal() + added;
        // Where it is not below infinity it is infinite or no number: its own logarithm.
        let bounded = self.select_less(infinity, value, self);
        let special = self.select_less(
            zero,
            self.like(f64::NAN),
            self.like(f64::NEG_INFINITY) + self,
        );
        zero.select_less(self, bounded, special)
    }

    /// Natural logarithm of a positive, finite number with all its digits.
    #[inline(always)]
    pub(crate) fn ln_of_normal(self) -> Self {
        let (mut k, mut mantissa) = (self, self);
        for v in 0..V {
            (k.lanes[v], mantissa.lanes[v]) = R::exponent_and_mantissa(self.simd, self.lanes[v]);
        }
        let one = self.like(1.);
        let s = (mantissa - one) / (mantissa + one);
        let square = s * s;
        let (&last, others) = R::PRECISION.logarithm.split_last().expect("not empty");
        let mut sum = self.like(last);
        for &coefficient in others.iter().rev() {
            sum = sum.mul_add(square, self.like(coefficient));
        }
        let [high, low] = R::PRECISION.ln_2;
        let artanh = (sum * square).mul_add(s, s);
        let small = k.mul_add(self.like(low), artanh + artanh);
        k.mul_add(self.like(high), small)
    }

    /// Hyperbolic tangent.
    #[inline(always)]
    pub(crate) fn tanh(self) -> Self {
        // From there on it is 1 in either type.
        let magnitude = self.absolute();
        let bounded = magnitude.at_most(self.like(20.));
        let (reduced, half_power) = (bounded * R::of(-2.)).reduced_exponential();
        let power = half_power + half_power;
        // e^(−2|x|) − 1, exact to the last digits near 0 as well.
        let minus_one = reduced.mul_add(power, power - R::one());
        let value = minus_one.negated() / (minus_one + R::of(2.));
        let zero = Self::zero(self.simd);
        self.select_less(zero, zero - value, value)
    }

    /// `1/(1 + e^(−x))` and `ln(1 + eˣ)`.
    #[inline(always)]
    pub(crate) fn sigmoid_and_softplus(self) -> (Self, Self) {
        let tail = (Self::zero(self.simd) - self.absolute()).exp_of_not_positive();
        let one = self.like(1.);
        let larger = one / (one + tail);
        let zero = Self::zero(self.simd);
        let sigmoid = self.select_less(zero, tail * larger, larger);
        (sigmoid, self.rectified() + (one + tail).ln_of_normal())
    }

    #[inline(always)]
    pub(crate) fn sigmoid(self) -> Self {
        let tail = (Self::zero(self.simd) - self.absolute()).exp_of_not_positive();
        let one = self.like(1.);
        let larger = one / (one + tail);
        self.select_less(Self::zero(self.simd), tail * larger, larger)
    }

    #[inline(always)]
    pub(crate) fn sqrt(mut self) -> Self {
        for a in &mut self.lanes {
            *a = R::square_root(self.simd, *a);
        }
        self
    }

    /// All lanes as one vector: the sum over the `V`.
    #[inline(always)]
    pub(crate) fn folded(self) -> R::Vector<S> {
        // Halves are added to halves, as across the lanes of wider vectors.
        let mut lanes = self.lanes;
        let mut width = V;
        while width > 1 {
            width /= 2;
            for v in 0..width {
                lanes[v] = R::sum(self.simd, lanes[v], lanes[v + width]);
            }
        }
        lanes[0]
    }
}
