//! One number of each of [`BLOCK`](crate::level::BLOCK) rows, and arithmetic on all of them.

use std::f64::consts::LOG2_E;
use std::ops::{Add, Div, Mul, Sub};

use crate::level::Level;
use crate::real::Real;

/// One number of each of 32 rows, in `V` vectors.
pub(crate) type Lanes<S, R, const V: usize> = [<R as Real>::Vector<S>; V];

/// [`Lanes`] that calculate.
///
/// Vectors are aligned like one number, and those that find no register would lie across cache lines, or not, by
/// where the stack happens to begin.
#[derive(Clone, Copy)]
#[repr(align(64))]
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
    pub(crate) fn at_least(mut self, other: Self) -> Self {
        for (a, &b) in self.lanes.iter_mut().zip(&other.lanes) {
            *a = R::at_least(self.simd, *a, b);
        }
        self
    }

    /// The smaller of the two; `self` where that is no number.
    #[inline(always)]
    pub(crate) fn at_most(mut self, other: Self) -> Self {
        for (a, &b) in self.lanes.iter_mut().zip(&other.lanes) {
            *a = R::at_most(self.simd, *a, b);
        }
        self
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
    pub(crate) fn absolute(mut self) -> Self {
        for a in &mut self.lanes {
            *a = R::absolute(self.simd, *a);
        }
        self
    }

    /// Nearest integer k of moderate x, and k as [`scaled`](Self::scaled) takes it.
    #[inline(always)]
    fn rounded(self) -> (Self, Self) {
        let (mut nearest, mut counted) = (self, self);
        for v in 0..V {
            (nearest.lanes[v], counted.lanes[v]) = R::rounded(self.simd, self.lanes[v]);
        }
        (nearest, counted)
    }

    /// `2^k x`.
    #[inline(always)]
    fn scaled(mut self, counted: Self) -> Self {
        for (a, &b) in self.lanes.iter_mut().zip(&counted.lanes) {
            *a = R::scaled(self.simd, *a, b);
        }
        self
    }

    /// The polynomial with these coefficients, the constant one first.
    #[inline(always)]
    fn polynomial(self, coefficients: &[f64]) -> Self {
        let (&last, others) = coefficients.split_last().expect("not empty");
        let mut sum = self.like(last);
        for &coefficient in others.iter().rev() {
            sum = sum.mul_add(self, self.like(coefficient));
        }
        sum
    }

    /// Nearest integer k of moderate x as [`scaled`](Self::scaled) takes it, and `2^(x − k)`.
    #[inline(always)]
    fn reduced_exp_2(self) -> (Self, Self) {
        let (k, counted) = self.rounded();
        let f = self - k;
        let slope = f.polynomial(R::PRECISION.power_minus_one);
        (counted, slope.mul_add(f, self.like(1.)))
    }

    /// `2ˣ`; 0 about where that is no normal number and the instruction set does not have it, infinite where the
    /// type overflows.
    #[inline(always)]
    pub(crate) fn exp_2(self) -> Self {
        if S::WHOLE_RANGE {
            let (counted, value) = self.reduced_exp_2();
            return value.scaled(counted);
        }
        let [least, largest] = R::PRECISION.exponents;
        let bounded = self
            .at_least(self.like(least))
            .at_most(self.like(largest + 2.));
        let (counted, value) = bounded.reduced_exp_2();
        // 2^(k − 1), twice: 2^k itself overflows before the exponential does.
        let value = value.scaled(counted - R::one()) * R::of(2.);
        self.select_less(self.like(least), Self::zero(self.simd), value)
    }

    /// `2ˣ` of an argument of at most 0; 0 as of [`exp_of_not_positive`](Self::exp_of_not_positive).
    #[inline(always)]
    pub(crate) fn exp_2_of_not_positive(self) -> Self {
        let (counted, value) = self.reduced_exp_2();
        let least = self.like(R::PRECISION.underflow * LOG2_E);
        self.select_less(least, Self::zero(self.simd), value.scaled(counted))
    }

    /// `2ˣ` of an argument of at most 0, to be added to 1: nearly nothing far below 0.
    #[inline(always)]
    pub(crate) fn exp_2_beside_one(self) -> Self {
        let bounded = if S::WHOLE_RANGE {
            self
        } else {
            self.at_least(self.like(-64.))
        };
        let (k, counted) = bounded.rounded();
        (bounded - k).polynomial(R::PRECISION.power).scaled(counted)
    }

    /// Reduced argument of the exponential: `x = k ln 2 + r`; returns `eʳ − 1` and k.
    #[inline(always)]
    fn reduced_exponential(self) -> (Self, Self) {
        let (k, counted) = (self * R::of(LOG2_E)).rounded();
        let [high, low] = R::PRECISION.ln_2;
        let r = k.mul_add(self.like(-high), self);
        let r = k.mul_add(self.like(-low), r);
        let rest = r.polynomial(R::PRECISION.exponential) * r;
        (rest.mul_add(r, r), counted)
    }

    /// `eˣ` of an argument of at most 0; 0 below about −69 (f32) or −690 (f64): products of it are to have all
    /// their digits, as others cost many times as much.
    #[inline(always)]
    pub(crate) fn exp_of_not_positive(self) -> Self {
        let underflow = self.like(R::PRECISION.underflow);
        let (reduced, counted) = self.reduced_exponential();
        let value = (reduced + R::one()).scaled(counted);
        self.select_less(underflow, Self::zero(self.simd), value)
    }

    /// Natural logarithm; of 0 minus infinity, of a negative number none.
    #[inline(always)]
    pub(crate) fn ln(self) -> Self {
        self.logarithm(false)
    }

    /// Binary logarithm; of 0 minus infinity, of a negative number none.
    #[inline(always)]
    pub(crate) fn log_2(self) -> Self {
        self.logarithm(true)
    }

    /// The binary or the natural one.
    #[inline(always)]
    fn logarithm(self, binary: bool) -> Self {
        if S::WHOLE_RANGE {
            // A zero without a sign.
            return (self + R::zero()).logarithm_of_normal(binary);
        }
        let smallest = Self::splat(self.simd, R::min_positive_value());
        let infinity = self.like(f64::INFINITY);
        let zero = Self::zero(self.simd);
        // Numbers with fewer digits than normal are brought among the normal ones.
        let of_two = if binary { 1. } else { std::f64::consts::LN_2 };
        let (up, steps) = (2f64.powi(60), -60. * of_two);
        let normal = self.select_less(smallest, self * R::of(up), self);
        let added = self.select_less(smallest, self.like(steps), zero);
        let value = normal.logarithm_of_normal(binary) + added;
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
        self.logarithm_of_normal(false)
    }

    /// `x = 2^k m`, `ln m = 2 artanh s`.
    #[inline(always)]
    fn logarithm_of_normal(self, binary: bool) -> Self {
        let (mut k, mut mantissa) = (self, self);
        for v in 0..V {
            (k.lanes[v], mantissa.lanes[v]) = R::exponent_and_mantissa(self.simd, self.lanes[v]);
        }
        let one = self.like(1.);
        let s = (mantissa - one) / (mantissa + one);
        let square = s * s;
        let rest = square.polynomial(R::PRECISION.logarithm) * square;
        let artanh = rest.mul_add(s, s);
        if binary {
            return artanh.mul_add(self.like(2. * LOG2_E), k);
        }
        let [high, low] = R::PRECISION.ln_2;
        let small = k.mul_add(self.like(low), artanh + artanh);
        k.mul_add(self.like(high), small)
    }

    /// Hyperbolic tangent of an argument of at least 0.
    #[inline(always)]
    pub(crate) fn tanh_of_not_negative(self) -> Self {
        // From there on it is 1 in either type.
        let exponent = self.at_most(self.like(20.)) * R::of(-2. * LOG2_E);
        let (k, counted) = exponent.rounded();
        let f = exponent - k;
        let reduced = f.polynomial(R::PRECISION.power_minus_one) * f;
        let power = self.like(1.).scaled(counted);
        // e^(−2x) − 1, exact to the last digits near 0 as well.
        let minus_one = reduced.mul_add(power, power - R::one());
        minus_one.negated() / (minus_one + R::of(2.))
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

    /// Whether every lane is less than the other's.
    #[inline(always)]
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "a branch at each lane costs more than comparing all"
    )]
    pub(crate) fn is_less(self, other: Self) -> bool {
        let own = bytemuck::cast_slice::<R::Vector<S>, R>(&self.lanes);
        let other = bytemuck::cast_slice::<R::Vector<S>, R>(&other.lanes);
        let pairs = own.iter().zip(other);
        pairs.fold(true, |less, (&a, &b)| less & (a < b))
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
