//! Numbers of many rows, one column a feature.

use crate::block::{Block, Lanes};
use crate::level::{BLOCK, Level};
use crate::real::Real;

/// Bytes of a cache line, at which columns begin.
const LINE: usize = 64;

/// Columns of equal length, a multiple of [`BLOCK`] rows, in one allocation.
#[derive(Debug)]
pub(crate) struct Columns<R> {
    values: Vec<R>,
    width: usize,
    n_blocks: usize,
}

impl<R: Real> Columns<R> {
    /// Zeros, for at least so many rows.
    pub(crate) fn new(n_columns: usize, n_rows: usize) -> Self {
        let n_blocks = n_rows.div_ceil(BLOCK);
        let spare = LINE / size_of::<R>();
        Self {
            values: vec![R::zero(); n_columns * n_blocks * BLOCK + spare],
            width: n_columns,
            n_blocks,
        }
    }

    fn start(&self) -> usize {
        // The allocation never moves: nothing is added to it.
        self.values
            .as_ptr()
            .align_offset(LINE)
            .min(LINE / size_of::<R>())
    }

    /// Rows of a column, those that fill the last block included.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_blocks * BLOCK
    }

    fn len(&self) -> usize {
        self.width * self.n_rows()
    }

    /// All numbers, column by column.
    pub(crate) fn values(&self) -> &[R] {
        let start = self.start();
        &self.values[start..start + self.len()]
    }

    /// All numbers, column by column.
    pub(crate) fn values_mut(&mut self) -> &mut [R] {
        let (start, len) = (self.start(), self.len());
        &mut self.values[start..start + len]
    }

    /// One column.
    pub(crate) fn column_mut(&mut self, column: usize) -> &mut [R] {
        let n_rows = self.n_rows();
        &mut self.values_mut()[column * n_rows..][..n_rows]
    }

    /// All blocks, column by column.
    #[inline(always)]
    pub(crate) fn blocks<S: Level, const V: usize>(&self) -> &[Lanes<S, R, V>] {
        blocks::<S, R, V>(self.values())
    }

    /// All blocks, column by column.
    #[inline(always)]
    pub(crate) fn blocks_mut<S: Level, const V: usize>(&mut self) -> &mut [Lanes<S, R, V>] {
        blocks_mut::<S, R, V>(self.values_mut())
    }

    /// Fills columns from row-major rows: row `r` of the columns is `source[rows(r)]`; what is left of
    /// the last block repeats the first row.
    #[inline(always)]
    pub(crate) fn gather(
        &mut self,
        first_column: usize,
        width: usize,
        source: &[R],
        order: impl Iterator<Item = usize>,
    ) {
        let stride = self.n_rows();
        let columns = &mut self.values_mut()[first_column * stride..][..width * stride];
        let mut lane = 0;
        for row in order {
            let values = &source[row * width..][..width];
            let mut place = lane;
            for &value in values {
                columns[place] = value;
                place += stride;
            }
            lane += 1;
        }
        for column in columns.chunks_exact_mut(stride) {
            let first = column[0];
            column[lane..lane.next_multiple_of(BLOCK)].fill(first);
        }
    }
}

/// Numbers as blocks of rows.
#[inline(always)]
pub(crate) fn blocks<S: Level, R: Real, const V: usize>(values: &[R]) -> &[Lanes<S, R, V>] {
    bytemuck::cast_slice::<R, R::Vector<S>>(values)
        .as_chunks::<V>()
        .0
}

/// Numbers as blocks of rows.
#[inline(always)]
pub(crate) fn blocks_mut<S: Level, R: Real, const V: usize>(
    values: &mut [R],
) -> &mut [Lanes<S, R, V>] {
    bytemuck::cast_slice_mut::<R, R::Vector<S>>(values)
        .as_chunks_mut::<V>()
        .0
}

/// One block of a list.
#[inline(always)]
pub(crate) fn at<S: Level, R: Real, const V: usize>(
    simd: S,
    blocks: &[Lanes<S, R, V>],
    index: usize,
) -> Block<S, R, V> {
    Block::new(simd, blocks[index])
}
