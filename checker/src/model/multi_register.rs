//! Several registers that one transaction touches at once: `txn` of `[[read x 1] [write y 2]]`.
//!
//! As in Knossos, the micro-operations of a transaction run in order at one instant, and later
//! ones see earlier ones.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::{
    Call, ModelError, NilRead, Part, RegisterOperation, Specification, bad_input, bad_output,
    by_key, part, unknown,
};
use crate::explain::{self, Case, Finding};
use crate::history::{History, Operation, Outcome, Value, ValueId};

/// The registers of one part.
#[derive(Clone, Debug)]
pub struct MultiRegister {
    registers: Vec<ValueId>,
    initial: Vec<ValueId>,
    initial_values: Vec<Value>,
}

/// One step of a transaction; registers are numbered within the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MicroOperation {
    /// The register had this value.
    Read(u32, ValueId),
    /// The register was set.
    Write(u32, ValueId),
}

use MicroOperation::{Read, Write};

type Registers = IndexMap<ValueId, (), FxBuildHasher>;

pub(super) fn parts(
    history: &History,
    initial: &[(Value, Value)],
    nil: NilRead,
) -> Result<Vec<Part<MultiRegister>>, ModelError> {
    by_key(history)
        .into_iter()
        .map(|(key, ids)| {
            let mut registers = Registers::default();
            let mut decoded = Vec::with_capacity(ids.len());
            for &id in &ids {
                decoded.push(decode(history, history.operation(id), nil, &mut registers)?);
            }
            let specification =
                MultiRegister::new(history, registers.into_keys().collect(), initial);
            let mut decoded = decoded.into_iter();
            part(history, key, &ids, specification, |_, _| Ok(decoded.next().flatten()))
        })
        .collect()
}

/// The micro-operations; reads whose answer is not known are left out, and a transaction without
/// any effect or answer constrains nothing.
fn decode(
    history: &History,
    operation: Operation<'_>,
    nil: NilRead,
    registers: &mut Registers,
) -> Result<Option<Vec<MicroOperation>>, ModelError> {
    if operation.f() != "txn" {
        return Err(unknown(operation, "multi-register", "txn"));
    }
    let answered = operation.outcome() == Outcome::Ok;
    let expected = "a list of [read register value] and [write register value]";
    let malformed = |operation| match answered {
        true => bad_output(operation, expected),
        false => bad_input(operation, expected),
    };
    let transaction = if answered { operation.output_id() } else { operation.input_id() };
    let steps = history.values().items(transaction).ok_or_else(|| malformed(operation))?;
    let mut micro = Vec::with_capacity(steps.len());
    for &step in steps {
        let Some(&[f, register, value]) = history.values().items(step) else {
            return Err(malformed(operation));
        };
        let number = registers.insert_full(register, ()).0 as u32;
        match history.values().atom(f).and_then(Value::as_text) {
            Some("write" | "w") => micro.push(Write(number, value)),
            Some("read" | "r") => {
                let unknown = value == ValueId::NIL && nil == NilRead::Unknown;
                if answered && !unknown {
                    micro.push(Read(number, value));
                }
            }
            _ => return Err(malformed(operation)),
        }
    }
    Ok((!micro.is_empty()).then_some(micro))
}

impl MultiRegister {
    fn new(history: &History, registers: Vec<ValueId>, initial: &[(Value, Value)]) -> Self {
        let given = |register: &ValueId| {
            let name = history.values().get(*register);
            initial
                .iter()
                .find(|(key, _)| *key == name)
                .map_or(Value::Nil, |(_, value)| value.clone())
        };
        let initial_values: Vec<Value> = registers.iter().map(given).collect();
        let id = |value: &Value| history.values().find(value).unwrap_or(ValueId::FOREIGN);
        MultiRegister {
            initial: initial_values.iter().map(id).collect(),
            initial_values,
            registers,
        }
    }
}

