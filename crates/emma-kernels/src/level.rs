//! Instruction sets, chosen when the program runs.

use std::sync::OnceLock;

use pulp::{Scalar, Simd};

use crate::real::Real;

/// Rows that a kernel computes side by side.
pub(crate) const BLOCK: usize = 32;

/// Vectors of this many lanes at least are summed together.
pub(crate) const SUMS: usize = 16;

/// An instruction set: pulp's vectors, sums across their lanes, and the steps of elementary functions that
/// some sets have instructions for.
pub trait Level: Simd {
    /// Whether [`scaled_f32s`](Self::scaled_f32s) takes every k, infinite ones included, and
    /// [`exponent_and_mantissa_f32s`](Self::exponent_and_mantissa_f32s) every x, and those of f64.
    const WHOLE_RANGE: bool = false;

    /// Sums of the lanes of each of 16 vectors.
    fn sums_of_lanes(self, vectors: &[Self::f32s; SUMS]) -> [f32; SUMS];

    /// The larger of the two; x where it is no number.
    #[inline(always)]
    fn at_least_f32s(self, x: Self::f32s, limit: Self::f32s) -> Self::f32s {
        self.select_f32s(self.less_than_f32s(x, limit), limit, x)
    }

    /// The larger of the two; x where it is no number.
    #[inline(always)]
    fn at_least_f64s(self, x: Self::f64s, limit: Self::f64s) -> Self::f64s {
        self.select_f64s(self.less_than_f64s(x, limit), limit, x)
    }

    /// The smaller of the two; x where it is no number.
    #[inline(always)]
    fn at_most_f32s(self, x: Self::f32s, limit: Self::f32s) -> Self::f32s {
        self.select_f32s(self.less_than_f32s(limit, x), limit, x)
    }

    /// The smaller of the two; x where it is no number.
    #[inline(always)]
    fn at_most_f64s(self, x: Self::f64s, limit: Self::f64s) -> Self::f64s {
        self.select_f64s(self.less_than_f64s(limit, x), limit, x)
    }

    /// Nearest integer k of moderate x, and k as [`scaled_f32s`](Self::scaled_f32s) takes it.
    #[inline(always)]
    fn rounded_f32s(self, x: Self::f32s) -> (Self::f32s, Self::f32s) {
        let counter = self.splat_f32s(COUNTS_ONES_F32);
        let counted = self.add_f32s(x, counter);
        (self.sub_f32s(counted, counter), counted)
    }

    /// Nearest integer k of moderate x, and k as [`scaled_f64s`](Self::scaled_f64s) takes it.
    #[inline(always)]
    fn rounded_f64s(self, x: Self::f64s) -> (Self::f64s, Self::f64s) {
        let counter = self.splat_f64s(COUNTS_ONES_F64);
        let counted = self.add_f64s(x, counter);
        (self.sub_f64s(counted, counter), counted)
    }

    /// `2^k x` of k from −126 to 127.
    #[inline(always)]
    fn scaled_f32s(self, x: Self::f32s, counted: Self::f32s) -> Self::f32s {
        let bits = self.transmute_u32s_f32s(counted);
        let biased = self.add_u32s(bits, self.splat_u32s(127));
        let power = self.wrapping_dyn_shl_u32s(biased, self.splat_u32s(23));
        self.mul_f32s(x, self.transmute_f32s_u32s(power))
    }

    /// `2^k x` of k from −1022 to 1023.
    #[inline(always)]
    fn scaled_f64s(self, x: Self::f64s, counted: Self::f64s) -> Self::f64s {
        let bits = self.transmute_u64s_f64s(counted);
        let biased = self.add_u64s(bits, self.splat_u64s(1023));
        let power = shifted::<Self>(biased, |bits| bits << 52);
        self.mul_f64s(x, self.transmute_f64s_u64s(power))
    }

