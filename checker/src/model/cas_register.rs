//! Registers: `read`, `write`, and for the cas-register `cas`, compare and set.

use std::hint::select_unpredictable;

use rustc_hash::FxHashSet;

use super::{
    Call, Model, ModelError, NilRead, Part, Specification, bad_input, bad_output, split, unknown,
};
use crate::explain::{self, Case, Finding};
use crate::history::{History, NEVER, Operation, Outcome, Value, ValueId};
use crate::linearizability::{self, Budget, Engine, Problem};

/// A register, with or without compare-and-set.
#[derive(Clone, Debug)]
pub struct CasRegister {
    initial: ValueId,
    initial_value: Value,
    nil: NilRead,
    has_cas: bool,
}

/// An operation on a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOperation {
    /// Returned this value.
    Read(ValueId),
    /// Set the value.
    Write(ValueId),
    /// Found the first value and set the second.
    Cas(ValueId, ValueId),
    /// Looked for this value and found another.
    CasMismatch(ValueId),
    /// Returned something that is not known.
    ReadUnknown,
}

use RegisterOperation::{Cas, CasMismatch, Read, ReadUnknown, Write};

impl RegisterOperation {
    /// The value that the operation brings about; `None` if it leaves the one it found.
    pub(crate) fn produces(self) -> Option<ValueId> {
        match self {
            Write(value) => Some(value),
            Cas(expected, new) => (expected != new).then_some(new),
            Read(_) | ReadUnknown | CasMismatch(_) => None,
        }
    }

    /// The value that the operation must find.
    pub(crate) fn needs(self) -> Option<ValueId> {
        match self {
            Read(value) | Cas(value, _) => Some(value),
            Write(_) | ReadUnknown | CasMismatch(_) => None,
        }
    }
}

impl CasRegister {
    /// The register that a model promises, if it is one.
    pub(crate) fn of(model: &Model, history: &History) -> Option<Self> {
        match model {
            Model::Register { initial, nil } => Some(Self::new(history, initial, *nil, false)),
            Model::CasRegister { initial, nil } => Some(Self::new(history, initial, *nil, true)),
            _ => None,
        }
    }

    /// A register that is nothing at first, with compare-and-set.
    pub(crate) fn plain() -> Self {
        let (initial, initial_value) = (ValueId::FOREIGN, Value::Nil);
        CasRegister { initial, initial_value, nil: NilRead::Absent, has_cas: true }
    }

    pub(super) fn new(history: &History, initial: &Value, nil: NilRead, has_cas: bool) -> Self {
        let id = history.values().find(initial).unwrap_or(ValueId::FOREIGN);
        CasRegister { initial: id, initial_value: initial.clone(), nil, has_cas }
    }
}

/// What the functions of a history mean to a register.
#[derive(Clone, Copy, Debug)]
enum Function {
    Read,
    Write,
    Cas,
    Unknown,
}

/// Reads the operations of a history.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    history: &'a History,
    register: &'a CasRegister,
    functions: Vec<Function>,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(history: &'a History, register: &'a CasRegister) -> Self {
        let function = |name| match name {
            "read" | "r" => Function::Read,
            "write" | "w" => Function::Write,
            "cas" if register.has_cas => Function::Cas,
            _ => Function::Unknown,
        };
        Decoder { history, register, functions: history.functions().map(function).collect() }
    }

    /// What an operation did that certainly happened, if that is as simple as it mostly is.
    #[inline(always)]
    pub(crate) fn decode_plain(&self, operation: Operation<'_>) -> Option<RegisterOperation> {
        let function = self.functions[operation.function_id()];
        // Whether something was read or written is a coin toss: no branch may hang on it.
        let wrote = matches!(function, Function::Write);
        let value = select_unpredictable(wrote, operation.input_id(), operation.output_id());
        let is_plain = matches!(function, Function::Read | Function::Write)
            & (operation.outcome() == Outcome::Ok)
            & (value != ValueId::NIL);
        is_plain.then_some(if wrote { Write(value) } else { Read(value) })
    }

    /// What an operation did; `None` if nobody knows and it can have changed nothing.
    pub(crate) fn decode(
        &self,
        operation: Operation<'_>,
    ) -> Result<Option<RegisterOperation>, ModelError> {
        Ok(match (self.functions[operation.function_id()], operation.outcome()) {
            (Function::Read, Outcome::Info) => None,
            (Function::Read, _) => Some(match (operation.output_id(), self.register.nil) {
                (ValueId::NIL, NilRead::Unknown) => ReadUnknown,
                (value, _) => Read(value),
            }),
            (Function::Write, _) => Some(Write(operation.input_id())),
            (Function::Cas, _) => Some(cas(self.history, operation)?),
            (Function::Unknown, _) => return Err(self.unknown(operation)),
        })
    }

    #[cold]
    fn unknown(&self, operation: Operation<'_>) -> ModelError {
        match self.register.has_cas {
            true => unknown(operation, "cas-register", "read, write, cas"),
            false => unknown(operation, "register", "read, write"),
        }
    }
}

