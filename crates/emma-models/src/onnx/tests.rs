//! The files' structure; what other runtimes compute from them is checked by emma-cli's tests.

use std::collections::{BTreeMap, HashSet};

use candle_core::Tensor;

use super::protobuf::{Constant, Graph, Value, element};
use super::*;
use crate::checkpoint::{FORMAT_VERSION, Kind, ModeColumns};
use crate::trained::{ALTERNATIVE_ATTENTION, DENOISING_AUTOENCODER, MLP};

/// What is in front of the network.
#[derive(Clone, Copy, PartialEq)]
enum Front {
    Emma,
    Softmax,
    Open,
}

/// A model with modes of these names and 1, 2, … features, all of whose numbers differ.
fn checkpoint(names: &[&str], front: Front) -> Checkpoint {
    let mut tensors = BTreeMap::new();
    let mut next = 0f32;
    let mut add = |name: String, shape: &[usize]| {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n)
            .map(|_| {
                next += 0.125;
                next
            })
            .collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        tensors.insert(name, tensor);
    };
    let n_modes = names.len();
    let mut modes = Vec::new();
    for (index, &name) in names.iter().enumerate() {
        let n = index + 1;
        add(format!("standardize.{name}.mean"), &[n]);
        add(format!("standardize.{name}.std"), &[n]);
        if front == Front::Emma {
            add(format!("energy.{name}.weight"), &[3, n]);
            add(format!("energy.{name}.encoder_bias"), &[3]);
            add(format!("energy.{name}.decoder_bias"), &[n]);
        }
        modes.push(ModeColumns {
            name: name.to_owned(),
            columns: (0..n).map(|column| format!("{name} {column}")).collect(),
        });
    }
    let n_features = n_modes * (n_modes + 1) / 2;
    match front {
        Front::Emma => {
            for name in ["minimum_potential", "self_weight", "self_bias"] {
                add(format!("attention.{name}"), &[n_modes]);
            }
            for name in ["coupling_weight", "coupling_exponent"] {
                add(format!("attention.{name}"), &[n_modes, n_modes]);
            }
            add("attention.gain".into(), &[1]);
            add("attention.attention_bias".into(), &[1]);
        }
        Front::Softmax => {
            add("alternative.weight".into(), &[n_modes, n_features]);
            add("alternative.bias".into(), &[n_modes]);
        }
        Front::Open => {}
    }
    for (layer, (n_inputs, width)) in [(n_features, 4), (4, 2), (2, 1)].into_iter().enumerate() {
        add(format!("network.{layer}.weight"), &[width, n_inputs]);
        add(format!("network.{layer}.bias"), &[width]);
    }
    let has_emma = front == Front::Emma;
    let metadata = ModelMetadata {
        format_version: FORMAT_VERSION,
        name: Some("robust".into()),
        modes,
        label: "label".into(),
        coldness: has_emma.then_some(0.1),
        energy: has_emma.then(|| Kind::new(DENOISING_AUTOENCODER)),
        network: Kind::new(match front {
            Front::Softmax => ALTERNATIVE_ATTENTION,
            _ => MLP,
        }),
        threshold: 0.3,
        task: crate::task::Task::default(),
        abstention: None,
        training: serde_json::Map::new(),
    };
    Checkpoint::new(metadata, tensors).unwrap()
}

fn all() -> Vec<Checkpoint> {
    vec![
        checkpoint(&["ip", "dm"], Front::Emma),
        checkpoint(&["a", "b", "c"], Front::Emma),
        checkpoint(&["energy", "modes", "network"], Front::Emma),
        checkpoint(&["a", "b", "c"], Front::Softmax),
        checkpoint(&["a", "b"], Front::Open),
        checkpoint(&["only"], Front::Open),
    ]
}

fn decoded(checkpoint: &Checkpoint) -> Model {
    Model::decode(to_bytes(checkpoint).unwrap().as_slice()).unwrap()
}

fn graph(checkpoint: &Checkpoint) -> Graph {
    decoded(checkpoint).graph.unwrap()
}

/// Name, type of the elements, and shape in words.
fn described(values: &[Value]) -> Vec<(&str, i32, String)> {
    values
        .iter()
        .map(|value| {
            let tensor = value.kind.as_ref().unwrap().tensor.as_ref().unwrap();
            let dimensions = &tensor.shape.as_ref().unwrap().dim;
            let shape: Vec<String> = dimensions
                .iter()
                .map(|dimension| match (&dimension.value, &dimension.name) {
                    (Some(length), None) => length.to_string(),
                    (None, Some(name)) => name.clone(),
                    both => panic!("{both:?}"),
                })
                .collect();
            (value.name.as_str(), tensor.element, shape.join(" "))
        })
        .collect()
}

