//! The picture of a violation: a lane for each process, a bar for each operation, and behind them
//! the faults and the changes of leader that fell into the same time.

use std::fmt::Write;

use super::bands::{band, rows};
use super::clock::Clock;
use super::markup::{clip, text};
use super::shown::{Shown, process_name};
use super::warp::{Key, Span, Warp};
use crate::campaign::chronicle::{FaultSpan, LeaderChange};
use crate::report::figures;
use crate::report::{Coverage, OperationLine};
use rashomon_checker::history::Outcome;

/// Width for which the picture is laid out, in pixels.
const WIDTH: f64 = 1180.0;
/// Left margin for the lanes' names.
const GUTTER: f64 = 116.0;
/// Space at the right for what has no end.
const MARGIN: f64 = 14.0;
const BAR: f64 = 20.0;
/// Height of a lane, and of one with words below its bars.
const LANE: f64 = 28.0;
const CAPTIONED_LANE: f64 = 42.0;
/// Height of a row of faults or leaders.
const ROW: f64 = 18.0;
const AXIS: f64 = 24.0;
/// Advance of a character of a label and of a caption, both of fixed width.
const CHARACTER: f64 = 7.3;
const SMALL_CHARACTER: f64 = 6.1;
const LONGEST_LABEL: usize = 34;

/// Draws the operations of a violation with what happened around them.
pub(super) fn draw(shown: &[Shown<'_>], coverage: &Coverage) -> String {
    let picture = Picture::new(shown, coverage);
    let (width, height) = (picture.width(), picture.height());
    let mut svg = String::new();
    let _ = write!(
        svg,
        r#"<svg class="picture" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="group" aria-label="The operations of the violation, a lane for each process, time from left to right">"#
    );
    picture.faults(&mut svg);
    picture.lanes(&mut svg);
    picture.leaders(&mut svg);
    picture.bars(&mut svg);
    picture.axis(&mut svg);
    svg += "</svg>";
    svg
}

struct Picture<'a> {
    shown: &'a [Shown<'a>],
    clock: Clock,
    warp: Warp,
    lanes: Vec<Lane>,
    faults: Vec<&'a FaultSpan>,
    fault_rows: Vec<usize>,
    leaders: Vec<&'a LeaderChange>,
}

struct Lane {
    process: u64,
    node: Option<String>,
    y: f64,
    height: f64,
}

