//! The two floating-point types, in vectors of any instruction set.

use bytemuck::Pod;
use num_traits::Float;

use crate::gate::Gate;
use crate::level::{Level, SUMS, Task, dispatch_f32, dispatch_f64};
use crate::potential::Autoencoder;
use crate::scorer::{Scorer, Scores};

/// A floating-point type that kernels are made for: f32 or f64.
pub trait Real: Float + Pod + Default + Send + Sync + std::fmt::Debug + 'static {
    /// As many numbers as one instruction handles.
    type Vector<S: Level>: Pod + Send + Sync;
    /// Terms of a power series that reach this type's precision.
    const PRECISION: Precision;

    /// The nearest number of this type.
    fn of(value: f64) -> Self;
    /// Runs work on the instruction set of this machine.
    fn dispatch<T: Task<Self>>(task: T) -> T::Output;
    /// [`Gate::forward`], compiled with this crate and not with the one that calls it: so it is fast in every
    /// profile in which this crate is.
    fn gate_forward(gate: &Gate<'_, Self>, potentials: &[Self], outputs: &mut [Self]);
    /// [`Gate::backward`], likewise.
    fn gate_backward(
        gate: &Gate<'_, Self>,
        potentials: &[Self],
        outputs: &[Self],
        output_gradient: &[Self],
        potential_gradient: &mut [Self],
        parameter_gradient: &mut [Self],
    );
    /// [`Autoencoder::energies`], likewise.
    fn energies(autoencoder: &Autoencoder<'_, Self>, rows: &[Self], energies: &mut [Self]);
    /// [`Autoencoder::backward`], likewise.
    fn energies_backward(
        autoencoder: &Autoencoder<'_, Self>,
        rows: &[Self],
        energy_gradient: &[Self],
        row_gradient: &mut [Self],
        parameter_gradient: &mut [Self],
    );
    /// [`Scorer::scores`], likewise.
    fn scores(scorer: &Scorer<'_, Self>, rows: &[Self], scores: Scores<'_, Self>);
    /// The same number in every lane.
    fn splat<S: Level>(simd: S, value: Self) -> Self::Vector<S>;
    /// Sum.
    fn sum<S: Level>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// Difference.
    fn difference<S: Level>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// Product.
    fn product<S: Level>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// Quotient.
    fn quotient<S: Level>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// Square root.
    fn square_root<S: Level>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    /// `a b + c`, rounded once where the instruction set can.
    fn product_and_sum<S: Level>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// `yes` where `a < b`, `no` elsewhere, also where either is no number.
    fn select_less<S: Level>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        yes: Self::Vector<S>,
        no: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// Nearest integer k of moderate x, and 2^(k−1), which overflows later than 2^k.
    fn round_and_half_power<S: Level>(
        simd: S,
        x: Self::Vector<S>,
    ) -> (Self::Vector<S>, Self::Vector<S>);
    /// k and m in [√½, √2) with `x = 2^k m`, of a positive normal number.
    fn exponent_and_mantissa<S: Level>(
        simd: S,
        x: Self::Vector<S>,
    ) -> (Self::Vector<S>, Self::Vector<S>);
    /// Sums of the lanes of each of 16 vectors.
    fn sums_of_lanes<S: Level>(simd: S, vectors: &[Self::Vector<S>; SUMS]) -> [Self; SUMS];
}

/// How far power series go, and the ends of the exponential.
#[derive(Debug, Clone, Copy)]
pub struct Precision {
    /// Coefficients 1/2!, 1/3!, … of `(eʳ − 1 − r)/r²`, r up to ln 2/2.
    pub exponential: &'static [f64],
    /// Coefficients 1/3, 1/5, … of `(artanh s − s)/s³`, s up to 0.172.
    pub logarithm: &'static [f64],
    /// ln 2 in two parts, the first with so few bits that an integer times it is exact.
    pub ln_2: [f64; 2],
    /// Below it the exponential is 0.
    pub underflow: f64,
    /// Above it the exponential is infinite.
    pub overflow: f64,
}

const EXPONENTIAL: [f64; 12] = {
    let mut coefficients = [0.; 12];
    let (mut k, mut factorial) = (0, 1.);
    while k < coefficients.len() {
        factorial *= (k + 2) as f64;
        coefficients[k] = 1. / factorial;
        k += 1;
    }
    coefficients
};

const LOGARITHM: [f64; 10] = {
    let mut coefficients = [0.; 10];
    let mut k = 0;
    while k < coefficients.len() {
        coefficients[k] = 1. / (2 * k + 3) as f64;
        k += 1;
    }
    coefficients
};

macro_rules! kernels {
    ($real:ty) => {
        fn gate_forward(gate: &Gate<'_, $real>, potentials: &[$real], outputs: &mut [$real]) {
            gate.run_forward(potentials, outputs);
        }

        fn gate_backward(
            gate: &Gate<'_, $real>,
            potentials: &[$real],
            outputs: &[$real],
            output_gradient: &[$real],
            potential_gradient: &mut [$real],
            parameter_gradient: &mut [$real],
        ) {
            gate.run_backward(
                potentials,
                outputs,
                output_gradient,
                potential_gradient,
                parameter_gradient,
            );
        }

        fn energies(autoencoder: &Autoencoder<'_, $real>, rows: &[$real], energies: &mut [$real]) {
            autoencoder.run_energies(rows, energies);
        }

        fn energies_backward(
            autoencoder: &Autoencoder<'_, $real>,
            rows: &[$real],
            energy_gradient: &[$real],
            row_gradient: &mut [$real],
            parameter_gradient: &mut [$real],
        ) {
            autoencoder.run_backward(rows, energy_gradient, row_gradient, parameter_gradient);
        }

        fn scores(scorer: &Scorer<'_, $real>, rows: &[$real], scores: Scores<'_, $real>) {
            scorer.run_scores(rows, scores);
        }
    };
}

macro_rules! arithmetic {
    ($real:ty, $vector:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $sqrt:ident, $mul_add:ident, $less:ident, $select:ident) => {
        type Vector<S: Level> = S::$vector;

        #[inline(always)]
        fn of(value: f64) -> Self {
            value as $real
        }

        #[inline(always)]
        fn splat<S: Level>(simd: S, value: Self) -> S::$vector {
            simd.$splat(value)
        }

        #[inline(always)]
        fn sum<S: Level>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$add(a, b)
        }

        #[inline(always)]
        fn difference<S: Level>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$sub(a, b)
        }

        #[inline(always)]
        fn product<S: Level>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$mul(a, b)
        }

        #[inline(always)]
        fn quotient<S: Level>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$div(a, b)
        }

        #[inline(always)]
        fn square_root<S: Level>(simd: S, a: S::$vector) -> S::$vector {
            simd.$sqrt(a)
        }

        #[inline(always)]
        fn product_and_sum<S: Level>(
            simd: S,
            a: S::$vector,
            b: S::$vector,
            c: S::$vector,
        ) -> S::$vector {
            simd.$mul_add(a, b, c)
        }

        #[inline(always)]
        fn select_less<S: Level>(
            simd: S,
            a: S::$vector,
            b: S::$vector,
            yes: S::$vector,
            no: S::$vector,
        ) -> S::$vector {
            simd.$select(simd.$less(a, b), yes, no)
        }
    };
}

