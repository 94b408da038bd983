//! `report.html` of experiment 3.

use std::path::Path;

use emma_models::Metric;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::close_look::{ByMode, Learned, SeedLook};
use super::conditions::{BOTH, UNCORRUPTED, short_names};
use super::figures::attention::shift_conditions;
use super::figures::{Drawn, Evidence};
use super::findings::{
    Finding, WeightEffect, against_zero, can_show, p_value, pair, regularizers, robustness, seeds,
    true_minus, weight_effects, wins_and_losses, with_interval,
};
use super::grid::GridName;
use super::published::PUBLISHED;
use super::refusal::Refusal;
use super::report::{format_difference, format_score, models};
use super::results::{CandidateResults, MEAN_OVER_CONDITIONS, ModelResults, Results};
use super::settings::{HTRU2, SIMULATED, Settings};
use crate::experiment::data::describe;
use crate::experiment::over_seeds::OverSeeds;
use crate::failure::CommandResult;
use crate::files;
use crate::html_report::{Cell, Column, Report, Section, Table, Tone};

/// Rows kept where risk is reported.
const COVERAGE: f64 = 0.8;

/// Draws all figures and writes them with the page into the results folder.
pub(crate) fn write(evidence: &Evidence, folder: &Path) -> CommandResult<()> {
    let drawn = super::figures::figures(evidence)?;
    // What a run that was killed here left behind.
    files::remove_unfinished(folder);
    files::remove_unfinished(&folder.join("figures"));
    drawn
        .par_iter()
        .try_for_each(|one| one.figure.write(folder, one.name))?;
    Page {
        evidence,
        drawn: &drawn,
    }
    .report()?
    .write(folder)
}

struct Page<'a> {
    evidence: &'a Evidence<'a>,
    drawn: &'a [Drawn],
}

