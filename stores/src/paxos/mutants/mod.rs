//! Planted bugs, and controls that only look like bugs; see [`crate::raft::mutants`].
//!
//! Each sits at one guarded place in the core, which asks `Paxos::bug`.

mod accepting;
mod collecting;
mod controls;
mod joining;
mod proposing;

use std::str::FromStr;

use super::line::Want;
use super::{Options, Paxos, QuorumError, Quorums, Settings};
use crate::catalogue::{Mutant, Store, UnknownName};
use crate::kv::{Command, Key, Output, Register};
use crate::replica::Effects;

/// A bug that can be planted in the CASPaxos core, or a control; its entry in [`table`] has the same
/// name, in lower case and with dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Accepts what is below its promise.
    OldBallotAccepted,
    /// Forgets in a crash what it has promised.
    PromiseForgotten,
    /// Answers before what it promises is on its disk.
    AnswerBeforeFsync,
    /// Does not tell others what it has accepted of anybody else.
    PromiseWithoutValue,
    /// Goes on from the first state that it is told.
    FirstValueChosen,
    /// Has the same ballots as the others.
    BallotsCollide,
    /// Proposes before its disk says that its ballot is used.
    BallotUnreserved,
    /// Answers a read with what it has found, chosen or not.
    ReadNotProposed,
    /// Goes on from what it knew before it was overtaken.
    CacheKept,
    /// Counts acceptances of earlier proposals.
    OldAckCounted,
    /// Takes what one node has accepted for chosen.
    OneAckIsEnough,
    /// Has quorums that need not meet.
    QuorumsApart,
    /// Calls a write refused that may be chosen.
    CertainRefusal,
    /// Executes a command again when it proposes it again.
    AppliedAgain,
    /// Collects a tombstone that not everybody holds.
    CollectedEarly,
    /// Keeps what it has cached of a key that is collected.
    CacheOutlivesTombstone,
    /// Listens to proposals from before a tombstone was collected.
    AgeUnchecked,
    /// Forgets with a tombstone which commands were executed.
    SessionsBuried,
    /// Lets new members take over before every key was proposed again.
    NoRescan,
    /// Puts new members in the place of the old at once.
    OneStepChange,
    /// A control: ballots are counted in tens.
    BallotsInTens,
    /// A control: every answer is sent twice.
    EverythingTwice,
    /// A control: every proposal asks for promises first.
    TwoRoundsAlways,
    /// A control: every proposal carries out one request.
    OneAtATime,
}

const AREAS: &[&[(Bug, Mutant)]] =
    &[accepting::TABLE, proposing::TABLE, collecting::TABLE, joining::TABLE, controls::TABLE];

fn entries() -> impl Iterator<Item = &'static (Bug, Mutant)> {
    AREAS.iter().copied().flatten()
}

/// The catalogue: the mutants by area, then the controls.
pub fn table() -> impl Iterator<Item = &'static Mutant> {
    entries().map(|(_, mutant)| mutant)
}

impl FromStr for Bug {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        entries()
            .find(|(_, mutant)| mutant.name == name)
            .map(|(bug, _)| *bug)
            .ok_or_else(|| Store::Paxos(Settings::DEFAULT).unknown_bug(name))
    }
}

/// The quorums of so many nodes.
pub(super) fn quorums(nodes: usize, options: &Options) -> Result<Quorums, QuorumError> {
    let quorums = Quorums::of(nodes, options.prepare_quorum, options.accept_quorum)?;
    if options.bug == Some(Bug::QuorumsApart) {
        return Ok(Quorums { prepare: (nodes - quorums.accept).max(1), ..quorums });
    }
    Ok(quorums)
}

impl Options {
    /// The settings as the controls among the bugs have them.
    pub(super) fn with_controls(self) -> Self {
        match self.bug {
            Some(Bug::TwoRoundsAlways) => Options { one_round: false, ..self },
            Some(Bug::OneAtATime) => Options { batch_max: 1, ..self },
            _ => self,
        }
    }
}

impl Paxos {
    /// Whether this bug is planted.
    pub(super) fn bug(&self, bug: Bug) -> bool {
        self.options.bug == Some(bug)
    }

    /// Executes a command on a key.
    pub(super) fn apply(&self, command: &Command, register: &mut Register) -> Output {
        if !self.bug(Bug::AppliedAgain) {
            return register.apply(command);
        }
        register.apply(&Command { session: None, op: command.op.clone() })
    }

    /// Answers the reads in line with this state.
    pub(super) fn answer_reads(&mut self, key: &Key, state: &Register, out: &mut Effects<Self>) {
        let Some(line) = self.lines.get_mut(key) else { return };
        let (reads, writes) =
            line.queue.drain(..).partition(|waiting| matches!(waiting.want, Want::Read));
        line.queue = writes;
        for read in reads {
            self.reply(read.asker, key, Ok(Output::Value(state.value().clone())), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sound() {
        crate::catalogue::checks::catalogue_is_sound(entries().copied(), (8, 2));
    }
}
