//! A comparison as tables for people.

use std::fmt::Write as _;

use super::Comparison;
use crate::text::{align, number, thousands};

impl Comparison {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let [first, second] = &self.tables;
        let _ = writeln!(
            text,
            "{}, {} rows, and {}, {} rows",
            first.source,
            thousands(first.rows),
            second.source,
            thousands(second.rows)
        );
        text.push_str(
            "KS: Kolmogorov-Smirnov distance. Quantiles: the first table's value / the second's.\n",
        );
        for class in &self.classes {
            let _ = writeln!(
                text,
                "\nClass {}: {} and {} rows\n",
                class.label,
                thousands(class.rows[0]),
                thousands(class.rows[1])
            );
            let mut header = vec!["feature".to_owned(), "KS".to_owned()];
            let quantiles = class.features.iter().take(1);
            let quantiles = quantiles.flat_map(|feature| &feature.quantiles);
            header.extend(quantiles.map(|quantile| format!("{} %", 100. * quantile.p)));
            let mut rows = vec![header];
            for feature in &class.features {
                let mut row = vec![feature.name.clone(), format!("{:.3}", feature.ks)];
                row.extend(feature.quantiles.iter().map(|quantile| {
                    let [first, second] = quantile.values;
                    format!("{} / {}", number(first), number(second))
                }));
                rows.push(row);
            }
            align(&mut text, &rows);
        }
        let _ = writeln!(
            text,
            "\nA network told to tell the tables apart, row by row, has a ROC-AUC of {:.3} (0.5: it \
             cannot).",
            self.roc_auc
        );
        text
    }
}