impl Page<'_> {
    fn report(&self) -> CommandResult<Report> {
        let results = self.results();
        let settings = &results.settings;
        let report = Report::new(
            "Experiment 3: EMMA against data augmentation",
            "Chapter 6 of the thesis: pulsars are to be told from other candidates by two modes, one of which \
             may be corrupted. Does attention by energy help?",
        );
        let mut report = describe(report, &settings.data)
            .fact("Seeds", format!("{:?}", results.seeds))
            .fact("Epochs", settings.training.n_epochs.to_string())
            .fact("Threshold rule", settings.threshold_rule.to_string())
            .fact("emma", settings.version.clone());
        if !can_show(results.seeds.len(), results.paired_differences.len()) {
            let text = format!(
                "With {} no difference can be significant, whatever it is: read figures, draw no conclusions.",
                seeds(results.seeds.len())
            );
            report = report.banner(Tone::Note, "Few seeds.", text);
        }
        Ok(report
            .section(self.robustness())
            .section(self.regularizers())
            .section(self.interpretability()?)
            .section(self.learned())
            .section(self.chosen())
            .section(self.training())
            .section(self.threshold_rules())
            .section(self.claims()?)
            .section(
                Section::new("How can I check this?")
                    .answer("One command makes everything again, to the same figures.")
                    .command(command(results))
                    .paragraph(
                        "`results.json` holds every number of the tables, by seed; `close_look.json` what the \
                         figures of attention and energy are drawn of; `figures/` each figure as SVG and PNG.",
                    ),
            ))
    }

    fn results(&self) -> &Results {
        self.evidence.results
    }

    /// Adds a figure if it was drawn, else says why not.
    fn figure(&self, section: Section, name: &str, why_not: &str) -> Section {
        match self.drawn.iter().find(|one| one.name == name) {
            Some(one) => section.figure(one.figure.clone(), one.caption.as_str()),
            None => section.note(why_not),
        }
    }

    /// The first question of section 5.8.
    fn robustness(&self) -> Section {
        const OLD: &str = "These results of an earlier version hold no conditions to draw.";
        let results = self.results();
        let mut section = Section::new(
            "Does EMMA increase the robustness compared to data augmentation techniques?",
        )
        .answer(robustness(results));
        for baseline in ["without", "alternative", "base"] {
            if let Some(sentence) = wins_and_losses(results, baseline) {
                section = section.paragraph(sentence);
            }
        }
        section = self.figure(section, "robustness_over_noise", OLD);
        section = section.table(generalization(results));
        section = self.figure(section, "robustness_other_faults", OLD);
        section
            .table(areas(results, false))
            .table(areas(results, true))
            .table(by_condition(results))
            .note(
                "`without` is data augmentation: the network alone, trained on the same corrupted rows. `base` \
                 has seen clean rows only; `alternative` has a softmax over modes without energies. Tests are \
                 adjusted over pairs of models, not over conditions: among so many, one or two by chance are to \
                 be expected.",
            )
    }

    /// The second.
    fn regularizers(&self) -> Section {
        let results = self.results();
        let grid = results
            .models
            .get("with")
            .map_or(&[][..], |with| &with.grid[..]);
        let effects = weight_effects(&results.settings.grid, grid);
        let section = Section::new("Is the use of the two regularizers experimentally validated?")
            .answer(regularizers(&effects, results.seeds.len()));
        let section = self.figure(
            section,
            "regularizers",
            "No figure: there is one weight of each regularizer in the grid.",
        );
        if effects.is_empty() {
            section
        } else {
            section.table(weights(&effects))
        }
    }

    /// The third.
    fn interpretability(&self) -> CommandResult<Section> {
        let section = Section::new("Is the end-to-end model more interpretable with EMMA?")
            .answer(self.energy_answer());
        let section = section.paragraph(self.shift_answer());
        let section = section.paragraph(self.refusal_answer());
        let section = self
            .figure(section, "attention_shift", "")
            .table(self.shift()?);
        let section = self.figure(section, "attention_along_noise", "");
        let section = self.figure(section, "attention_surface", "");
        let section = self.figure(section, "energy_over_noise", "");
        let section = self.figure(section, "risk_coverage", "");
        Ok(section.table(self.refusal()).note(format!(
            "These statements are tested by Wilcoxon's signed-rank test over seeds, Bonferroni-adjusted for the {} of \
             them.",
            self.n_statements()
        )))
    }

    /// What the section says of interpretability: of the correlation, of refusal, and of each mode.
    fn n_statements(&self) -> usize {
        2 + self.results().data.modes.len()
    }

    fn energy_answer(&self) -> String {
        let of_seeds = self
            .evidence
            .look
            .seeds
            .iter()
            .map(|seed| seed.rank_correlation);
        let Some(correlations) = of_seeds.collect::<Option<Vec<f64>>>() else {
            return "These seeds cannot say: total energy or F_{1} does not vary over noise."
                .into();
        };
        let correlation = OverSeeds::of(correlations);
        let interval = with_interval(&correlation);
        match against_zero(&correlation, self.n_statements()) {
            Finding::Lower => format!(
                "Yes, as far as energy tells noise: the higher the mean total energy of rows, the lower is F_{{1}} on them; over \
                 noise Spearman's rank correlation is {interval}."
            ),
            Finding::Higher => format!(
                "No: F_{{1}} rises with the mean total energy; over noise Spearman's rank \
                 correlation is {interval}."
            ),
            Finding::NotShown => format!(
                "Not that these seeds can show: over noise Spearman's rank correlation of the mean total energy \
                 of rows and of F_{{1}} on them is {interval}."
            ),
        }
    }

    /// Whether attention leaves a noisy mode.
    fn shift_answer(&self) -> String {
        let modes = &self.results().data.modes;
        let sentence = |(index, mode): (usize, &String)| {
            let noisy = format!("{mode}:noise:2");
            let of_seed = |condition: &str| -> Option<Vec<f64>> {
                let seeds = self.evidence.look.seeds.iter();
                seeds
                    .map(|seed| {
                        seed.conditions
                            .get(condition)?
                            .attention
                            .get(index)
                            .copied()
                    })
                    .collect()
            };
            let (clean, noisy) = (of_seed(UNCORRUPTED)?, of_seed(&noisy)?);
            let change = noisy.iter().zip(&clean).map(|(noisy, clean)| noisy - clean);
            let change = OverSeeds::of(change.collect());
            let what = match against_zero(&change, self.n_statements()) {
                Finding::Lower => "attention leaves it",
                Finding::Higher => "attention to it rises, against the thesis",
                Finding::NotShown => "no change of attention to it is shown",
            };
            Some(format!(
                "With noise 2 on {mode} {what}: {}.",
                with_interval(&change)
            ))
        };
        let sentences: Vec<String> = modes.iter().enumerate().filter_map(sentence).collect();
        sentences.join(" ")
    }

    /// Whether refusing by energy leaves fewer errors than refusing by probability.
    fn refusal_answer(&self) -> String {
        let seeds = self.evidence.look.seeds.iter();
        let change = seeds.filter_map(|seed| {
            let energy = seed.refused_by_energy.error_at(COVERAGE)?;
            Some(energy - seed.refused_by_probability.error_at(COVERAGE)?)
        });
        let change = OverSeeds::of(change.collect());
        let what = match against_zero(&change, self.n_statements()) {
            Finding::Higher => "leaves more errors than",
            Finding::Lower => "leaves fewer errors than",
            Finding::NotShown => "is not shown to differ from",
        };
        format!(
            "Refusing the {:.0} % of rows of the highest total energy {what} refusing those whose probability is \
             nearest to the threshold, which needs no energies: risk {}.",
            100. * (1. - COVERAGE),
            with_interval(&change)
        )
    }

    /// What the attention shift's figure shows, and masking.
    fn shift(&self) -> CommandResult<Table> {
        let modes = &self.results().data.modes;
        let measures: [(&str, ByMode); 2] = [
            ("attention", |look| &look.attention),
            ("masked", |look| &look.masked),
        ];
        let mut columns = vec![Column::words("noise")];
        for (title, _) in measures {
            columns.extend(
                modes
                    .iter()
                    .map(|mode| Column::numbers(format!("{title}, {mode}"))),
            );
        }
        let mut table = Table::new(
            "Attention, and the share of rows in which a mode is masked, that is gets no attention at all: mean ± \
             half-width of the 95 % interval.",
            columns,
        );
        for (title, condition) in shift_conditions(modes)? {
            let mut cells = vec![Cell::from(title)];
            for (_, measure) in measures {
                cells.extend((0..modes.len()).map(|mode| {
                    let of_seed = |seed: &SeedLook| {
                        let look = seed.conditions.get(&condition)?;
                        measure(look).get(mode).copied()
                    };
                    let all = self.evidence.look.seeds.iter().filter_map(of_seed);
                    Cell::from(plain(&OverSeeds::of(all.collect())))
                }));
            }
            table = table.row(cells);
        }
        Ok(table)
    }

    fn refusal(&self) -> Table {
        let seeds = &self.evidence.look.seeds;
        let at = |refusal: fn(&SeedLook) -> &Refusal, coverage: f64| {
            let all = seeds
                .iter()
                .filter_map(|seed| refusal(seed).error_at(coverage));
            OverSeeds::of(all.collect())
        };
        let caption = format!(
            "Share of wrong predictions among the {:.0} % of rows that are kept, all conditions together: mean ± \
             half-width of the 95 % interval.",
            100. * COVERAGE
        );
        let columns = [Column::words("refused"), Column::numbers("risk")];
        let row = |title: &str, figure: &OverSeeds| [Cell::from(title), Cell::from(plain(figure))];
        let by_energy: fn(&SeedLook) -> &Refusal = |seed| &seed.refused_by_energy;
        Table::new(caption, columns)
            .row(row("none", &at(by_energy, 1.)))
            .row(row("highest total energy", &at(by_energy, COVERAGE)))
            .row(row(
                "probability nearest to the threshold",
                &at(|seed| &seed.refused_by_probability, COVERAGE),
            ))
    }

    fn learned(&self) -> Section {
        let seeds = &self.evidence.look.seeds;
        let of = |number: fn(&Learned) -> f64| {
            OverSeeds::of(seeds.iter().map(|seed| number(&seed.learned)).collect())
        };
        let section = Section::new("What did EMMA learn?").answer(format!(
            "A gain of {}, a bias of {} and a capacity of {}, mean over seeds ± half-width of the 95 % interval.",
            plain(&of(|learned| learned.gain)),
            plain(&of(|learned| learned.attention_bias)),
            plain(&of(|learned| learned.rectified_capacity)),
        ));
        let section = self.figure(section, "attention_function", "");
        self.figure(section, "coupling", "")
    }

    fn chosen(&self) -> Section {
        let results = self.results();
        let section = Section::new("How much does the coldness matter?");
        let with = results.models.get("with");
        let Some(with) = with.filter(|with| with.coldness_sweep.len() > 1) else {
            let section = section.answer("These results of an earlier version do not say.");
            return self.figure(section, "coldness", "No figure, for the same reason.");
        };
        let range = |means: &[f64]| {
            let lowest = means.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            format!("between {lowest:.3} and {highest:.3}")
        };
        let sweep = &with.coldness_sweep;
        let of_sweep: Vec<f64> = sweep.iter().map(|one| one.validation_f1.mean).collect();
        let of_grid: Vec<f64> = with.grid.iter().map(|one| one.validation_f1.mean).collect();
        let section = section.answer(format!(
            "Without regularizers and over {} values of the coldness, {:e} to {}, mean validation F_{{1}} lies {}; \
             over the {} combinations of the grid that the seeds chose from, by validation alone, {}.",
            sweep.len(),
            sweep[0].coldness,
            sweep[sweep.len() - 1].coldness,
            range(&of_sweep),
            with.grid.len(),
            range(&of_grid),
        ));
        let section = self.figure(section, "coldness", "");
        section.table(choices(&with.grid))
    }

    fn training(&self) -> Section {
        let results = self.results();
        let mut again = Vec::new();
        for (name, model) in models(results) {
            let n = model.starts.iter().filter(|&&starts| starts > 1).count();
            if n > 0 {
                again.push(format!("`{name}` in {}", seeds(n)));
            }
        }
        let answer = if again.is_empty() {
            "Every network learned from its first values in every seed.".to_owned()
        } else {
            format!(
                "Networks that were born dead started again: {}.",
                again.join(", ")
            )
        };
        let section =
            Section::new("How did training go, and what do the models confuse?").answer(answer);
        let section = self.figure(section, "training", "");
        self.figure(section, "confusion", "")
    }

    fn threshold_rules(&self) -> Section {
        let results = self.results();
        let differences = results.models.get("with").and_then(|with| {
            let rules = with.threshold_rules.as_ref()?;
            let [max_f1, roc_corner] = [&rules.max_f1, &rules.roc_corner].map(|rule| {
                let mean = rule.f1.get(MEAN_OVER_CONDITIONS);
                mean.map_or(&[][..], |mean| &mean.per_seed[..])
            });
            let pairs = max_f1.iter().zip(roc_corner);
            Some(OverSeeds::of(
                pairs.map(|(max_f1, corner)| max_f1 - corner).collect(),
            ))
        });
        let section = Section::new("How much does the rule of the threshold matter?");
        let Some(difference) = differences else {
            return section.answer("These results of an earlier version do not say.");
        };
        section
            .answer(format!(
                "With the threshold of best validation F_{{1}} in place of that nearest to the corner of the ROC \
                 curve, mean F_{{1}} of `with` over all conditions changes by {}.",
                with_interval(&difference)
            ))
            .table(rules(results))
    }

    /// The thesis's claims and its published table beside what was found.
    fn claims(&self) -> CommandResult<Section> {
        let results = self.results();
        let grid = results
            .models
            .get("with")
            .map_or(&[][..], |with| &with.grid[..]);
        let effects = weight_effects(&results.settings.grid, grid);
        let claims = Table::new(
            "The thesis's claims, in the order of section 5.8.",
            [Column::words("the thesis"), Column::words("here")],
        )
        .row([
            Cell::from("EMMA increases the robustness compared to data augmentation."),
            Cell::from(robustness(results)),
        ])
        .row([
            Cell::from("The two regularizers help."),
            Cell::from(regularizers(&effects, results.seeds.len())),
        ])
        .row([
            Cell::from("EMMA makes the model more interpretable, notably its uncertainty."),
            Cell::from(self.energy_answer()),
        ]);
        let section = Section::new("What the thesis claims, what we find");
        if results.data.source != HTRU2 {
            return Ok(section
                .answer("The claims can be looked at on any data; the published table is about HTRU2 alone.")
                .table(claims)
                .note("The published table is left out: these data are not HTRU2."));
        }
        Ok(section
            .answer(
                "The published table does not reproduce: it has the best of 125 models by the test rows of one \
                 split.",
            )
            .table(claims)
            .table(beside_published(results)?)
            .table(gains_beside_published(results)?)
            .table(rerun())
            .note(
                "The published program has faults, `docs/errata.md` lists them: the potential of a row depends on \
                 its batch, half of the clean rows are corrupted, models are ranked on test rows. Run again by \
                 its own code it does not reach its own table either.",
            ))
    }
}