    /// k and m near 1 with `x = 2^k m`, of a positive normal number.
    #[inline(always)]
    fn exponent_and_mantissa_f32s(self, x: Self::f32s) -> (Self::f32s, Self::f32s) {
        const ROOT_HALF: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
        const TWO_TO_23: f32 = 8_388_608.;
        let shift = self.splat_u32s(1f32.to_bits() - ROOT_HALF);
        let bits = self.add_u32s(self.transmute_u32s_f32s(x), shift);
        let biased = self.wrapping_dyn_shr_u32s(bits, self.splat_u32s(23));
        let counted = self.or_u32s(biased, self.splat_u32s(TWO_TO_23.to_bits()));
        let exponent = self.sub_f32s(
            self.transmute_f32s_u32s(counted),
            self.splat_f32s(TWO_TO_23 + 127.),
        );
        let fraction = self.and_u32s(bits, self.splat_u32s((1 << 23) - 1));
        let mantissa = self.add_u32s(fraction, self.splat_u32s(ROOT_HALF));
        (exponent, self.transmute_f32s_u32s(mantissa))
    }

    /// k and m near 1 with `x = 2^k m`, of a positive normal number.
    #[inline(always)]
    fn exponent_and_mantissa_f64s(self, x: Self::f64s) -> (Self::f64s, Self::f64s) {
        const ROOT_HALF: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
        const TWO_TO_52: f64 = 4_503_599_627_370_496.;
        let shift = self.splat_u64s(1f64.to_bits() - ROOT_HALF);
        let bits = self.add_u64s(self.transmute_u64s_f64s(x), shift);
        let biased = shifted::<Self>(bits, |bits| bits >> 52);
        let counted = self.or_u64s(biased, self.splat_u64s(TWO_TO_52.to_bits()));
        let exponent = self.sub_f64s(
            self.transmute_f64s_u64s(counted),
            self.splat_f64s(TWO_TO_52 + 1023.),
        );
        let fraction = self.and_u64s(bits, self.splat_u64s((1 << 52) - 1));
        let mantissa = self.add_u64s(fraction, self.splat_u64s(ROOT_HALF));
        (exponent, self.transmute_f64s_u64s(mantissa))
    }
}

/// 1.5 · 2^23: an f32 of this size counts in ones, so that adding it rounds to an integer.
const COUNTS_ONES_F32: f32 = 12_582_912.;
/// 1.5 · 2^52.
const COUNTS_ONES_F64: f64 = 6_755_399_441_055_744.;

/// pulp shifts 32-bit lanes only; a loop over the lanes of a vector is one instruction again.
#[inline(always)]
fn shifted<S: Simd>(mut bits: S::u64s, shift: impl Fn(u64) -> u64) -> S::u64s {
    for lane in bytemuck::cast_slice_mut::<S::u64s, u64>(std::slice::from_mut(&mut bits)) {
        *lane = shift(*lane);
    }
    bits
}

impl Level for Scalar {
    #[inline(always)]
    fn sums_of_lanes(self, vectors: &[f32; SUMS]) -> [f32; SUMS] {
        *vectors
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m512, _MM_MANT_NORM_P75_1P5, _MM_MANT_SIGN_NAN};

    use pulp::x86::{V3, V4};
    use pulp::{Simd, cast};

    use super::{Level, SUMS};

    /// Nearest integer.
    const NEAREST: i32 = 8;

    // Where one of two is no number, these instructions return the second.
    macro_rules! limits {
        ($unit:ident, $max_f32s:ident, $min_f32s:ident, $max_f64s:ident, $min_f64s:ident) => {
            #[inline(always)]
            fn at_least_f32s(self, x: Self::f32s, limit: Self::f32s) -> Self::f32s {
                cast(self.$unit.$max_f32s(cast(limit), cast(x)))
            }

            #[inline(always)]
            fn at_least_f64s(self, x: Self::f64s, limit: Self::f64s) -> Self::f64s {
                cast(self.$unit.$max_f64s(cast(limit), cast(x)))
            }

            #[inline(always)]
            fn at_most_f32s(self, x: Self::f32s, limit: Self::f32s) -> Self::f32s {
                cast(self.$unit.$min_f32s(cast(limit), cast(x)))
            }

            #[inline(always)]
            fn at_most_f64s(self, x: Self::f64s, limit: Self::f64s) -> Self::f64s {
                cast(self.$unit.$min_f64s(cast(limit), cast(x)))
            }
        };
    }

    impl Level for V3 {
        limits!(
            avx,
            _mm256_max_ps,
            _mm256_min_ps,
            _mm256_max_pd,
            _mm256_min_pd
        );

