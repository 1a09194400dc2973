//! A small history drawn with characters: a line per client, a bar per operation, time from left
//! to right. Order and overlap are exact; distances are only as wide as the words need.

/// One operation to draw.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    /// The line it stands on, such as `process 3`.
    pub(super) lane: String,
    /// What it did, such as `write 5`.
    pub(super) label: String,
    /// When it was invoked, in any unit that orders.
    pub(super) from: u64,
    /// When it returned; `None` where nobody knows.
    pub(super) to: Option<u64>,
    /// Whether this is the operation that no story can place.
    pub(super) culprit: bool,
}

/// Draws bars, or says `None` where they do not fit into `width` columns.
///
/// ```text
/// client 1  |-- write 1 --|
/// client 2          |-- write 2 --|
/// client 1                          |== read 1 ==|  <- cannot be placed
/// ```
pub(super) fn draw(bars: &[Bar], width: usize) -> Option<String> {
    let mut lanes: Vec<&str> = bars.iter().map(|bar| bar.lane.as_str()).collect();
    lanes.sort_unstable();
    lanes.dedup();
    // Lanes in the order in which they first act.
    lanes.sort_by_key(|lane| bars.iter().filter(|bar| bar.lane == *lane).map(|bar| bar.from).min());
    let gutter = lanes.iter().map(|lane| lane.chars().count()).max().unwrap_or(0) + 2;

    let columns = Columns::of(bars);
    let mut drawing = String::new();
    for lane in lanes {
        let mut line = format!("{lane:gutter$}");
        let mut on_lane: Vec<&Bar> = bars.iter().filter(|bar| bar.lane == lane).collect();
        on_lane.sort_by_key(|bar| bar.from);
        for bar in on_lane {
            let (start, end) = (columns.start(bar), columns.end(bar));
            let at = line.chars().count() - gutter;
            line.extend(std::iter::repeat_n(' ', start.saturating_sub(at)));
            line += &bar_of_length(bar, end - start);
        }
        if line.chars().count() > width {
            return None;
        }
        if bars.iter().any(|bar| bar.culprit && bar.lane == lane) {
            line += "  <- cannot be placed";
        }
        drawing += line.trim_end();
        drawing.push('\n');
    }
    Some(drawing)
}

/// `|-- write 1 --|`, `|== read 1 ==|` for the culprit, `|-- write 1 - - ?` without an end.
fn bar_of_length(bar: &Bar, length: usize) -> String {
    let fill = if bar.culprit { '=' } else { '-' };
    let dashes = |count: usize| String::from_iter(std::iter::repeat_n(fill, count));
    let room = length.saturating_sub(bar.label.chars().count() + 4);
    let (before, after) = (room / 2, room - room / 2);
    let end = if bar.to.is_some() { "|" } else { "?" };
    format!("|{} {} {}{end}", dashes(before), bar.label, dashes(after))
}

/// Shortest bar around a label: `|- label -|`.
fn needed(bar: &Bar) -> usize {
    bar.label.chars().count() + 6
}

/// Which column each instant is drawn in: instants in their order, no bar shorter than its label.
struct Columns {
    instants: Vec<(u64, usize)>,
    end: usize,
}

impl Columns {
    fn of(bars: &[Bar]) -> Self {
        let mut times: Vec<u64> =
            bars.iter().flat_map(|bar| [Some(bar.from), bar.to]).flatten().collect();
        times.sort_unstable();
        times.dedup();
        let mut columns = Columns { instants: Vec::with_capacity(times.len()), end: 0 };
        let mut column = 0;
        for time in times {
            for bar in bars.iter().filter(|bar| bar.to == Some(time)) {
                column = column.max(columns.start(bar) + needed(bar));
            }
            columns.instants.push((time, column));
            column += 2;
        }
        let open = bars.iter().filter(|bar| bar.to.is_none());
        columns.end =
            open.map(|bar| columns.start(bar) + needed(bar)).max().unwrap_or(0).max(column);
        columns
    }

    fn at(&self, time: u64) -> usize {
        let place = self.instants.binary_search_by_key(&time, |&(time, _)| time);
        place.map_or(0, |place| self.instants[place].1)
    }

    fn start(&self, bar: &Bar) -> usize {
        self.at(bar.from)
    }

    fn end(&self, bar: &Bar) -> usize {
        bar.to.map_or(self.end, |time| self.at(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(lane: &str, label: &str, from: u64, to: Option<u64>) -> Bar {
        Bar { lane: lane.into(), label: label.into(), from, to, culprit: label.contains("read 1") }
    }

    #[test]
    fn order_and_overlap_are_drawn() {
        let bars = [
            bar("client 1", "write 1", 0, Some(20)),
            bar("client 2", "write 2", 10, Some(30)),
            bar("client 1", "read 1", 40, Some(50)),
            bar("client 3", "write 3", 15, None),
        ];
        let drawing = draw(&bars, 100).unwrap();
        let expected = "\
client 1  |-- write 1 --|           |= read 1 =|  <- cannot be placed
client 2    |----- write 2 ------|
client 3      |-------------- write 3 ---------------?
";
        assert_eq!(drawing.lines().count(), 3);
        let at = |line: usize, what: char| drawing.lines().nth(line).unwrap().find(what).unwrap();
        assert!(at(0, '|') < at(1, '|') && at(1, '|') < at(2, '|'), "{drawing}\n{expected}");
        assert!(drawing.contains("= read 1 ="), "{drawing}");
        assert!(drawing.lines().nth(2).unwrap().ends_with('?'), "{drawing}");
        let first_end = drawing.lines().next().unwrap()[11..].find('|').unwrap() + 11;
        assert!(at(1, '|') < first_end, "write 2 begins while write 1 runs:\n{drawing}");
    }

    #[test]
    fn too_much_for_the_width_is_not_drawn() {
        let bars: Vec<Bar> = (0..30)
            .map(|n| bar("client 1", &format!("write {n}"), n * 10, Some(n * 10 + 5)))
            .collect();
        assert_eq!(draw(&bars, 80), None);
        assert!(draw(&bars, 800).is_some());
    }
}
