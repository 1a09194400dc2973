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
//! at 0s after 1000 operations kill leader
//! at 16s pause leader for 2s    # and then what mends it
//! every 5s±2s until 20s cut leader | rest for 3s
//! every 2s from 1s until 9s kill n2   # at 1 s, 3 s and so on; without `from` at 2 s, 4 s and so on
//! ```
//!
//! A step may wait for something once its time has come: one strikes five milliseconds after the
//! first change of leader that follows, another when so many operations have ended; or never. What
//! is written with `for` or `every` is read as the steps that it stands for, and printed as those.
//!
//! A `;` ends a step like the end of a line; `#` begins a comment. Steps may stand in any order.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fault::{Fault, UnknownNode};
use crate::nodes::Node;
use crate::text::{Cursor, Moment, ParseError, display_time, text_form};

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
    /// So many operations of clients have ended, since the run began.
    Operations(u64),
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
        let trigger = match cursor.peek() {
            "when" | "after" => Some(Trigger::parse(cursor)?),
            _ => None,
        };
        Ok(Step { at, trigger, fault: Fault::parse(cursor)? })
    }
}

impl Trigger {
    /// `when leader changes`, or `after 1000 operations`.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        if cursor.take("after") {
            let count = cursor.number("a number of operations")?;
            cursor.word("`operations`", |word| (word == "operations").then_some(()))?;
            return Ok(Trigger::Operations(count));
        }
        cursor.advance();
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
        match self {
            Trigger::LeaderChange(Duration::ZERO) => f.write_str("when leader changes"),
            Trigger::LeaderChange(delay) => {
                write!(f, "when leader changes + {}", display_time(*delay))
            }
            Trigger::Operations(count) => write!(f, "after {count} operations"),
        }
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
        self.steps.iter().try_for_each(|step| admit(&mut nodes, &step.fault))
    }

    /// What is left of it without steps that name a node which is none of `n1` to `n<size>` and not
    /// added before.
    pub fn sound(mut self, size: u16) -> Self {
        let mut nodes: BTreeSet<Node> = Node::first(size).collect();
        self.steps.retain(|step| admit(&mut nodes, &step.fault).is_ok());
        self
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
                    let step = Step::parse(cursor)?;
                    let mend = mend_after(cursor, &step)?;
                    steps.push(step);
                    steps.extend(mend);
                }
                "every" => {
                    cursor.advance();
                    let draw = ChaCha8Rng::seed_from_u64(seed.unwrap_or(0) ^ steps.len() as u64);
                    steps.extend(every(cursor, draw)?);
                }
                _ if seed.is_none() => return Err(cursor.error("`at`, `every` or `seed`")),
                _ => return Err(cursor.error("`at` or `every`")),
            }
            if !matches!(cursor.peek(), "\n" | ";" | "") {
                return Err(cursor.error("the end of the line or `;`"));
            }
        }
    }
}

/// Whether a fault names only nodes that there are; then there are also those that it adds.
fn admit(nodes: &mut BTreeSet<Node>, fault: &Fault) -> Result<(), UnknownNode> {
    fault.check(nodes)?;
    match fault {
        Fault::Add(Some(new)) => nodes.extend(new),
        Fault::Add(None) => {
            let last = nodes.last().map_or(0, |node| node.0);
            nodes.insert(Node(last.saturating_add(1)));
        }
        _ => {}
    }
    Ok(())
}

/// What follows `every`: a period, how far each may be from it, when the first is due if not after
/// a period, an end, and what strikes.
fn every(cursor: &mut Cursor<'_>, mut draw: ChaCha8Rng) -> Result<Vec<Step>, ParseError> {
    const PERIOD: &str = "a time, or two as in `5s±2s`, the second not longer than the first";
    let time = |text: &str| text.parse().ok().map(|Moment(time)| time);
    let (period, jitter) = cursor.word(PERIOD, |word| match word.split_once('±') {
        None => Some((time(word)?, Duration::ZERO)),
        Some((period, jitter)) => Some((time(period)?, time(jitter)?)),
    })?;
    let error = cursor.error(PERIOD);
    if period.is_zero() || jitter > period {
        return Err(error);
    }
    let from = if cursor.take("from") { Some(cursor.time()?) } else { None };
    cursor.word("`until` and a time", |word| (word == "until").then_some(()))?;
    let until = cursor.time()?;
    let fault = Fault::parse(cursor)?;
    let first = from.filter(|at| *at <= until).map(|at| Step::at(at, fault.clone()));
    let mut steps = Vec::from_iter(first);
    let (mut at, mut mend) = (from.unwrap_or_default(), None);
    loop {
        let least = period.saturating_sub(jitter);
        // Cut to milliseconds, to be read more easily; at least one, so that there is an end.
        let span = least + jitter.mul_f64(2.0 * draw.random::<f64>());
        let span = Duration::from_millis((span.as_millis() as u64).max(1));
        let Some(next) = at.checked_add(span).filter(|next| *next <= until) else { break };
        at = next;
        steps.push(Step::at(at, fault.clone()));
    }
    // It is written once, behind the fault, and meant for every strike.
    if let Some(first) = steps.first() {
        mend = mend_after(cursor, first)?.map(|mend| (mend.at - first.at, mend.fault));
    } else if cursor.take("for") {
        cursor.time()?;
    }
    if let Some((long, fault)) = mend {
        let mends: Vec<Step> =
            steps.iter().map(|step| Step::at(step.at + long, fault.clone())).collect();
        steps.extend(mends);
    }
    Ok(steps)
}

/// `for` and a time behind a step: what mends it then.
fn mend_after(cursor: &mut Cursor<'_>, step: &Step) -> Result<Option<Step>, ParseError> {
    if cursor.peek() != "for" {
        return Ok(None);
    }
    let mend = step.fault.mend().filter(|_| step.trigger.is_none());
    let lasting =
        "the end of the line or `;`: nothing that waits, or that nothing mends, lasts for a time";
    let Some(mend) = mend else { return Err(cursor.error(lasting)) };
    cursor.advance();
    let end = step.at.checked_add(cursor.time()?);
    Ok(end.map(|end| Step::at(end, mend)))
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
