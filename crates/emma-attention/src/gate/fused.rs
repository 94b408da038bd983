//! Steps 2 to 4 and their gradients as one operation on the CPU, without `[rows, modes, modes]` numbers.

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Shape, Storage, Tensor, WithDType};
use emma_kernels::Real;
use emma_kernels::gate::{self, N_OUTPUTS, n_parameters};

use super::{Gate, Stages};
use crate::attention::AttentionScores;
use crate::contiguous::contiguous;
use crate::error::Result;
use crate::importance::LogImportance;
use crate::modal_energy::ModalEnergies;
use crate::potential::PotentialEnergies;
use crate::self_energy::SelfEnergies;

impl Gate<'_> {
    /// Whether the kernels are made for these tensors: all on the CPU, of one type, f32 or f64, and of
    /// the shapes that they should have; and the coupling is the thesis's.
    pub(super) fn fits(&self, potentials: &PotentialEnergies) -> bool {
        let potentials = potentials.as_tensor();
        let dtype = potentials.dtype();
        let n_modes = potentials.dims()[1];
        let (one, list, square) = (&[1][..], &[n_modes][..], &[n_modes, n_modes][..]);
        let shapes = [list, list, square, square, one, one];
        let alike = |tensor: &Tensor| tensor.device().is_cpu() && tensor.dtype() == dtype;
        matches!(dtype, DType::F32 | DType::F64)
            && n_modes > 0
            && self.other_coupling.is_none()
            && self.minimum_potential.dims() == list
            && [potentials, self.minimum_potential].into_iter().all(alike)
            && self
                .parameters()
                .into_iter()
                .zip(shapes)
                .all(|(tensor, shape)| alike(tensor) && tensor.dims() == shape)
    }

    /// All stages of a batch that [fits](Self::fits).
    pub(super) fn forward_fused(&self, potentials: &PotentialEnergies) -> Result<Stages> {
        // An operation has three inputs at most and one output.
        let mut parameters = Vec::with_capacity(6);
        for parameter in self.parameters() {
            parameters.push(parameter.flatten_all()?);
        }
        let parameters = Tensor::cat(&parameters, 0)?;
        let operation = FusedGate {
            minimum_potential: self.minimum_potential.contiguous()?,
            coldness: self.coldness.value(),
        };
        let potentials = potentials.as_tensor().contiguous()?;
        let stages = potentials.apply_op2(&parameters, operation)?;
        Ok(Stages {
            self_energies: SelfEnergies::new(stages.get(0)?)?,
            modal_energies: ModalEnergies::new(stages.get(1)?)?,
            log_importance: LogImportance::new(stages.get(2)?)?,
            attention: AttentionScores::new(stages.get(3)?)?,
        })
    }
}

/// Potentials `[rows, modes]` and all parameters in one list to the four stages, `[4, rows, modes]`.
struct FusedGate {
    minimum_potential: Tensor,
    coldness: f64,
}

impl CustomOp2 for FusedGate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn cpu_fwd(
        &self,
        potentials: &CpuStorage,
        potentials_layout: &Layout,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let potentials = (potentials, potentials_layout);
        let parameters = (parameters, parameters_layout);
        let stages = match potentials.0 {
            CpuStorage::F64(_) => self.stages::<f64>(potentials, parameters)?,
            _ => self.stages::<f32>(potentials, parameters)?,
        };
        let (n_rows, n_modes) = potentials.1.shape().dims2()?;
        Ok((stages, Shape::from((N_OUTPUTS, n_rows, n_modes))))
    }

    fn bwd(
        &self,
        potentials: &Tensor,
        parameters: &Tensor,
        stages: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let tensors = [potentials, parameters, stages, &gradient];
        match potentials.dtype() {
            DType::F64 => self.gradients::<f64>(tensors),
            _ => self.gradients::<f32>(tensors),
        }
    }
}

impl FusedGate {
    fn stages<R: Real + WithDType>(
        &self,
        potentials: (&CpuStorage, &Layout),
        parameters: (&CpuStorage, &Layout),
    ) -> candle_core::Result<CpuStorage> {
        let (minimum, layout) = self.minimum_potential.storage_and_layout();
        let gate = self.gate(contiguous::<R>(parameters)?, on_cpu((&*minimum, layout))?)?;
        let potentials = contiguous::<R>(potentials)?;
        let mut stages = vec![R::default(); potentials.len() * N_OUTPUTS];
        gate.forward(potentials, &mut stages);
        Ok(R::to_cpu_storage_owned(stages))
    }

    /// Gradients of potentials and parameters, those that are asked for.
    fn gradients<R: Real + WithDType>(
        &self,
        tensors: [&Tensor; 4],
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let guards = tensors.map(Tensor::storage_and_layout);
        let mut operands = [&[][..]; 4];
        for (operand, (storage, layout)) in operands.iter_mut().zip(&guards) {
            *operand = on_cpu::<R>((storage, layout))?;
        }
        let [potentials, parameters, stages, gradient] = operands;
        let (minimum, layout) = self.minimum_potential.storage_and_layout();
        let gate = self.gate(parameters, on_cpu((&*minimum, layout))?)?;
        let mut of_potentials = vec![R::default(); potentials.len()];
        let mut of_parameters = vec![R::default(); parameters.len()];
        gate.backward(
            potentials,
            stages,
            gradient,
            &mut of_potentials,
            &mut of_parameters,
        );
        let asked = |tensor: &Tensor, values: Vec<R>| -> candle_core::Result<Option<Tensor>> {
            tensor
                .track_op()
                .then(|| Tensor::from_vec(values, tensor.shape(), tensor.device()))
                .transpose()
        };
        Ok((
            asked(tensors[0], of_potentials)?,
            asked(tensors[1], of_parameters)?,
        ))
    }

    fn gate<'a, R: Real>(
        &self,
        parameters: &'a [R],
        minimum_potential: &'a [R],
    ) -> candle_core::Result<gate::Gate<'a, R>> {
        let n_modes = minimum_potential.len();
        if n_modes == 0 || parameters.len() != n_parameters(n_modes) {
            candle_core::bail!("gate: {} parameters for {n_modes} modes", parameters.len())
        }
        Ok(gate::Gate {
            parameters,
            minimum_potential,
            coldness: R::of(self.coldness),
        })
    }
}

/// Numbers of a contiguous tensor on the CPU.
fn on_cpu<'a, R: WithDType>(
    (storage, layout): (&'a Storage, &Layout),
) -> candle_core::Result<&'a [R]> {
    match storage {
        Storage::Cpu(storage) => contiguous((storage, layout)),
        _ => candle_core::bail!("gate: expected tensors on the CPU"),
    }
}
