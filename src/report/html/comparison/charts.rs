//! The two charts of a comparison: how old reads were, on one axis; and all stores over time, with
//! one band for the faults.

use std::fmt::Write;

use crate::campaign::chronicle::FaultSpan;
use crate::compare::Comparison;
use crate::compare::contest::Standing;
use crate::report::figures::span;
use crate::report::html::bands::band;
use crate::report::html::markup::text;

const WIDTH: f64 = 1180.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 24.0;

/// A chart's horizontal scale.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn x(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT)
            * ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// How many stale reads are how far behind, a curve a store: the share of all reads that are at least
/// so old.
pub(super) fn staleness(page: &mut String, standings: &[Standing]) {
    let most = standings.iter().flat_map(|it| it.behind_ns.iter().copied()).max();
    *page += "<section><h2>How old reads are</h2>";
    let Some(most) = most.filter(|most| *most > 0) else {
        *page += "<p>No store had a stale read: every one returned what nothing had overwritten before it began.</p></section>";
        return;
    };
    const HEIGHT: f64 = 230.0;
    let (top, bottom) = (10.0, HEIGHT - 34.0);
    let axis = Axis { low: 5.0, high: ((most as f64).log10() + 0.05).max(6.5) };
    let share = |standing: &Standing| {
        standing.behind_ns.len() as f64 / (standing.age.reads as f64).max(1.0)
    };
    let highest = standings.iter().map(share).fold(0.0, f64::max) * 1.08;
    let y = |part: f64| bottom - (bottom - top) * part / highest;
    let mut svg = format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="Share of reads that are at least so old; the figures are in the table">"#
    );
    for power in 5..=axis.high.floor() as u32 {
        let x = axis.x(f64::from(power));
        let _ = write!(
            svg,
            r#"<path class="grid" d="M{x:.1} {top}V{bottom}"/><text class="tick middle" x="{x:.1}" y="{:.1}">{}</text>"#,
            bottom + 16.0,
            span(10_u64.pow(power)),
        );
    }
    for part in [0.5, 1.0] {
        let (value, right) = (highest * part / 1.08, WIDTH - RIGHT);
        let _ = write!(
            svg,
            r#"<path class="grid" d="M{LEFT} {y0:.1}H{right}"/><text class="tick end" x="{:.1}" y="{:.1}">{:.2} % of reads</text>"#,
            LEFT - 8.0,
            y(value) + 4.0,
            value * 100.0,
            y0 = y(value),
        );
    }
    let _ = write!(svg, r#"<path class="axis" d="M{LEFT} {bottom}H{}"/>"#, WIDTH - RIGHT);
    for (place, standing) in standings.iter().enumerate() {
        curve(&mut svg, place, standing, &axis, &y);
    }
    svg += "</svg>";
    let _ = write!(page, "<figure><div class=\"scroll\">{svg}</div><figcaption>");
    for (place, standing) in standings.iter().enumerate() {
        let _ = write!(
            page,
            "<svg class=\"swatch\" viewBox=\"0 0 30 10\" width=\"30\" height=\"10\" aria-hidden=\"true\"><path class=\"curve s{place}\" d=\"M0 5H30\"/></svg>{}, ",
            text(standing.name),
        );
    }
    *page += "the share of reads whose answer had been overwritten for at least so long before they began.</figcaption></figure></section>";
}

/// The share of reads that are older, falling from left to right.
fn curve(svg: &mut String, place: usize, standing: &Standing, axis: &Axis, y: &dyn Fn(f64) -> f64) {
    let mut behind = standing.behind_ns.clone();
    behind.sort_unstable();
    let all = (standing.age.reads as f64).max(1.0);
    let mut path = format!("M{LEFT} {:.1}", y(behind.len() as f64 / all));
    // As many points as can be told apart.
    let step = (behind.len() / 400).max(1);
    for (older, ns) in behind.iter().enumerate().step_by(step) {
        let left = behind.len() - older;
        let x = axis.x((*ns as f64).max(1.0).log10());
        let _ = write!(path, "L{x:.1} {:.1}", y(left as f64 / all));
    }
    if let Some(last) = behind.last() {
        let x = axis.x((*last as f64).max(1.0).log10());
        let _ = write!(path, "L{x:.1} {:.1}", y(0.0));
    }
    let _ = write!(
        svg,
        r#"<path class="curve s{place}" d="{path}"><title>{}</title></path>"#,
        text(standing.name)
    );
}

const LANE: f64 = 58.0;
const GAP: f64 = 10.0;
/// Stretches of time that a run is cut into.
const STRETCHES: usize = 120;