/// F1 of each model: over all conditions, of the oracle, and against the baselines.
fn generalization(results: &Results) -> Table {
    let has_oracle = results.oracle.is_some();
    let mut columns = vec![
        Column::words("model"),
        Column::numbers("uncorrupted"),
        Column::numbers("all conditions"),
    ];
    if has_oracle {
        columns.push(Column::numbers("of oracle"));
    }
    columns.extend(["less without", "less base"].map(Column::numbers));
    let caption = format!(
        "F_{{1}} of test rows, mean ± half-width of the 95 % interval over {}.",
        seeds(results.seeds.len())
    );
    let mut table = Table::new(caption, columns).meanings("the highest mean of the column", STAR);
    let highest = |figure: &dyn Fn(&ModelResults) -> Option<f64>| {
        models(results)
            .filter_map(|(_, model)| figure(model))
            .fold(f64::NEG_INFINITY, f64::max)
    };
    let clean = |model: &ModelResults| Some(model.measures.get(Metric::F1).get(UNCORRUPTED)?.mean);
    let mean = |model: &ModelResults| Some(model.mean_over_conditions.get("f1")?.mean);
    let (highest_clean, highest_mean) = (highest(&clean), highest(&mean));
    for (name, model) in models(results) {
        let cell = |figure: Option<&OverSeeds>, highest: f64| {
            let Some(figure) = figure else {
                return Cell::from("–");
            };
            let cell = Cell::from(format_score(figure, Metric::F1));
            // As printed: what looks equal is equally good.
            if (figure.mean - highest).abs() < 5e-4 {
                cell.best()
            } else {
                cell
            }
        };
        let mut cells = vec![
            Cell::from(format!("`{name}`")),
            cell(
                model.measures.get(Metric::F1).get(UNCORRUPTED),
                highest_clean,
            ),
            cell(model.mean_over_conditions.get("f1"), highest_mean),
        ];
        if has_oracle {
            cells.push(cell(
                model.of_oracle.get(MEAN_OVER_CONDITIONS),
                f64::INFINITY,
            ));
        }
        for baseline in ["without", "base"] {
            cells.push(difference(results, &name, baseline, MEAN_OVER_CONDITIONS));
        }
        table = table.row(cells);
    }
    table
}