/// 1.5 · 2^23: an f32 of this size counts in ones, so that adding it rounds to an integer.
const COUNTS_ONES_F32: f32 = 12_582_912.;
/// 1.5 · 2^52.
const COUNTS_ONES_F64: f64 = 6_755_399_441_055_744.;

impl Real for f32 {
    arithmetic!(
        f32,
        f32s,
        splat_f32s,
        add_f32s,
        sub_f32s,
        mul_f32s,
        div_f32s,
        sqrt_f32s,
        mul_add_e_f32s,
        less_than_f32s,
        select_f32s
    );

    const PRECISION: Precision = Precision {
        exponential: EXPONENTIAL.first_chunk::<6>().unwrap(),
        logarithm: LOGARITHM.first_chunk::<4>().unwrap(),
        ln_2: [0.693_359_375, -2.121_944_400_546_905_8e-4],
        underflow: -87.,
        overflow: 88.722_83,
    };

    kernels!(f32);

    fn dispatch<T: Task<Self>>(task: T) -> T::Output {
        dispatch_f32(task)
    }

    #[inline(always)]
    fn round_and_half_power<S: Level>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
        let counter = simd.splat_f32s(COUNTS_ONES_F32);
        let counted = simd.add_f32s(x, counter);
        let bits = simd.transmute_u32s_f32s(counted);
        let biased = simd.add_u32s(bits, simd.splat_u32s(126));
        let power = simd.wrapping_dyn_shl_u32s(biased, simd.splat_u32s(23));
        (
            simd.sub_f32s(counted, counter),
            simd.transmute_f32s_u32s(power),
        )
    }

    #[inline(always)]
    fn exponent_and_mantissa<S: Level>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
        const ROOT_HALF: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
        const TWO_TO_23: f32 = 8_388_608.;
        let shift = simd.splat_u32s(1f32.to_bits() - ROOT_HALF);
        let bits = simd.add_u32s(simd.transmute_u32s_f32s(x), shift);
        let biased = simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(23));
        let counted = simd.or_u32s(biased, simd.splat_u32s(TWO_TO_23.to_bits()));
        let exponent = simd.sub_f32s(
            simd.transmute_f32s_u32s(counted),
            simd.splat_f32s(TWO_TO_23 + 127.),
        );
        let fraction = simd.and_u32s(bits, simd.splat_u32s((1 << 23) - 1));
        let mantissa = simd.add_u32s(fraction, simd.splat_u32s(ROOT_HALF));
        (exponent, simd.transmute_f32s_u32s(mantissa))
    }

    #[inline(always)]
    fn sums_of_lanes<S: Level>(simd: S, vectors: &[S::f32s; SUMS]) -> [f32; SUMS] {
        simd.sums_of_lanes(vectors)
    }
}