/// The first run of every store over time, below each other, with the faults behind all of them.
pub(super) fn pace(page: &mut String, comparison: &Comparison) {
    let standings = &comparison.standings;
    let lanes = standings.len() as f64;
    let bottom = 18.0 + lanes * (LANE + GAP);
    let height = bottom + 28.0;
    let seconds = comparison.plan.time_limit_s;
    let axis = Axis { low: 0.0, high: seconds };
    let mut svg = format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="Requests over time, a lane for each store">"#
    );
    // The schedule is the same for all; whoever was struck by most of it shows it.
    let faults = standings.iter().map(|it| &it.pace.faults).max_by_key(|faults| faults.len());
    for fault in faults.into_iter().flatten() {
        draw_fault(&mut svg, fault, &axis, bottom);
    }
    let most = standings.iter().flat_map(stretches).map(|[ok, lost]| ok + lost).max();
    let most = most.unwrap_or(0).max(1);
    for (place, standing) in standings.iter().enumerate() {
        let top = 14.0 + place as f64 * (LANE + GAP);
        lane(&mut svg, standing, &axis, (top, most), seconds);
    }
    let tick = (seconds / 10.0).max(1.0).round();
    let mut at = 0.0;
    while at <= seconds {
        let x = axis.x(at);
        let _ = write!(
            svg,
            r#"<path class="axis" d="M{x:.1} {bottom}v4"/><text class="tick middle" x="{x:.1}" y="{:.1}">{at:.0} s</text>"#,
            bottom + 18.0,
        );
        at += tick;
    }
    svg += "</svg>";
    let _ = write!(
        page,
        "<section><h2>The same faults, side by side</h2><figure><div class=\"scroll\">{svg}</div><figcaption>\
         Requests of the first run by when they were made: <i class=\"key ok\"></i> answered, <i class=\"key info\"></i> \
         not answered; <svg class=\"swatch\" viewBox=\"0 0 12 10\" width=\"12\" height=\"10\" aria-hidden=\"true\"><path class=\"stale\" d=\"M6 0V10\"/></svg> \
         stale reads. Hatched: faults.</figcaption></figure></section>"
    );

    /// Requests that were answered and not, by stretch of time.
    fn stretches(standing: &Standing) -> Vec<[usize; 2]> {
        let end = standing.pace.beats.iter().map(|(at, _)| *at).max().unwrap_or(0) as u128 + 1;
        let mut counts = vec![[0; 2]; STRETCHES];
        for (at, answered) in &standing.pace.beats {
            let place = (u128::from(*at) * STRETCHES as u128 / end) as usize;
            counts[place][usize::from(!answered)] += 1;
        }
        counts
    }

    fn lane(
        svg: &mut String,
        standing: &Standing,
        axis: &Axis,
        (top, most): (f64, usize),
        seconds: f64,
    ) {
        let end = standing.pace.beats.iter().map(|(at, _)| *at).max().unwrap_or(0) as f64 / 1e9;
        let bottom = top + LANE;
        let _ = write!(
            svg,
            r#"<text class="lane-title" x="{:.1}" y="{:.1}">{}</text><path class="axis" d="M{LEFT} {bottom}H{}"/>"#,
            LEFT - 8.0,
            top + LANE / 2.0 + 4.0,
            text(standing.name),
            WIDTH - RIGHT,
        );
        let width = end.min(seconds) / STRETCHES as f64;
        for (place, [ok, lost]) in stretches(standing).into_iter().enumerate() {
            let from = axis.x(place as f64 * width);
            let wide = (axis.x((place + 1) as f64 * width) - from - 0.8).max(0.5);
            let mut y = bottom;
            for (class, count) in [("ok", ok), ("info", lost)] {
                if count > 0 {
                    let high = (LANE - 8.0) * count as f64 / most as f64;
                    y -= high;
                    let _ = write!(
                        svg,
                        r#"<rect class="rate {class}" x="{from:.1}" y="{y:.1}" width="{wide:.1}" height="{high:.1}"/>"#
                    );
                }
            }
        }
        let mut path = String::new();
        let mut last = f64::MIN;
        let mut stale: Vec<u64> = standing.pace.stale.clone();
        stale.sort_unstable();
        for at in stale {
            let x = axis.x(at as f64 / 1e9);
            // Ticks that cannot be told apart are one.
            if x - last >= 1.0 {
                last = x;
                let _ = write!(path, "M{x:.1} {top:.1}v7");
            }
        }
        if !path.is_empty() {
            let _ = write!(svg, r#"<path class="stale" d="{path}"/>"#);
        }
    }
}

fn draw_fault(svg: &mut String, fault: &FaultSpan, axis: &Axis, bottom: f64) {
    let from = axis.x(fault.from_ns as f64 / 1e9);
    let to = axis.x(fault.to_ns.unwrap_or(u64::MAX) as f64 / 1e9);
    svg.push_str(&band(fault, from, 0.0, (to - from).max(1.0), bottom));
    let _ = write!(
        svg,
        r#"<text class="tick" x="{:.1}" y="10">{}</text>"#,
        from + 3.0,
        text(&fault.asked),
    );
}
