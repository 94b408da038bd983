//! What tests of `emma experiment3` share.

use serde_json::Value;

use super::common::Place;

pub(crate) const FILES: [&str; 7] = [
    "base.safetensors",
    "without.safetensors",
    "with.safetensors",
    "alternative.safetensors",
    "ip_only.safetensors",
    "dm_only.safetensors",
    "split.json",
];

pub(crate) fn place_with_table() -> Place {
    let place = Place::new();
    let table = emma_testkit::candidates::csv(600, true, &mut emma_testkit::rng(1));
    place.write("candidates.csv", table);
    place
}

pub(crate) const SMALL: &str = "experiment3 --data candidates.csv --quick --epochs 3 --quiet";

pub(crate) fn results(place: &Place, folder: &str) -> Value {
    serde_json::from_str(&place.read_text(&format!("{folder}/results.json"))).unwrap()
}

/// All that must not depend on when or where the program ran.
pub(crate) fn without_timing(mut results: Value) -> Value {
    results.as_object_mut().unwrap().remove("timing");
    for model in results["models"].as_object_mut().unwrap().values_mut() {
        model.as_object_mut().unwrap().remove("timing");
    }
    results
}
