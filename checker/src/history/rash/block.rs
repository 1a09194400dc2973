//! The payload of a block: a batch of events in columns.

use std::sync::Arc;

use super::END;
use super::value::{put_value, value};
use super::varint::{Cursor, Nonsense, put, put_text, unzigzag, zigzag};
use crate::history::batch::{Actor, Batch, Row, Tables};
use crate::history::event::EventType;
use crate::history::intern::{NameId, ValueId};
use crate::history::value::Value;

const KINDS: [EventType; 4] = [EventType::Invoke, EventType::Ok, EventType::Fail, EventType::Info];
/// In `what`: the process has a name.
const NAMED: u64 = 4;

const SAME: u8 = 0;
const EACH: u8 = 1;

/// The payload of a block with these events.
pub(super) fn encode(batch: &Batch) -> Vec<u8> {
    let Batch { rows, tables, .. } = batch;
    let mut out = Vec::with_capacity(16 * rows.len());
    put(&mut out, tables.names.len() as u64);
    tables.names.iter().for_each(|name| put_text(&mut out, name));
    let mut values = Values::new(tables);
    let codes = rows.iter().map(|row| [row.key, row.value, row.error].map(|id| values.code(id)));
    let codes: Vec<[u64; 3]> = codes.collect();
    put(&mut out, values.listed.len() as u64);
    values.listed.iter().for_each(|value| put_value(&mut out, value));
    rows.iter().for_each(|row| put(&mut out, what(row)));
    put_column(&mut out, differences(rows.iter().map(|row| row.index), u64::MAX));
    put_column(&mut out, rows.iter().map(|row| u64::from(row.time.is_none())));
    put_column(&mut out, differences(rows.iter().filter_map(|row| row.time), 0));
    put_column(&mut out, rows.iter().map(|row| process(row.actor)));
    put_column(&mut out, codes.iter().map(|codes| codes[0]));
    put_column(&mut out, codes.iter().map(|codes| codes[1]));
    put_column(&mut out, rows.iter().map(|row| row.node.map_or(0, |node| 1 + u64::from(node.0))));
    put_column(&mut out, codes.iter().map(|codes| codes[2]));
    out.push(END);
    out
}

fn what(row: &Row) -> u64 {
    let named = if row.client().is_some() { 0 } else { NAMED };
    let kind = KINDS.iter().position(|kind| *kind == row.kind).expect("all kinds are listed");
    u64::from(row.f.0) << 3 | named | kind as u64
}

fn process(actor: Actor) -> u64 {
    match actor {
        Actor::Client(number) => number,
        Actor::Named(name) => u64::from(name.0),
    }
}

fn differences(
    numbers: impl Iterator<Item = u64> + Clone,
    mut last: u64,
) -> impl Iterator<Item = u64> + Clone {
    numbers.map(move |number| {
        let difference = number.wrapping_sub(std::mem::replace(&mut last, number));
        zigzag(difference as i64)
    })
}

fn put_column(out: &mut Vec<u8>, mut numbers: impl Iterator<Item = u64> + Clone) {
    let all = numbers.clone();
    let first = numbers.next().unwrap_or(0);
    if numbers.all(|number| number == first) {
        out.push(SAME);
        put(out, first);
    } else {
        out.push(EACH);
        all.for_each(|number| put(out, number));
    }
}

/// The values of a block that are no small integers, in the order of their use.
struct Values<'a> {
    tables: &'a Tables,
    listed: Vec<Value>,
    /// By id in the tables; 0 for what is not listed.
    codes: Vec<u64>,
}

impl<'a> Values<'a> {
    fn new(tables: &'a Tables) -> Self {
        let mut codes = vec![0; tables.values.len()];
        codes[ValueId::NIL.0 as usize] = 1;
        Values { tables, listed: Vec::new(), codes }
    }

    fn code(&mut self, id: ValueId) -> u64 {
        match self.codes.get_mut(id.0 as usize) {
            Some(0) => {}
            Some(code) => return *code,
            None => {
                // What is in no table is a small integer.
                let int = self.tables.values.get(id).as_int().unwrap_or_default();
                return zigzag(int) << 1;
            }
        }
        self.listed.push(self.tables.values.get(id));
        let code = (self.listed.len() as u64) << 1 | 1;
        self.codes[id.0 as usize] = code;
        code
    }
}