impl<'a> Picture<'a> {
    fn new(shown: &'a [Shown<'a>], coverage: &'a Coverage) -> Self {
        let clock = Clock::of(shown.iter().map(|shown| shown.line));
        let spans: Vec<Span> = shown.iter().map(|shown| span(clock, shown)).collect();
        let first = spans.iter().map(|span| span.from.0).min().unwrap_or(0);
        let last = spans.iter().map(|span| span.to.unwrap_or(span.from).0).max().unwrap_or(0);
        let drawn = clock == Clock::Time;
        let in_view = |from: u64, to: u64| drawn && from <= last && first <= to;
        let faults: Vec<_> = coverage
            .faults
            .iter()
            .filter(|fault| in_view(fault.from_ns, fault.to_ns.unwrap_or(u64::MAX)))
            .collect();
        let leaders: Vec<_> = coverage
            .leaders
            .iter()
            .filter(|leader| in_view(leader.time_ns, leader.time_ns))
            .collect();
        let edges = faults.iter().flat_map(|fault| [Some(fault.from_ns), fault.to_ns]).flatten();
        let marks: Vec<Key> = edges
            .chain(leaders.iter().map(|leader| leader.time_ns))
            .filter(|&time| in_view(time, time))
            .map(|time| (time, 0))
            .collect();
        let warp = Warp::new(&spans, &marks, WIDTH - GUTTER - MARGIN);
        let stretch = |fault: &&FaultSpan| {
            let to = fault.to_ns.map_or(f64::MAX, |to| warp.at((to, 0)));
            (warp.at((fault.from_ns, 0)), to)
        };
        let intervals: Vec<_> = faults.iter().map(stretch).collect();
        let fault_rows = rows(&intervals, 3);
        let mut picture =
            Picture { shown, clock, warp, lanes: Vec::new(), faults, fault_rows, leaders };
        picture.lanes = lanes(shown, picture.lanes_top());
        picture
    }

    fn fault_height(&self) -> f64 {
        self.fault_rows.iter().max().map_or(0.0, |&row| (row + 1) as f64 * ROW)
    }

    fn lanes_top(&self) -> f64 {
        let leaders = if self.leaders.is_empty() { 0.0 } else { ROW };
        self.fault_height() + leaders + 4.0
    }

    fn bottom(&self) -> f64 {
        self.lanes.last().map_or(self.lanes_top(), |lane| lane.y + lane.height)
    }

    fn height(&self) -> f64 {
        self.bottom() + AXIS
    }

    fn width(&self) -> f64 {
        GUTTER + self.warp.width() + MARGIN
    }

    fn x(&self, key: Key) -> f64 {
        GUTTER + self.warp.at(key)
    }

    /// From where to where a fault is drawn: to the margin if it outlasts the operations.
    fn stretch(&self, fault: &FaultSpan) -> (f64, f64) {
        let from = self.x((fault.from_ns, 0));
        let last = self
            .shown
            .iter()
            .map(|shown| span(self.clock, shown))
            .map(|span| span.to.unwrap_or(span.from).0)
            .max();
        let to = match fault.to_ns {
            Some(to) if Some(to) <= last => self.x((to, 0)),
            _ => self.width(),
        };
        (from, to)
    }

    fn faults(&self, svg: &mut String) {
        let bottom = self.bottom();
        for (fault, &row) in self.faults.iter().zip(&self.fault_rows) {
            let (from, to) = self.stretch(fault);
            let y = row as f64 * ROW;
            svg.push_str(&band(fault, from, y, to - from, bottom - y));
            let room = ((to - from - 8.0) / SMALL_CHARACTER).max(0.0) as usize;
            let words = [&fault.sentence, &fault.done, &fault.kind];
            let words = words.into_iter().find(|words| words.chars().count() <= room);
            let words = words.map_or_else(|| clip(&fault.sentence, room), String::clone);
            let _ = write!(
                svg,
                r#"<text class="fault-name" x="{:.1}" y="{:.1}">{}<title>{}</title></text>"#,
                from + 4.0,
                y + 12.5,
                text(words),
                text(&fault.sentence)
            );
        }
    }

    fn lanes(&self, svg: &mut String) {
        for lane in &self.lanes {
            let middle = lane.y + LANE / 2.0;
            let _ = write!(
                svg,
                r#"<path class="lane" d="M{GUTTER} {middle:.1}H{:.1}"/><text class="lane-name" x="0" y="{:.1}">{}"#,
                self.width(),
                middle + 4.0,
                text(clip(&process_name(lane.process), 14)),
            );
            if let Some(node) = &lane.node {
                let _ = write!(
                    svg,
                    r#"<tspan class="lane-node" dx="6">{}</tspan>"#,
                    text(clip(node, 5))
                );
            }
            svg.push_str("</text>");
        }
    }

    fn leaders(&self, svg: &mut String) {
        let mut free = f64::MIN;
        for leader in &self.leaders {
            let x = self.x((leader.time_ns, 0));
            let top = self.fault_height();
            let words = format!("{} leads, term {}", leader.node, leader.term);
            let _ = write!(
                svg,
                r#"<g class="leader"><path d="M{x:.1} {:.1}V{:.1}"/><title>{} from {}</title>"#,
                top + 3.0,
                self.bottom(),
                text(&words),
                figures::instant(leader.time_ns),
            );
            let end = x + 12.0 + words.chars().count() as f64 * SMALL_CHARACTER;
            if x > free && end < self.width() {
                free = end;
                let _ = write!(
                    svg,
                    r#"<path class="flag" d="M{x:.1} {:.1}l7 4-7 4z"/><text x="{:.1}" y="{:.1}">{}</text>"#,
                    top + 3.0,
                    x + 10.0,
                    top + 12.0,
                    text(words),
                );
            }
            svg.push_str("</g>");
        }
    }

    fn bars(&self, svg: &mut String) {
        for shown in self.shown {
            let Some(lane) = self.lanes.iter().find(|lane| lane.process == shown.line.process)
            else {
                continue;
            };
            let span = span(self.clock, shown);
            let (from, y) = (self.x(span.from), lane.y + (LANE - BAR) / 2.0);
            let to = span.to.map_or(self.width(), |to| self.x(to));
            let words = label(shown.line);
            let _ = write!(
                svg,
                r##"<a class="{}" href="#op={}"><title>{}</title><rect x="{from:.1}" y="{y:.1}" width="{:.1}" height="{BAR}" rx="3"/>"##,
                classes(shown),
                shown.line.id.0,
                text(title(shown)),
                to - from,
            );
            // The end of an open bar fades, and a word belongs where it is solid.
            let middle = match span.to {
                Some(_) => f64::midpoint(from, to),
                None => from + span.needs / 2.0,
            };
            let _ =
                write!(svg, r#"<text x="{middle:.1}" y="{:.1}">{}</text>"#, y + 14.2, text(words));
            if !shown.caption().is_empty() {
                let _ = write!(
                    svg,
                    r#"<text class="caption" x="{middle:.1}" y="{:.1}">{}</text>"#,
                    y + BAR + 11.5,
                    shown.caption(),
                );
            }
            svg.push_str("</a>");
        }
    }

    /// The times of the bars' ends, as many as fit.
    fn axis(&self, svg: &mut String) {
        let bottom = self.bottom();
        let _ =
            write!(svg, r#"<path class="axis" d="M{GUTTER} {bottom:.1}H{:.1}"/>"#, self.width());
        if self.clock == Clock::Rank {
            let _ = write!(
                svg,
                r#"<text class="tick" x="{GUTTER}" y="{:.1}">order of events; no times were recorded</text>"#,
                bottom + 16.0
            );
            return;
        }
        let mut points: Vec<(Key, bool)> = Vec::new();
        for shown in self.shown {
            let span = span(self.clock, shown);
            let important = shown.role.is_some() || shown.culprit;
            points.push((span.from, important));
            points.extend(span.to.map(|to| (to, important)));
        }
        // What the proof speaks of has the first choice of place.
        points.sort_by_key(|&(key, important)| (!important, key));
        let half = 29.0;
        let mut taken: Vec<f64> = Vec::new();
        for (key, _) in points {
            let x = self.x(key);
            let place = x.clamp(GUTTER + half - 6.0, self.width() - half);
            let _ = write!(svg, r#"<path class="axis" d="M{x:.1} {bottom:.1}v4"/>"#);
            if taken.iter().all(|other| (other - place).abs() > 2.0 * half) {
                taken.push(place);
                let time = figures::instant(key.0);
                let _ = write!(
                    svg,
                    r#"<text class="tick" x="{place:.1}" y="{:.1}">{time}</text>"#,
                    bottom + 16.0
                );
            }
        }
    }
}

/// Lanes in the order in which their processes first act.
fn lanes(shown: &[Shown<'_>], top: f64) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    let mut y = top;
    for first in shown {
        let process = first.line.process;
        if lanes.iter().any(|lane| lane.process == process) {
            continue;
        }
        let own = || shown.iter().filter(|shown| shown.line.process == process);
        let captioned = own().any(|shown| !shown.caption().is_empty());
        let height = if captioned { CAPTIONED_LANE } else { LANE };
        // A node belongs to the lane's name only if the process spoke to no other.
        let node = first.line.node.clone();
        let node = node.filter(|node| own().all(|shown| shown.line.node.as_ref() == Some(node)));
        lanes.push(Lane { process, node, y, height });
        y += height;
    }
    lanes
}

fn span(clock: Clock, shown: &Shown<'_>) -> Span {
    let line = shown.line;
    let label = label(line).chars().count() as f64 * CHARACTER + 16.0;
    let caption = shown.caption().chars().count() as f64 * SMALL_CHARACTER + 10.0;
    let needs = label.max(caption) + if line.ret.is_none() { 40.0 } else { 0.0 };
    Span {
        from: (clock.from(line), line.call),
        to: clock.to(line).map(|to| (to, line.ret.unwrap_or(u32::MAX))),
        needs,
    }
}

fn label(line: &OperationLine) -> String {
    clip(&line.label, LONGEST_LABEL)
}

fn classes(shown: &Shown<'_>) -> String {
    let outcome = match shown.line.outcome {
        Outcome::Ok => "ok",
        Outcome::Fail => "fail",
        Outcome::Info => "info",
    };
    let part = match shown.role {
        _ if shown.culprit => " culprit",
        Some(_) => " proof",
        None => "",
    };
    format!("op {outcome}{part}")
}

/// Everything about an operation in one line, for a pointer that rests on it.
fn title(shown: &Shown<'_>) -> String {
    let line = shown.line;
    let mut title = format!("{}, {}", line.label, process_name(line.process));
    for (word, value) in [(" on ", &line.key), (" at ", &line.node)] {
        if let Some(value) = value {
            title += word;
            title += value;
        }
    }
    if let (Some(from), Some(to)) = (line.from_ns, line.to_ns) {
        title += &format!(", {} to {}", figures::instant(from), figures::instant(to));
    }
    title
}
