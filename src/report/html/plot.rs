//! Latency and throughput over the run, with the faults behind them: how the store fared, not
//! only whether it lied. Static, so that it is there without scripts and on paper.

use std::fmt::Write;

use rashomon_checker::history::Outcome;

use super::bands::band;
use super::clock::Clock;
use super::markup::text;
use crate::report::figures;
use crate::report::{Coverage, OperationLine};

const WIDTH: f64 = 1180.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 44.0;
const LATENCY: Panel = Panel { top: 8.0, height: 132.0 };
const RATE: Panel = Panel { top: 156.0, height: 56.0 };
const HEIGHT: f64 = 236.0;
/// A bucket should hold about so many operations: fewer have no percentiles worth drawing.
const PER_BUCKET: usize = 20;

/// Draws the plot; `None` if there are no times, or hardly an operation.
pub(super) fn draw(operations: &[OperationLine], coverage: &Coverage) -> Option<String> {
    if Clock::of(operations.iter()) == Clock::Rank || operations.len() < PER_BUCKET {
        return None;
    }
    let buckets = Buckets::of(operations);
    let latency = LatencyScale::of(&buckets)?;
    let mut svg = String::new();
    let _ = write!(
        svg,
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="Latency and operations per second over the run; the figures are in the tables">"#
    );
    faults(&mut svg, &buckets, coverage);
    latency.grid(&mut svg);
    latency.line(&mut svg, "p99", &buckets, |bucket| bucket.quantile(99));
    latency.line(&mut svg, "p50", &buckets, |bucket| bucket.quantile(50));
    rates(&mut svg, &buckets);
    axis(&mut svg, &buckets);
    svg += "</svg>";
    Some(svg)
}

struct Panel {
    top: f64,
    height: f64,
}

impl Panel {
    const fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// The operations of a stretch of time, by their invocation.
#[derive(Clone, Default)]
struct Bucket {
    /// Of those that happened, in order.
    latencies: Vec<u64>,
    fail: usize,
    info: usize,
}

impl Bucket {
    /// By nearest rank; `None` if nothing happened.
    fn quantile(&self, percent: usize) -> Option<u64> {
        self.latencies.get((self.latencies.len() * percent).div_ceil(100).max(1) - 1).copied()
    }

    fn count(&self) -> usize {
        self.latencies.len() + self.fail + self.info
    }
}

struct Buckets {
    buckets: Vec<Bucket>,
    /// The end of the last bucket, in nanoseconds.
    end: u64,
}

impl Buckets {
    fn of(operations: &[OperationLine]) -> Self {
        let ends = operations.iter().flat_map(|line| [line.from_ns, line.to_ns]).flatten();
        let end = ends.max().unwrap_or(0).max(1);
        let number = (operations.len() / PER_BUCKET).clamp(20, 160);
        let mut buckets = vec![Bucket::default(); number];
        for line in operations {
            let from = line.from_ns.unwrap_or(0);
            let place = (u128::from(from) * number as u128 / u128::from(end)) as usize;
            let bucket = &mut buckets[place.min(number - 1)];
            match (line.outcome, line.to_ns) {
                (Outcome::Ok, Some(to)) => bucket.latencies.push(to.saturating_sub(from)),
                (Outcome::Fail, _) => bucket.fail += 1,
                (Outcome::Ok | Outcome::Info, _) => bucket.info += 1,
            }
        }
        buckets.iter_mut().for_each(|bucket| bucket.latencies.sort_unstable());
        Buckets { buckets, end }
    }

    fn x(&self, time: u64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (time.min(self.end) as f64 / self.end as f64)
    }

    /// The left edge of a bucket.
    fn edge(&self, bucket: usize) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (bucket as f64 / self.buckets.len() as f64)
    }

    fn seconds(&self) -> f64 {
        self.end as f64 / 1e9 / self.buckets.len() as f64
    }
}

fn faults(svg: &mut String, buckets: &Buckets, coverage: &Coverage) {
    for fault in &coverage.faults {
        let from = buckets.x(fault.from_ns);
        let to = fault.to_ns.map_or(WIDTH - RIGHT, |to| buckets.x(to));
        svg.push_str(&band(fault, from, LATENCY.top, to - from, RATE.bottom() - LATENCY.top));
    }
    for leader in coverage.leaders.iter().filter(|leader| leader.time_ns <= buckets.end) {
        let x = buckets.x(leader.time_ns);
        let _ = write!(
            svg,
            r#"<g class="leader"><path d="M{x:.1} {}V{}"/><title>{} leads, term {}, from {}</title></g>"#,
            LATENCY.top,
            RATE.bottom(),
            text(&leader.node),
            leader.term,
            figures::instant(leader.time_ns),
        );
    }
}

/// A logarithmic scale that spans what was measured.
struct LatencyScale {
    low: f64,
    high: f64,
}

impl LatencyScale {
    fn of(buckets: &Buckets) -> Option<Self> {
        let median = buckets.buckets.iter().filter_map(|bucket| bucket.quantile(50)).min()?;
        let slowest = buckets.buckets.iter().filter_map(|bucket| bucket.quantile(99)).max()?;
        let low = (median.max(1) as f64).log10() - 0.1;
        Some(LatencyScale { low, high: ((slowest.max(1) as f64).log10() + 0.1).max(low + 0.5) })
    }

