//! `emma data corruptions`: what can be done to a mode.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;
use emma_data::Corruption;

#[test]
fn every_kind_is_listed_with_what_it_does() {
    let place = Place::new();
    insta::assert_snapshot!("table", place.succeed("data corruptions"));
}

#[test]
fn the_list_as_json_has_examples_that_can_be_read() {
    let place = Place::new();
    let json = place.succeed("data corruptions --json");
    let kinds: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(kinds.len(), Corruption::KINDS.len());
    for (kind, expected) in kinds.iter().zip(Corruption::KINDS) {
        let example: Corruption = kind["example"].as_str().unwrap().parse().unwrap();
        assert_eq!(example.kind(), kind["name"].as_str().unwrap());
        assert_eq!(kind["level"].as_str(), expected.level);
        assert_eq!(kind["form"].as_str(), Some(expected.form));
        assert_eq!(kind["summary"].as_str(), Some(expected.summary));
    }
}

#[test]
fn the_page_on_formats_lists_every_kind() {
    let page = include_str!("../../../docs/formats.md");
    for kind in Corruption::KINDS {
        let level = kind
            .level
            .map_or(String::new(), |level| format!("{level} "));
        let row = format!("| `{}` | {level}| {} |", kind.form, kind.summary);
        assert!(page.contains(&row), "{row}");
    }
}
