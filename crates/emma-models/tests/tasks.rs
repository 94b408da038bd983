//! Models that tell several classes apart, or predict a number.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use emma_attention::{Emma, EmmaConfig, Regularizers};
use emma_energy::{
    AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy, SeededVarMap,
};
use emma_models::checkpoint::{FORMAT_VERSION, Kind};
use emma_models::trained::{DENOISING_AUTOENCODER, MLP};
use emma_models::{
    Answers, Batch, Checkpoint, Coupled, Loss, Mlp, MlpConfig, ModeColumns, ModelMetadata, Task,
    TrainedModel, TrainingConfig, train,
};
use rand::Rng;

const CPU: &Device = &Device::Cpu;
const N_ROWS: usize = 400;

fn tasks() -> [(Task, Loss); 2] {
    let classes = ["calm", "storm", "frost"].map(str::to_owned).into();
    [
        (Task::Multiclass { classes }, Loss::CrossEntropy),
        (Task::Regression { mean: 20., std: 4. }, Loss::SquaredError),
    ]
}

/// Two modes of two features around the class's or the target's place.
fn rows(task: &Task, seed: u64) -> Batch {
    let mut rng = emma_testkit::rng(seed);
    let mut modes = [Vec::new(), Vec::new()];
    let mut labels = Vec::new();
    for row in 0..N_ROWS {
        let (label, place) = if task.n_outputs() > 1 {
            let class = (row % 3) as f32;
            (class, 2. * class - 2.)
        } else {
            let target = rng.random_range(-1.5f32..1.5);
            (target, target)
        };
        labels.push(label);
        for mode in &mut modes {
            for _ in 0..2 {
                mode.push(place + rng.random_range(-0.3f32..0.3));
            }
        }
    }
    let modes = modes.map(|mode| Tensor::from_vec(mode, (N_ROWS, 2), CPU).unwrap());
    let labels = Tensor::from_vec(labels, N_ROWS, CPU).unwrap();
    Batch::new(modes.into(), labels).unwrap()
}

/// EMMA before a perceptron, trained; as its file would be.
fn trained(task: &Task, loss: Loss) -> Checkpoint {
    let variables = SeededVarMap::new(emma_testkit::rng(1));
    let frozen = SeededVarMap::new(emma_testkit::rng(2));
    let config = AutoencoderConfig {
        n_features: 2,
        n_hidden: 3,
    };
    let estimators = ["a", "b"].map(|mode| {
        let vb = frozen.var_builder(DType::F32, CPU).pp("energy").pp(mode);
        let autoencoder = DenoisingAutoencoder::new(&config, &vb).unwrap().frozen();
        Box::new(PotentialEnergy(autoencoder)) as Box<dyn EnergyEstimator>
    });
    let vb = variables.var_builder(DType::F32, CPU);
    let minimum = Tensor::new(&[-3f32, -3.], CPU).unwrap();
    let emma = Emma::new(&EmmaConfig::default(), &minimum, &vb.pp("attention")).unwrap();
    let config = MlpConfig {
        n_inputs: 4,
        hidden: vec![8],
        n_outputs: task.n_outputs(),
    };
    let network = Mlp::new(&config, &vb.pp("network")).unwrap();
    let model = Coupled::new(estimators.into(), emma, Regularizers::default(), network).unwrap();
    let config = TrainingConfig {
        n_epochs: 30,
        learning_rate: 1e-2,
        loss,
        ..TrainingConfig::default()
    };
    let mut rng = emma_testkit::rng(3);
    let (training, validation) = (rows(task, 4), rows(task, 5));
    train(
        &model,
        &variables,
        &training,
        &validation,
        &config,
        &mut rng,
        |_| {},
    )
    .unwrap();
    let mut tensors = variables.snapshot().unwrap();
    tensors.extend(frozen.snapshot().unwrap());
    tensors.insert("attention.minimum_potential".into(), minimum);
    for mode in ["a", "b"] {
        for (part, value) in [("mean", 0f32), ("std", 1.)] {
            let tensor = Tensor::new(&[value, value], CPU).unwrap();
            tensors.insert(format!("standardize.{mode}.{part}"), tensor);
        }
    }
    Checkpoint::new(metadata(task), tensors).unwrap()
}

fn metadata(task: &Task) -> ModelMetadata {
    let modes = ["a", "b"].map(|mode| ModeColumns {
        name: mode.into(),
        columns: [0, 1].map(|column| format!("{mode}_{column}")).into(),
    });
    ModelMetadata {
        format_version: task.format_version(),
        name: None,
        modes: modes.into(),
        label: "weather".into(),
        coldness: Some(EmmaConfig::default().coldness.value()),
        energy: Some(Kind::new(DENOISING_AUTOENCODER)),
        network: Kind::new(MLP),
        threshold: 0.5,
        task: task.clone(),
        abstention: None,
        training: serde_json::Map::new(),
    }
}

