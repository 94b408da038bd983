//! The equations of a model, step by step as docs/formats.md numbers them, in ONNX's operators.
//!
//! Values are `[rows, columns]` of 64-bit floats until they leave the graph.

use std::f64::consts::E;

use super::graph::{GraphBuilder, Setting};
use super::protobuf::{Graph, element};
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::task::Task;
use crate::trained::{ALTERNATIVE_ATTENTION, TrainedModel};

/// A model whose graph is in the making.
pub(super) struct Equations<'a> {
    checkpoint: &'a Checkpoint,
    model: &'a TrainedModel,
    graph: GraphBuilder,
    /// Values that are finite in every row that can be scored.
    finite: Vec<String>,
}

impl<'a> Equations<'a> {
    /// Of a model and the checkpoint that it was made of.
    pub(super) fn new(checkpoint: &'a Checkpoint, model: &'a TrainedModel) -> Self {
        Self {
            checkpoint,
            model,
            graph: GraphBuilder::default(),
            finite: Vec::new(),
        }
    }

    /// The whole graph.
    pub(super) fn graph(mut self, inputs: &[String]) -> Result<Graph> {
        let metadata = self.checkpoint.metadata();
        let scores = self.standard_scores(inputs)?;
        self.finite.extend_from_slice(&scores);
        let mut explanation = Vec::new();
        let weights = if metadata.energy.is_some() {
            let potential = self.potentials(&scores)?;
            let self_energy = self.self_energies(&potential)?;
            let name = "attention/log_self_energy";
            let log_self_energy = self.graph.apply("Log", &[&self_energy], name);
            let energy = self.modal_energies(&self_energy, &log_self_energy)?;
            let importance = self.importance(&energy);
            let attention = self.attention(&importance)?;
            // The logarithm is finite where a self-energy is positive and finite.
            let of_row = [&log_self_energy, &energy, &importance];
            self.finite.extend(of_row.map(Clone::clone));
            explanation = vec![
                ("potential", potential),
                ("energy", energy),
                ("importance", importance),
                ("attention", attention.clone()),
            ];
            Some(attention)
        } else if metadata.network.kind == ALTERNATIVE_ATTENTION {
            Some(self.shares(&scores)?)
        } else {
            None
        };
        let scorable = self.scorable();
        let weighted = match weights {
            Some(weights) => self.weigh(&scores, &weights),
            None => scores,
        };
        let output = self.network(&weighted)?;
        self.head(&output, &scorable);
        self.explain(&explanation, &scorable);
        let name = metadata.name.as_deref().filter(|name| !name.is_empty());
        Ok(self.graph.finish(name.unwrap_or("emma")))
    }

    /// Step 1: standard scores of each mode.
    fn standard_scores(&mut self, inputs: &[String]) -> Result<Vec<String>> {
        let modes = &self.checkpoint.metadata().modes;
        let mut scores = Vec::with_capacity(modes.len());
        for (mode, input) in modes.iter().zip(inputs) {
            let columns = mode.columns.join(", ");
            let description = format!("mode {} in the table's units: {columns}", mode.name);
            self.graph.input(input, mode.columns.len(), description);
            let name = |part: &str| format!("modes/{}/{part}", mode.name);
            let stored = |part: &str| format!("standardize.{}.{part}", mode.name);
            let mean = self.parameter(&stored("mean"))?;
            let std = self.parameter(&stored("std"))?;
            let features = self.graph.cast(input, element::DOUBLE, &name("features"));
            let centered = self
                .graph
                .apply("Sub", &[&features, &mean], &name("centered"));
            let score = self
                .graph
                .apply("Div", &[&centered, &std], &name("standard_scores"));
            scores.push(score);
        }
        Ok(scores)
    }

    /// Step 2: potentials of all modes.
    fn potentials(&mut self, scores: &[String]) -> Result<String> {
        let modes = &self.checkpoint.metadata().modes;
        let mut potentials = Vec::with_capacity(modes.len());
        for (mode, z) in modes.iter().zip(scores) {
            let name = |part: &str| format!("modes/{}/{part}", mode.name);
            let stored = |part: &str| format!("energy.{}.{part}", mode.name);
            let weight = self.parameter(&stored("weight"))?;
            let encoder_bias = self.parameter(&stored("encoder_bias"))?;
            let decoder_bias = self.parameter(&stored("decoder_bias"))?;
            let half = self.graph.number(0.5);
            let hidden = self
                .graph
                .affine(z, &weight, &encoder_bias, &name("hidden"));
            let softplus = self.softplus(&hidden, &name("softplus"));
            let softplus = self.graph.sum(&softplus, 1, true, &name("softplus_sum"));
            let graph = &mut self.graph;
            let deviation = graph.apply("Sub", &[z, &decoder_bias], &name("deviation"));
            let squares = graph.apply("Mul", &[&deviation, &deviation], &name("squares"));
            let square = graph.sum(&squares, 1, true, &name("square"));
            let quadratic = graph.apply("Mul", &[&square, &half], &name("quadratic"));
            potentials.push(graph.apply("Sub", &[&quadratic, &softplus], &name("potential")));
        }
        Ok(self.graph.side_by_side(&potentials, "attention/potential"))
    }

