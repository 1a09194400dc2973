//! Growth curves as an SVG that can be read on a light ground and on a dark one.

use std::fmt::Write;

/// One curve: points from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Curves on axes that are both logarithmic.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    /// How many of the second axis' units make a second.
    pub(crate) per_second: f64,
    pub(crate) curves: Vec<Curve>,
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 500.0;
/// How many plots stand side by side.
const COLUMNS: usize = 2;
/// Around the axes: left, top, right, bottom, where the names of the curves are.
const MARGIN: [f64; 4] = [70.0, 46.0, 20.0, 140.0];
/// Told apart by who cannot tell red from green, and on both grounds (after Okabe & Ito, "Color
/// Universal Design", 2008).
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900"];
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}\
    .grid{stroke:#8884;stroke-width:1}.axis{stroke:#888;stroke-width:1}\
    .curve{fill:none;stroke-width:2.2}@media(prefers-color-scheme:dark){text{fill:#d7dde4}}";

/// Plots in rows, as a file.
pub(crate) fn svg(plots: &[Plot]) -> String {
    let width = WIDTH * COLUMNS as f64;
    let height = HEIGHT * plots.len().div_ceil(COLUMNS) as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Time by number of operations\">\n<style>{STYLE}</style>\n"
    );
    for (number, plot) in plots.iter().enumerate() {
        let x = WIDTH * (number % COLUMNS) as f64;
        let y = HEIGHT * (number / COLUMNS) as f64;
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        plot.draw(&mut out);
        out += "</g>\n";
    }
    out + "</svg>\n"
}

impl Plot {
    fn draw(&self, out: &mut String) {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let x = Axis::around(points().map(|point| point.0), MARGIN[0], WIDTH - MARGIN[2]);
        let y = Axis::around(points().map(|point| point.1), HEIGHT - MARGIN[3], MARGIN[1]);
        text(out, "title", [MARGIN[0], 20.0], "start", &self.title);
        for power in x.powers() {
            line(out, "grid", [x.at(power), y.from], [x.at(power), y.to]);
            text(out, "tick", [x.at(power), y.from + 18.0], "middle", &short(power));
        }
        for power in y.powers() {
            line(out, "grid", [x.from, y.at(power)], [x.to, y.at(power)]);
            text(
                out,
                "tick",
                [x.from - 8.0, y.at(power) + 4.0],
                "end",
                &duration(power / self.per_second),
            );
        }
        line(out, "axis", [x.from, y.from], [x.to, y.from]);
        line(out, "axis", [x.from, y.from], [x.from, y.to]);
        text(out, "tick", [x.to, y.from + 38.0], "end", self.x);
        text(out, "tick", [MARGIN[0], 38.0], "start", self.y);
        for (number, curve) in self.curves.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            curve.draw(out, &x, &y, colour);
            let at = [x.from + 6.0, y.from + 46.0 + 18.0 * number as f64];
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.5\" fill=\"{colour}\"/>",
                at[0],
                at[1] - 4.5
            );
            text(out, "name", [at[0] + 12.0, at[1]], "start", &curve.name);
        }
    }
}

impl Curve {
    fn draw(&self, out: &mut String, x: &Axis, y: &Axis, colour: &str) {
        let at: Vec<String> = self
            .points
            .iter()
            .map(|point| format!("{:.1},{:.1}", x.at(point.0), y.at(point.1)))
            .collect();
        let _ = writeln!(
            out,
            "<polyline class=\"curve\" stroke=\"{colour}\" points=\"{}\"/>",
            at.join(" ")
        );
        for point in &at {
            let (cx, cy) = point.split_once(',').unwrap_or_default();
            let _ = writeln!(out, "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }
}

/// A logarithmic axis, from one place of the picture to another.
struct Axis {
    from: f64,
    to: f64,
    /// Powers of ten at both ends.
    ends: [i32; 2],
}

impl Axis {
    /// The axis with whole powers of ten around some numbers.
    fn around(numbers: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (least, most) = numbers.fold((f64::INFINITY, 0f64), |(least, most), number| {
            (least.min(number), most.max(number))
        });
        let first = least.min(most).max(f64::MIN_POSITIVE).log10().floor() as i32;
        let last = most.max(f64::MIN_POSITIVE).log10().ceil() as i32;
        Axis { from, to, ends: [first, last.max(first + 1)] }
    }

    fn at(&self, number: f64) -> f64 {
        let [first, last] = self.ends.map(f64::from);
        self.from + (number.log10() - first) / (last - first) * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.ends[0]..=self.ends[1]).map(|power| 10f64.powi(power))
    }
}

/// A power of ten of seconds.
fn duration(seconds: f64) -> String {
    let (number, unit) = match seconds {
        0.9.. => (seconds, "s"),
        0.9e-3.. => (seconds * 1e3, "ms"),
        0.9e-6.. => (seconds * 1e6, "µs"),
        _ => (seconds * 1e9, "ns"),
    };
    // In short, without what a power of ten loses in the arithmetic.
    format!("{} {unit}", (number * 1e3).round() / 1e3)
}

/// A power of ten in few characters.
fn short(number: f64) -> String {
    match number {
        1e6.. => format!("{} M", number / 1e6),
        1e3.. => format!("{} k", number / 1e3),
        _ => number.to_string(),
    }
}

fn line(out: &mut String, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
    let _ = writeln!(
        out,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn text(out: &mut String, class: &str, [x, y]: [f64; 2], anchor: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