/// The events of a block.
pub(super) fn decode(payload: &[u8], events: u32) -> Result<Batch, Nonsense> {
    let mut cursor = Cursor { rest: payload };
    let mut batch = Batch::with_capacity(cursor.fitting(u64::from(events))?);
    let Batch { rows, tables, .. } = &mut batch;
    let names = Names::take(&mut cursor, tables)?;
    let mut listed = vec![ValueId::NIL];
    for _ in 0..cursor.count()? {
        listed.push(tables.values.intern(&value(&mut cursor, 0)?));
    }
    for _ in 0..events {
        rows.push(row(cursor.number()?, &names)?);
    }
    take_moments(&mut cursor, rows)?;
    take_contents(&mut cursor, rows, &names, |code| match code & 1 {
        0 => Ok(tables.values.intern_int(unzigzag(code >> 1))),
        _ => {
            let listed = usize::try_from(code >> 1).ok().and_then(|place| listed.get(place));
            listed.copied().ok_or(Nonsense("a value is not listed"))
        }
    })?;
    match cursor.rest {
        [END] => Ok(batch),
        _ => Err(Nonsense("it does not end where its columns do")),
    }
}

/// Takes the columns that tell where and when.
fn take_moments(cursor: &mut Cursor<'_>, rows: &mut [Row]) -> Result<(), Nonsense> {
    let mut index = u64::MAX;
    column(cursor, rows.iter_mut(), |row, difference| {
        index = index.wrapping_add(unzigzag(difference) as u64);
        row.index = index;
        Ok(())
    })?;
    column(cursor, rows.iter_mut(), |row, untimed| {
        row.time = (untimed == 0).then_some(0);
        Ok(())
    })?;
    let mut now = 0u64;
    column(cursor, rows.iter_mut().filter(|row| row.time.is_some()), |row, difference| {
        now = now.wrapping_add(unzigzag(difference) as u64);
        row.time = Some(now);
        Ok(())
    })
}

/// Takes the columns that tell who and what; `id` makes ids of codes.
fn take_contents(
    cursor: &mut Cursor<'_>,
    rows: &mut [Row],
    names: &Names,
    mut id: impl FnMut(u64) -> Result<ValueId, Nonsense>,
) -> Result<(), Nonsense> {
    column(cursor, rows.iter_mut(), |row, process| {
        row.actor = match row.actor {
            Actor::Client(_) => Actor::Client(process),
            Actor::Named(_) => Actor::Named(names.get(process)?),
        };
        Ok(())
    })?;
    column(cursor, rows.iter_mut(), |row, code| id(code).map(|key| row.key = key))?;
    column(cursor, rows.iter_mut(), |row, code| id(code).map(|value| row.value = value))?;
    column(cursor, rows.iter_mut(), |row, node| {
        row.node = node.checked_sub(1).map(|node| names.get(node)).transpose()?;
        Ok(())
    })?;
    column(cursor, rows.iter_mut(), |row, code| id(code).map(|error| row.error = error))
}

/// A row of which only what is done is known, and whether a client does it.
fn row(what: u64, names: &Names) -> Result<Row, Nonsense> {
    Ok(Row {
        index: 0,
        time: None,
        actor: if what & NAMED == 0 { Actor::Client(0) } else { Actor::Named(NameId(0)) },
        kind: KINDS[(what & 3) as usize],
        f: names.get(what >> 3)?,
        node: None,
        key: ValueId::NIL,
        value: ValueId::NIL,
        error: ValueId::NIL,
        line: 0,
    })
}

/// Takes a column, and has `set` put its numbers into the rows.
#[inline]
fn column<'a>(
    cursor: &mut Cursor<'_>,
    mut rows: impl Iterator<Item = &'a mut Row>,
    mut set: impl FnMut(&mut Row, u64) -> Result<(), Nonsense>,
) -> Result<(), Nonsense> {
    match cursor.byte()? {
        SAME => {
            let number = cursor.number()?;
            rows.try_for_each(|row| set(row, number))
        }
        EACH => rows.try_for_each(|row| set(row, cursor.number()?)),
        _ => Err(Nonsense("a column is of no known kind")),
    }
}

