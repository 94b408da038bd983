//! The two floating-point types, in vectors of any instruction set.

use bytemuck::Pod;
use num_traits::Float;

use crate::affine::Affine;
use crate::gate::Gate;
use crate::level::{Level, SUMS, Task, dispatch_f32, dispatch_f64};
use crate::noisy_mixture::{MixturePosterior, NoisyMixture};
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
    /// [`Affine::outputs`], likewise.
    fn affine(affine: &Affine<'_, Self>, rows: &[Self], outputs: &mut [Self]);
    /// [`NoisyMixture::posterior`], likewise.
    fn noisy_mixture(
        mixture: &NoisyMixture<Self>,
        rows: &[Self],
        row_terms: &[Self],
        posterior: MixturePosterior<'_, Self>,
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
    /// The larger of the two; x where it is no number.
    fn at_least<S: Level>(simd: S, x: Self::Vector<S>, limit: Self::Vector<S>) -> Self::Vector<S>;
    /// The smaller of the two; x where it is no number.
    fn at_most<S: Level>(simd: S, x: Self::Vector<S>, limit: Self::Vector<S>) -> Self::Vector<S>;
    /// Without its sign.
    fn absolute<S: Level>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// Nearest integer k of moderate x, and k as [`scaled`](Self::scaled) takes it.
    fn rounded<S: Level>(simd: S, x: Self::Vector<S>) -> (Self::Vector<S>, Self::Vector<S>);
    /// `2^k x`, where `2^k` is a normal number or the level takes every k.
    fn scaled<S: Level>(simd: S, x: Self::Vector<S>, counted: Self::Vector<S>) -> Self::Vector<S>;
    /// k and m from 0.7 to 1.5 with `x = 2^k m`, of a positive normal number or whatever the level takes.
    fn exponent_and_mantissa<S: Level>(
        simd: S,
        x: Self::Vector<S>,
    ) -> (Self::Vector<S>, Self::Vector<S>);
    /// Sums of the lanes of each of 16 vectors.
    fn sums_of_lanes<S: Level>(simd: S, vectors: &[Self::Vector<S>; SUMS]) -> [Self; SUMS];
}

/// Polynomials of elementary functions, and the ends of the exponential.
///
/// Coefficients begin with the constant. Of all polynomials of their degree these have the least largest
/// error, relative to the whole function that they are part of: a Remez exchange in 50 digits solved for
/// them, then they were rounded to f64. Where nothing else is said the error is a tenth of a last place
/// of the type or less.
#[derive(Debug, Clone, Copy)]
pub struct Precision {
    /// 2ᶠ, f from −½ to ½: within a last place, and at 0 within one of 1.
    pub power: &'static [f64],
    /// `(2ᶠ − 1)/f`, f from −½ to ½.
    pub power_minus_one: &'static [f64],
    /// `(eʳ − 1 − r)/r²` as a part of eʳ, r from −ln 2/2 to ln 2/2.
    pub exponential: &'static [f64],
    /// `(artanh s − s)/s³` in s² as a part of artanh s, s from −0.2 to 0.2.
    pub logarithm: &'static [f64],
    /// ln 2 in two parts, the first with so few bits that an integer times it is exact, both positive.
    pub ln_2: [f64; 2],
    /// Below it the exponential counts as 0: its products are to be normal numbers.
    pub underflow: f64,
    /// Least and largest k of which 2ᵏ is a normal number.
    pub exponents: [f64; 2],
}

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

        fn affine(affine: &Affine<'_, $real>, rows: &[$real], outputs: &mut [$real]) {
            affine.run_outputs(rows, outputs);
        }

        fn noisy_mixture(
            mixture: &NoisyMixture<$real>,
            rows: &[$real],
            row_terms: &[$real],
            posterior: MixturePosterior<'_, $real>,
        ) {
            mixture.run_posterior(rows, row_terms, posterior);
        }

        fn scores(scorer: &Scorer<'_, $real>, rows: &[$real], scores: Scores<'_, $real>) {
            scorer.run_scores(rows, scores);
        }
    };
}

