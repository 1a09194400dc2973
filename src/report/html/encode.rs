//! The operations inside the page, small: one JSON array per column, times as differences, all of
//! it compressed and spelt in base64. The browser undoes that with what it has built in
//! (`assets/decode.js`); a hand-made binary layout would save a tenth and cost two decoders.

use std::collections::HashMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use rashomon_checker::history::Outcome;
use serde::Serialize;

use super::clock::Clock;
use super::markup::{clip, plain};
use crate::report::OperationLine;

/// Longer labels are cut; `history.jsonl` has the whole value.
const LONGEST_LABEL: usize = 120;

/// The columns, as `assets/decode.js` reads them.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize, PartialEq))]
struct Columns {
    /// Numbers in the history, each as the difference from the one before.
    id: Vec<i64>,
    /// Invocations, likewise; microseconds, or ranks.
    from: Vec<i64>,
    /// Durations; -1 where the end is not known.
    took: Vec<i64>,
    process: Vec<u64>,
    /// Indices into `functions`; likewise the next two, where 0 means none.
    f: Vec<usize>,
    key: Vec<usize>,
    node: Vec<usize>,
    /// A digit each: 0 ok, 1 fail, 2 info.
    outcome: String,
    label: Vec<String>,
    /// Lines in the history file, as differences.
    line: Vec<i64>,
    functions: Vec<String>,
    keys: Vec<String>,
    nodes: Vec<String>,
}

/// Operations in base64, to be put into a script element of a type that is not run.
pub(super) fn encode<'a>(
    operations: impl Iterator<Item = &'a OperationLine>,
    clock: Clock,
) -> String {
    let json = serde_json::to_vec(&columns(operations, clock)).expect("columns have string keys");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let gzip = gzip.write_all(&json).and_then(|()| gzip.finish());
    STANDARD.encode(gzip.expect("memory can be written to"))
}

fn columns<'a>(operations: impl Iterator<Item = &'a OperationLine>, clock: Clock) -> Columns {
    let mut columns = Columns::default();
    let (mut functions, mut keys, mut nodes) =
        (Names::new(None), Names::new(Some("")), Names::new(Some("")));
    let (mut id, mut from, mut line) = (Deltas(0), Deltas(0), Deltas(0));
    for operation in operations {
        let start = tick(clock, clock.from(operation));
        columns.id.push(id.next(i64::from(operation.id.0)));
        columns.from.push(from.next(start));
        columns.took.push(clock.to(operation).map_or(-1, |to| (tick(clock, to) - start).max(0)));
        columns.process.push(operation.process);
        columns.f.push(functions.number(&operation.f));
        columns.key.push(operation.key.as_deref().map_or(0, |key| keys.number(key)));
        columns.node.push(operation.node.as_deref().map_or(0, |node| nodes.number(node)));
        columns.outcome.push(match operation.outcome {
            Outcome::Ok => '0',
            Outcome::Fail => '1',
            Outcome::Info => '2',
        });
        columns.label.push(plain(&clip(&operation.label, LONGEST_LABEL)));
        columns.line.push(line.next(i64::from(operation.line)));
    }
    (columns.functions, columns.keys, columns.nodes) = (functions.names, keys.names, nodes.names);
    columns
}

/// A time as the page has it: microseconds are finer than any pixel.
pub(super) fn tick(clock: Clock, time: u64) -> i64 {
    let ticks = match clock {
        Clock::Time => time / 1_000,
        Clock::Rank => time,
    };
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

/// Each number less the one before.
struct Deltas(i64);

impl Deltas {
    fn next(&mut self, number: i64) -> i64 {
        number - std::mem::replace(&mut self.0, number)
    }
}

/// Names numbered in the order in which they are met.
struct Names<'a> {
    names: Vec<String>,
    numbers: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    /// With a name for number 0, if that is to mean something.
    fn new(first: Option<&str>) -> Self {
        Names { names: first.into_iter().map(str::to_owned).collect(), numbers: HashMap::new() }
    }

    fn number(&mut self, name: &'a str) -> usize {
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(plain(name));
            self.names.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use rashomon_checker::history::OpId;

    use super::*;

    /// What the page's decoder does, once more.
    fn decode(text: &str) -> Vec<OperationLine> {
        let bytes = STANDARD.decode(text).unwrap();
        let mut json = String::new();
        GzDecoder::new(&*bytes).read_to_string(&mut json).unwrap();
        let columns: Columns = serde_json::from_str(&json).unwrap();
        let sum = |column: &[i64]| -> Vec<i64> {
            let running = column.iter().scan(0, |sum, delta| {
                *sum += delta;
                Some(*sum)
            });
            running.collect()
        };
        let (id, from, line) = (sum(&columns.id), sum(&columns.from), sum(&columns.line));
        let outcomes: Vec<char> = columns.outcome.chars().collect();
        let optional =
            |number: usize, names: &[String]| (number > 0).then(|| names[number].clone());
        let us = |ticks: i64| u64::try_from(ticks).unwrap() * 1_000;
        let operation = |row: usize| OperationLine {
            id: OpId(u32::try_from(id[row]).unwrap()),
            process: columns.process[row],
            key: optional(columns.key[row], &columns.keys),
            f: columns.functions[columns.f[row]].clone(),
            label: columns.label[row].clone(),
            node: optional(columns.node[row], &columns.nodes),
            outcome: match outcomes[row] {
                '0' => Outcome::Ok,
                '1' => Outcome::Fail,
                _ => Outcome::Info,
            },
            from_ns: Some(us(from[row])),
            to_ns: (columns.took[row] >= 0).then(|| us(from[row] + columns.took[row])),
            call: 0,
            ret: None,
            line: u32::try_from(line[row]).unwrap(),
        };
        (0..id.len()).map(operation).collect()
    }

    #[test]
    fn the_same_operations_come_out() {
        let line =
            |id: u32, process, key: Option<&str>, label: &str, outcome, from, to: Option<u64>| {
                OperationLine {
                    id: OpId(id),
                    process,
                    key: key.map(str::to_owned),
                    f: label.split(' ').next().unwrap().to_owned(),
                    label: label.to_owned(),
                    node: (process > 0).then(|| format!("n{process}")),
                    outcome,
                    from_ns: Some(from),
                    to_ns: to,
                    call: 0,
                    ret: None,
                    line: 1 + id / 2,
                }
            };
        let operations = [
            line(0, 0, None, "write 1", Outcome::Ok, 5_000, Some(9_000)),
            line(7, 3, Some(""), "read -> \"</script>\"", Outcome::Ok, 6_000, Some(6_000)),
            line(3, (1 << 32) + 1, Some("x"), "cas 1 -> ü", Outcome::Info, 2_000, None),
            line(9, 1, Some("x"), "write", Outcome::Fail, 1 << 50, Some((1 << 50) + 4_096_000)),
        ];
        let mut expected = operations.to_vec();
        // Microseconds are what the page has.
        expected[3].from_ns = expected[3].from_ns.map(|ns| ns / 1_000 * 1_000);
        expected[3].to_ns = expected[3].to_ns.map(|ns| ns / 1_000 * 1_000);
        assert_eq!(decode(&encode(operations.iter(), Clock::Time)), expected);
        assert_eq!(decode(&encode([].iter(), Clock::Time)), []);
    }
}