/// What an asterisk means.
const STAR: &str =
    "p < 0.05 by Wilcoxon's signed-rank test, Holm-adjusted for the pairs of models compared";

/// A difference with an asterisk if it is significant.
fn difference(results: &Results, model: &str, baseline: &str, condition: &str) -> Cell {
    let Some(pair) = pair(results, model, baseline) else {
        return Cell::from("–");
    };
    let text = format_difference(pair, Metric::F1, condition);
    let cell = Cell::from(true_minus(text.trim_end_matches(['*', ' '])));
    if pair.is_shown(Metric::F1, condition) {
        cell.significant()
    } else {
        cell
    }
}

/// Relative or effective robustness.
fn areas(results: &Results, is_effective: bool) -> Table {
    let modes = &results.data.modes;
    let places: Vec<&str> = modes.iter().map(String::as_str).chain([BOTH]).collect();
    let mut columns = vec![Column::words("model")];
    columns.extend(
        places
            .iter()
            .map(|place| Column::numbers(format!("noise on {place}"))),
    );
    let caption = if is_effective {
        "Effective robustness: mean F_{1} over noise from 0 to 4 beyond what uncorrupted F_{1} predicts from \
         `base`."
    } else {
        "Relative robustness: mean F_{1} over noise from 0 to 4, as a share of uncorrupted F_{1}."
    };
    let mut table = Table::new(caption, columns);
    for (name, model) in models(results) {
        let Some(found) = &model.robustness else {
            continue;
        };
        let figures = if is_effective {
            &found.effective
        } else {
            &found.relative
        };
        let mut cells = vec![Cell::from(format!("`{name}`"))];
        cells.extend(places.iter().map(|place| match figures.get(*place) {
            Some(figure) if is_effective => Cell::from(signed(figure)),
            Some(figure) => Cell::from(plain(figure)),
            None => Cell::from("–"),
        }));
        table = table.row(cells);
    }
    table
}

