//! Networks that an integrable energy can be made of.

use serde::{Deserialize, Serialize};

use crate::error::{Result, check_setting};
use crate::integrable_energy::grid::Grid;

/// The network of an [`IntegrableEnergy`](super::IntegrableEnergy), by how its layers see a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Architecture {
    /// Every unit sees all units before it: for features without an order.
    Mlp {
        /// Units of the hidden layers, in order; at least one layer of at least 1.
        hidden: Vec<usize>,
    },
    /// Convolutions along a row that is a curve of equidistant readings, then layers as in an MLP.
    Convolution1d {
        /// Channels of the convolutions, in order; at least one layer of at least 1.
        channels: Vec<usize>,
        /// Readings that a unit sees of each channel before it; odd. Beyond the ends they are zeros.
        kernel_size: usize,
        /// Distance between the centers of neighboring units, in readings; at least 1.
        stride: usize,
        /// Units of the layers behind the convolutions, which see everything; may be empty.
        hidden: Vec<usize>,
    },
    /// Convolutions over a row that is a plane, line after line, then layers as in an MLP.
    Convolution2d {
        /// Lines of the plane; at least 1. Height times width is the number of features.
        height: usize,
        /// Readings of a line; at least 1.
        width: usize,
        /// Channels of the convolutions, in order; at least one layer of at least 1.
        channels: Vec<usize>,
        /// Side of the square that a unit sees of each channel before it; odd.
        kernel_size: usize,
        /// Distance between the centers of neighboring units, both ways; at least 1.
        stride: usize,
        /// Units of the layers behind the convolutions, which see everything; may be empty.
        hidden: Vec<usize>,
    },
}

impl Default for Architecture {
    fn default() -> Self {
        Self::Mlp {
            hidden: vec![64, 64],
        }
    }
}

/// Readings times kernel places that a convolution may have: what its tables of indices, which are
/// made before any number of a file is looked at, may cost.
const MOST_PLACES_SEEN: usize = 1 << 24;

/// Convolutions of an architecture: all alike but for their channels.
pub(super) struct Convolutions<'a> {
    pub(super) grid: Grid,
    pub(super) kernel: Grid,
    pub(super) stride: Grid,
    pub(super) channels: &'a [usize],
}

impl Architecture {
    /// Units of the layers that see everything.
    pub(super) fn hidden(&self) -> &[usize] {
        match self {
            Self::Mlp { hidden }
            | Self::Convolution1d { hidden, .. }
            | Self::Convolution2d { hidden, .. } => hidden,
        }
    }

    /// The convolutions over rows of a width, if there are any.
    pub(super) fn convolutions(&self, n_features: usize) -> Option<Convolutions<'_>> {
        match self {
            Self::Mlp { .. } => None,
            Self::Convolution1d {
                channels,
                kernel_size,
                stride,
                ..
            } => Some(Convolutions {
                grid: Grid::new(1, n_features),
                kernel: Grid::new(1, *kernel_size),
                stride: Grid::new(1, *stride),
                channels,
            }),
            Self::Convolution2d {
                height,
                width,
                channels,
                kernel_size,
                stride,
                ..
            } => Some(Convolutions {
                grid: Grid::new(*height, *width),
                kernel: Grid::new(*kernel_size, *kernel_size),
                stride: Grid::new(*stride, *stride),
                channels,
            }),
        }
    }

    pub(super) fn validate(&self, n_features: usize) -> Result<()> {
        check_setting(n_features > 0, "n_features", "at least 1", n_features)?;
        let hidden = self.hidden();
        check_setting(
            !hidden.contains(&0),
            "hidden",
            "layers of at least 1 unit",
            format!("{hidden:?}"),
        )?;
        let Some(Convolutions {
            grid,
            kernel,
            stride,
            channels,
        }) = self.convolutions(n_features)
        else {
            return check_setting(!hidden.is_empty(), "hidden", "at least one layer", "none");
        };
        check_setting(
            !channels.is_empty() && !channels.contains(&0),
            "channels",
            "at least one layer of at least 1 channel",
            format!("{channels:?}"),
        )?;
        check_setting(
            kernel.width % 2 == 1,
            "kernel_size",
            "an odd number",
            kernel.width,
        )?;
        check_setting(stride.width > 0, "stride", "at least 1", stride.width)?;
        check_setting(
            grid.height.checked_mul(grid.width) == Some(n_features),
            "height times width",
            "the number of features",
            format!("{} times {} for {n_features}", grid.height, grid.width),
        )?;
        let kernel_places = kernel.height.checked_mul(kernel.width);
        let places_seen = kernel_places.and_then(|places| places.checked_mul(n_features));
        check_setting(
            places_seen.is_some_and(|places| places <= MOST_PLACES_SEEN),
            "kernel_size",
            "so small that readings times kernel places are at most 16777216",
            kernel.width,
        )
    }
}
