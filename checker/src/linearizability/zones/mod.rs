//! Zones: objects whose values each have one maker, decided in linear time without a search.
//!
//! Where every value is written at most once, all operations that found or made one value stand
//! together in any legal order: the write, then its reads. Gibbons & Korach ("Testing Shared
//! Memories", SIAM J. Comput. 1997, section 4) decide that by the *zone* of such a cluster, which
//! reaches from the first completion among its operations to the last invocation. If the first
//! completion comes first, the value was certainly there throughout (a *forward* zone); otherwise
//! some instant in between is enough (a *backward* zone). One cluster must precede another if and
//! only if its first completion lies before the other's last invocation, so two of them
//! contradict each other if two forward zones overlap, or a backward zone lies within a forward
//! one. There is no other contradiction: in a shortest cycle of clusters, the one that completes
//! first precedes all others, also its own predecessor, so the cycle has only two.
//!
//! An operation that finds one value and makes another (compare-and-set, append) must directly
//! follow the cluster of what it found. Such clusters form a *chain*, which as a whole has a zone;
//! inside a chain, nothing may complete before something of an earlier cluster begins.
//!
//! An operation of unknown outcome took effect if and only if somebody completed who needs it.
//! That a value has one maker is never assumed: where it has two, these engines decline.

mod clusters;
mod first_bad;
mod kv;
mod register;
mod rows;
mod slots;
mod sweep;
mod tokens;

use super::Resource;

pub(crate) use kv::decide as decide_kv;
pub(crate) use register::{decide as decide_register, order_columns};
pub(crate) use rows::Columns;

/// Why operations have no legal order, or get none here.
#[derive(Debug)]
enum Flaw {
    /// Some value has two makers, or the operations are of a kind that zones cannot decide.
    Unsuitable,
    /// These clusters contradict each other, or one of them itself.
    Contradiction(Contradiction),
    /// A bound was hit.
    Exhausted(Resource),
}

impl From<Resource> for Flaw {
    fn from(resource: Resource) -> Self {
        Flaw::Exhausted(resource)
    }
}

/// Clusters that cannot all be, by their numbers.
#[derive(Clone, Copy, Debug)]
struct Contradiction {
    clusters: [u32; 2],
    /// The rank by which that is certain.
    by: u32,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use crate::History;
    use crate::history::NEVER;
    use crate::linearizability::{Budget, Engine, Outcome, Problem, brute, decide_fully};
    use crate::model::{Call, Model, Part, Specification, Visitor};
    use crate::unique::{Unique, unique};

    /// Holds the engine to the definition, and counts what it decides: declined, violations, and
    /// linearizable ones.
    struct Held<'a> {
        history: &'a History,
        context: &'a str,
        counts: &'a mut [usize; 3],
    }

    impl Visitor for Held<'_> {
        type Output = ();

        fn visit<S: Specification>(self, parts: Vec<Part<S>>) {
            for part in &parts {
                let (specification, calls) = (&part.specification, &part.calls[..]);
                let budget = Budget::new(Duration::from_secs(3600), 1 << 30);
                let problem = Problem { specification, start: &specification.init(), calls };
                let context = format!("{}: {calls:#?}", self.context);
                let truth = brute::linearizable(specification, calls) == Some(true);
                let verdict = match S::decide_with(Engine::Zones, &problem, &budget) {
                    None => 0,
                    Some(Outcome::Violation { stuck, states }) => {
                        assert!(!truth, "{context}");
                        self.check_violation(part, stuck, &states, &context);
                        1
                    }
                    Some(Outcome::Linearizable(order)) => {
                        assert!(truth, "{context}");
                        check_order(part, &order, &context);
                        2
                    }
                    Some(Outcome::Exhausted { .. }) => panic!("{context}"),
                };
                self.counts[verdict] += 1;
            }
        }
    }

    impl Held<'_> {
        /// The stuck operation is the first, and the states before it are all there are.
        fn check_violation<S: Specification>(
            &self,
            part: &Part<S>,
            stuck: u32,
            states: &[S::State],
            context: &str,
        ) {
            let specification = &part.specification;
            let rank = part.calls[stuck as usize].ret;
            let upto = |rank| prefix(part, rank);
            assert_ne!(rank, NEVER, "{context}");
            let bad = brute::linearizable(specification, &upto(rank));
            assert_eq!(bad, Some(false), "{context} is not stuck at {stuck}");
            let good = brute::linearizable(specification, &upto(rank - 1));
            assert_eq!(good, Some(true), "{context} is stuck before {stuck}");
            let budget = Budget::new(Duration::from_secs(3600), 1 << 30);
            let (calls, start) = (&upto(rank)[..], &specification.init());
            let problem = Problem { specification, start, calls };
            let Outcome::Violation { states: all, .. } = decide_fully(&problem, &budget) else {
                panic!("{context}");
            };
            let told = |states: &[S::State]| -> BTreeSet<String> {
                states.iter().map(|state| specification.describe(self.history, state)).collect()
            };
            if !states.is_empty() {
                assert_eq!(told(states), told(&all), "{context} is stuck at {stuck}");
            }
        }
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
    fn check_order<S: Specification>(part: &Part<S>, order: &[u32], context: &str) {
        let mut state = part.specification.init();
        let mut left: BTreeSet<u32> = (0..part.calls.len() as u32).collect();
        for index in order {
            assert!(left.remove(index), "{context}: {order:?}");
            let call = &part.calls[*index as usize];
            let in_time = left.iter().all(|&other| call.call < part.calls[other as usize].ret);
            assert!(in_time, "{context}: {order:?}");
            state = part.specification.step(&state, &call.operation).expect(context);
        }
        assert!(left.iter().all(|&other| part.calls[other as usize].ret == NEVER), "{context}");
    }

    fn agrees(object: Unique) {
        let mut counts = [0; 3];
        for seed in 0..100_000 {
            // The largest take the definition most of the time.
            let max = brute::LIMIT - (seed % 3) as usize;
            let (history, mut rng) = unique(object, seed, max);
            let name = object.model(&mut rng);
            let model: Model = name.parse().expect(name);
            let context = format!("{object:?} {seed} as {name}");
            let held = Held { history: &history, context: &context, counts: &mut counts };
            model.decode(&history, held).expect(name);
        }
        let [declined, violations, linearizable] = counts;
        assert!(declined > 500 && declined < 30_000, "{object:?}: {counts:?}");
        assert!(violations.min(linearizable) > 20_000, "{object:?}: {counts:?}");
    }

    #[test]
    fn registers_agree_with_the_definition() {
        agrees(Unique::Register);
    }

    #[test]
    fn cas_registers_agree_with_the_definition() {
        agrees(Unique::CasRegister);
    }

    #[test]
    fn keys_of_whole_values_agree_with_the_definition() {
        agrees(Unique::KvWhole);
    }

    #[test]
    fn keys_of_text_agree_with_the_definition() {
        agrees(Unique::KvText);
    }

    #[test]
    fn keys_of_lists_agree_with_the_definition() {
        agrees(Unique::KvList);
    }
}