/// Every condition: EMMA, and its differences.
fn by_condition(results: &Results) -> Table {
    let baselines = ["without", "base"];
    let mut columns = vec![Column::words("condition"), Column::numbers("with")];
    columns.extend(baselines.map(|baseline| Column::numbers(format!("less {baseline}"))));
    columns.extend([Column::numbers("adjusted p"), Column::words("verdict")]);
    let mut table = Table::new(
        "F_{1} of EMMA in every condition, and less that of the others, paired by seed; adjusted p and verdict are \
         those against `without`, data augmentation. Open: these seeds show no difference.",
        columns,
    )
    .meanings("", STAR);
    let with = results.models.get("with");
    for condition in &results.conditions {
        let own = with.and_then(|with| with.measures.get(Metric::F1).get(condition));
        let mut cells = vec![
            Cell::from(format!("`{condition}`")),
            own.map_or(Cell::from("–"), |own| Cell::from(plain(own))),
        ];
        let others = baselines.map(|baseline| difference(results, "with", baseline, condition));
        cells.extend(others);
        let without = pair(results, "with", "without");
        let test = without.and_then(|pair| pair.tests.get("f1")?.get(condition));
        cells.push(Cell::from(
            test.map_or_else(|| "–".into(), |test| p_value(test.p_holm)),
        ));
        let verdict = without.and_then(|pair| Finding::of_f1(pair, condition));
        cells.push(Cell::from(verdict.map_or("–", Finding::word)));
        table = table.row(cells);
    }
    table
}

