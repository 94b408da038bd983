//! How well energies tell outlying rows from clean ones.

use emma_models::metrics::roc_auc;

use crate::failure::CommandResult;

/// Area under the ROC curve of energies that should be higher for the outlying rows.
///
/// Of the scores only the order counts: ranks keep it in f32, where large energies would not fit.
pub(crate) fn auc_of_energies(clean: &[f64], outlying: &[f64]) -> CommandResult<f64> {
    let mut all: Vec<(f64, u8)> = clean
        .iter()
        .map(|&energy| (energy, 0))
        .chain(outlying.iter().map(|&energy| (energy, 1)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut rank = 0_u32;
    let mut scores = Vec::with_capacity(all.len());
    for (index, (energy, _)) in all.iter().enumerate() {
        if index > 0 && all[index - 1].0 < *energy {
            rank += 1;
        }
        // Exact: there are fewer than 2^24 rows.
        scores.push(rank as f32);
    }
    let labels: Vec<u8> = all.iter().map(|(_, label)| *label).collect();
    Ok(roc_auc(&scores, &labels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energies_beyond_f32_are_ranked() {
        let auc = auc_of_energies(&[1., 2., 1e60], &[1e50, 1e70]).unwrap();
        assert!((auc - 5. / 6.).abs() < 1e-12, "{auc}");
        let ties = auc_of_energies(&[1., 1.], &[1., 1.]).unwrap();
        assert!((ties - 0.5).abs() < 1e-12, "{ties}");
    }
}
