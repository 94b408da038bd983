//! Sums over rows, sixteen at a time.

use crate::block::Block;
use crate::level::{Level, SUMS};
use crate::real::Real;

/// Collects vectors whose lanes are to be summed into the elements of a gradient.
pub(crate) struct Sums<'a, S: Level, R: Real> {
    simd: S,
    waiting: [R::Vector<S>; SUMS],
    elements: [usize; SUMS],
    n_waiting: usize,
    gradient: &'a mut [R],
}

impl<'a, S: Level, R: Real> Sums<'a, S, R> {
    #[inline(always)]
    pub(crate) fn new(simd: S, gradient: &'a mut [R]) -> Self {
        Self {
            simd,
            waiting: [R::splat(simd, R::zero()); SUMS],
            elements: [0; SUMS],
            n_waiting: 0,
            gradient,
        }
    }

    /// Adds the sum over all rows of a block to an element.
    #[inline(always)]
    pub(crate) fn add<const V: usize>(&mut self, element: usize, terms: Block<S, R, V>) {
        self.waiting[self.n_waiting % SUMS] = terms.folded();
        self.elements[self.n_waiting % SUMS] = element;
        self.n_waiting += 1;
        if self.n_waiting == SUMS {
            self.flush();
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        let sums = R::sums_of_lanes(self.simd, &self.waiting);
        for (&element, &sum) in self.elements.iter().zip(&sums).take(self.n_waiting) {
            self.gradient[element] = self.gradient[element] + sum;
        }
        self.n_waiting = 0;
    }

    /// Adds what is still waiting.
    #[inline(always)]
    pub(crate) fn finish(mut self) {
        self.flush();
    }
}
