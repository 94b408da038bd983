//! One augmentation after another.

use rand::RngCore;

use super::{Augmentation, AugmentedModes};
use crate::error::Result;

/// Several augmentations of the same rows, each of what came out of the one before.
#[derive(Debug)]
pub struct InOrder(pub Vec<Box<dyn Augmentation>>);

impl Augmentation for InOrder {
    fn augment(
        &self,
        modes: &mut AugmentedModes,
        rows: &[usize],
        rng: &mut dyn RngCore,
    ) -> Result<()> {
        self.0
            .iter()
            .try_for_each(|augmentation| augmentation.augment(modes, rows, rng))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use crate::{Augmentation, CorruptedShare, InOrder, augment, generator};

    #[test]
    fn the_first_comes_first() {
        let fault = |text: &str| {
            let fault = text.parse().unwrap();
            CorruptedShare::new(&fault, &["ip"], 1.0).unwrap().boxed()
        };
        let rows = [array![[3.0_f32]]];
        let value = |faults: Vec<_>| {
            let rng = &mut generator(1, "order");
            augment(&rows, &InOrder(faults), rng).unwrap().modes()[0].clone()
        };
        let both = |first, second| value(vec![fault(first), fault(second)]);
        assert_eq!(both("ip:offset:1", "ip:scale:2"), array![[8.0]]);
        assert_eq!(both("ip:scale:2", "ip:offset:1"), array![[7.0]]);
        assert_eq!(value(Vec::new()), rows[0]);
    }
}
