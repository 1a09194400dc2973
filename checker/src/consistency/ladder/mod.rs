//! The ladder: the consistency models between linearizable and nothing, of registers.
//!
//! Sequential consistency is Lamport's (1979); the causal ones are those of Bouajjani, Enea,
//! Guerraoui & Hamza ("On Verifying Causal Consistency", POPL 2017); PRAM is Lipton & Sandberg's
//! (1988), coherence Goodman's (1989), regular and safe registers Lamport's (1986). What implies
//! what, by definition or by proof:
//!
//! ```text
//! linearizable ─┬─ sequential ─┬─ causal-memory ──────┬─ pram
//!               │              │                      └─ causal
//!               │              └─ causal-convergence ─┬─ causal
//!               │                                     └─ coherence
//!               └─ regular ── safe
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `trace` | a history as sessions that read and write, each read with its source |
//! | `order`, `clocks` | what must come before what: as a graph, and as vector clocks |
//! | `atomic` | linearizable registers, which have all rungs in them |
//! | [`atomicity`] | how far from linearizable they are |
//! | `saturation`, `search` | sequential |
//! | `causal` | causal, causal-convergence |
//! | `views` | causal-memory, pram |
//! | `coherence`, `regular` | coherence; regular, safe |
//! | `telling` | operations and cycles in words |

mod atomic;
pub mod atomicity;
mod causal;
mod clocks;
mod coherence;
mod order;
pub(super) mod regular;
mod saturation;
mod search;
mod telling;
mod trace;
mod views;

use std::cell::OnceCell;
use std::time::Duration;

use rustc_hash::FxHashSet;
use serde::Serialize;

use super::objects::Objects;
use super::{Edge, Finding, Violation};
use crate::history::{OpId, ValueId};
use crate::linearizability::Budget;
use causal::Causal;
use order::{Order, Step, Tie};
use search::Found;
use telling::Teller;
use trace::{Ambiguous, Trace};

pub use order::Reason;

/// The bad patterns of Bouajjani et al. (POPL 2017, section 5), by their names there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Anomaly {
    /// Session order and reads-from go in a circle.
    CyclicCO,
    /// A read saw what was there at first, although it knew of a write.
    WriteCOInitRead,
    /// A read saw a write that another one had overwritten of which it knew.
    WriteCORead,
    /// A read saw what nobody wrote.
    ThinAirRead,
    /// Sessions saw concurrent writes replace each other in different orders.
    CyclicCF,
    /// A session saw what was there at first after a write.
    WriteHBInitRead,
    /// A session saw writes of others in an order that there is none of.
    CyclicHB,
}

/// A rung that is judged by who read from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    Sequential,
    Causal,
    CausalMemory,
    CausalConvergence,
    Pram,
    Coherence,
}

/// Why a rung is broken, by nodes of the trace.
#[derive(Clone, Debug)]
struct Broken {
    cycle: Vec<Step>,
    proof: Vec<u32>,
    anomaly: Option<Anomaly>,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Cycle,
    /// The first step is a read that missed a write which comes before it.
    Missed {
        older: Option<u32>,
    },
    /// Every order was tried.
    NoOrder,
}

impl Broken {
    fn cycle(order: &Order, cycle: Vec<Step>, anomaly: Option<Anomaly>) -> Self {
        let proof = order.proof(&cycle);
        Broken { cycle, proof, anomaly, how: How::Cycle }
    }

    /// A read saw something, or nothing, that was overwritten by what leads to the read.
    fn missed(
        order: &Order,
        older: Option<(u32, Vec<Step>)>,
        read: u32,
        newer: u32,
        path: Vec<Step>,
        anomaly: Option<Anomaly>,
    ) -> Self {
        let mut proof = order.proof(&path);
        let mut cycle = vec![Step { from: read, to: newer, tie: Tie::missed() }];
        cycle.extend(path);
        let older = older.map(|(older, path)| {
            proof.extend(order.proof(&path));
            older
        });
        Broken { cycle, proof, anomaly, how: How::Missed { older } }
    }
}

