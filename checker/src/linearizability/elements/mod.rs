//! Engines that know one data type each, and no search.
//!
//! Linearizability is NP-complete in general, but not for the objects that tests use most. Each of
//! these engines walks along the events once or a few times:
//!
//! | object | idea | time |
//! |---|---|---|
//! | mutex, set element | two states, changed as late as can be, earliest deadline first ([`toggle`]) | n log n |
//! | counter of equal steps | raised as late as can be, earliest deadline first ([`counter`]) | n log n |
//! | queue | two lines of events that release each other ([`queue`]) | n |
//! | stack | what stands at the bottom covers everything above it ([`stack`]) | n log n |
//! | priority queue | from the most urgent down, each at the first free instant ([`priority`]) | n log n |
//! | lock with owner, lease | nobody surely holds what somebody else is granted ([`lock`]) | n |
//! | fencing tokens | the order is that of the tokens ([`token`]) | n log n |
//! | grow-only set | the order is that of inclusion ([`inclusion`]) | n log n + what is read |
//!
//! Every one of them is held to trying out all orders, on random histories of few operations.

mod counter;
mod coverage;
mod inclusion;
mod items;
mod line;
mod lock;
mod priority;
mod queue;
mod stack;
mod toggle;
mod token;

use super::Outcome;
use super::budget::{Budget, Meter, Resource};

pub(crate) use counter::decide as decide_counter;
pub(crate) use inclusion::decide as decide_grow_only_set;
pub(crate) use items::{Items, decide as decide_container};
pub(crate) use lock::decide as decide_owner_lock;
pub(crate) use priority::order as order_priority_queue;
pub(crate) use queue::order as order_queue;
pub(crate) use stack::order as order_stack;
pub(crate) use toggle::{decide_mutex, decide_set};
pub(crate) use token::decide as decide_fencing_token;

/// What an engine finds: an order of the calls, or the call at whose return none is left.
type Answer = Result<Vec<u32>, u32>;

