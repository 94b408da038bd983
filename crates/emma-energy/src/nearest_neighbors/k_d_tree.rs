//! Exact search for the rows nearest to a row.

/// Rows below which a part of the tree is searched one by one.
const LEAF_ROWS: usize = 16;

/// Stored rows, split again and again at the median of the feature in which they spread most.
///
/// The search is exact to the last bit: squared distances, to rows and to boxes around rows, are
/// added in the order of the features, and rounding never turns the nearer of two points into the
/// farther one, so that a box that is left out holds no nearer row.
#[derive(Debug)]
pub(super) struct KdTree {
    n_features: usize,
    /// Rows in the order of the tree.
    rows: Vec<f64>,
    /// In the order of a walk that goes left first: a node's left child follows it.
    nodes: Vec<Node>,
    /// Lowest and highest value of every feature among a node's rows: 2 L numbers a node.
    boxes: Vec<f64>,
}

#[derive(Debug)]
struct Node {
    start: usize,
    end: usize,
    /// None for a leaf.
    right_child: Option<usize>,
}

/// A stored row, by its place in the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbor {
    squared_distance: f64,
    place: usize,
}

impl Neighbor {
    pub(super) fn distance(self) -> f64 {
        self.squared_distance.sqrt()
    }
}

impl KdTree {
    /// # Shapes
    /// - `rows`: `[n, L]`, row-major, n and L at least 1, no NaN
    pub(super) fn new(rows: &[f64], n_features: usize) -> Self {
        let mut order: Vec<usize> = (0..rows.len() / n_features).collect();
        let mut tree = Self {
            n_features,
            rows: Vec::with_capacity(rows.len()),
            nodes: Vec::new(),
            boxes: Vec::new(),
        };
        tree.split(rows, &mut order, 0);
        for row in order {
            tree.rows
                .extend_from_slice(&rows[row * n_features..][..n_features]);
        }
        tree
    }

    /// Adds the node of the rows in `order`, the first of which is at place `start`, and the nodes
    /// below it. Halves have equal numbers of rows, so there are few levels whatever the rows are.
    fn split(&mut self, rows: &[f64], order: &mut [usize], start: usize) {
        let n_features = self.n_features;
        let value = |row: usize, feature: usize| rows[row * n_features + feature];
        let (mut widest, mut widest_spread) = (0, 0.);
        for feature in 0..n_features {
            let values = || order.iter().map(|&row| value(row, feature));
            let low = values().fold(f64::INFINITY, f64::min);
            let high = values().fold(f64::NEG_INFINITY, f64::max);
            self.boxes.extend([low, high]);
            if high - low > widest_spread {
                (widest, widest_spread) = (feature, high - low);
            }
        }
        let node = self.nodes.len();
        self.nodes.push(Node {
            start,
            end: start + order.len(),
            right_child: None,
        });
        if order.len() <= LEAF_ROWS {
            return;
        }
        let middle = order.len() / 2;
        order.select_nth_unstable_by(middle, |&a, &b| {
            value(a, widest)
                .total_cmp(&value(b, widest))
                .then(a.cmp(&b))
        });
        let (left, right) = order.split_at_mut(middle);
        self.split(rows, left, start);
        self.nodes[node].right_child = Some(self.nodes.len());
        self.split(rows, right, start + middle);
    }

    /// The stored row at a place.
    pub(super) fn row(&self, neighbor: Neighbor) -> &[f64] {
        &self.rows[neighbor.place * self.n_features..][..self.n_features]
    }

    /// Replaces `found` by the `count` stored rows nearest to a row, nearest first; by all if there
    /// are not so many. To a row that holds NaN, any are nearest, at a distance that is NaN.
    pub(super) fn nearest(&self, row: &[f64], count: usize, found: &mut Vec<Neighbor>) {
        found.clear();
        self.search(0, row, count, found);
    }

    fn search(&self, node: usize, row: &[f64], count: usize, found: &mut Vec<Neighbor>) {
        let Node {
            start,
            end,
            right_child,
        } = self.nodes[node];
        if let Some(right) = right_child {
            let mut children =
                [node + 1, right].map(|child| (self.box_distance(child, row), child));
            if children[1].0 < children[0].0 {
                children.swap(0, 1);
            }
            for (bound, child) in children {
                if is_nearer(bound, count, found) {
                    self.search(child, row, count, found);
                }
            }
            return;
        }
        let rows = &self.rows[start * self.n_features..end * self.n_features];
        for (offset, stored) in rows.chunks_exact(self.n_features).enumerate() {
            let squared_distance = squared_distance(row, stored);
            if is_nearer(squared_distance, count, found) {
                found.truncate(count - 1);
                let at = found.partition_point(|other| other.squared_distance <= squared_distance);
                let place = start + offset;
                found.insert(
                    at,
                    Neighbor {
                        squared_distance,
                        place,
                    },
                );
            }
        }
    }

