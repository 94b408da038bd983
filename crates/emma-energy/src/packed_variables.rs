//! Variables as one array, for code that computes outside candle.

use candle_core::{DType, Tensor, Var};

use crate::error::Result;
use crate::seeded_var_map::SeededVarMap;

/// Some variables of a [`SeededVarMap`], to read and write as one flat f32 array.
///
/// Fused training keeps parameters and what the optimizer remembers of them in arrays of its own. This is
/// the way from the variables there and back.
#[derive(Debug, Clone)]
pub struct PackedVariables {
    variables: Vec<Var>,
}

impl PackedVariables {
    /// The variables that these tensors are, in this order; nothing if a tensor is no variable of the map,
    /// comes twice, is not f32, or is not on the CPU.
    pub fn find(variables: &SeededVarMap, tensors: &[&Tensor]) -> Option<Self> {
        let all = variables.all_vars();
        let mut packed: Vec<Var> = Vec::with_capacity(tensors.len());
        for &tensor in tensors {
            let is_this = |var: &&Var| var.as_tensor().id() == tensor.id();
            let var = all.iter().find(is_this)?;
            let fits = var.dtype() == DType::F32 && var.device().is_cpu();
            if !fits || packed.iter().any(|earlier| is_this(&earlier)) {
                return None;
            }
            packed.push(var.clone());
        }
        Some(Self { variables: packed })
    }

    /// All values, each variable row by row.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn read(&self) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for variable in &self.variables {
            values.extend(variable.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(values)
    }

    /// Sets all values, in the order of [`read`](Self::read).
    ///
    /// # Errors
    /// Candle's, if there are not as many values; nothing is set then.
    pub fn write(&self, values: &[f32]) -> Result<()> {
        let expected: usize = self.variables.iter().map(|var| var.elem_count()).sum();
        if values.len() != expected {
            let found = values.len();
            let error = candle_core::Error::msg(format!("expected {expected} values, got {found}"));
            return Err(error.into());
        }
        let mut rest = values;
        for variable in &self.variables {
            let (own, others) = rest.split_at(variable.elem_count());
            rest = others;
            variable.set(&Tensor::from_slice(
                own,
                variable.shape(),
                variable.device(),
            )?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_nn::Init;

    use super::*;

    fn map() -> SeededVarMap {
        SeededVarMap::new(emma_testkit::rng(1))
    }

    #[test]
    fn values_come_back_in_the_order_of_the_tensors() -> Result<()> {
        let variables = map();
        let vb = variables.var_builder(DType::F32, &Device::Cpu);
        let a = vb.get_with_hints((2, 2), "a", Init::Const(1.))?;
        let b = vb.get_with_hints(3, "b", Init::Const(2.))?;
        let packed = PackedVariables::find(&variables, &[&b, &a]).expect("both are variables");
        assert_eq!(packed.read()?, [2., 2., 2., 1., 1., 1., 1.]);
        packed.write(&[1., 2., 3., 4., 5., 6., 7.])?;
        assert_eq!(a.to_vec2::<f32>()?, [[4., 5.], [6., 7.]]);
        assert_eq!(b.to_vec1::<f32>()?, [1., 2., 3.]);
        for wrong in [2, 8] {
            assert!(packed.write(&vec![9.; wrong]).is_err());
        }
        assert_eq!(b.to_vec1::<f32>()?, [1., 2., 3.]);
        Ok(())
    }

    #[test]
    fn what_is_no_plain_variable_of_the_map_is_not_packed() -> Result<()> {
        let variables = map();
        let vb = variables.var_builder(DType::F32, &Device::Cpu);
        let a = vb.get_with_hints(2, "a", Init::Const(1.))?;
        let wide = variables
            .var_builder(DType::F64, &Device::Cpu)
            .get_with_hints(2, "wide", Init::Const(1.))?;
        let stranger = Var::from_tensor(&a.detach())?;
        for tensors in [
            vec![&a, &a],
            vec![&wide],
            vec![stranger.as_tensor()],
            vec![&a.detach()],
        ] {
            assert!(PackedVariables::find(&variables, &tensors).is_none());
        }
        Ok(())
    }
}
