//! Variables as one array, for code that computes outside candle.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};

use crate::error::{Error, Result};
use crate::seeded_var_map::SeededVarMap;

/// Some variables of a [`SeededVarMap`], to read and write as one flat f32 array.
///
/// Fused training keeps parameters and what the optimizer remembers of them in arrays of its own. This is
/// the way from the variables there and back.
#[derive(Debug, Clone)]
pub struct PackedVariables {
    variables: Vec<(String, Var)>,
}

impl PackedVariables {
    /// The variables that these tensors are, in this order; nothing if a tensor is no variable of the map,
    /// comes twice, is not f32, or is not on the CPU.
    pub fn find(variables: &SeededVarMap, tensors: &[&Tensor]) -> Option<Self> {
        let all = variables.named_vars();
        let mut packed: Vec<(String, Var)> = Vec::with_capacity(tensors.len());
        for &tensor in tensors {
            let is_this = |(_, var): &&(String, Var)| var.as_tensor().id() == tensor.id();
            let (name, var) = all.iter().find(is_this)?;
            let fits = var.dtype() == DType::F32 && var.device().is_cpu();
            if !fits || packed.iter().any(|earlier| is_this(&earlier)) {
                return None;
            }
            packed.push((name.clone(), var.clone()));
        }
        Some(Self { variables: packed })
    }

    /// All values, each variable row by row.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn read(&self) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for (_, variable) in &self.variables {
            values.extend(variable.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(values)
    }

    /// Sets all values, in the order of [`read`](Self::read).
    ///
    /// # Errors
    /// Candle's, if there are not as many values; nothing is set then.
    pub fn write(&self, values: &[f32]) -> Result<()> {
        self.check_length(values)?;
        let mut rest = values;
        for (_, variable) in &self.variables {
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

    /// Numbers in the order of [`read`](Self::read), such as an optimizer's memory, as tensors by the
    /// variables' paths and in their shapes.
    ///
    /// # Errors
    /// Candle's, if there are not as many numbers as values.
    pub fn to_named(&self, values: &[f32]) -> Result<BTreeMap<String, Tensor>> {
        self.check_length(values)?;
        let mut rest = values;
        let named = self.variables.iter().map(|(name, variable)| {
            let (own, others) = rest.split_at(variable.elem_count());
            rest = others;
            let tensor = Tensor::from_slice(own, variable.shape(), &Device::Cpu)?;
            Ok((name.clone(), tensor))
        });
        named.collect()
    }

    /// The way back from [`to_named`](Self::to_named).
    ///
    /// # Errors
    /// [`Error::MissingVariable`], [`Error::VariableShape`].
    pub fn of_named(&self, named: &BTreeMap<String, Tensor>) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for (name, variable) in &self.variables {
            let tensor = named
                .get(name)
                .ok_or_else(|| Error::MissingVariable { name: name.clone() })?;
            if tensor.shape() != variable.shape() {
                return Err(Error::VariableShape {
                    name: name.clone(),
                    expected: variable.dims().to_vec(),
                    found: tensor.dims().to_vec(),
                });
            }
            values.extend(tensor.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(values)
    }

    fn check_length(&self, values: &[f32]) -> Result<()> {
        let counts = self.variables.iter().map(|(_, var)| var.elem_count());
        let (expected, found) = (counts.sum::<usize>(), values.len());
        if found == expected {
            return Ok(());
        }
        let error = candle_core::Error::msg(format!("expected {expected} values, got {found}"));
        Err(error.into())
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
        let named = packed.to_named(&[1., 2., 3., 4., 5., 6., 7.])?;
        assert_eq!(named["a"].to_vec2::<f32>()?, [[4., 5.], [6., 7.]]);
        assert_eq!(packed.of_named(&named)?, [1., 2., 3., 4., 5., 6., 7.]);
        for wrong in [2, 8] {
            assert!(packed.to_named(&vec![9.; wrong]).is_err());
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