/// A `cas` is `[expected new]`. Its completion repeats that, says `true`, or says nothing, if it
/// took place, and says `false` if the value was another.
fn cas(history: &History, operation: Operation<'_>) -> Result<RegisterOperation, ModelError> {
    let Some(&[expected, new]) = history.values().items(operation.input_id()) else {
        return Err(bad_input(operation, "a pair [expected new]"));
    };
    let output = operation.output_id();
    match history.values().atom(output) {
        _ if operation.outcome() != Outcome::Ok || output == operation.input_id() => {
            Ok(Cas(expected, new))
        }
        Some(Value::Nil | Value::Bool(true)) => Ok(Cas(expected, new)),
        Some(Value::Bool(false)) => Ok(CasMismatch(expected)),
        _ => Err(bad_output(operation, "the same pair, true or false")),
    }
}

pub(super) fn parts(
    history: &History,
    model: &CasRegister,
) -> Result<Vec<Part<CasRegister>>, ModelError> {
    let decoder = Decoder::new(history, model);
    split(history, model, |operation| match decoder.decode_plain(operation) {
        None => decoder.decode(operation),
        plain => Ok(plain),
    })
}

impl Specification for CasRegister {
    type Operation = RegisterOperation;
    type State = ValueId;

    fn init(&self) -> ValueId {
        self.initial
    }

    fn step(&self, state: &ValueId, operation: &RegisterOperation) -> Option<ValueId> {
        match *operation {
            Read(value) => (*state == value).then_some(value),
            ReadUnknown => Some(*state),
            Write(value) => Some(value),
            Cas(expected, new) => (*state == expected).then_some(new),
            CasMismatch(expected) => (*state != expected).then_some(*state),
        }
    }

    /// A cas that sets what it found is a read.
    fn is_read(&self, operation: &RegisterOperation) -> bool {
        operation.produces().is_none()
    }

    fn overwrites(&self, operation: &RegisterOperation) -> bool {
        operation.produces().is_some()
    }

    fn observes(&self, observer: &RegisterOperation, mutator: &RegisterOperation) -> bool {
        let Some(written) = mutator.produces() else { return false };
        match *observer {
            Read(value) | Cas(value, _) => value == written,
            CasMismatch(value) => value != written,
            ReadUnknown | Write(_) => false,
        }
    }

    /// A crashed mutator whose value nobody needs later changes nothing: whatever is legal right
    /// after it is a write, which is legal without it too. Somebody needs a value if it completed
    /// and read or expected it, or crashed, expected it, and is needed itself. One failed cas
    /// needs every value but one, and so keeps all.
    fn unneeded(&self, calls: &[Call<RegisterOperation>]) -> Vec<bool> {
        let mut needed = FxHashSet::default();
        let mut crashed_cas: Vec<(ValueId, ValueId)> = Vec::new();
        for call in calls {
            match call.operation {
                CasMismatch(_) => return vec![false; calls.len()],
                Cas(expected, new) if call.ret == NEVER => crashed_cas.push((expected, new)),
                Read(value) | Cas(value, _) => {
                    needed.insert(value);
                }
                ReadUnknown | Write(_) => {}
            }
        }
        loop {
            let before = crashed_cas.len();
            crashed_cas.retain(|&(expected, new)| {
                let wanted = needed.contains(&new);
                if wanted {
                    needed.insert(expected);
                }
                !wanted
            });
            if crashed_cas.len() == before {
                break;
            }
        }
        let unneeded = |call: &Call<RegisterOperation>| match call.operation {
            Write(value) | Cas(_, value) => call.ret == NEVER && !needed.contains(&value),
            _ => false,
        };
        calls.iter().map(unneeded).collect()
    }

    const ENGINES: &'static [Engine] = &[Engine::Zones, Engine::Lazy];

    fn decide_with(
        engine: Engine,
        problem: &Problem<'_, Self>,
        budget: &Budget,
    ) -> Option<linearizability::Outcome<ValueId>> {
        match engine {
            Engine::Zones => linearizability::decide_register(problem, budget),
            Engine::Lazy => {
                let as_register = |&operation: &RegisterOperation| Some(operation);
                linearizability::decide_lazily(*problem.start, problem.calls, as_register, budget)
            }
            Engine::Elements | Engine::General => None,
        }
    }

    fn diagnose(&self, case: &Case<'_, RegisterOperation>) -> Option<Finding> {
        explain::diagnose_register(self.initial, case)
    }

    fn describe(&self, history: &History, state: &ValueId) -> String {
        match *state {
            ValueId::FOREIGN => self.initial_value.to_string(),
            value => history.values().get(value).to_string(),
        }
    }
}