fn numbers(constant: &Constant) -> Vec<f64> {
    assert_eq!(constant.data_type, element::DOUBLE);
    let chunks = constant.raw_data.chunks_exact(8);
    chunks
        .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

#[test]
fn a_file_says_what_it_is_and_keeps_the_metadata() {
    for checkpoint in all() {
        let model = decoded(&checkpoint);
        assert_eq!((model.ir_version, OPSET), (8, 17));
        assert_eq!(model.opset_import.len(), 1);
        assert_eq!(model.opset_import[0].domain, "");
        assert_eq!(model.opset_import[0].version, OPSET);
        assert_eq!(model.producer_name, "emma");
        let [emma, inputs] = model.metadata_props.as_slice() else {
            panic!("{:?}", model.metadata_props);
        };
        assert_eq!(
            (emma.key.as_str(), inputs.key.as_str()),
            ("emma", "emma_inputs")
        );
        let read: ModelMetadata = serde_json::from_str(&emma.value).unwrap();
        assert_eq!(&read, checkpoint.metadata());
        let inputs: serde_json::Value = serde_json::from_str(&inputs.value).unwrap();
        let declared = model.graph.unwrap().input;
        for (index, mode) in read.modes.iter().enumerate() {
            let expected = json!({
                "input": declared[index].name,
                "mode": mode.name,
                "columns": mode.columns,
            });
            assert_eq!(inputs[index], expected);
        }
    }
}

#[test]
fn inputs_are_the_modes_and_outputs_what_score_explains() {
    let float = element::FLOAT;
    let rows = || "rows".to_owned();
    let emma = graph(&checkpoint(&["ip", "dm"], Front::Emma));
    let inputs = [
        ("ip", float, "rows 1".into()),
        ("dm", float, "rows 2".into()),
    ];
    assert_eq!(described(&emma.input), inputs);
    let probability = ("probability", float, rows());
    let label = ("label", element::INT64, rows());
    let of_modes = |name| (name, float, "rows 2".to_owned());
    let outputs = [
        probability.clone(),
        label.clone(),
        ("total_energy", float, rows()),
        of_modes("potential"),
        of_modes("energy"),
        of_modes("importance"),
        of_modes("attention"),
    ];
    assert_eq!(described(&emma.output), outputs);
    for front in [Front::Softmax, Front::Open] {
        let other = graph(&checkpoint(&["ip", "dm"], front));
        assert_eq!(described(&other.input), inputs);
        assert_eq!(
            described(&other.output),
            [probability.clone(), label.clone()]
        );
    }
    let single = graph(&checkpoint(&["only"], Front::Open));
    assert_eq!(described(&single.input), [("only", float, "rows 1".into())]);
}

#[test]
fn every_value_has_one_name_and_is_there_before_it_is_used() {
    for checkpoint in all() {
        let graph = graph(&checkpoint);
        let mut known = HashSet::new();
        let constants = graph.initializer.iter().map(|constant| &constant.name);
        for name in graph.input.iter().map(|input| &input.name).chain(constants) {
            assert!(known.insert(name), "{name} is there twice");
        }
        let mut used = HashSet::new();
        for node in &graph.node {
            for name in &node.input {
                assert!(known.contains(name), "{} needs {name}", node.name);
                used.insert(name);
            }
            for name in &node.output {
                assert!(known.insert(name), "{name} is there twice");
            }
        }
        used.extend(graph.output.iter().map(|output| &output.name));
        assert_eq!(used, known, "nothing is there that nobody needs");
    }
}

/// All of them are in opset 17, and ONNX Runtime has them for 64-bit floats on the CPU.
#[test]
fn only_these_operators_are_used() {
    let allowed = [
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Div",
        "Exp",
        "Gemm",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Log",
        "Mul",
        "Neg",
        "ReduceMin",
        "ReduceSum",
        "Relu",
        "Sigmoid",
        "Softmax",
        "Split",
        "Squeeze",
        "Sub",
        "Tanh",
        "Unsqueeze",
        "Where",
    ];
    for checkpoint in all() {
        for node in graph(&checkpoint).node {
            assert!(allowed.contains(&node.op_type.as_str()), "{}", node.op_type);
        }
    }
}

#[test]
fn parameters_are_the_models_but_for_couplings_of_a_mode_with_itself() {
    for checkpoint in all() {
        let graph = graph(&checkpoint);
        for (name, tensor) in checkpoint.tensors() {
            let constant = graph.initializer.iter().find(|c| &c.name == name).unwrap();
            let dims = constant
                .dims
                .iter()
                .map(|&length| usize::try_from(length).unwrap());
            assert_eq!(dims.collect::<Vec<_>>(), tensor.dims(), "{name}");
            let stored = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (index, (got, stored)) in numbers(constant).into_iter().zip(stored).enumerate() {
                let n_modes = checkpoint.metadata().modes.len();
                let own = name.contains("coupling") && index % (n_modes + 1) == 0;
                let expected = if own { 0. } else { f64::from(stored) };
                assert_eq!(got.to_bits(), expected.to_bits(), "{name} at {index}");
            }
        }
    }
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    for checkpoint in all() {
        let bytes = to_bytes(&checkpoint).unwrap();
        assert_eq!(to_bytes(&checkpoint).unwrap(), bytes);
        let read = Checkpoint::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap();
        assert_eq!(to_bytes(&read).unwrap(), bytes);
    }
}

#[test]
fn an_input_has_no_name_of_an_output() {
    let names = |modes: &[&str]| input_names(checkpoint(modes, Front::Open).metadata());
    assert_eq!(names(&["ip", "dm"]), ["ip", "dm"]);
    assert_eq!(names(&["label", "energy"]), ["label_input", "energy_input"]);
    assert_eq!(
        names(&["label_input", "label", "attention"]),
        ["label_input", "label_input_input", "attention_input"]
    );
}

#[test]
fn a_file_that_nobody_can_read_is_not_written() {
    assert!(check_length(2_147_483_647).is_ok());
    assert_eq!(
        check_length(2_147_483_648).unwrap_err().to_string(),
        "expected at most 2147483647 bytes of an ONNX file, the model takes 2147483648"
    );
}

#[test]
fn a_kind_that_is_not_known_is_refused() {
    let known = checkpoint(&["a", "b"], Front::Open);
    let mut metadata = known.metadata().clone();
    metadata.network.kind = "forest".into();
    let unknown = Checkpoint::new(metadata, known.tensors().clone()).unwrap();
    assert!(matches!(to_bytes(&unknown), Err(Error::UnknownKind { .. })));
}
