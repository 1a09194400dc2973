//! Faults as bands behind a drawing. A kind of fault is told by its pattern, not by a colour.

use std::fmt::Write;

use crate::campaign::chronicle::FaultSpan;

/// The patterns, by number; `assets/paint.js` draws the same.
const PATTERNS: [&str; 4] = [
    r#"<path d="M-2 10 10 -2M6 14 14 6"/>"#,
    r#"<path d="M0 4h12M4 0v12"/>"#,
    r#"<path d="M-2 2 10 14M6 -2 14 6"/>"#,
    r#"<circle cx="3" cy="3" r="1.2"/><circle cx="9" cy="9" r="1.2"/>"#,
];

/// The pattern of a kind of fault.
pub(super) fn pattern(kind: &str) -> usize {
    match kind {
        "cut" => 0,
        "kill" => 1,
        "hold" => 2,
        _ => 3,
    }
}

/// What every drawing of the page refers to: a pattern per kind, and the fading of a bar that has
/// no end.
pub(super) fn definitions() -> String {
    let mut svg =
        String::from(r#"<svg class="definitions" width="0" height="0" aria-hidden="true"><defs>"#);
    for (number, lines) in PATTERNS.iter().enumerate() {
        // Writing to a string cannot fail, here and in every drawing.
        let _ = write!(
            svg,
            r#"<pattern id="pattern-{number}" class="pattern" width="12" height="12" patternUnits="userSpaceOnUse">{lines}</pattern>"#
        );
    }
    svg += r#"<pattern id="hatch" class="hatch" width="6" height="6" patternUnits="userSpaceOnUse"><path d="M-1 4 4-1M2 7 7 2"/></pattern>"#;
    svg += r#"<linearGradient id="fade" class="fade"><stop offset="0.45"/><stop offset="1" stop-opacity="0"/></linearGradient>"#;
    svg += "</defs></svg>";
    svg
}

/// The band of a fault over a stretch of a drawing.
pub(super) fn band(fault: &FaultSpan, x: f64, y: f64, width: f64, height: f64) -> String {
    let class = if fault.bit { "band" } else { "band missed" };
    let pattern = pattern(&fault.kind);
    format!(
        r#"<g class="{class}"><rect class="wash" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/><rect fill="url(#pattern-{pattern})" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/></g>"#
    )
}

/// Rows for intervals such that none overlap within a row; those that find no place among `most`
/// rows share the last.
pub(super) fn rows(intervals: &[(f64, f64)], most: usize) -> Vec<usize> {
    let mut ends: Vec<f64> = Vec::new();
    let mut place = |&(from, to): &(f64, f64)| {
        let free = ends.iter().position(|&end| end <= from);
        let row = free.unwrap_or_else(|| {
            if ends.len() < most {
                ends.push(f64::MIN);
            }
            ends.len() - 1
        });
        ends[row] = ends[row].max(to);
        row
    };
    intervals.iter().map(&mut place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_bands_get_rows_of_their_own() {
        let intervals = [(0.0, 5.0), (1.0, 2.0), (2.0, 3.0), (5.0, 6.0), (5.5, 7.0), (5.6, 8.0)];
        assert_eq!(rows(&intervals, 2), [0, 1, 1, 0, 1, 1]);
        assert!(rows(&[], 2).is_empty());
    }

    #[test]
    fn every_pattern_is_defined() {
        let definitions = definitions();
        for kind in ["cut", "kill", "hold", "clock", "</svg>"] {
            assert!(definitions.contains(&format!("id=\"pattern-{}\"", pattern(kind))));
        }
    }
}