macro_rules! arithmetic {
    ($real:ty, $vector:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $sqrt:ident, $mul_add:ident, $less:ident, $select:ident, $abs:ident, $at_least:ident, $at_most:ident, $rounded:ident, $scaled:ident, $split:ident) => {
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

        #[inline(always)]
        fn at_least<S: Level>(simd: S, x: S::$vector, limit: S::$vector) -> S::$vector {
            simd.$at_least(x, limit)
        }

        #[inline(always)]
        fn at_most<S: Level>(simd: S, x: S::$vector, limit: S::$vector) -> S::$vector {
            simd.$at_most(x, limit)
        }

        #[inline(always)]
        fn absolute<S: Level>(simd: S, x: S::$vector) -> S::$vector {
            simd.$abs(x)
        }

        #[inline(always)]
        fn rounded<S: Level>(simd: S, x: S::$vector) -> (S::$vector, S::$vector) {
            simd.$rounded(x)
        }

        #[inline(always)]
        fn scaled<S: Level>(simd: S, x: S::$vector, counted: S::$vector) -> S::$vector {
            simd.$scaled(x, counted)
        }

        #[inline(always)]
        fn exponent_and_mantissa<S: Level>(simd: S, x: S::$vector) -> (S::$vector, S::$vector) {
            simd.$split(x)
        }
    };
}

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
        select_f32s,
        abs_f32s,
        at_least_f32s,
        at_most_f32s,
        rounded_f32s,
        scaled_f32s,
        exponent_and_mantissa_f32s
    );

    const PRECISION: Precision = Precision {
        power: &[
            1.000_000_071_654_352,
            0.693_146_967_064_354_3,
            0.240_221_197_250_870_88,
            0.055_507_132_752_345_41,
            0.009_675_541_295_571_258,
            0.001_327_647_140_091_381_1,
        ],
        power_minus_one: &[
            0.693_147_187_926_663_6,
            0.240_226_497_949_721_78,
            0.055_503_574_336_952_737,
            0.009_618_237_491_160_82,
            0.001_339_073_546_546_567_6,
            0.000_154_035_137_217_493_3,
        ],
        exponential: &[
            0.499_999_934_515_535_7,
            0.166_665_206_902_326_42,
            0.041_668_387_411_334_05,
            0.008_368_709_797_462_789,
            0.001_381_461_022_832_221_9,
        ],
        logarithm: &[
            0.333_334_731_553_535_4,
            0.199_789_546_792_701_22,
            0.151_795_316_806_094_37,
        ],
        ln_2: [0.693_145_751_953_125, 1.428_606_820_309_417_3e-6],
        underflow: -69.,
        exponents: [-126., 127.],
    };

    kernels!(f32);

    fn dispatch<T: Task<Self>>(task: T) -> T::Output {
        dispatch_f32(task)
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
        select_f64s,
        abs_f64s,
        at_least_f64s,
        at_most_f64s,
        rounded_f64s,
        scaled_f64s,
        exponent_and_mantissa_f64s
    );

    const PRECISION: Precision = Precision {
        power: &[
            1.,
            0.693_147_180_559_949_7,
            0.240_226_506_959_087_68,
            0.055_504_108_664_458_83,
            0.009_618_129_108_034_605,
            0.001_333_355_822_856_132_7,
            0.000_154_035_299_611_190_85,
            1.525_265_811_663_737_4e-5,
            1.321_566_283_894_997_8e-6,
            1.020_853_789_089_708e-7,
            7.037_278_476_744_431e-9,
        ],
        power_minus_one: &[
            std::f64::consts::LN_2,
            0.240_226_506_959_100_97,
            0.055_504_108_664_821_236,
            0.009_618_129_107_607_065,
            0.001_333_355_814_653_162_2,
            0.000_154_035_304_414_808_56,
            1.525_273_370_122_729_5e-5,
            1.321_544_272_412_609e-6,
            1.017_812_129_329_868_2e-7,
            7.072_561_722_193_104e-9,
            4.445_538_179_388_878e-10,
        ],
        exponential: &[
            0.500_000_000_000_001_1,
            0.166_666_666_666_664_13,
            0.041_666_666_666_530_267,
            0.008_333_333_333_494_335,
            0.001_388_888_894_359_741_9,
            0.000_198_412_695_067_721_58,
            2.480_149_313_643_371_8e-5,
            2.755_758_627_508_953e-6,
            2.763_023_384_478_028_3e-7,
            2.500_006_905_423_093_8e-8,
        ],
        logarithm: &[
            0.333_333_333_333_363_4,
            0.199_999_999_980_884_52,
            0.142_857_146_964_128_43,
            0.111_110_693_424_473_47,
            0.090_931_745_866_154_3,
            0.076_251_580_882_118_63,
            0.076_836_339_695_954_81,
        ],
        ln_2: [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10],
        underflow: -690.,
        exponents: [-1022., 1023.],
    };

    kernels!(f64);

    fn dispatch<T: Task<Self>>(task: T) -> T::Output {
        dispatch_f64(task)
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