/// Lets an engine that holds so many bytes find its answer, if it has one.
fn within<State>(
    budget: &Budget,
    bytes: usize,
    find: impl FnOnce(&mut Meter<'_>) -> Result<Option<Answer>, Resource>,
) -> Option<Outcome<State>> {
    let mut meter = budget.meter();
    let found = meter.tick().and_then(|()| meter.draw(bytes)).and_then(|()| find(&mut meter));
    match found {
        Ok(Some(Ok(order))) => Some(Outcome::Linearizable(order)),
        Ok(Some(Err(stuck))) => Some(Outcome::Violation { stuck, states: Vec::new() }),
        Ok(None) => None,
        Err(resource) => Some(Outcome::Exhausted { resource, reached: None }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use crate::history::NEVER;
    use crate::linearizability::{Budget, Engine, Outcome, Problem, brute};
    use crate::model::{Call, Model, Part, Specification, Visitor};
    use crate::structures::{Structure, structure};

    /// Random histories of each structure.
    const CASES: u64 = 100_000;

    /// Holds the engine to the definition, and counts what it decides: declined, violations, and
    /// linearizable ones.
    struct Held<'a> {
        seed: u64,
        context: &'a str,
        counts: &'a mut [usize; 3],
    }

    impl Visitor for Held<'_> {
        type Output = ();

        fn visit<S: Specification>(self, parts: Vec<Part<S>>) {
            for part in &parts {
                let (specification, calls) = (&part.specification, &part.calls[..]);
                let budget = Budget::new(Duration::from_secs(3600), 1 << 30);
                let start = &start(part, self.seed);
                let problem = Problem { specification, start, calls };
                let context = format!("{} from {start:?}: {calls:#?}", self.context);
                let explained = |calls: &[Call<S::Operation>]| {
                    brute::linearizable_from(specification, start, calls).expect("few operations")
                };
                let verdict = match S::decide_with(Engine::Elements, &problem, &budget) {
                    None => 0,
                    Some(Outcome::Violation { stuck, .. }) => {
                        let rank = calls[stuck as usize].ret;
                        assert_ne!(rank, NEVER, "{context}");
                        assert!(
                            !explained(&prefix(part, rank)),
                            "{context} is not stuck at {stuck}"
                        );
                        let before = prefix(part, rank - 1);
                        assert!(explained(&before), "{context} is stuck before {stuck}");
                        1
                    }
                    Some(Outcome::Linearizable(order)) => {
                        check_order(part, start, &order, &context);
                        2
                    }
                    Some(Outcome::Exhausted { .. }) => panic!("{context}"),
                };
                self.counts[verdict] += 1;
            }
        }
    }

    /// A state to start from: mostly the initial one, else one that some operations lead to.
    fn start<S: Specification>(part: &Part<S>, seed: u64) -> S::State {
        let init = part.specification.init();
        if !seed.is_multiple_of(8) {
            return init;
        }
        part.calls.iter().enumerate().fold(init, |state, (index, call)| {
            let taken = seed >> (3 + index) & 1 == 1;
            let next = || part.specification.step(&state, &call.operation);
            taken.then(next).flatten().unwrap_or(state)
        })
    }

    /// The part as it was when the completion with this rank had just happened.
    fn prefix<S: Specification>(part: &Part<S>, rank: u32) -> Vec<Call<S::Operation>> {
        let begun = part.calls.iter().filter(|call| call.call < rank).cloned();
        let cut =
            begun.map(|call| Call { ret: if call.ret > rank { NEVER } else { call.ret }, ..call });
        let is_read = |call: &Call<_>| part.specification.is_read(&call.operation);
        cut.filter(|call| call.ret != NEVER || !is_read(call)).collect()
    }

    /// The order is legal, in real time, and leaves out nothing that happened.
    fn check_order<S: Specification>(
        part: &Part<S>,
        start: &S::State,
        order: &[u32],
        context: &str,
    ) {
        let mut state = start.clone();
        let mut left: BTreeSet<u32> = (0..part.calls.len() as u32).collect();
        for index in order {
            assert!(left.remove(index), "{context}: {order:?}");
            let call = &part.calls[*index as usize];
            let in_time = left.iter().all(|&other| call.call < part.calls[other as usize].ret);
            assert!(in_time, "{context}: {order:?}");
            let next = part.specification.step(&state, &call.operation);
            state = next.unwrap_or_else(|| panic!("{context}: {order:?}"));
        }
        assert!(left.iter().all(|&other| part.calls[other as usize].ret == NEVER), "{context}");
    }

    /// Holds the engine for a structure to the definition; of a hundred objects it may decline at
    /// most so many.
    fn agrees(of: Structure, declines: usize) {
        let cases = std::env::var("RASHOMON_CASES").ok().and_then(|cases| cases.parse().ok());
        let mut counts = [0; 3];
        for seed in 0..cases.unwrap_or(CASES) {
            let (history, name) = structure(of, seed, brute::LIMIT);
            let model: Model = name.parse().expect(name);
            let context = &format!("seed {seed} as {name}");
            model.decode(&history, Held { seed, context, counts: &mut counts }).expect(context);
        }
        println!("{of:?}: {counts:?}");
        let [declined, violations, linearizable] = counts;
        assert!(violations.min(linearizable) > 10_000, "{of:?}: {counts:?}");
        assert!(100 * declined <= declines * (violations + linearizable), "{of:?}: {counts:?}");
    }

    #[test]
    fn locks_agree_with_the_definition() {
        agrees(Structure::Mutex, 0);
        agrees(Structure::OwnerLock, 0);
        agrees(Structure::FencingToken, 0);
    }

    #[test]
    fn sets_agree_with_the_definition() {
        agrees(Structure::Set, 10);
        agrees(Structure::GrowOnlySet, 0);
    }

    #[test]
    fn counters_agree_with_the_definition() {
        agrees(Structure::Counter, 20);
    }

    #[test]
    fn containers_agree_with_the_definition() {
        for of in [Structure::Queue, Structure::Stack, Structure::PriorityQueue] {
            agrees(of, 12);
        }
    }
}
