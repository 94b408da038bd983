//! Cutting lines and polygons off at the edges of a plot.

use super::surface::{Area, Point};

/// The parts of a line through points that lie within an area.
pub(super) fn clip_line(points: &[Point], area: &Area) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
    // Whether the last part goes on with the next piece.
    let mut is_open = false;
    for pair in points.windows(2) {
        let Some((enter, leave)) = shares_inside(pair[0], pair[1], area) else {
            is_open = false;
            continue;
        };
        let end = pair[0].towards(pair[1], leave);
        match parts.last_mut() {
            Some(part) if is_open && enter <= 0. => part.push(end),
            _ => parts.push(vec![pair[0].towards(pair[1], enter), end]),
        }
        is_open = leave >= 1.;
    }
    parts
}

/// From which to which share of the way between two points one is inside (Liang and Barsky 1984).
fn shares_inside(from: Point, to: Point, area: &Area) -> Option<(f64, f64)> {
    let (mut enter, mut leave) = (0_f64, 1_f64);
    for (start, way, low, high) in [
        (from.x, to.x - from.x, area.left, area.right),
        (from.y, to.y - from.y, area.top, area.bottom),
    ] {
        if way == 0. {
            if !(low..=high).contains(&start) {
                return None;
            }
            continue;
        }
        let (one, other) = ((low - start) / way, (high - start) / way);
        enter = enter.max(one.min(other));
        leave = leave.min(one.max(other));
    }
    (enter <= leave).then_some((enter, leave))
}

/// The part of a polygon that lies within an area (Sutherland and Hodgman 1974).
pub(super) fn clip_polygon(corners: &[Point], area: &Area) -> Vec<Point> {
    /// How far inside a point lies; negative outside.
    type Depth = fn(Point, &Area) -> f64;
    let edges: [Depth; 4] = [
        |point, area| point.x - area.left,
        |point, area| area.right - point.x,
        |point, area| point.y - area.top,
        |point, area| area.bottom - point.y,
    ];
    let mut corners = corners.to_vec();
    for depth in edges {
        let mut kept = Vec::with_capacity(corners.len() + 4);
        for (index, &corner) in corners.iter().enumerate() {
            let before = corners[(index + corners.len() - 1) % corners.len()];
            let (from, to) = (depth(before, area), depth(corner, area));
            if (from < 0.) != (to < 0.) {
                kept.push(before.towards(corner, from / (from - to)));
            }
            if to >= 0. {
                kept.push(corner);
            }
        }
        corners = kept;
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Area = Area {
        left: 0.,
        top: 0.,
        right: 10.,
        bottom: 10.,
    };

    fn points(places: &[(f64, f64)]) -> Vec<Point> {
        places.iter().map(|&(x, y)| Point::new(x, y)).collect()
    }

    #[test]
    fn lines_end_at_the_edges() {
        let line = points(&[(-5., 5.), (5., 5.), (5., 15.), (8., 15.), (8., 5.)]);
        let expected = [
            points(&[(0., 5.), (5., 5.), (5., 10.)]),
            points(&[(8., 10.), (8., 5.)]),
        ];
        assert_eq!(clip_line(&line, &AREA), expected);
        assert!(clip_line(&points(&[(-5., 1.), (-1., 9.)]), &AREA).is_empty());
        assert!(clip_line(&points(&[(-1., -1.), (-1., 11.)]), &AREA).is_empty());
    }

    #[test]
    fn lines_inside_stay_whole() {
        let line = points(&[(1., 1.), (2., 3.), (2., 3.), (9., 9.)]);
        assert_eq!(clip_line(&line, &AREA), [line]);
    }

    #[test]
    fn polygons_end_at_the_edges() {
        let square = points(&[(5., 5.), (15., 5.), (15., 15.), (5., 15.)]);
        let mut clipped = clip_polygon(&square, &AREA);
        clipped.sort_by(|a, b| (a.x, a.y).partial_cmp(&(b.x, b.y)).unwrap());
        assert_eq!(
            clipped,
            points(&[(5., 5.), (5., 10.), (10., 5.), (10., 10.)])
        );
        assert!(clip_polygon(&points(&[(11., 0.), (12., 0.), (12., 5.)]), &AREA).is_empty());
        assert!(clip_polygon(&[], &AREA).is_empty());
    }
}
