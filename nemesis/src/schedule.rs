//! Schedules: which faults strike when, as data that people can write, read and cut down.
//!
//! One step a line, in the format that is also printed:
//!
//! ```text
//! seed 7                        # decides what is left open: who is `random 1`?
//! at 3.2s cut leader | rest     # both ways; `leader -> rest` is one way
//! at 7.9s heal
//! at 9s kill random 1
//! at 12s restart
//! at 13s add                    # the next new node; `retire n2`, `remove n2`, `transfer to n3`
//! at 14s when leader changes + 5ms cut leader | rest
//! ```
//!
//! A step may wait for something once its time has come: the last one strikes five milliseconds after
//! the first change of leader that follows, whenever that is, or never.
//!
//! A `;` ends a step like the end of a line; `#` begins a comment. Steps may stand in any order.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::fault::{Fault, UnknownNode};
use crate::nodes::Node;
use crate::text::{Cursor, ParseError, display_time, text_form};

/// A fault and its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// When, since the run began.
    pub at: Duration,
    /// What it waits for from then on, if for anything.
    pub trigger: Option<Trigger>,
    /// What.
    pub fault: Fault,
}

/// What a step may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Another node begins to lead, or the same in a later term; and then so long.
    LeaderChange(Duration),
}

impl Step {
    /// A fault at a time.
    pub fn at(at: Duration, fault: Fault) -> Self {
        Step { at, trigger: None, fault }
    }

    /// A fault so long after the first change of leader that follows a time.
    pub fn upon_leader(at: Duration, delay: Duration, fault: Fault) -> Self {
        Step { at, trigger: Some(Trigger::LeaderChange(delay)), fault }
    }

    /// What follows `at`.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let at = cursor.time()?;
        let trigger = if cursor.take("when") { Some(Trigger::parse(cursor)?) } else { None };
        Ok(Step { at, trigger, fault: Fault::parse(cursor)? })
    }
}

impl Trigger {
    /// What follows `when`.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        for word in ["leader", "changes"] {
            if !cursor.take(word) {
                return Err(cursor.error("`leader changes`"));
            }
        }
        let delay = if cursor.take("+") { cursor.time()? } else { Duration::ZERO };
        Ok(Trigger::LeaderChange(delay))
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trigger::LeaderChange(delay) = self;
        f.write_str("when leader changes")?;
        if delay.is_zero() { Ok(()) } else { write!(f, " + {}", display_time(*delay)) }
    }
}

/// Faults and their times, in order of time, and the seed of what they leave to chance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Schedule {
    seed: u64,
    steps: Vec<Step>,
}

impl Schedule {
    /// A schedule of these steps, put in order of time; those at one time keep their order.
    pub fn new(seed: u64, mut steps: Vec<Step>) -> Self {
        steps.sort_by_key(|step| step.at);
        Schedule { seed, steps }
    }

    /// What decides the draws at strike time.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The steps, in order of time.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The randomness with which the step of this index is resolved. It depends on the seed and
    /// the index alone, so what one step draws never shifts the draws of another.
    pub fn rng(&self, step: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // Stream 0 is the generator's.
        rng.set_stream(step as u64 + 1);
        rng
    }

    /// Whether every node it names is one of `n1` to `n<size>` or added before, to be asked before
    /// a run begins.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self, size: u16) -> Result<(), UnknownNode> {
        let mut nodes: BTreeSet<Node> = Node::first(size).collect();
        for step in &self.steps {
            step.fault.check(&nodes)?;
            match &step.fault {
                Fault::Add(Some(new)) => nodes.extend(new),
                Fault::Add(None) => {
                    let last = nodes.last().map_or(0, |node| node.0);
                    nodes.insert(Node(last.saturating_add(1)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The greatest number of a node that it adds, for a cluster of this size at first.
    pub fn last_added(&self, size: u16) -> u16 {
        let named = self.steps.iter().filter_map(|step| match &step.fault {
            Fault::Add(new) => Some(new.iter().flatten().map(|node| node.0).max()),
            _ => None,
        });
        named.fold(size, |last, named| named.map_or(last.saturating_add(1), |new| last.max(new)))
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let mut seed = None;
        let mut steps = Vec::new();
        loop {
            match cursor.peek() {
                "" => return Ok(Schedule::new(seed.unwrap_or(0), steps)),
                "\n" | ";" => {
                    cursor.advance();
                    continue;
                }
                "seed" if seed.is_none() => {
                    cursor.advance();
                    seed = Some(cursor.number("a whole number")?);
                }
                "at" => {
                    cursor.advance();
                    steps.push(Step::parse(cursor)?);
                }
                _ if seed.is_none() => return Err(cursor.error("`at` or `seed`")),
                _ => return Err(cursor.error("`at`")),
            }
            if !matches!(cursor.peek(), "\n" | ";" | "") {
                return Err(cursor.error("the end of the line or `;`"));
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} ", display_time(self.at))?;
        if let Some(trigger) = &self.trigger {
            write!(f, "{trigger} ")?;
        }
        self.fault.fmt(f)
    }
}

impl fmt::Display for Schedule {
    /// One step a line, after the seed; every line is ended.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

text_form!(Schedule);