/// What a transaction does to one register: what it found, if it looked before it wrote, and what
/// it left.
fn project(call: &Call<Vec<MicroOperation>>, register: u32) -> Option<Call<RegisterOperation>> {
    let here =
        |micro: &&MicroOperation| matches!(**micro, Read(r, _) | Write(r, _) if r == register);
    let found = match call.operation.iter().find(here)? {
        Read(_, value) => Some(*value),
        Write(..) => None,
    };
    let operation = match (found, last_write(&call.operation, register)) {
        (Some(found), Some(left)) => RegisterOperation::Cas(found, left),
        (Some(found), None) => RegisterOperation::Read(found),
        (None, left) => RegisterOperation::Write(left?),
    };
    Some(Call { id: call.id, operation, call: call.call, ret: call.ret })
}

/// What a transaction leaves in a register, if it writes it.
fn last_write(transaction: &[MicroOperation], register: u32) -> Option<ValueId> {
    transaction.iter().rev().find_map(|micro| match *micro {
        Write(r, value) if r == register => Some(value),
        Write(..) | Read(..) => None,
    })
}

impl Specification for MultiRegister {
    type Operation = Vec<MicroOperation>;
    /// The values, by number of the register.
    type State = Box<[ValueId]>;

    fn init(&self) -> Box<[ValueId]> {
        self.initial.clone().into_boxed_slice()
    }

    fn step(
        &self,
        state: &Box<[ValueId]>,
        operation: &Vec<MicroOperation>,
    ) -> Option<Box<[ValueId]>> {
        let mut state = state.clone();
        for micro in operation {
            match *micro {
                Read(register, value) if state[register as usize] != value => return None,
                Read(..) => {}
                Write(register, value) => state[register as usize] = value,
            }
        }
        Some(state)
    }

    fn places(&self, operation: &Vec<MicroOperation>) -> Option<Vec<u64>> {
        let register = |micro: &MicroOperation| match *micro {
            Read(register, _) | Write(register, _) => u64::from(register),
        };
        Some(operation.iter().map(register).collect())
    }

    fn is_read(&self, operation: &Vec<MicroOperation>) -> bool {
        operation.iter().all(|micro| matches!(micro, Read(..)))
    }

    fn observes(&self, observer: &Vec<MicroOperation>, mutator: &Vec<MicroOperation>) -> bool {
        let left = |register| last_write(mutator, register);
        let sees = |micro: &MicroOperation| match *micro {
            Read(register, value) => left(register) == Some(value),
            Write(..) => false,
        };
        observer.iter().any(sees)
    }

    /// Each register alone must make sense too.
    fn diagnose(&self, case: &Case<'_, Vec<MicroOperation>>) -> Option<Finding> {
        (0..self.registers.len()).find_map(|register| {
            let project = |call: &Call<Vec<MicroOperation>>| project(call, register as u32);
            let all = |calls: &[Call<_>]| calls.iter().filter_map(project).collect::<Vec<_>>();
            let (calls, every, failed) = (all(case.calls), all(case.all), all(case.failed));
            let stuck = project(case.stuck)?;
            let whole = case.whole;
            let case = Case { calls: &calls, all: &every, failed: &failed, stuck: &stuck, whole };
            explain::diagnose_register(self.initial[register], &case)
        })
    }

    fn size(&self, state: &Box<[ValueId]>) -> usize {
        size_of_val(state) + size_of_val::<[ValueId]>(state)
    }

    fn describe(&self, history: &History, state: &Box<[ValueId]>) -> String {
        let register = |(number, &value): (usize, &ValueId)| {
            let name = history.values().get(self.registers[number]);
            match value {
                ValueId::FOREIGN => format!("{name} {}", self.initial_values[number]),
                value => format!("{name} {}", history.values().get(value)),
            }
        };
        let registers: Vec<String> = state.iter().enumerate().map(register).collect();
        format!("{{{}}}", registers.join(", "))
    }
}