impl Real for f64 {
    arithmetic!(
        f64,
        f64s,
        splat_f64s,
        add_f64s,
        sub_f64s,
        mul_f64s,
        div_f64s,
        sqrt_f64s,
        mul_add_e_f64s,
        less_than_f64s,
        select_f64s
    );

    const PRECISION: Precision = Precision {
        exponential: &EXPONENTIAL,
        logarithm: &LOGARITHM,
        ln_2: [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10],
        underflow: -708.,
        overflow: 709.782_712_893_384,
    };

    kernels!(f64);

    fn dispatch<T: Task<Self>>(task: T) -> T::Output {
        dispatch_f64(task)
    }

    #[inline(always)]
    fn round_and_half_power<S: Level>(simd: S, x: S::f64s) -> (S::f64s, S::f64s) {
        let counter = simd.splat_f64s(COUNTS_ONES_F64);
        let counted = simd.add_f64s(x, counter);
        let bits = simd.transmute_u64s_f64s(counted);
        let biased = simd.add_u64s(bits, simd.splat_u64s(1022));
        let power = shifted::<S>(biased, |bits| bits << 52);
        (
            simd.sub_f64s(counted, counter),
            simd.transmute_f64s_u64s(power),
        )
    }

    #[inline(always)]
    fn exponent_and_mantissa<S: Level>(simd: S, x: S::f64s) -> (S::f64s, S::f64s) {
        const ROOT_HALF: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
        const TWO_TO_52: f64 = 4_503_599_627_370_496.;
        let shift = simd.splat_u64s(1f64.to_bits() - ROOT_HALF);
        let bits = simd.add_u64s(simd.transmute_u64s_f64s(x), shift);
        let biased = shifted::<S>(bits, |bits| bits >> 52);
        let counted = simd.or_u64s(biased, simd.splat_u64s(TWO_TO_52.to_bits()));
        let exponent = simd.sub_f64s(
            simd.transmute_f64s_u64s(counted),
            simd.splat_f64s(TWO_TO_52 + 1023.),
        );
        let fraction = simd.and_u64s(bits, simd.splat_u64s((1 << 52) - 1));
        let mantissa = simd.add_u64s(fraction, simd.splat_u64s(ROOT_HALF));
        (exponent, simd.transmute_f64s_u64s(mantissa))
    }

    #[inline(always)]
    fn sums_of_lanes<S: Level>(simd: S, vectors: &[S::f64s; SUMS]) -> [f64; SUMS] {
        let mut sums = [0.; SUMS];
        for (sum, vector) in sums.iter_mut().zip(vectors) {
            *sum = simd.reduce_sum_f64s(*vector);
        }
        sums
    }
}

/// pulp shifts 32-bit lanes only; a loop over the lanes of a vector is one instruction again.
#[inline(always)]
fn shifted<S: Level>(mut bits: S::u64s, shift: impl Fn(u64) -> u64) -> S::u64s {
    for lane in bytemuck::cast_slice_mut::<S::u64s, u64>(std::slice::from_mut(&mut bits)) {
        *lane = shift(*lane);
    }
    bits
}
