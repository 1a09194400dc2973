//! What Jepsen's formats leave to the reader: which values are errors, and which are keyed.
//!
//! Jepsen's `independent` tests run many objects at once and write every value as `[key value]`.
//! Once printed, that cannot be told from a list of two, such as the `[old new]` of a
//! compare-and-set; so it is lifted into [`Event::key`](super::Event::key) only when told, or when
//! evident. What is evident shows only at the end, so rows are held back until it cannot be.

use rustc_hash::FxHashMap;

use super::batch::{Row, Tables};
use super::event::EventType;
use super::intern::ValueId;

/// The functions whose invocations take no argument, so that a value there must be a key.
const READS: [&str; 3] = ["read", "get", "r"];

/// What each client's pending invocation asked for.
type Pending = FxHashMap<u64, ValueId>;

/// A line and what is wrong with it.
pub(super) type Complaint = (u32, String);

/// Settles errors and keys of rows that pass through, in the order of the file.
#[derive(Debug)]
pub(super) struct Keys {
    /// The arguments of pending operations, if errors may stand in place of results.
    arguments: Option<Pending>,
    lifting: Lifting,
}

#[derive(Debug)]
enum Lifting {
    /// Values stay as they are.
    Never,
    /// All client values are `[key value]`.
    Always(Lifter),
    /// They may be: these rows wait for what shows.
    Perhaps { evidence: Evidence, held: Vec<Row> },
    /// They should be, and are not.
    Failed(Complaint),
}

impl Keys {
    /// For a file in one of Jepsen's formats or not, where somebody may have told whether values
    /// are `[key value]`.
    pub(super) fn new(is_jepsens: bool, are_keyed: Option<bool>) -> Self {
        Keys {
            arguments: is_jepsens.then(Pending::default),
            lifting: match are_keyed {
                Some(true) => Lifting::Always(Lifter::default()),
                None if is_jepsens => {
                    Lifting::Perhaps { evidence: Evidence::default(), held: Vec::new() }
                }
                Some(false) | None => Lifting::Never,
            },
        }
    }

    /// Takes the next rows, and leaves those that are settled.
    pub(super) fn settle(&mut self, rows: &mut Vec<Row>, tables: &Tables) {
        if let Some(arguments) = &mut self.arguments {
            rows.iter_mut().for_each(|row| settle_error(row, arguments, tables));
        }
        match &mut self.lifting {
            Lifting::Never => {}
            Lifting::Failed(_) => rows.clear(),
            Lifting::Always(lifter) => {
                if let Err(complaint) = lifter.lift(rows, tables) {
                    rows.clear();
                    self.lifting = Lifting::Failed(complaint);
                }
            }
            Lifting::Perhaps { evidence, held } => {
                let are_possible = rows.iter().all(|row| evidence.allows(row, tables));
                held.append(rows);
                if !are_possible {
                    std::mem::swap(rows, held);
                    self.lifting = Lifting::Never;
                }
            }
        }
    }

    /// The rows that were held back until the end.
    pub(super) fn finish(self, tables: &Tables) -> Result<Vec<Row>, Complaint> {
        match self.lifting {
            Lifting::Never | Lifting::Always(_) => Ok(Vec::new()),
            Lifting::Failed(complaint) => Err(complaint),
            Lifting::Perhaps { evidence, mut held } => {
                if evidence.has_keyed_read {
                    Lifter::default().lift(&mut held, tables)?;
                }
                Ok(held)
            }
        }
    }
}

/// Moves the error out of the value of a failed or unsure completion.
///
/// Knossos repeats the argument there, old Jepsens say why (`:info :write :timed-out`). Neither is
/// a result, so any text that differs from the argument is taken as the reason.
fn settle_error(row: &mut Row, arguments: &mut Pending, tables: &Tables) {
    let Some(client) = row.client() else { return };
    match row.kind {
        EventType::Invoke => {
            arguments.insert(client, row.value);
        }
        EventType::Ok => {
            arguments.remove(&client);
        }
        EventType::Fail | EventType::Info => {
            let argument = arguments.remove(&client);
            let is_text = tables.values.atom(row.value).is_some_and(|it| it.as_text().is_some());
            if is_text && argument != Some(row.value) && row.error == ValueId::NIL {
                row.error = std::mem::replace(&mut row.value, ValueId::NIL);
            }
        }
    }
}

/// Lifts the keys of independent objects out of all client values.
///
/// Every invocation must be a `[key value]`; a completion without a value has its invocation's key.
#[derive(Debug, Default)]
struct Lifter {
    asked: Pending,
}

impl Lifter {
    fn lift(&mut self, rows: &mut [Row], tables: &Tables) -> Result<(), Complaint> {
        for row in rows {
            let Some(key) = self.key(row, tables)? else { continue };
            if let Some((_, value)) = pair(row.value, tables) {
                row.value = value;
            }
            row.key = key;
        }
        Ok(())
    }

    /// The key in a row's value; none where there is nothing to lift.
    fn key(&mut self, row: &Row, tables: &Tables) -> Result<Option<ValueId>, Complaint> {
        let Some(client) = row.client().filter(|_| row.key == ValueId::NIL) else {
            return Ok(None);
        };
        let value = |id: ValueId| tables.values.get(id);
        let own = pair(row.value, tables).map(|(key, _)| key);
        if row.kind == EventType::Invoke {
            let Some(key) = own else {
                let f = tables.names.get(row.f);
                return Err((row.line, format!("{f} {} is no [key value]", value(row.value))));
            };
            self.asked.insert(client, key);
            return Ok(Some(key));
        }
        match (own, self.asked.remove(&client)) {
            (Some(own), Some(asked)) if own != asked => {
                let (own, asked) = (value(own), value(asked));
                Err((row.line, format!("key {own} completes an operation on key {asked}")))
            }
            (own, asked) => Ok(own.or(asked)),
        }
    }
}

/// Whether the values are evidently `[key value]`.
///
/// They are if that is possible throughout (every invocation is a pair, every completion's key its
/// invocation's), if each compare-and-set has its `[old new]` inside the pair, and if some read was
/// invoked with `[key nil]`: a read of a single object takes no argument.
#[derive(Debug, Default)]
struct Evidence {
    lifter: Lifter,
    has_keyed_read: bool,
}

impl Evidence {
    fn allows(&mut self, row: &Row, tables: &Tables) -> bool {
        self.lifter.key(row, tables).is_ok()
            && (row.kind != EventType::Invoke
                || row.client().is_none()
                || self.allows_invocation(row, tables))
    }

    fn allows_invocation(&mut self, row: &Row, tables: &Tables) -> bool {
        let Some((key, value)) = pair(row.value, tables) else { return false };
        let f = &**tables.names.get(row.f);
        self.has_keyed_read |= READS.contains(&f) && key != ValueId::NIL && value == ValueId::NIL;
        row.key == ValueId::NIL && (f != "cas" || pair(value, tables).is_some())
    }
}

fn pair(value: ValueId, tables: &Tables) -> Option<(ValueId, ValueId)> {
    match tables.values.items(value) {
        Some(&[key, value]) => Some((key, value)),
        _ => None,
    }
}
