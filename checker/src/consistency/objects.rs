//! A history by key, as the promises see it: what was written, what was read, and which reads show
//! how things stood in the end.
//!
//! Final reads are those invoked after an event [`FINAL_READS`] of a named process: whoever made
//! the history says there that every fault is undone and all clients are done.

use std::borrow::Cow;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::Options;
use crate::history::{History, OpId, Operation, Outcome, Value, ValueId};
use crate::model::NilRead;

/// The function of a named process's event after which every read is a final one.
pub const FINAL_READS: &str = "final-reads";

/// How the error of a compare-and-set begins that found another value, which follows. What it found
/// its client has seen.
pub const MISMATCH: &str = "mismatch: the value was ";

/// All objects of a history, in the order of their first operation.
#[derive(Debug)]
pub(super) struct Objects<'h> {
    pub(super) history: &'h History,
    pub(super) all: Vec<Object<'h>>,
    /// Whether final reads are marked.
    pub(super) has_end: bool,
}

/// What is done with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One value that writes replace.
    Register,
    /// Several values side by side where writes had not seen each other: a read returns a list.
    Siblings,
    /// Elements that are put in and stay; whether all nodes must agree on their order.
    Collection { is_ordered: bool },
    /// A number that is added to.
    Counter,
    /// Something else, for this reason.
    Other(String),
}

/// One key.
#[derive(Debug)]
pub(super) struct Object<'h> {
    pub(super) key: Option<Value>,
    pub(super) kind: Kind,
    /// What changed it or may have, by invocation.
    pub(super) writes: Vec<Write<'h>>,
    /// What certainly did not.
    pub(super) failed: Vec<Write<'h>>,
    /// What was answered, by invocation.
    pub(super) reads: Vec<Read<'h>>,
    /// What was seen by operations that failed.
    pub(super) glimpses: Vec<Glimpse>,
    /// The places of the writes of a value.
    writers: FxHashMap<ValueId, Vec<usize>>,
}

/// Who, when, and which operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) id: OpId,
    pub(super) process: u64,
    pub(super) call: u32,
    /// [`NEVER`](crate::history::NEVER) for what nobody knows of.
    pub(super) ret: u32,
    pub(super) is_acknowledged: bool,
}

/// A change.
#[derive(Clone, Debug)]
pub(super) struct Write<'h> {
    pub(super) span: Span,
    /// What it brings: a value, an element; `NIL` for a delete.
    pub(super) value: ValueId,
    /// What a compare-and-set found.
    pub(super) found: Option<ValueId>,
    /// What a counter is added.
    pub(super) amount: i128,
    /// Who did it, where that is certain.
    pub(super) node: Option<&'h str>,
}

impl Write<'_> {
    pub(super) fn is_delete(&self) -> bool {
        // Who adds without saying how much adds one.
        self.value == ValueId::NIL && self.amount == 0
    }
}

/// What a failed operation showed its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glimpse {
    pub(super) span: Span,
    /// One value, or `NIL` for nothing; nobody knows what if there is none.
    pub(super) seen: Option<ValueId>,
}

/// An answered read.
#[derive(Clone, Debug)]
pub(super) struct Read<'h> {
    pub(super) span: Span,
    /// What it saw: of a register one value or none.
    pub(super) seen: Cow<'h, [ValueId]>,
    /// What it saw of a counter.
    pub(super) number: i128,
    pub(super) node: Option<&'h str>,
    pub(super) is_final: bool,
}

impl Read<'_> {
    /// What it saw of a register; `NIL` for nothing.
    pub(super) fn value(&self) -> ValueId {
        self.seen.first().copied().unwrap_or(ValueId::NIL)
    }
}