fn weights(effects: &[WeightEffect]) -> Table {
    let mut table = Table::new(
        "Validation F_{1} with a weight less that without, mean over the other hyper-parameters, paired by seed.",
        [
            Column::words("weight"),
            Column::numbers("difference"),
            Column::numbers("adjusted p"),
            Column::words("verdict"),
        ],
    );
    for effect in effects {
        table = table.row([
            Cell::from(effect.title()),
            Cell::from(signed(&effect.difference)),
            Cell::from(p_value(effect.p_holm)),
            Cell::from(effect.finding.word()),
        ]);
    }
    table
}

/// What was chosen by any seed.
fn choices(grid: &[CandidateResults]) -> Table {
    let mut table = Table::new(
        "Hyper-parameters that seeds chose by validation F_{1}; mean ± half-width of the 95 % interval.",
        [
            Column::numbers("coldness"),
            Column::numbers("λ_{c}"),
            Column::numbers("λ_{e}"),
            Column::numbers("validation F_{1}"),
            Column::numbers("chosen by seeds"),
        ],
    );
    for candidate in grid.iter().filter(|one| !one.chosen_by.is_empty()) {
        let value = |name: &str| {
            let value = candidate.hyperparameters.get(name);
            let value = value.and_then(serde_json::Value::as_f64);
            Cell::from(value.map_or_else(|| "–".into(), |value| value.to_string()))
        };
        let chosen: Vec<String> = candidate.chosen_by.iter().map(u64::to_string).collect();
        table = table.row([
            value("coldness"),
            value("lambda_c"),
            value("lambda_e"),
            Cell::from(plain(&candidate.validation_f1)),
            Cell::from(chosen.join(", ")),
        ]);
    }
    table
}