/// What is known of a rung.
#[derive(Clone, Debug)]
enum Known {
    Fine,
    Broken(Box<Broken>),
    Unknown(String),
}

impl Known {
    fn of(broken: Option<Broken>) -> Self {
        broken.map_or(Known::Fine, |broken| Known::Broken(Box::new(broken)))
    }
}

/// The rungs of a history.
#[derive(Debug)]
pub(super) struct Ladder<'a, 'h> {
    objects: &'a Objects<'h>,
    initial: Option<ValueId>,
    /// Without reads that may have several sources.
    certain: Climb,
    /// With the likeliest of these.
    guessed: OnceCell<Climb>,
}

/// The rungs of a trace; what several need is found once.
#[derive(Debug)]
struct Climb {
    trace: Trace,
    linearizable: OnceCell<bool>,
    causality: OnceCell<Causal>,
    convergence: OnceCell<Known>,
    memory: OnceCell<Known>,
}

/// How many steps the search for a sequential order may take.
const STEPS: usize = 2_000_000;
/// The largest history that has no order of which a smaller part without one is sought, and the
/// steps for each part.
const SHRUNK: (usize, usize) = (256, 20_000);

impl<'a, 'h> Ladder<'a, 'h> {
    pub(super) fn new(objects: &'a Objects<'h>, initial: Option<ValueId>) -> Self {
        let certain = Climb::of(Trace::of(objects, initial, Ambiguous::LeftOut));
        Ladder { objects, initial, certain, guessed: OnceCell::new() }
    }

    pub(super) fn judge(&self, rung: Rung) -> Finding {
        let trace = &self.certain.trace;
        if let Some(read) = trace.thin_air {
            let sentence = named(&Teller::new(self.objects).thin_air(read), Anomaly::ThinAirRead);
            let anomaly = Some(Anomaly::ThinAirRead);
            let proof = trace.witnessed([read]);
            return Finding::Violated(Violation { anomaly, ..Violation::new(sentence, proof) });
        }
        match (self.certain.judge(rung), &trace.foreign, &trace.doubt) {
            (Known::Broken(broken), ..) => Finding::Violated(self.tell(&broken)),
            (_, Some(why), _) => Finding::Unknown { why: why.clone() },
            (Known::Unknown(why), None, _) => Finding::Unknown { why },
            (Known::Fine, None, None) => Finding::Held { tested: trace.reads },
            (Known::Fine, None, Some(why)) => match self.guessed().judge(rung) {
                Known::Fine => Finding::Held { tested: self.guessed().trace.reads },
                _ => Finding::Unknown { why: why.clone() },
            },
        }
    }

    fn guessed(&self) -> &Climb {
        self.guessed
            .get_or_init(|| Climb::of(Trace::of(self.objects, self.initial, Ambiguous::Guessed)))
    }

    fn tell(&self, broken: &Broken) -> Violation {
        let trace = &self.certain.trace;
        let id = |node: u32| trace.node(node).id;
        let edge = |step: &Step| Edge {
            from: id(step.from),
            to: id(step.to),
            reason: step.tie.reason,
            by: step.tie.by.map(id),
        };
        // A compare-and-set is two nodes.
        let edges: Vec<Edge> =
            broken.cycle.iter().map(edge).filter(|edge| edge.from != edge.to).collect();
        let teller = Teller::new(self.objects);
        let sentence = match (broken.how, edges.as_slice()) {
            (How::Missed { older }, [missed, path @ ..]) => {
                teller.missed(missed.from, missed.to, path, older.map(id))
            }
            (How::NoOrder, _) => {
                let count = broken.proof.iter().map(|node| id(*node)).collect::<FxHashSet<_>>();
                format!("of all orders of these {} operations none explains them", count.len())
            }
            (_, edges) => teller.cycle(edges),
        };
        let sentence = match broken.anomaly {
            Some(anomaly) => named(&sentence, anomaly),
            None => sentence,
        };
        let proof = trace.witnessed(broken.proof.iter().map(|node| id(*node)));
        let violation = Violation::new(sentence, proof);
        Violation { anomaly: broken.anomaly, cycle: edges, ..violation }
    }
}