    /// Squared distance to the box around a node's rows, zero inside.
    fn box_distance(&self, node: usize, row: &[f64]) -> f64 {
        let sides = self.boxes[2 * node * self.n_features..].chunks_exact(2);
        let mut sum = 0.;
        for (&value, side) in row.iter().zip(sides) {
            let gap = (side[0] - value).max(value - side[1]).max(0.);
            sum += gap * gap;
        }
        sum
    }
}

/// Whether a row at this distance belongs to the nearest so far.
fn is_nearer(squared_distance: f64, count: usize, found: &[Neighbor]) -> bool {
    found.len() < count || squared_distance < found[count - 1].squared_distance
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = 0.;
    for (a, b) in a.iter().zip(b) {
        sum += (a - b) * (a - b);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::Rng;

    fn all_distances(rows: &[f64], row: &[f64]) -> Vec<f64> {
        let mut distances: Vec<f64> = rows
            .chunks_exact(row.len())
            .map(|stored| squared_distance(row, stored))
            .collect();
        distances.sort_by(f64::total_cmp);
        distances
    }

    proptest! {
        /// Bit for bit: coarse values make ties and duplicates, fine ones none.
        #[test]
        fn the_search_is_exact(
            n in 1usize..300, n_features in 1usize..6, levels in prop_oneof![1i32..6, Just(1 << 20)],
            count in 1usize..12, exponent in -40i32..38, seed: u64,
        ) {
            let mut rng = emma_testkit::rng(seed);
            let scale = 10f64.powi(exponent) / f64::from(levels);
            let mut values = |n: usize| -> Vec<f64> {
                (0..n * n_features)
                    .map(|_| f64::from(rng.random_range(-levels..=levels)) * scale)
                    .collect()
            };
            let stored = values(n);
            let tree = KdTree::new(&stored, n_features);
            let mut found = Vec::new();
            let queries = values(20).into_iter().chain(vec![1e300; n_features]);
            let queries: Vec<f64> = queries.chain(vec![f64::INFINITY; n_features]).collect();
            for row in queries.chunks_exact(n_features) {
                tree.nearest(row, count, &mut found);
                let distances = found.iter().map(|neighbor| neighbor.squared_distance);
                let distances: Vec<u64> = distances.map(f64::to_bits).collect();
                let expected = all_distances(&stored, row);
                let expected = expected.into_iter().take(count).map(f64::to_bits);
                prop_assert_eq!(distances, expected.collect::<Vec<_>>());
                for neighbor in &found {
                    let distance = squared_distance(row, tree.row(*neighbor));
                    prop_assert_eq!(distance.to_bits(), neighbor.squared_distance.to_bits());
                }
                let mut places: Vec<usize> = found.iter().map(|found| found.place).collect();
                places.sort_unstable();
                places.dedup();
                prop_assert_eq!(places.len(), found.len());
            }
        }
    }

    /// Few comparisons of rows, or the tree would be none.
    #[test]
    fn the_search_leaves_most_rows_out() {
        let mut rng = emma_testkit::rng(1);
        let rows: Vec<f64> = (0..40_000).map(|_| rng.random_range(-1f64..1.)).collect();
        let tree = KdTree::new(&rows, 2);
        let depth = |mut node: usize| {
            let mut depth = 0;
            while let Some(right) = tree.nodes[node].right_child {
                (node, depth) = (right, depth + 1);
            }
            depth
        };
        // 20,000 rows over 2^11 leaves.
        assert_eq!(depth(0), 11);
        let leaves = tree.nodes.iter().filter(|node| node.right_child.is_none());
        let mut near = 0;
        let mut found = Vec::new();
        tree.nearest(&[0.1, 0.2], 5, &mut found);
        let limit = found[4].squared_distance;
        for (node, about) in tree.nodes.iter().enumerate() {
            let is_leaf = about.right_child.is_none();
            near += usize::from(is_leaf && tree.box_distance(node, &[0.1, 0.2]) < limit);
        }
        assert!(near < 10 && leaves.count() == 1 << 11, "{near}");
    }
}