    fn y(&self, ns: u64) -> f64 {
        let share = ((ns.max(1) as f64).log10() - self.low) / (self.high - self.low);
        LATENCY.bottom() - LATENCY.height * share
    }

    /// Lines at the powers of ten, and at 2 and 5 times them where these are few.
    fn grid(&self, svg: &mut String) {
        let fine = self.high - self.low < 1.5;
        let steps: &[u64] = if fine { &[1, 2, 5] } else { &[1] };
        for power in 0..15 {
            for &step in steps {
                let ns = step * 10_u64.pow(power);
                let log = (ns as f64).log10();
                if log < self.low || log > self.high {
                    continue;
                }
                let (y, right) = (self.y(ns), WIDTH - RIGHT);
                let words = match ns {
                    1_000_000_000.. => format!("{} s", ns / 1_000_000_000),
                    1_000_000.. => format!("{} ms", ns / 1_000_000),
                    _ => format!("{} µs", ns as f64 / 1e3),
                };
                let _ = write!(
                    svg,
                    r#"<path class="grid" d="M{LEFT} {y:.1}H{right}"/><text class="tick end" x="{:.1}" y="{:.1}">{words}</text>"#,
                    LEFT - 6.0,
                    y + 4.0,
                );
            }
        }
    }

    /// A line with gaps where nothing happened.
    fn line(
        &self,
        svg: &mut String,
        name: &str,
        buckets: &Buckets,
        of: impl Fn(&Bucket) -> Option<u64>,
    ) {
        let mut path = String::new();
        let mut last = None;
        let mut pen_down = false;
        for (place, bucket) in buckets.buckets.iter().enumerate() {
            let value = of(bucket);
            if let Some(ns) = value {
                let (from, to, y) = (buckets.edge(place), buckets.edge(place + 1), self.y(ns));
                let command = if pen_down { 'L' } else { 'M' };
                // A bucket is a step, so that one between two gaps can be seen.
                let _ = write!(path, "{command}{from:.1} {y:.1}H{to:.1}");
                last = Some((to, y));
            }
            pen_down = value.is_some();
        }
        if let Some((x, y)) = last {
            let _ = write!(
                svg,
                r#"<path class="line {name}" d="{path}"/><text class="line-name {name}" x="{:.1}" y="{:.1}">{name}</text>"#,
                x + 5.0,
                // The greater quantile is never the lower line, so that the names keep apart.
                if name == "p99" { y + 1.0 } else { y + 10.0 },
            );
        }
    }
}

/// Operations per second, stacked by outcome.
fn rates(svg: &mut String, buckets: &Buckets) {
    let most = buckets.buckets.iter().map(Bucket::count).max().unwrap_or(0).max(1);
    for (place, bucket) in buckets.buckets.iter().enumerate() {
        let (from, to) = (buckets.edge(place), buckets.edge(place + 1));
        let mut y = RATE.bottom();
        let parts = [("ok", bucket.latencies.len()), ("fail", bucket.fail), ("info", bucket.info)];
        for (class, count) in parts.into_iter().filter(|&(_, count)| count > 0) {
            let height = RATE.height * count as f64 / most as f64;
            y -= height;
            let _ = write!(
                svg,
                r#"<rect class="rate {class}" x="{from:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}"/>"#,
                (to - from - 0.8).max(0.5),
            );
        }
    }
    let rate = most as f64 / buckets.seconds();
    let _ = write!(
        svg,
        r#"<text class="tick end" x="{x:.1}" y="{:.1}">{rate:.0}/s</text><text class="tick end" x="{x:.1}" y="{:.1}">0</text>"#,
        RATE.top + 9.0,
        RATE.bottom(),
        x = LEFT - 6.0,
    );
}

/// Times below, at round numbers of seconds.
fn axis(svg: &mut String, buckets: &Buckets) {
    let bottom = RATE.bottom();
    let _ = write!(svg, r#"<path class="axis" d="M{LEFT} {bottom}H{}"/>"#, WIDTH - RIGHT);
    let seconds = buckets.end as f64 / 1e9;
    let step = round_step(seconds / 10.0);
    for tick in 0..=(seconds / step) as u32 {
        let at = f64::from(tick) * step;
        let x = buckets.x((at * 1e9) as u64);
        let digits = if step < 1.0 { (-step.log10()).ceil() as usize } else { 0 };
        let _ = write!(
            svg,
            r#"<path class="axis" d="M{x:.1} {bottom}v4"/><text class="tick middle" x="{x:.1}" y="{:.1}">{at:.digits$} s</text>"#,
            bottom + 17.0,
        );
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|&step| step >= least).unwrap_or(steps[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (least, step) in [(0.03, 0.05), (1.0, 1.0), (1.1, 2.0), (2.5, 5.0), (7.0, 10.0)] {
            assert!((round_step(least) - step).abs() < 1e-9, "{least}: {}", round_step(least));
        }
    }

    #[test]
    fn quantiles_of_a_bucket_are_members() {
        let bucket = Bucket { latencies: (1..=200).collect(), ..Bucket::default() };
        assert_eq!((bucket.quantile(50), bucket.quantile(99)), (Some(100), Some(198)));
        assert_eq!(Bucket::default().quantile(50), None);
    }
}