    /// `max(0, h) + log(1 + exp(−|h|))`, which does not overflow.
    fn softplus(&mut self, hidden: &str, output: &str) -> String {
        let one = self.graph.number(1.);
        let name = |part: &str| format!("{output}/{part}");
        let graph = &mut self.graph;
        let magnitude = graph.apply("Abs", &[hidden], &name("magnitude"));
        let negated = graph.apply("Neg", &[&magnitude], &name("negated"));
        let tail = graph.apply("Exp", &[&negated], &name("tail"));
        let shifted = graph.apply("Add", &[&tail, &one], &name("shifted"));
        let logarithm = graph.apply("Log", &[&shifted], &name("logarithm"));
        let linear = graph.apply("Relu", &[hidden], &name("linear"));
        graph.apply("Add", &[&linear, &logarithm], output)
    }

    /// Steps 3 and 4: self-energies.
    fn self_energies(&mut self, potential: &str) -> Result<String> {
        let minimum = self.parameter("attention.minimum_potential")?;
        let weight = self.parameter("attention.self_weight")?;
        let bias = self.parameter("attention.self_bias")?;
        let floor = self.graph.number(E);
        let graph = &mut self.graph;
        let excess = graph.apply("Sub", &[potential, &minimum], "attention/excess");
        let positive = graph.apply("Relu", &[&excess], "attention/positive_excess");
        let corrected = graph.apply("Add", &[&positive, &floor], "attention/corrected");
        let scaled = graph.apply("Mul", &[&corrected, &weight], "attention/scaled");
        Ok(graph.apply("Add", &[&scaled, &bias], "attention/self_energy"))
    }

    /// Steps 5 and 6: `E_i = e_i + Σ_j w_ij exp(γ_ij (ln e_i − ln e_j) + ln e_j)`, with zeros for the couplings of a
    /// mode with itself.
    fn modal_energies(&mut self, self_energy: &str, log_self_energy: &str) -> Result<String> {
        let weight = self.off_diagonal("attention.coupling_weight")?;
        let exponent = self.off_diagonal("attention.coupling_exponent")?;
        let graph = &mut self.graph;
        let (axis_i, axis_j) = (graph.integers(&[1], &[2]), graph.integers(&[1], &[1]));
        let log_i = graph.apply("Unsqueeze", &[log_self_energy, &axis_i], "attention/log_i");
        let log_j = graph.apply("Unsqueeze", &[log_self_energy, &axis_j], "attention/log_j");
        let ratio = graph.apply("Sub", &[&log_i, &log_j], "attention/log_ratio");
        let blend = graph.apply("Mul", &[&ratio, &exponent], "attention/blend");
        let log_shared = graph.apply("Add", &[&blend, &log_j], "attention/log_shared");
        let shared = graph.apply("Exp", &[&log_shared], "attention/unweighted_shared");
        let shared = graph.apply("Mul", &[&shared, &weight], "attention/shared_energy");
        let received = graph.sum(&shared, 2, false, "attention/received_energy");
        Ok(graph.apply("Add", &[self_energy, &received], "attention/modal_energy"))
    }

    /// Step 7: importance. Energies are subtracted before they are scaled: products may overflow together.
    fn importance(&mut self, energy: &str) -> String {
        let coldness = self.checkpoint.metadata().coldness.unwrap_or_default();
        let coldness = self.graph.number(-coldness);
        let graph = &mut self.graph;
        let lowest = graph.smallest(energy, "attention/lowest_energy");
        let gap = graph.apply("Sub", &[energy, &lowest], "attention/energy_gap");
        let exponent = graph.apply("Mul", &[&gap, &coldness], "attention/exponent");
        graph.softmax(&exponent, "attention/importance")
    }

    /// Step 8: attention.
    fn attention(&mut self, importance: &str) -> Result<String> {
        let gain = self.parameter("attention.gain")?;
        let bias = self.parameter("attention.attention_bias")?;
        let graph = &mut self.graph;
        let scaled = graph.apply("Mul", &[importance, &gain], "attention/scaled_importance");
        let argument = graph.apply("Sub", &[&scaled, &bias], "attention/argument");
        let saturated = graph.apply("Tanh", &[&argument], "attention/saturated");
        Ok(graph.apply("Relu", &[&saturated], "attention/attention"))
    }

