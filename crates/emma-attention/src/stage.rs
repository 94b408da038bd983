//! Types that keep the `[rows, modes]` stages apart.

/// Declares a newtype over a `[rows, modes]` tensor, so that stages cannot be swapped by mistake.
macro_rules! stage {
    ($(#[$docs:meta])* $name:ident, $what:literal) => {
        $(#[$docs])*
        #[derive(Debug, Clone)]
        pub struct $name(candle_core::Tensor);

        impl $name {
            /// Wraps a tensor.
            ///
            /// # Shapes
            /// - `tensor`: `[rows, modes]`
            ///
            /// # Errors
            /// [`Error::NotRowsByModes`](crate::Error::NotRowsByModes) for another rank.
            pub fn new(tensor: candle_core::Tensor) -> crate::Result<Self> {
                if tensor.rank() == 2 {
                    return Ok(Self(tensor));
                }
                Err(crate::Error::NotRowsByModes {
                    what: $what,
                    found: tensor.dims().to_vec(),
                })
            }

            /// The values, `[rows, modes]`.
            pub fn as_tensor(&self) -> &candle_core::Tensor {
                &self.0
            }

            /// Number of rows.
            pub fn n_rows(&self) -> usize {
                self.0.dims()[0]
            }

            /// Number of modes, M.
            pub fn n_modes(&self) -> usize {
                self.0.dims()[1]
            }
        }
    };
}

pub(crate) use stage;