fn rules(results: &Results) -> Table {
    let columns = [
        Column::words("model"),
        Column::numbers("clean, best F_{1}"),
        Column::numbers("clean, corner"),
        Column::numbers("all, best F_{1}"),
        Column::numbers("all, corner"),
    ];
    let mut table = Table::new(
        "F_{1} of the same models with the threshold of best validation F_{1} and with that nearest to the corner of the \
         ROC curve: uncorrupted, and mean over all conditions; ± half-width of the 95 % interval.",
        columns,
    );
    for (name, model) in models(results) {
        let Some(rules) = &model.threshold_rules else {
            continue;
        };
        let mut cells = vec![Cell::from(format!("`{name}`"))];
        for condition in [UNCORRUPTED, MEAN_OVER_CONDITIONS] {
            for rule in [&rules.max_f1, &rules.roc_corner] {
                let figure = rule.f1.get(condition);
                cells.push(Cell::from(figure.map_or_else(|| "–".into(), plain)));
            }
        }
        table = table.row(cells);
    }
    table
}

/// Of the tables beside the published one.
const PUBLISHED_COLUMNS: [&str; 6] = ["clean", "here", "ip noisy", "here", "dm noisy", "here"];

fn rerun() -> Table {
    let columns = ["uncorrupted", "ip noisy", "dm noisy"].map(Column::numbers);
    let mut table = Table::new(
        "F_{1} that the published program reaches when it is run again, mean over seeds (range over its best \
         models, of EMMA).",
        std::iter::once(Column::words("model")).chain(columns),
    );
    for published in &PUBLISHED {
        if let Some(found) = published.rerun {
            let name = Cell::from(format!("`{}`", published.model));
            table = table.row(std::iter::once(name).chain(found.map(Cell::from)));
        }
    }
    table
}

fn beside_published(results: &Results) -> CommandResult<Table> {
    let mut columns = vec![Column::words("model")];
    columns.extend(PUBLISHED_COLUMNS.map(Column::numbers));
    let caption = format!(
        "F_{{1}} as published, and beside it here, with the half-width of the 95 % interval: uncorrupted, and with \
         noise {} on either mode.",
        results.settings.noise_std
    );
    let mut table = Table::new(caption, columns);
    let noisy = short_names(&results.data.modes, results.settings.noise_std)?;
    for published in &PUBLISHED {
        let found = results.models.get(published.model);
        let here = |condition: &str| {
            let figure = found.and_then(|model| model.measures.get(Metric::F1).get(condition));
            Cell::from(figure.map_or_else(|| "–".into(), plain))
        };
        let mut cells = vec![
            Cell::from(format!("`{}`", published.model)),
            Cell::from(format!("{:.3}", published.uncorrupted)),
            here(UNCORRUPTED),
        ];
        for (claimed, (short, _)) in published.noisy.iter().zip(&noisy) {
            let claimed = claimed.map_or_else(|| "–".into(), |f1| format!("{f1:.3}"));
            cells.extend([Cell::from(claimed), here(short)]);
        }
        // A row has its cells whatever the modes are.
        cells.resize(7, Cell::from("–"));
        table = table.row(cells);
    }
    Ok(table)
}

