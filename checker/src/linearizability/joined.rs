//! All objects of a history as one: what a check without partition decides.
//!
//! Linearizability is local (Herlihy & Wing, TOPLAS 1990, theorem 1), so that deciding the objects
//! together finds nothing that deciding each alone does not. It shows what a search makes of states
//! that have parts which the model cannot name, and it is the oracle for the split.

use crate::history::{History, Value};
use crate::model::{Call, Part, Specification};

/// The specification of several objects.
#[derive(Debug)]
pub(super) struct Joined<'a, S: Specification> {
    objects: Vec<Object<'a, S>>,
}

/// One of them, focused if it can be.
#[derive(Debug)]
struct Object<'a, S: Specification> {
    key: Option<&'a Value>,
    plain: &'a S,
    focused: Option<S>,
}

impl<S: Specification> Object<'_, S> {
    fn specification(&self) -> &S {
        self.focused.as_ref().unwrap_or(self.plain)
    }
}

/// An operation on the object with this number.
type On<O> = (u32, O);

/// The objects as one part.
pub(super) fn join<S: Specification>(parts: &[Part<S>]) -> Part<Joined<'_, S>> {
    let object = |part| {
        let Part { key, specification, .. }: &Part<S> = part;
        Object { key: key.as_ref(), plain: specification, focused: None }
    };
    let on = |number: usize, call: &Call<S::Operation>| Call {
        id: call.id,
        operation: (number as u32, call.operation.clone()),
        call: call.call,
        ret: call.ret,
    };
    let mut calls: Vec<Call<On<S::Operation>>> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        calls.extend(part.calls.iter().map(|call| on(number, call)));
    }
    calls.sort_unstable_by_key(|call| call.call);
    let specification = Joined { objects: parts.iter().map(object).collect() };
    Part { key: None, specification, calls, failed: Vec::new() }
}

/// Where a violation of the joined part stands among the parts: the number of the part whose
/// operation cannot be placed, and that operation's number there. By locality the operations before
/// that return are linearizable object by object, and so it is this object's violation.
pub(super) fn locate<S: Specification>(
    parts: &[Part<S>],
    joined: &Part<Joined<'_, S>>,
    stuck: u32,
) -> (usize, u32) {
    let &Call { call: rank, operation: (number, _), .. } = &joined.calls[stuck as usize];
    let calls = &parts[number as usize].calls;
    (number as usize, calls.partition_point(|call| call.call < rank) as u32)
}

/// The calls of one object, and where each stands among all.
fn of<O: Clone>(calls: &[Call<On<O>>], number: usize) -> (Vec<Call<O>>, Vec<usize>) {
    let own = |(_, call): &(usize, &Call<On<O>>)| call.operation.0 as usize == number;
    let plain = |(index, call): (usize, &Call<On<O>>)| {
        let operation = call.operation.1.clone();
        (Call { id: call.id, operation, call: call.call, ret: call.ret }, index)
    };
    calls.iter().enumerate().filter(own).map(plain).unzip()
}

impl<'a, S: Specification> Specification for Joined<'a, S> {
    type Operation = On<S::Operation>;
    type State = Vec<S::State>;

    fn init(&self) -> Vec<S::State> {
        self.objects.iter().map(|object| object.specification().init()).collect()
    }

    fn step(
        &self,
        state: &Vec<S::State>,
        (number, operation): &On<S::Operation>,
    ) -> Option<Vec<S::State>> {
        let index = *number as usize;
        let next = self.objects[index].specification().step(&state[index], operation)?;
        let mut state = state.clone();
        state[index] = next;
        Some(state)
    }

    fn places(&self, &(number, _): &On<S::Operation>) -> Option<Vec<u64>> {
        Some(vec![u64::from(number)])
    }

    fn is_read(&self, (number, operation): &On<S::Operation>) -> bool {
        self.objects[*number as usize].plain.is_read(operation)
    }

    fn focus(&self, calls: &[Call<On<S::Operation>>]) -> Option<Self> {
        let focused = |(number, object): (usize, &Object<'a, S>)| Object {
            focused: object.plain.focus(&of(calls, number).0),
            ..*object
        };
        let objects: Vec<_> = self.objects.iter().enumerate().map(focused).collect();
        objects.iter().any(|object| object.focused.is_some()).then_some(Joined { objects })
    }

    fn lost(&self, state: &Vec<S::State>) -> usize {
        let each = self.objects.iter().zip(state);
        each.map(|(object, state)| object.specification().lost(state)).sum()
    }

    fn unneeded(&self, calls: &[Call<On<S::Operation>>]) -> Vec<bool> {
        let mut unneeded = vec![false; calls.len()];
        for (number, object) in self.objects.iter().enumerate() {
            let (own, indices) = of(calls, number);
            for (index, is_unneeded) in indices.into_iter().zip(object.plain.unneeded(&own)) {
                unneeded[index] = is_unneeded;
            }
        }
        unneeded
    }

    fn size(&self, state: &Vec<S::State>) -> usize {
        let sizes = self.objects.iter().zip(state);
        let owned: usize = sizes.map(|(object, state)| object.specification().size(state)).sum();
        size_of::<Vec<S::State>>() + owned
    }

    fn describe(&self, history: &History, state: &Vec<S::State>) -> String {
        let one = |(object, state): (&Object<'a, S>, &S::State)| {
            let described = object.specification().describe(history, state);
            match object.key {
                Some(key) => format!("{} = {described}", key.name()),
                None => described,
            }
        };
        let all: Vec<String> = self.objects.iter().zip(state).map(one).collect();
        all.join(", ")
    }
}