impl<'h> Objects<'h> {
    pub(super) fn of(history: &'h History, options: &Options) -> Self {
        let end = history.named_events().iter().find(|event| &*event.f == FINAL_READS);
        let is_final = |operation: Operation<'_>| {
            let place = operation.call_place();
            end.is_some_and(|end| match (end.line, place.line) {
                (0, _) | (_, 0) => u64::from(place.event) > end.index,
                (end, line) => line > end,
            })
        };
        let mut keys: IndexMap<Option<ValueId>, Vec<Operation<'h>>, FxBuildHasher> =
            IndexMap::default();
        for operation in history.operations() {
            keys.entry(operation.key_id()).or_default().push(operation);
        }
        let object = |(key, operations): (Option<ValueId>, Vec<Operation<'h>>)| {
            let key = key.map(|key| history.values().get(key));
            Object::of(history, key, &operations, options, is_final)
        };
        let all = keys.into_iter().map(object).collect();
        Objects { history, all, has_end: end.is_some() }
    }

    /// An operation in the past tense: `process 3 wrote 5 (line 12)`.
    pub(super) fn tell(&self, id: OpId) -> String {
        let operation = self.history.operation(id);
        format!("process {} {}", operation.process(), self.deed(id))
    }

    /// The same without who did it: `wrote 5 (line 12)`.
    pub(super) fn deed(&self, id: OpId) -> String {
        let operation = self.history.operation(id);
        let (input, output) = (operation.input(), operation.output());
        let done = match operation.f() {
            "read" | "get" | "r" => format!("read {output}"),
            "write" | "put" | "w" => format!("wrote {input}"),
            "cas" => match input.as_list() {
                Some([expected, new]) => format!("replaced {expected} by {new}"),
                _ => format!("replaced {input}"),
            },
            "append" => format!("appended {input}"),
            "add" => format!("added {input}"),
            "delete" => "deleted it".to_owned(),
            f => format!("did {f} {input}"),
        };
        let place = operation.return_place().unwrap_or(operation.call_place());
        format!("{done} ({place})")
    }

    /// `key x: `, or nothing where there are no keys.
    pub(super) fn prefix(&self, object: &Object<'_>) -> String {
        object.key.as_ref().map_or(String::new(), |key| format!("key {}: ", key.name()))
    }

    /// A value of a register as it is told: `nothing` for none.
    pub(super) fn value(&self, value: ValueId) -> String {
        match value {
            ValueId::NIL => "nothing".to_owned(),
            value => self.history.values().get(value).to_string(),
        }
    }
}