        #[inline(always)]
        fn sums_of_lanes(self, vectors: &[pulp::f32x8; SUMS]) -> [f32; SUMS] {
            let mut sums = [0.; SUMS];
            let (first, second) = vectors.split_at(8);
            for (vectors, sums) in [first, second].into_iter().zip(sums.chunks_exact_mut(8)) {
                // Four vectors become one that holds, in each 128-bit half, a sum of each.
                let mut quads = [cast::<pulp::f32x8, __m256>(vectors[0]); 2];
                for (quad, vectors) in quads.iter_mut().zip(vectors.chunks_exact(4)) {
                    let mut pairs = [*quad; 2];
                    for (pair, vectors) in pairs.iter_mut().zip(vectors.chunks_exact(2)) {
                        let (a, b) = (cast(vectors[0]), cast(vectors[1]));
                        *pair = self.avx._mm256_add_ps(
                            self.avx._mm256_unpacklo_ps(a, b),
                            self.avx._mm256_unpackhi_ps(a, b),
                        );
                    }
                    let (a, b) = (cast(pairs[0]), cast(pairs[1]));
                    *quad = self.avx._mm256_add_ps(
                        cast(self.avx._mm256_unpacklo_pd(a, b)),
                        cast(self.avx._mm256_unpackhi_pd(a, b)),
                    );
                }
                let [a, b] = quads;
                let all = self.avx._mm256_add_ps(
                    self.avx._mm256_permute2f128_ps::<0x20>(a, b),
                    self.avx._mm256_permute2f128_ps::<0x31>(a, b),
                );
                sums.copy_from_slice(&cast::<__m256, [f32; 8]>(all));
            }
            sums
        }
    }

    macro_rules! range_of_exponents {
        ($rounded:ident, $scaled:ident, $split:ident, $vector:ident, $difference:ident, $roundscale:ident, $scalef:ident, $getexp:ident, $getmant:ident) => {
            #[inline(always)]
            fn $rounded(self, x: Self::$vector) -> (Self::$vector, Self::$vector) {
                let nearest = cast(self.avx512f.$roundscale::<NEAREST>(cast(x)));
                (nearest, nearest)
            }

            #[inline(always)]
            fn $scaled(self, x: Self::$vector, counted: Self::$vector) -> Self::$vector {
                cast(self.avx512f.$scalef(cast(x), cast(counted)))
            }

            #[inline(always)]
            fn $split(self, x: Self::$vector) -> (Self::$vector, Self::$vector) {
                // From 0.75 to 1.5; of a negative number none.
                let mantissa = self
                    .avx512f
                    .$getmant::<_MM_MANT_NORM_P75_1P5, _MM_MANT_SIGN_NAN>(cast(x));
                let exponent = cast(self.avx512f.$getexp(cast(x)));
                let of_mantissa = cast(self.avx512f.$getexp(mantissa));
                (self.$difference(exponent, of_mantissa), cast(mantissa))
            }
        };
    }

    impl Level for V4 {
        const WHOLE_RANGE: bool = true;

        limits!(
            avx512f,
            _mm512_max_ps,
            _mm512_min_ps,
            _mm512_max_pd,
            _mm512_min_pd
        );

        range_of_exponents!(
            rounded_f32s,
            scaled_f32s,
            exponent_and_mantissa_f32s,
            f32s,
            sub_f32s,
            _mm512_roundscale_ps,
            _mm512_scalef_ps,
            _mm512_getexp_ps,
            _mm512_getmant_ps
        );
        range_of_exponents!(
            rounded_f64s,
            scaled_f64s,
            exponent_and_mantissa_f64s,
            f64s,
            sub_f64s,
            _mm512_roundscale_pd,
            _mm512_scalef_pd,
            _mm512_getexp_pd,
            _mm512_getmant_pd
        );

        #[inline(always)]
        fn sums_of_lanes(self, vectors: &[pulp::f32x16; SUMS]) -> [f32; SUMS] {
            let zero = cast::<[f32; 16], __m512>([0.; 16]);
            let mut quads = [zero; 4];
            for (quad, vectors) in quads.iter_mut().zip(vectors.chunks_exact(4)) {
                let mut pairs = [zero; 2];
                for (pair, vectors) in pairs.iter_mut().zip(vectors.chunks_exact(2)) {
                    let (a, b) = (cast(vectors[0]), cast(vectors[1]));
                    *pair = self.avx512f._mm512_add_ps(
                        self.avx512f._mm512_unpacklo_ps(a, b),
                        self.avx512f._mm512_unpackhi_ps(a, b),
                    );
                }
                let (a, b) = (cast(pairs[0]), cast(pairs[1]));
                *quad = self.avx512f._mm512_add_ps(
                    cast(self.avx512f._mm512_unpacklo_pd(a, b)),
                    cast(self.avx512f._mm512_unpackhi_pd(a, b)),
                );
            }
            // Quarters 0 and 2 of both, and quarters 1 and 3 of both: twice, and quarter q holds the
            // sums of vectors 4q to 4q + 3.
            let halves = [
                fold(self, quads[0], quads[1]),
                fold(self, quads[2], quads[3]),
            ];
            cast(fold(self, halves[0], halves[1]))
        }
    }

