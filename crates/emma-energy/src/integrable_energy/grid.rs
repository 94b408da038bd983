//! Rows as grids, and which of their places a convolution's units see.

/// Height and width: of a plane, of a kernel, or of a step. A curve is a plane of height 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Grid {
    pub(super) fn new(height: usize, width: usize) -> Self {
        Self { height, width }
    }

    /// Number of places.
    pub(super) fn n_places(self) -> usize {
        self.height * self.width
    }

    /// The grid of units whose centers are a stride apart, the first on the first place.
    pub(super) fn strided(self, stride: Self) -> Self {
        Self {
            height: self.height.div_ceil(stride.height),
            width: self.width.div_ceil(stride.width),
        }
    }

    /// For every unit, the places under the kernel that is centered on it, kernel place after kernel
    /// place; where the kernel reaches beyond the grid, `n_places`.
    pub(super) fn places_seen(self, kernel: Self, stride: Self) -> Vec<usize> {
        let units = self.strided(stride);
        let mut seen = Vec::with_capacity(units.n_places() * kernel.n_places());
        for unit in units.places() {
            for tap in kernel.places() {
                let y = offset(unit.height * stride.height, tap.height, kernel.height);
                let x = offset(unit.width * stride.width, tap.width, kernel.width);
                seen.push(self.index(y, x));
            }
        }
        seen
    }

    /// For every place, the unit that sees it under each kernel place; where there is none, the
    /// number of units. It is the inverse of [`places_seen`](Self::places_seen).
    pub(super) fn units_seeing(self, kernel: Self, stride: Self) -> Vec<usize> {
        let units = self.strided(stride);
        let mut seeing = Vec::with_capacity(self.n_places() * kernel.n_places());
        for place in self.places() {
            for tap in kernel.places() {
                // Mirrored: the unit lies as far on the other side.
                let y = offset(place.height, kernel.height - 1 - tap.height, kernel.height);
                let x = offset(place.width, kernel.width - 1 - tap.width, kernel.width);
                let unit = |center: Option<usize>, stride: usize| {
                    center.filter(|c| c % stride == 0).map(|c| c / stride)
                };
                seeing.push(units.index(unit(y, stride.height), unit(x, stride.width)));
            }
        }
        seeing
    }

    /// All places, line after line.
    fn places(self) -> impl Iterator<Item = Self> {
        (0..self.height).flat_map(move |y| (0..self.width).map(move |x| Self::new(y, x)))
    }

    fn index(self, y: Option<usize>, x: Option<usize>) -> usize {
        match (y, x) {
            (Some(y), Some(x)) if y < self.height && x < self.width => y * self.width + x,
            _ => self.n_places(),
        }
    }
}

/// Where a kernel place lies if the kernel's middle lies on `center`, unless it is negative.
fn offset(center: usize, tap: usize, kernel_size: usize) -> Option<usize> {
    (center + tap).checked_sub(kernel_size / 2)
}