impl<'h> Object<'h> {
    fn of(
        history: &'h History,
        key: Option<Value>,
        operations: &[Operation<'h>],
        options: &Options,
        is_final: impl Fn(Operation<'_>) -> bool,
    ) -> Self {
        let kind = kind(history, operations);
        let mut object = Object {
            key,
            kind,
            writes: Vec::new(),
            failed: Vec::new(),
            reads: Vec::new(),
            glimpses: Vec::new(),
            writers: FxHashMap::default(),
        };
        if !matches!(object.kind, Kind::Other(_)) {
            for &operation in operations {
                object.take(history, operation, options, is_final(operation));
            }
        }
        object.writes.sort_by_key(|write| write.span.call);
        object.reads.sort_by_key(|read| read.span.call);
        for (place, write) in object.writes.iter().enumerate() {
            object.writers.entry(write.value).or_default().push(place);
        }
        object.forget_initial(history, options);
        object
    }

    fn take(
        &mut self,
        history: &'h History,
        operation: Operation<'h>,
        options: &Options,
        is_final: bool,
    ) {
        let span = Span {
            id: operation.id(),
            process: operation.process(),
            call: operation.call(),
            ret: operation.ret(),
            is_acknowledged: operation.outcome() == Outcome::Ok,
        };
        let values = history.values();
        if is_read(operation.f()) {
            let output = operation.output_id();
            let says_nothing = output == ValueId::NIL && options.nil == NilRead::Unknown;
            if operation.outcome() != Outcome::Ok || says_nothing {
                return;
            }
            let lists = matches!(self.kind, Kind::Siblings | Kind::Collection { .. });
            let seen = match values.items(output) {
                Some(items) if lists => Cow::Borrowed(items),
                _ if output == ValueId::NIL => Cow::Borrowed(&[][..]),
                _ => Cow::Owned(vec![output]),
            };
            let number = operation.output().as_int().map_or(0, i128::from);
            self.reads.push(Read { span, seen, number, node: operation.answered_by(), is_final });
            return;
        }
        let input = operation.input_id();
        let amount = amount(operation);
        let node = operation.answered_by().filter(|_| span.is_acknowledged);
        let mut write = Write { span, value: input, found: None, amount, node };
        match (operation.f(), values.items(input)) {
            ("cas", Some(&[expected, new])) => (write.value, write.found) = (new, Some(expected)),
            ("delete", _) => write.value = ValueId::NIL,
            _ => {}
        }
        let is_mismatch = operation.f() == "cas" && operation.output() == Value::Bool(false);
        if operation.outcome() != Outcome::Fail && !is_mismatch {
            self.writes.push(write);
            return;
        }
        if write.found.is_some() {
            self.glimpses.push(Glimpse { span, seen: found_instead(history, operation) });
        }
        self.failed.push(write);
    }

    /// What was there at first and was never written is no value that somebody brought.
    fn forget_initial(&mut self, history: &History, options: &Options) {
        let Some(initial) = history.values().find(&options.initial) else { return };
        if self.kind != Kind::Register
            || initial == ValueId::NIL
            || self.writers.contains_key(&initial)
        {
            return;
        }
        for read in self.reads.iter_mut().filter(|read| read.value() == initial) {
            read.seen = Cow::Borrowed(&[]);
        }
    }

    /// The places of the writes of a value.
    pub(super) fn writers(&self, value: ValueId) -> &[usize] {
        self.writers.get(&value).map_or(&[], Vec::as_slice)
    }

    /// The latest final read of every node.
    pub(super) fn last_reads(&self) -> Vec<&Read<'h>> {
        let mut last: IndexMap<Option<&str>, &Read<'h>, FxBuildHasher> = IndexMap::default();
        for read in self.reads.iter().filter(|read| read.is_final) {
            last.insert(read.node, read);
        }
        last.into_values().collect()
    }

    /// Why nothing can be said of the object, if that is so.
    pub(super) fn puzzle(&self) -> Option<String> {
        match &self.kind {
            Kind::Other(why) => Some(why.clone()),
            _ => None,
        }
    }
}

pub(super) fn is_read(f: &str) -> bool {
    matches!(f, "read" | "get" | "r")
}

/// What a compare-and-set found that failed, where its error tells.
fn found_instead(history: &History, operation: Operation<'_>) -> Option<ValueId> {
    let error = operation.error()?;
    match error.as_text()?.strip_prefix(MISMATCH)? {
        "null" | "nil" => Some(ValueId::NIL),
        found => history.values().find(&Value::Int(found.parse().ok()?)),
    }
}

fn amount(operation: Operation<'_>) -> i128 {
    let given = operation.input().as_int().map_or(1, i128::from);
    match operation.f() {
        "add" | "increment" => given,
        "decrement" => -given,
        _ => 0,
    }
}

/// What a key is, by what is done with it and what its reads return.
fn kind(history: &History, operations: &[Operation<'_>]) -> Kind {
    let values = history.values();
    let mut has = Has::default();
    // A key that is only read is what the others are: where they are counters it reads as 0.
    if operations.iter().all(|it| is_read(it.f())) {
        has.counts = history.functions().any(|f| matches!(f, "increment" | "decrement"));
    }
    for operation in operations {
        match operation.f() {
            f if is_read(f) && operation.outcome() == Outcome::Ok => {
                has.text |= operation.output().as_text().is_some();
                has.list_reads |= values.items(operation.output_id()).is_some();
                has.numbers |= operation.output().as_int().is_some();
            }
            f if is_read(f) => {}
            "write" | "put" | "w" => {
                has.writes = true;
                has.list_writes |= values.items(operation.input_id()).is_some();
            }
            "cas" | "delete" => has.writes = true,
            "append" => has.appends = true,
            "add" => has.adds = true,
            "increment" | "decrement" => has.counts = true,
            f => return Kind::Other(format!("`{f}` is nothing that these promises speak of")),
        }
    }
    match has {
        Has { appends: true, writes: false, adds: false, counts: false, .. }
            if has.numbers || has.text =>
        {
            Kind::Other("what is appended is joined to text, not kept in a list".to_owned())
        }
        Has { appends: true, writes: false, adds: false, counts: false, .. } => {
            Kind::Collection { is_ordered: true }
        }
        Has { appends: false, writes: false, adds, counts, .. }
            if counts || (adds && has.numbers) =>
        {
            Kind::Counter
        }
        Has { adds: true, appends: false, writes: false, .. } => {
            Kind::Collection { is_ordered: false }
        }
        Has {
            appends: false,
            adds: false,
            counts: false,
            list_reads: true,
            list_writes: false,
            ..
        } => Kind::Siblings,
        Has { appends: false, adds: false, counts: false, .. } => Kind::Register,
        _ => Kind::Other("values are written and added to the same key".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Has {
    writes: bool,
    appends: bool,
    adds: bool,
    counts: bool,
    numbers: bool,
    text: bool,
    list_reads: bool,
    list_writes: bool,
}