/// The names of a block, in their order.
struct Names(Vec<NameId>);

impl Names {
    fn take(cursor: &mut Cursor<'_>, tables: &mut Tables) -> Result<Self, Nonsense> {
        let mut names = Vec::with_capacity(cursor.count()?);
        for _ in 0..names.capacity() {
            let length = cursor.number()?;
            names.push(tables.names.intern(&Arc::from(cursor.text(length)?)));
        }
        Ok(Names(names))
    }

    fn get(&self, place: u64) -> Result<NameId, Nonsense> {
        let known = usize::try_from(place).ok().and_then(|place| self.0.get(place));
        known.copied().ok_or(Nonsense("a name is not listed"))
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::history::{Event, Process};

    fn any_value(rng: &mut impl Rng, depth: usize) -> Value {
        match rng.random_range(0..if depth > 2 { 6 } else { 8 }) {
            0 => Value::Nil,
            1 => Value::Bool(rng.random()),
            2 => Value::Int(rng.random_range(-2..5)),
            3 => Value::Int(rng.random()),
            4 => Value::Number("1/3".into()),
            5 => Value::text("x".repeat(rng.random_range(0..5))),
            6 => Value::list((0..rng.random_range(0..4)).map(|_| any_value(rng, depth + 1))),
            _ => Value::map((0..2).map(|_| (any_value(rng, depth + 1), any_value(rng, depth + 1)))),
        }
    }

    fn any_batch(rng: &mut impl Rng) -> Batch {
        let mut batch = Batch::with_capacity(0);
        for index in 0..rng.random_range(1..20) {
            let present = |rng: &mut dyn Rng| rng.random_ratio(1, 2);
            let node = present(rng).then(|| "n1".into());
            let error = present(rng).then(|| any_value(rng, 0));
            let event = Event {
                index: if present(rng) { index } else { rng.random() },
                time: present(rng).then(|| rng.random()),
                process: match present(rng) {
                    true => Process::Client(rng.random_range(0..300)),
                    false => Process::nemesis(),
                },
                kind: KINDS[rng.random_range(0..4)],
                f: "write".into(),
                key: present(rng).then(|| any_value(rng, 0)),
                value: any_value(rng, 0),
                node,
                error,
                line: 0,
            };
            batch.push((event, true));
        }
        batch
    }

    fn events(batch: &Batch) -> Vec<Event> {
        batch.rows.iter().map(|row| batch.tables.event(row)).collect()
    }

    /// A checksum keeps most of this away, but not a writer who means it.
    #[test]
    fn any_payload_is_decoded_or_refused() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut accepted = 0;
        for _ in 0..20_000 {
            let batch = any_batch(&mut rng);
            let mut payload = encode(&batch);
            let count = batch.rows.len() as u32;
            assert_eq!(events(&decode(&payload, count).unwrap()), events(&batch));
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..payload.len());
                match rng.random_range(0..4) {
                    0 => payload[at] = rng.random(),
                    1 => payload.insert(at, [0, 1, 0x7F, 0x80, 0xFF][rng.random_range(0..5)]),
                    2 if payload.len() > 1 => drop(payload.remove(at)),
                    _ => payload.truncate(at + 1),
                }
            }
            if let Ok(batch) = decode(&payload, rng.random_range(count - 1..=count + 1)) {
                accepted += usize::from(!events(&batch).is_empty());
            }
        }
        assert!(accepted > 100, "{accepted}");
    }

    #[test]
    fn values_nested_too_deeply_are_refused() {
        let deep = |lists: usize| {
            let value = (0..lists).fold(Value::Nil, |inner, _| Value::list([inner]));
            let mut bytes = Vec::new();
            put_value(&mut bytes, &value);
            super::value(&mut Cursor { rest: &bytes }, 0).map(|read| assert_eq!(read, value))
        };
        assert_eq!(deep(128), Ok(()));
        assert!(deep(129).is_err());
        let mut bytes = Vec::new();
        (0..1_000_000).for_each(|_| put(&mut bytes, 1 << 3 | 4));
        assert!(super::value(&mut Cursor { rest: &bytes }, 0).is_err());
    }
}