    /// Shares of the alternative attention.
    fn shares(&mut self, scores: &[String]) -> Result<String> {
        let weight = self.parameter("alternative.weight")?;
        let bias = self.parameter("alternative.bias")?;
        let all = self
            .graph
            .side_by_side(scores, "alternative/standard_scores");
        let score = self
            .graph
            .affine(&all, &weight, &bias, "alternative/scores");
        Ok(self.graph.softmax(&score, "alternative/shares"))
    }

    /// Step 9: each mode times its weight.
    fn weigh(&mut self, scores: &[String], weights: &str) -> Vec<String> {
        let columns = self.graph.columns(weights, scores.len(), "weights");
        let modes = scores.iter().zip(&columns).enumerate();
        modes
            .map(|(index, (score, weight))| {
                let output = format!("weighted/{index}");
                self.graph.apply("Mul", &[score, weight], &output)
            })
            .collect()
    }

    /// Step 10: what the network's last layer gives.
    fn network(&mut self, modes: &[String]) -> Result<String> {
        let mut hidden = self.graph.side_by_side(modes, "network/input");
        for layer in 0..self.model.network_widths().len() - 1 {
            let weight = self.parameter(&format!("network.{layer}.weight"))?;
            let bias = self.parameter(&format!("network.{layer}.bias"))?;
            if layer > 0 {
                let output = format!("network/{layer}/input");
                hidden = self.graph.apply("Relu", &[&hidden], &output);
            }
            let output = format!("network/{layer}/output");
            hidden = self.graph.affine(&hidden, &weight, &bias, &output);
        }
        Ok(hidden)
    }

    /// Steps 11 and 12: what the network's outputs answer, by the model's task.
    fn head(&mut self, outputs: &str, scorable: &str) {
        match self.checkpoint.metadata().task {
            Task::Binary { .. } => self.binary_head(outputs, scorable),
            Task::Multiclass { ref classes } => {
                self.multiclass_head(outputs, scorable, classes.len());
            }
            Task::Regression { mean, std } => self.regression_head(outputs, scorable, mean, std),
        }
    }

    /// Probabilities of several classes, and the first of the likeliest.
    fn multiclass_head(&mut self, logits: &str, scorable: &str, n_classes: usize) {
        let probabilities = self.graph.softmax(logits, "head/probabilities");
        self.leave(&probabilities, scorable, false, "probability");
        let graph = &mut self.graph;
        let settings = [("axis", Setting::Int(1)), ("keepdims", Setting::Int(0))];
        let best = graph.apply_with("ArgMax", &["probability"], &settings, "head/likeliest");
        // What is no number is not at least 0 either.
        let sum = graph.sum("probability", 1, false, "head/sum");
        let sum = graph.cast(&sum, element::DOUBLE, "head/sum_as_double");
        let zero = graph.number(0.);
        let known = graph.apply("GreaterOrEqual", &[&sum, &zero], "head/known");
        let neither = graph.integers(&[], &[-1]);
        graph.apply("Where", &[&known, &best, &neither], "label");
        graph.output(
            "probability",
            element::FLOAT,
            Some(n_classes),
            "probability of each class; NaN for a row that cannot be scored",
        );
        graph.output(
            "label",
            element::INT64,
            None,
            "place of the likeliest class, from 0; -1 for a row that cannot be scored",
        );
    }

    /// The number predicted, in the target's unit.
    fn regression_head(&mut self, output: &str, scorable: &str, mean: f64, std: f64) {
        let (mean, std) = (self.graph.number(mean), self.graph.number(std));
        let scaled = self.graph.apply("Mul", &[output, &std], "head/scaled");
        let value = self
            .graph
            .apply("Add", &[&scaled, &mean], "head/prediction");
        self.leave(&value, scorable, true, "prediction");
        self.graph.output(
            "prediction",
            element::FLOAT,
            None,
            "the number predicted, in the target's unit; NaN for a row that cannot be scored",
        );
    }

