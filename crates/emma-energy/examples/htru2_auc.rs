use candle_core::{DType, Device, Tensor};
use emma_energy::*;
use rand::Rng;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
fn auc(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = a
        .iter()
        .map(|&x| (x, false))
        .chain(b.iter().map(|&x| (x, true)))
        .collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut neg, mut sum) = (0f64, 0f64);
    for (_, p) in &all {
        if *p { sum += neg } else { neg += 1. }
    }
    sum / (a.len() * b.len()) as f64
}
fn main() {
    let text = std::fs::read_to_string(format!(
        "{}/htru2/HTRU_2.csv",
        std::env::var("EMMA_DATA_DIR").unwrap()
    ))
    .unwrap();
    let rows: Vec<Vec<f64>> = text
        .lines()
        .map(|l| l.split(',').map(|v| v.trim().parse().unwrap()).collect())
        .collect();
    let seeds: u64 = std::env::args().nth(1).map_or(5, |s| s.parse().unwrap());
    let mut table: std::collections::BTreeMap<(String, &str), Vec<f64>> = Default::default();
    for seed in 0..seeds {
        let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.shuffle(rng);
        let (train, test) = (&order[..11992], &order[rows.len() - 2953..]);
        for (mode, start) in [("ip", 0), ("dm", 4)] {
            let mut mean = [0.; 4];
            let mut std = [0.; 4];
            for f in 0..4 {
                let v: Vec<f64> = train.iter().map(|&r| rows[r][start + f]).collect();
                mean[f] = v.iter().sum::<f64>() / v.len() as f64;
                std[f] =
                    (v.iter().map(|x| (x - mean[f]).powi(2)).sum::<f64>() / v.len() as f64).sqrt();
            }
            let z = |part: &[usize]| -> Vec<f64> {
                part.iter()
                    .flat_map(|&r| (0..4).map(move |f| (r, f)))
                    .map(|(r, f)| (rows[r][start + f] - mean[f]) / std[f])
                    .collect()
            };
            let t = Tensor::from_vec(z(train), (train.len(), 4), &Device::Cpu)
                .unwrap()
                .to_dtype(DType::F32)
                .unwrap();
            let c = z(test);
            let n: Vec<f64> = c
                .iter()
                .map(|x| {
                    let e: f64 = StandardNormal.sample(rng);
                    x + 0.5 * e
                })
                .collect();
            let c = Tensor::from_vec(c, (test.len(), 4), &Device::Cpu)
                .unwrap()
                .to_dtype(DType::F32)
                .unwrap();
            let n = Tensor::from_vec(n, (test.len(), 4), &Device::Cpu)
                .unwrap()
                .to_dtype(DType::F32)
                .unwrap();
            let mut add = |name: String, e: &dyn EnergyEstimator, started: std::time::Instant| {
                let s = started.elapsed().as_secs_f64();
                let v = auc(&energies(e, &c).unwrap(), &energies(e, &n).unwrap());
                let low = lowest_energy(e, &t).unwrap();
                eprintln!("{seed} {mode} {name} {v:.4} low {low:.3} {s:.2}s");
                table.entry((name, mode)).or_default().push(v);
            };
            let now = std::time::Instant::now;
            for (k, floor, n_starts) in [
                (10, 1e-3, 1),
                (10, 1e-3, 3),
                (10, 1e-4, 3),
                (10, 1e-5, 3),
                (20, 1e-3, 1),
                (20, 1e-4, 1),
            ] {
                let s = now();
                let m = GaussianMixtureFit {
                    components: ComponentChoice::Fixed(k),
                    covariance_floor: floor,
                    n_starts,
                    ..Default::default()
                }
                .fit(&t, rng)
                .unwrap();
                add(
                    format!("mixture {k} floor {floor:e} starts {n_starts}"),
                    &m,
                    s,
                );
            }
            let s = now();
            add(
                "mahalanobis".into(),
                &MahalanobisFit::default().fit(&t, rng).unwrap(),
                s,
            );
            for k in [1, 3, 5, 10] {
                let s = now();
                add(
                    format!("neighbors {k:02}"),
                    &NearestNeighborsFit {
                        n_neighbors: k,
                        ..Default::default()
                    }
                    .fit(&t, rng)
                    .unwrap(),
                    s,
                );
            }
            if seed == 0 {
                let s = now();
                let m = GaussianMixtureFit {
                    components: ComponentChoice::LowestBic {
                        at_least: 5,
                        at_most: 25,
                    },
                    n_starts: 1,
                    ..Default::default()
                }
                .fit(&t, rng)
                .unwrap();
                eprintln!("bic chooses {}", m.n_components());
                add("mixture by bic".into(), &m, s);
            }
            let _ = rng.random::<f64>();
        }
    }
    for ((name, mode), v) in table {
        let m = v.iter().sum::<f64>() / v.len() as f64;
        let sd =
            (v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (v.len() as f64 - 1.).max(1.)).sqrt();
        println!("{mode} {name:32} {m:.4} +- {sd:.4} ({})", v.len());
    }
}
