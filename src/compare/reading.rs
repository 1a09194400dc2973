//! What the figures come to, in words: derived from what was measured, never from a store's name.
//!
//! When links are cut, a store either answers on both sides and lets them drift apart, or refuses on
//! one of them (Gilbert and Lynch, "Brewer's Conjecture and the Feasibility of Consistent,
//! Available, Partition-Tolerant Web Services", 2002). When none are, it still may answer from what is
//! near, at once, or ask the others first (Abadi, "Consistency Tradeoffs in Modern Distributed Database
//! System Design", 2012).

use rashomon_checker::consistency::Bounds;
use serde::Serialize;

use super::contest::{Share, Standing};
use super::plan::Manner;
use crate::contract::{Kept, LINEARIZABLE};
use crate::report::figures::{count, many, span};

/// What a store chose, as far as its runs show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// It refused rather than let clients see different things.
    Consistency,
    /// It answered, and clients saw different things.
    Availability,
    /// It answered at once, from what was near, and clients saw different things.
    Latency,
    /// It answered, and nothing speaks against one order.
    Both,
    /// It did neither.
    Neither,
    /// It was not put to the test.
    #[default]
    Untested,
}

/// What a store chose under partition, and else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// While links were cut.
    pub partition: Choice,
    /// While no fault stood.
    pub calm: Choice,
}

/// Fewer requests than these tell nothing.
const ENOUGH: u64 = 20;
/// A side that answers so many requests is available.
const AVAILABLE: f64 = 0.95;

impl Reading {
    /// What the runs of a contestant show.
    pub fn of(standing: &Standing) -> Self {
        let order = standing.ladder.rung(LINEARIZABLE).map_or(Kept::Unknown, |rung| rung.kept());
        let minority = &standing.cost.minority;
        let available = minority.availability.is_some_and(|share| share >= AVAILABLE);
        let partition = match (order, available) {
            _ if minority.due < ENOUGH => Choice::Untested,
            (Kept::Unknown, _) => Choice::Untested,
            (Kept::Held, true) => Choice::Both,
            (Kept::Held, false) => Choice::Consistency,
            (Kept::Violated, true) => Choice::Availability,
            (Kept::Violated, false) => Choice::Neither,
        };
        let age = &standing.age;
        let calm = match order {
            // Of values side by side it is not known how old they are.
            _ if age.reads < ENOUGH || age.reads < age.unjudged => Choice::Untested,
            Kept::Unknown => Choice::Untested,
            _ if age.stale_in_calm > 0 => Choice::Latency,
            // Without anybody to ask there is nothing to choose.
            _ if standing.nodes == 1 => Choice::Both,
            _ => Choice::Consistency,
        };
        Reading { partition, calm }
    }

    /// In the words of PACELC: `PC/EC`, `PA/EL`; a dash where nothing was chosen.
    pub fn letters(self) -> String {
        let partition = match self.partition {
            Choice::Consistency => "PC",
            Choice::Availability => "PA",
            _ => "P–",
        };
        let calm = match self.calm {
            Choice::Consistency => "EC",
            Choice::Latency => "EL",
            _ => "E–",
        };
        format!("{partition}/{calm}")
    }
}

/// What the comparison comes to, in a sentence or two for each store.
pub fn sentences(standings: &[Standing], manner: Manner) -> Vec<String> {
    let time = if manner == Manner::Sim { " of virtual time" } else { "" };
    let mut sentences: Vec<String> = standings
        .iter()
        .map(|it| format!("{}: {} {}{}", it.name, in_faults(it), age(it), in_partition(it)))
        .collect();
    let agreed: Vec<String> = standings.iter().map(agreement).collect();
    sentences.push(format!("When all was mended, the nodes agreed: {}{time}.", agreed.join("; ")));
    sentences
}

fn in_faults(standing: &Standing) -> String {
    let during = &standing.cost.during;
    match during.due {
        0 => "no fault struck, so nothing is known of how it fares under one.".into(),
        due => {
            let due = count(due as usize);
            format!("while faults stood, it answered {} of {due} requests.", percent(during))
        }
    }
}

fn age(standing: &Standing) -> String {
    let age = &standing.age;
    let reads = match age.unjudged {
        0 => format!("{} reads", count(age.reads as usize)),
        _ => format!("{} reads whose age is known", count(age.reads as usize)),
    };
    let worst = || {
        let versions = many(age.versions[2] as usize, "write");
        format!("the worst {} and {versions} behind", span(age.behind.max_ns))
    };
    match age.stale {
        _ if age.reads == 0 => "Of no read is known how old it was.".into(),
        0 => format!("None of {reads} was stale."),
        1 => format!("Of {reads} one was stale, {}.", worst()),
        stale => format!("Of {reads} {} were stale, {}.", count(stale as usize), worst()),
    }
}

fn in_partition(standing: &Standing) -> String {
    let cost = &standing.cost;
    let choice = match standing.reading.partition {
        Choice::Untested => return String::new(),
        Choice::Consistency => "it chose consistency",
        Choice::Availability => "it chose availability",
        Choice::Both | Choice::Latency => "these runs show no price that it paid",
        Choice::Neither => "it kept neither consistency nor availability",
    };
    format!(
        " While links were cut, clients beside a minority got {} answered, those beside a majority {}: {choice}.",
        percent(&cost.minority),
        percent(&cost.majority),
    )
}

fn agreement(standing: &Standing) -> String {
    let (name, cost) = (standing.name, &standing.cost);
    let runs = standing.runs.len() as u64;
    match (&cost.convergence, cost.not_converged) {
        (Some(took), 0) if runs == 1 => format!("{name} in {}", span(took.max_ns)),
        (Some(took), 0) => {
            format!(
                "{name} in {} at the median and {} at most",
                span(took.p50_ns),
                span(took.max_ns)
            )
        }
        (_, never) => format!("{name} not at all in {never} of {runs} runs"),
    }
}

/// How many of the last writes a read may return, as far as that is known: `1`, `3–5`, `9 or more`.
pub fn writes(k: Option<Bounds<u32>>) -> String {
    match k {
        None => "–".into(),
        Some(Bounds { at_least, at_most: Some(most) }) if at_least == most => most.to_string(),
        Some(Bounds { at_least, at_most: Some(most) }) => format!("{at_least}–{most}"),
        Some(Bounds { at_least, at_most: None }) => format!("{at_least} or more"),
    }
}

/// A share as people read it, `99.8 %`; `–` if nobody asked.
pub fn percent(share: &Share) -> String {
    match share.availability {
        None => "–".into(),
        // What is not all must not look like all.
        Some(part) if part < 1.0 => format!("{:.1} %", (part * 1000.0).floor() / 10.0),
        Some(_) => "100 %".into(),
    }
}