    /// Probability and label of a network with one output. The label is −1 where the probability
    /// is no number.
    fn binary_head(&mut self, logit: &str, scorable: &str) {
        let probability = self.graph.apply("Sigmoid", &[logit], "head/probability");
        self.leave(&probability, scorable, true, "probability");
        let threshold = self.graph.number(self.checkpoint.metadata().threshold);
        let graph = &mut self.graph;
        // Of the rounded probability, as `emma score` does.
        let rounded = graph.cast("probability", element::DOUBLE, "head/rounded");
        let [negative, positive, neither] = [0, 1, -1].map(|label| graph.integers(&[], &[label]));
        let above = graph.apply("GreaterOrEqual", &[&rounded, &threshold], "head/above");
        let below = graph.apply("Less", &[&rounded, &threshold], "head/below");
        let other = graph.apply("Where", &[&below, &negative, &neither], "head/other_label");
        graph.apply("Where", &[&above, &positive, &other], "label");
        graph.output(
            "probability",
            element::FLOAT,
            None,
            "probability of label 1; NaN for a row that cannot be scored",
        );
        graph.output(
            "label",
            element::INT64,
            None,
            "1 if the probability is at least the model's threshold, else 0; -1 for a row that cannot be scored",
        );
    }

    /// A stored tensor as a constant of 64-bit floats, under its own name.
    fn parameter(&mut self, name: &str) -> Result<String> {
        let (shape, values) = self.stored(name)?;
        Ok(self.graph.constant(name, &shape, &values))
    }

    /// A stored matrix of couplings without those of a mode with itself, which mean nothing.
    fn off_diagonal(&mut self, name: &str) -> Result<String> {
        let (shape, mut values) = self.stored(name)?;
        let n_modes = self.checkpoint.metadata().modes.len();
        for value in values.iter_mut().step_by(n_modes + 1) {
            *value = 0.;
        }
        Ok(self.graph.constant(name, &shape, &values))
    }

    fn stored(&self, name: &str) -> Result<(Vec<usize>, Vec<f64>)> {
        let tensor = self.checkpoint.any_shape(name)?;
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        let values = values.into_iter().map(f64::from).collect();
        Ok((tensor.dims().to_vec(), values))
    }

    /// Energies and attention as outputs, if there are any.
    fn explain(&mut self, explanation: &[(&str, String)], scorable: &str) {
        let n_modes = self.checkpoint.metadata().modes.len();
        for (name, value) in explanation {
            if *name == "energy" {
                let total = self.graph.sum(value, 1, true, "attention/total_energy");
                self.leave(&total, scorable, true, "total_energy");
            }
            self.leave(value, scorable, false, name);
        }
        let graph = &mut self.graph;
        for (name, n_columns, description) in [
            (
                "total_energy",
                None,
                "sum of the modal energies: the higher, the less to trust the row",
            ),
            (
                "potential",
                Some(n_modes),
                "potential energy of each mode, before any correction",
            ),
            ("energy", Some(n_modes), "modal energy of each mode"),
            (
                "importance",
                Some(n_modes),
                "importance of each mode; a row's sum to 1",
            ),
            (
                "attention",
                Some(n_modes),
                "factor of each mode, from 0 to 1",
            ),
        ] {
            if !explanation.is_empty() {
                graph.output(name, element::FLOAT, n_columns, description);
            }
        }
    }

    /// `[rows, 1]`, whether all that must be finite in a row is.
    fn scorable(&mut self) -> String {
        let largest = self.graph.number(f64::MAX);
        let half = self.graph.number(0.5);
        let graph = &mut self.graph;
        let all = graph.side_by_side(&self.finite, "scorable/values");
        let magnitude = graph.apply("Abs", &[&all], "scorable/magnitude");
        // Neither infinity nor what is no number is at most the largest number.
        let finite = graph.apply("LessOrEqual", &[&magnitude, &largest], "scorable/finite");
        let finite = graph.cast(&finite, element::DOUBLE, "scorable/finite_as_number");
        let worst = graph.smallest(&finite, "scorable/worst");
        graph.apply("Greater", &[&worst, &half], "scorable/is")
    }

    /// Rounds a value to 32-bit floats under an output's name: saturated, no number in rows that cannot be scored.
    fn leave(&mut self, value: &str, scorable: &str, as_vector: bool, output: &str) {
        let graph = &mut self.graph;
        let name = |part: &str| format!("outputs/{output}/{part}");
        let (lowest, largest) = (
            graph.number(f64::from(f32::MIN)),
            graph.number(f64::from(f32::MAX)),
        );
        let nothing = graph.number(f64::NAN);
        let bounded = graph.apply("Clip", &[value, &lowest, &largest], &name("bounded"));
        let known = graph.apply("Where", &[scorable, &bounded, &nothing], &name("known"));
        if as_vector {
            let column = graph.cast(&known, element::FLOAT, &name("column"));
            let axis = graph.integers(&[1], &[1]);
            graph.apply("Squeeze", &[&column, &axis], output);
        } else {
            graph.cast(&known, element::FLOAT, output);
        }
    }
}