fn gains_beside_published(results: &Results) -> CommandResult<Table> {
    let mut columns = vec![Column::words("EMMA less")];
    columns.extend(PUBLISHED_COLUMNS.map(Column::numbers));
    let mut table = Table::new(
        "What EMMA gains in F_{1}, as published and here: mean ± half-width of the 95 % interval, paired by seed.",
        columns,
    )
    .meanings("", STAR);
    let of = |name: &str| PUBLISHED.iter().find(|one| one.model == name);
    let noisy = short_names(&results.data.modes, results.settings.noise_std)?;
    for baseline in ["without", "alternative", "base"] {
        let (Some(with), Some(other)) = (of("with"), of(baseline)) else {
            continue;
        };
        let mut cells = vec![
            Cell::from(format!("`{baseline}`")),
            Cell::from(true_minus(&format!(
                "{:+.3}",
                with.uncorrupted - other.uncorrupted
            ))),
            difference(results, "with", baseline, UNCORRUPTED),
        ];
        for ((with, other), (short, _)) in with.noisy.iter().zip(other.noisy).zip(&noisy) {
            let claimed = with.zip(other).map(|(with, other)| with - other);
            cells.push(Cell::from(claimed.map_or_else(
                || "–".into(),
                |gain| true_minus(&format!("{gain:+.3}")),
            )));
            cells.push(difference(results, "with", baseline, short));
        }
        cells.resize(7, Cell::from("–"));
        table = table.row(cells);
    }
    Ok(table)
}

fn plain(figure: &OverSeeds) -> String {
    format_score(figure, Metric::F1)
}

fn signed(figure: &OverSeeds) -> String {
    true_minus(&match figure.ci95 {
        Some(half_width) => format!("{:+.3} ± {half_width:.3}", figure.mean),
        None => format!("{:+.3}", figure.mean),
    })
}

/// What makes these results again, with the options that are not the default.
fn command(results: &Results) -> String {
    let settings = &results.settings;
    let data = match settings.data.source.as_str() {
        source @ (HTRU2 | SIMULATED) => source.to_owned(),
        path => format!("'{path}'"),
    };
    let mut command = format!(
        "cargo xtask experiment3 --data {data} --seeds {}",
        results.seeds.len()
    );
    let mut add = |option: &str, value: String| {
        command.push_str(" --");
        command.push_str(option);
        if !value.is_empty() {
            command.push(' ');
            command.push_str(&value);
        }
    };
    if let Some(first) = results.seeds.first().filter(|first| **first > 0) {
        add("seed", first.to_string());
    }
    let default = Settings::new(settings.data.clone(), Vec::new());
    if settings.training.n_epochs != default.training.n_epochs {
        add("epochs", settings.training.n_epochs.to_string());
    }
    match settings.grid.name {
        GridName::Small => {}
        GridName::Thesis => add("grid", "thesis".into()),
        GridName::None => add("grid", "none".into()),
    }
    let weight = settings.training.positive_weight;
    if weight.to_bits() != default.training.positive_weight.to_bits() {
        add("positive-weight", weight.to_string());
    }
    if settings.threshold_rule != default.threshold_rule {
        add("threshold-rule", settings.threshold_rule.to_string());
    }
    if settings.retrain {
        add("retrain", String::new());
    }
    command
}
