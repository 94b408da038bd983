//! Sums over rows, sixteen at a time.

use crate::block::Block;
use crate::level::{Level, SUMS};
use crate::real::Real;

/// Vectors whose lanes are to be summed, none of which lies across cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Waiting<S: Level, R: Real>([R::Vector<S>; SUMS]);

impl<S: Level, R: Real> Waiting<S, R> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Self([R::splat(simd, R::zero()); SUMS])
    }
}

/// Collects vectors whose lanes are to be summed into the elements of a gradient.
pub(crate) struct Sums<'a, S: Level, R: Real> {
    simd: S,
    waiting: Waiting<S, R>,
    elements: [usize; SUMS],
    n_waiting: usize,
    gradient: &'a mut [R],
}

impl<'a, S: Level, R: Real> Sums<'a, S, R> {
    #[inline(always)]
    pub(crate) fn new(simd: S, gradient: &'a mut [R]) -> Self {
        Self {
            simd,
            waiting: Waiting::new(simd),
            elements: [0; SUMS],
            n_waiting: 0,
            gradient,
        }
    }

    /// Adds the sum over all rows of a block to an element.
    #[inline(always)]
    pub(crate) fn add<const V: usize>(&mut self, element: usize, terms: Block<S, R, V>) {
        self.waiting.0[self.n_waiting % SUMS] = terms.folded();
        self.elements[self.n_waiting % SUMS] = element;
        self.n_waiting += 1;
        if self.n_waiting == SUMS {
            self.flush();
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        let sums = R::sums_of_lanes(self.simd, &self.waiting.0);
        for (&element, &sum) in self.elements.iter().zip(&sums).take(self.n_waiting) {
            self.gradient[element] = self.gradient[element] + sum;
        }
        self.n_waiting = 0;
    }

    /// Begins a run of elements that follow each other.
    #[inline(always)]
    pub(crate) fn run(&mut self, first: usize) -> Run<'_, S, R> {
        Run {
            simd: self.simd,
            waiting: Waiting::new(self.simd),
            n_waiting: 0,
            elements: &mut self.gradient[first..],
        }
    }

    /// Adds what is still waiting.
    #[inline(always)]
    pub(crate) fn finish(mut self) {
        self.flush();
    }
}

/// Sums of elements that follow each other.
pub(crate) struct Run<'a, S: Level, R: Real> {
    simd: S,
    waiting: Waiting<S, R>,
    n_waiting: usize,
    elements: &'a mut [R],
}

impl<S: Level, R: Real> Run<'_, S, R> {
    /// Adds the sum over all rows of a block to the next element.
    #[inline(always)]
    pub(crate) fn add<const V: usize>(&mut self, terms: Block<S, R, V>) {
        self.waiting.0[self.n_waiting % SUMS] = terms.folded();
        self.n_waiting += 1;
        if self.n_waiting == SUMS {
            let sums = R::sums_of_lanes(self.simd, &self.waiting.0);
            let (now, later) = std::mem::take(&mut self.elements).split_at_mut(SUMS);
            for (element, &sum) in now.iter_mut().zip(&sums) {
                *element = *element + sum;
            }
            self.elements = later;
            self.n_waiting = 0;
        }
    }

    /// Adds what is still waiting.
    #[inline(always)]
    pub(crate) fn finish(self) {
        let sums = R::sums_of_lanes(self.simd, &self.waiting.0);
        for (element, &sum) in self.elements.iter_mut().zip(&sums).take(self.n_waiting) {
            *element = *element + sum;
        }
    }
}