#[test]
fn several_classes_and_numbers_are_learned_stored_and_scored() {
    for (task, loss) in tasks() {
        let bytes = trained(&task, loss).to_bytes().unwrap();
        let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
        assert_eq!(checkpoint.metadata().task, task);
        let model = TrainedModel::from_checkpoint(&checkpoint, CPU).unwrap();
        let test = rows(&task, 6);
        let labels: Vec<f32> = test.labels().to_vec1().unwrap();
        let prediction = model.predict(test.modes()).unwrap();
        assert_eq!(prediction.explanation.unwrap().attention.len(), N_ROWS);
        assert_eq!(prediction.answers.n_rows(), N_ROWS);
        match &prediction.answers {
            Answers::Multiclass(rows) => {
                let right = rows.iter().zip(&labels).filter(|(row, label)| {
                    assert!((row.iter().sum::<f32>() - 1.).abs() < 1e-6);
                    let best = (0..3u8)
                        .max_by(|&a, &b| row[usize::from(a)].total_cmp(&row[usize::from(b)]));
                    best.map(f32::from) == Some(**label)
                });
                assert!(right.count() > N_ROWS * 95 / 100);
            }
            Answers::Regression(values) => {
                let errors = values.iter().zip(&labels);
                let errors = errors.map(|(value, label)| (value - (20. + 4. * label)).abs());
                let mean = errors.sum::<f32>() / N_ROWS as f32;
                assert!(mean < 0.6, "{mean} of a standard deviation of about 3.5");
            }
            Answers::Binary(_) => panic!("not binary"),
        }
        let none = test.narrow(0, 0).unwrap();
        assert_eq!(model.predict(none.modes()).unwrap().answers.n_rows(), 0);
        let error = model.probabilities(test.modes()).unwrap_err().to_string();
        let expected = format!("expected a binary model, got a {} one", task.kind());
        assert_eq!(error, expected);
    }
}

#[test]
fn a_row_is_scored_the_same_in_every_batch() {
    for (task, loss) in tasks() {
        let model = TrainedModel::from_checkpoint(&trained(&task, loss), CPU).unwrap();
        let test = rows(&task, 6);
        let all = model.predict(test.modes()).unwrap().answers;
        let one = test.narrow(17, 1).unwrap();
        let one = model.predict(one.modes()).unwrap().answers;
        match (all, one) {
            (Answers::Multiclass(all), Answers::Multiclass(one)) => assert_eq!(all[17], one[0]),
            (Answers::Regression(all), Answers::Regression(one)) => {
                assert_eq!(all[17].to_bits(), one[0].to_bits());
            }
            _ => panic!("tasks differ"),
        }
    }
}

#[test]
fn tasks_that_make_no_sense_are_refused() {
    let refused = |task: Task| {
        let error = Checkpoint::new(metadata(&task), BTreeMap::new()).unwrap_err();
        error.to_string()
    };
    let classes = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let multiclass = |names: &[&str]| Task::Multiclass {
        classes: classes(names),
    };
    for (task, expected) in [
        (multiclass(&["a"]), "expected at least 2 classes, got 1"),
        (
            multiclass(&["a", "a"]),
            "expected different classes, got [\"a\", \"a\"]",
        ),
        (
            Task::Binary {
                classes: classes(&["a", "b", "c"]),
            },
            "expected 2 classes of a binary task, or none, got 3",
        ),
        (
            Task::Regression { mean: 0., std: 0. },
            "expected a finite mean and a positive standard deviation of the target, got 0 and 0",
        ),
    ] {
        let found = refused(task);
        assert_eq!(found, format!("not a valid model file: {expected}"));
    }
}

#[test]
fn a_network_without_one_output_a_class_is_refused() {
    let [(task, loss), _] = tasks();
    let checkpoint = trained(&task, loss);
    let mut metadata = metadata(&task);
    metadata.task = Task::default();
    let tensors = checkpoint.tensors().clone();
    let binary = Checkpoint::new(metadata, tensors).unwrap();
    let error = TrainedModel::from_checkpoint(&binary, CPU).err().unwrap();
    assert_eq!(
        error.to_string(),
        "not a valid model file: expected a last layer with 1 output, got 3"
    );
}

#[test]
fn the_first_format_version_holds_binary_classifiers_alone() {
    for (task, _) in tasks() {
        let mut metadata = metadata(&task);
        metadata.format_version = FORMAT_VERSION;
        let error = Checkpoint::new(metadata, BTreeMap::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "not a valid model file: expected format_version 2 with a task of kind {}, got 1",
                task.kind()
            )
        );
    }
}

#[test]
fn an_unknown_task_is_named() {
    let [(task, loss), _] = tasks();
    let bytes = trained(&task, loss).to_bytes().unwrap();
    // Of the same length, so that the header stays whole.
    let mut windows = bytes.windows(10);
    let place = windows.position(|text| text == b"multiclass").unwrap();
    let mut other = bytes.clone();
    other[place..place + 10].copy_from_slice(b"multilabel");
    let error = Checkpoint::from_bytes(&other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown task kind \"multilabel\" in the model file; this version knows binary and multiclass and \
         regression (did you mean multiclass?)"
    );
}
