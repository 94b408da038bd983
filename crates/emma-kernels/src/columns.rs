//! Numbers of many rows, one column a feature.

use crate::block::{Block, Lanes};
use crate::level::{BLOCK, Level};
use crate::real::Real;

/// Rows that kernels of many rows hold at a time, in columns.
pub(crate) const TILE: usize = 256;

/// Which part of a list of columns holds rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Blocks of each column that hold rows.
    pub(crate) n_blocks: usize,
    /// Blocks of each column.
    pub(crate) stride: usize,
}

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

    /// Blocks of each column, the first so many rows of which are in use.
    pub(crate) fn extent(&self, n_rows: usize) -> Extent {
        Extent {
            n_blocks: n_rows.div_ceil(BLOCK),
            stride: self.n_blocks,
        }
    }

    /// Fills every column from some row on.
    pub(crate) fn fill_from(&mut self, row: usize, value: R) {
        let stride = self.n_rows();
        for column in self.values_mut().chunks_exact_mut(stride) {
            column[row..].fill(value);
        }
    }

    /// Copies the columns into row-major rows, as wide as there are columns: the first row of the columns
    /// into the first row of `order`, and so on.
    #[inline(always)]
    pub(crate) fn scatter(&self, target: &mut [R], order: impl Iterator<Item = usize>) {
        let (stride, values) = (self.n_rows(), self.values());
        for (lane, row) in order.enumerate() {
            let mut place = lane;
            for value in &mut target[row * self.width..][..self.width] {
                *value = values[place];
                place += stride;
            }
        }
    }

    /// Fills all columns from row-major rows that follow each other; what is left of the last block repeats
    /// the first row.
    #[inline(always)]
    pub(crate) fn transpose(&mut self, rows: &[R]) {
        // Widths that the compiler knows; any other is right as well.
        match self.width {
            4 => self.transpose_rows(rows, 4),
            8 => self.transpose_rows(rows, 8),
            width => self.transpose_rows(rows, width),
        }
    }

    #[inline(always)]
    fn transpose_rows(&mut self, rows: &[R], width: usize) {
        /// Rows at a time, which makes whole vectors of every column.
        const GROUP: usize = 8;
        let stride = self.n_rows();
        let n_rows = rows.len() / width;
        let columns = &mut self.values_mut()[..width * stride];
        let groups = rows.chunks_exact(GROUP * width);
        let rest = groups.remainder();
        for (number, group) in groups.enumerate() {
            for (feature, column) in columns.chunks_exact_mut(stride).enumerate() {
                let mut values = [R::zero(); GROUP];
                for (row, value) in values.iter_mut().enumerate() {
                    *value = group[row * width + feature];
                }
                column[number * GROUP..][..GROUP].copy_from_slice(&values);
            }
        }
        let whole = n_rows - n_rows % GROUP;
        for (feature, column) in columns.chunks_exact_mut(stride).enumerate() {
            for (value, row) in column[whole..n_rows]
                .iter_mut()
                .zip(rest.chunks_exact(width))
            {
                *value = row[feature];
            }
            let first = column[0];
            column[n_rows..n_rows.next_multiple_of(BLOCK)].fill(first);
        }
    }

    /// Fills columns from the rows of row-major `source` that `order` names; what is left of the last
    /// block repeats the first of them.
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
