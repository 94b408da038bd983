//! A graph, put together operation by operation.
//!
//! Values of the graph are known by their names. An operation's output is named by whoever adds it; every
//! name but those of inputs and outputs has a slash, so that none meets a mode's name.

use std::collections::HashMap;

use super::protobuf::{
    Attribute, Constant, Dimension, Graph, Node, Shape, TensorType, Type, Value, attribute, element,
};

/// The dimension that every input and output begins with.
const ROWS: &str = "rows";

/// A graph in the making.
#[derive(Default)]
pub(super) struct GraphBuilder {
    nodes: Vec<Node>,
    constants: Vec<Constant>,
    /// Numbers and lists that several operations share, by what they are.
    shared: HashMap<String, String>,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

/// A setting of an operation.
pub(super) enum Setting<'a> {
    Int(i64),
    Ints(&'a [i64]),
}

impl GraphBuilder {
    /// Declares an input `[rows, n_features]` of 32-bit floats.
    pub(super) fn input(&mut self, name: &str, n_features: usize, description: String) {
        let input = value(name, element::FLOAT, Some(n_features), description);
        self.inputs.push(input);
    }

    /// Declares a value, computed under this name, as an output: `[rows]`, or `[rows, n_columns]`.
    pub(super) fn output(
        &mut self,
        name: &str,
        element: i32,
        n_columns: Option<usize>,
        description: &str,
    ) {
        let output = value(name, element, n_columns, description.to_owned());
        self.outputs.push(output);
    }

    /// Stores numbers, and returns their name.
    pub(super) fn constant(&mut self, name: &str, shape: &[usize], values: &[f64]) -> String {
        self.store(
            name,
            element::DOUBLE,
            shape,
            bytes(values, f64::to_le_bytes),
        )
    }

    /// One number, stored once however often it is asked for.
    pub(super) fn number(&mut self, value: f64) -> String {
        let key = format!("number/{value:e}");
        if let Some(name) = self.shared.get(&key) {
            return name.clone();
        }
        self.shared.insert(key.clone(), key.clone());
        self.constant(&key, &[], &[value])
    }

    /// Whole numbers, such as axes and lengths, stored once.
    pub(super) fn integers(&mut self, shape: &[usize], values: &[i64]) -> String {
        let key = format!("integers/{shape:?}/{values:?}").replace(' ', "");
        if let Some(name) = self.shared.get(&key) {
            return name.clone();
        }
        self.shared.insert(key.clone(), key.clone());
        self.store(&key, element::INT64, shape, bytes(values, i64::to_le_bytes))
    }

    fn store(&mut self, name: &str, data_type: i32, shape: &[usize], raw_data: Vec<u8>) -> String {
        self.constants.push(Constant {
            dims: shape.iter().copied().map(signed).collect(),
            data_type,
            name: name.to_owned(),
            raw_data,
        });
        name.to_owned()
    }

    /// Adds an operation with one output, and returns that output's name, which is the operation's too.
    pub(super) fn apply(&mut self, op_type: &str, inputs: &[&str], output: &str) -> String {
        self.apply_with(op_type, inputs, &[], output)
    }

    /// The same, with settings.
    pub(super) fn apply_with(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        settings: &[(&str, Setting<'_>)],
        output: &str,
    ) -> String {
        self.add(op_type, inputs, settings, vec![output.to_owned()]);
        output.to_owned()
    }

    /// Columns of a value `[rows, n]`, each `[rows, 1]`.
    pub(super) fn columns(&mut self, input: &str, n: usize, output: &str) -> Vec<String> {
        let lengths = self.integers(&[n], &vec![1; n]);
        let outputs: Vec<String> = (0..n).map(|index| format!("{output}/{index}")).collect();
        let axis = [("axis", Setting::Int(1))];
        self.add("Split", &[input, &lengths], &axis, outputs.clone());
        outputs
    }

    /// Values `[rows, …]` side by side.
    pub(super) fn side_by_side(&mut self, inputs: &[String], output: &str) -> String {
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        self.apply_with("Concat", &inputs, &[("axis", Setting::Int(1))], output)
    }

    /// Sum over an axis, which goes or stays with length 1.
    pub(super) fn sum(&mut self, input: &str, axis: i64, keep: bool, output: &str) -> String {
        let axes = self.integers(&[1], &[axis]);
        let keep = [("keepdims", Setting::Int(keep.into()))];
        self.apply_with("ReduceSum", &[input, &axes], &keep, output)
    }

    /// Smallest over axis 1, which stays with length 1.
    pub(super) fn smallest(&mut self, input: &str, output: &str) -> String {
        let settings = [("axes", Setting::Ints(&[1])), ("keepdims", Setting::Int(1))];
        self.apply_with("ReduceMin", &[input], &settings, output)
    }

    /// `x Wᵀ + b`.
    pub(super) fn affine(&mut self, x: &str, weight: &str, bias: &str, output: &str) -> String {
        let transposed = [("transB", Setting::Int(1))];
        self.apply_with("Gemm", &[x, weight, bias], &transposed, output)
    }

    /// Softmax over the last axis.
    pub(super) fn softmax(&mut self, input: &str, output: &str) -> String {
        self.apply_with("Softmax", &[input], &[("axis", Setting::Int(-1))], output)
    }

    /// The same numbers in another type.
    pub(super) fn cast(&mut self, input: &str, element: i32, output: &str) -> String {
        let to = [("to", Setting::Int(element.into()))];
        self.apply_with("Cast", &[input], &to, output)
    }

    fn add(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        settings: &[(&str, Setting<'_>)],
        outputs: Vec<String>,
    ) {
        let attribute = settings.iter().map(|(name, setting)| {
            let (kind, i, ints) = match setting {
                Setting::Int(value) => (attribute::INT, Some(*value), Vec::new()),
                Setting::Ints(values) => (attribute::INTS, None, values.to_vec()),
            };
            Attribute {
                name: (*name).to_owned(),
                i,
                ints,
                kind,
            }
        });
        self.nodes.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            name: outputs.first().cloned().unwrap_or_default(),
            output: outputs,
            op_type: op_type.to_owned(),
            attribute: attribute.collect(),
        });
    }

    /// The graph.
    pub(super) fn finish(self, name: &str) -> Graph {
        Graph {
            node: self.nodes,
            name: name.to_owned(),
            initializer: self.constants,
            input: self.inputs,
            output: self.outputs,
        }
    }
}

/// An input or output `[rows]`, or `[rows, n_columns]`.
fn value(name: &str, element: i32, n_columns: Option<usize>, doc_string: String) -> Value {
    let rows = Dimension {
        value: None,
        name: Some(ROWS.to_owned()),
    };
    let columns = n_columns.map(|n_columns| Dimension {
        value: Some(signed(n_columns)),
        name: None,
    });
    let shape = Shape {
        dim: std::iter::once(rows).chain(columns).collect(),
    };
    Value {
        name: name.to_owned(),
        kind: Some(Type {
            tensor: Some(TensorType {
                element,
                shape: Some(shape),
            }),
        }),
        doc_string,
    }
}

fn bytes<T: Copy, const N: usize>(values: &[T], to_bytes: fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| to_bytes(value)).collect()
}

/// A length as ONNX counts it. Nothing in memory is longer than its numbers reach.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