    #[inline(always)]
    fn fold(simd: V4, a: __m512, b: __m512) -> __m512 {
        simd.avx512f._mm512_add_ps(
            simd.avx512f._mm512_shuffle_f32x4::<0b10_00_10_00>(a, b),
            simd.avx512f._mm512_shuffle_f32x4::<0b11_01_11_01>(a, b),
        )
    }
}

/// The instruction set that kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstructionSet {
    /// What every processor of the architecture has.
    Base,
    /// AVX2 and FMA, vectors of 256 bits.
    Avx2,
    /// AVX-512 (F, BW, CD, DQ, VL), vectors of 512 bits.
    Avx512,
}

impl InstructionSet {
    /// The environment variable that asks for less than the processor has: `base`, `avx2` or `avx512`.
    pub const VARIABLE: &'static str = "EMMA_SIMD";

    /// The widest that this processor has, or the one that the environment variable
    /// [`VARIABLE`](Self::VARIABLE) names if the processor has it; asked once a process. Any other value
    /// of the variable counts for nothing.
    ///
    /// Results differ in their last digits from one set to another; on one, they are the same bits
    /// however many threads there are.
    pub fn current() -> Self {
        static CURRENT: OnceLock<InstructionSet> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let widest = Self::widest();
            let asked = std::env::var(Self::VARIABLE).ok();
            match asked.as_deref() {
                Some("base") => Self::Base,
                Some("avx2") if widest != Self::Base => Self::Avx2,
                _ => widest,
            }
        })
    }

    fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if pulp::x86::V4::try_new().is_some() {
                return Self::Avx512;
            }
            if pulp::x86::V3::try_new().is_some() {
                return Self::Avx2;
            }
        }
        Self::Base
    }
}

/// Work that is compiled once for each instruction set.
pub trait Task<R: Real> {
    /// What it returns.
    type Output;

    /// Does it with vectors of `simd`, of which `V` hold [`BLOCK`] rows.
    fn run<S: Level, const V: usize>(self, simd: S) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
struct OnLevel<T, S, const V: usize>(T, S);

#[cfg(target_arch = "x86_64")]
macro_rules! on_level {
    ($real:ty, $level:ty, $vectors:literal) => {
        impl<T: Task<$real>> pulp::NullaryFnOnce for OnLevel<T, $level, $vectors> {
            type Output = T::Output;

            #[inline(always)]
            fn call(self) -> T::Output {
                self.0.run::<$level, $vectors>(self.1)
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod on_x86 {
    use super::{OnLevel, Task};
    use pulp::x86::{V3, V4};

    on_level!(f32, V4, 2);
    on_level!(f32, V3, 4);
    on_level!(f64, V4, 4);
    on_level!(f64, V3, 8);
}

macro_rules! dispatch {
    ($name:ident, $real:ty, $avx2:literal, $avx512:literal) => {
        /// Runs the task on the current instruction set.
        pub(crate) fn $name<T: Task<$real>>(task: T) -> T::Output {
            #[cfg(target_arch = "x86_64")]
            match InstructionSet::current() {
                InstructionSet::Avx512 => {
                    if let Some(simd) = pulp::x86::V4::try_new() {
                        return simd.vectorize(OnLevel::<T, _, $avx512>(task, simd));
                    }
                }
                InstructionSet::Avx2 => {
                    if let Some(simd) = pulp::x86::V3::try_new() {
                        return simd.vectorize(OnLevel::<T, _, $avx2>(task, simd));
                    }
                }
                InstructionSet::Base => {}
            }
            task.run::<Scalar, BLOCK>(Scalar)
        }
    };
}

dispatch!(dispatch_f32, f32, 4, 2);
dispatch!(dispatch_f64, f64, 8, 4);