impl Climb {
    fn of(trace: Trace) -> Self {
        Climb {
            trace,
            linearizable: OnceCell::new(),
            causality: OnceCell::new(),
            convergence: OnceCell::new(),
            memory: OnceCell::new(),
        }
    }

    fn judge(&self, rung: Rung) -> Known {
        if self.is_linearizable() { Known::Fine } else { self.known(rung) }
    }

    fn known(&self, rung: Rung) -> Known {
        match rung {
            Rung::Causal => Known::of(self.causality().broken.clone()),
            Rung::CausalConvergence => self.convergence().clone(),
            Rung::CausalMemory => self.memory().clone(),
            Rung::Pram => Known::of(views::judge(&self.trace, views::Of::Sessions)),
            Rung::Coherence => Known::of(coherence::judge(&self.trace)),
            Rung::Sequential => match (self.convergence(), self.memory()) {
                (Known::Fine, Known::Fine) => self.sequential(),
                (Known::Fine, memory) => memory.clone(),
                (convergence, _) => convergence.clone(),
            },
        }
    }

    /// Whether all keys are linearizable, which has every rung in it.
    fn is_linearizable(&self) -> bool {
        *self.linearizable.get_or_init(|| {
            let budget = Budget::new(Duration::from_secs(10), 1 << 30);
            let mut keys = atomic::intervals(&self.trace).into_iter();
            keys.all(|key| atomic::is_linearizable(&key, &budget) == Some(true))
        })
    }

    fn causality(&self) -> &Causal {
        self.causality.get_or_init(|| Causal::of(&self.trace))
    }

    fn convergence(&self) -> &Known {
        self.convergence.get_or_init(|| {
            let causal = self.causality();
            match &causal.broken {
                Some(broken) => Known::of(Some(broken.clone())),
                None => Known::of(causal.convergence()),
            }
        })
    }

    fn memory(&self) -> &Known {
        self.memory.get_or_init(|| match &self.causality().broken {
            Some(broken) => Known::of(Some(broken.clone())),
            None => Known::of(views::judge(&self.trace, views::Of::Causality)),
        })
    }

    /// Where all that is weaker holds.
    fn sequential(&self) -> Known {
        let trace = &self.trace;
        // Where there is an order, mostly the first steps lead to it.
        let conflicts = &self.causality().conflicts;
        if search::search(trace, conflicts, 2 * trace.len()) == Found::Order {
            return Known::Fine;
        }
        let forced = match saturation::saturate(trace, &self.causality().sorted) {
            Ok(forced) => forced,
            Err(broken) => return Known::Broken(Box::new(broken)),
        };
        match search::search(trace, &forced, STEPS) {
            Found::Order => Known::Fine,
            Found::Nothing => Known::Unknown(format!(
                "neither an order nor a reason that there is none was found in {STEPS} steps"
            )),
            Found::NoOrder => Known::Broken(Box::new(Broken {
                cycle: Vec::new(),
                proof: self.smallest(),
                anomaly: None,
                how: How::NoOrder,
            })),
        }
    }

    /// Operations that have no sequential order, none of which can be left out if they are few.
    fn smallest(&self) -> Vec<u32> {
        let trace = &self.trace;
        let mut ids: Vec<OpId> = trace.nodes.iter().map(|node| node.id).collect();
        ids.dedup();
        let mut gone: FxHashSet<OpId> = FxHashSet::default();
        if ids.len() <= SHRUNK.0 {
            for id in ids {
                let mut fewer = gone.clone();
                trace.leave_out(id, &mut fewer);
                if search::search(&trace.without(&fewer), &[], SHRUNK.1) == Found::NoOrder {
                    gone = fewer;
                }
            }
        }
        let nodes = 0..trace.len() as u32;
        nodes.filter(|node| !gone.contains(&trace.node(*node).id)).collect()
    }
}

fn named(sentence: &str, anomaly: Anomaly) -> String {
    format!("{sentence} ({})", anomaly.as_str())
}
