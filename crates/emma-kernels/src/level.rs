//! Instruction sets, chosen when the program runs.

use std::sync::OnceLock;

use pulp::{Scalar, Simd};

use crate::real::Real;

/// Rows that a kernel computes side by side.
pub(crate) const BLOCK: usize = 32;

/// Vectors of this many lanes at least are summed together.
pub(crate) const SUMS: usize = 16;

/// An instruction set: pulp's vectors, and sums across their lanes.
pub trait Level: Simd {
    /// Sums of the lanes of each of 16 vectors.
    fn sums_of_lanes(self, vectors: &[Self::f32s; SUMS]) -> [f32; SUMS];
}

impl Level for Scalar {
    #[inline(always)]
    fn sums_of_lanes(self, vectors: &[f32; SUMS]) -> [f32; SUMS] {
        *vectors
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m512};

    use pulp::cast;
    use pulp::x86::{V3, V4};

    use super::{Level, SUMS};

    impl Level for V3 {
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

    impl Level for V4 {
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
