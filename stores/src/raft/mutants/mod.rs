//! Planted bugs: what a tester must be able to catch, and controls: what it must not report.
//!
//! Each is switched on by name and sits at one guarded place in the core, which asks
//! `Raft::bug`: a comparison when a bug is on, the same comparison when none is. The tables, one
//! file an area, describe them for people, and say where to look for them.

mod controls;
mod durability;
mod elections;
mod leases;
mod membership;
mod reads;
mod replication;
mod sessions;
mod snapshots;

use std::borrow::Cow;
use std::str::FromStr;

use super::log::{HardState, Payload, Recovered};
use super::message::Body;
use super::{Raft, State, log};
use crate::catalogue::{Mutant, Store, UnknownName};
use crate::kv::{self, Command, Op, Session};
use crate::replica::Effects;

/// A bug that can be planted in the Raft core, or a control; its entry in [`table`] has the same
/// name, in lower case and with dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Votes twice in a term.
    SecondVote,
    /// Votes for whoever asks, whatever its log.
    VoteUnchecked,
    /// Compares logs by their length first.
    LengthFirst,
    /// Takes half of the nodes for a majority.
    HalfIsEnough,
    /// Counts a vote as often as it arrives.
    VoteCountedTwice,
    /// Counts votes of an earlier term.
    OldVoteCounted,
    /// Goes on leading in a term that it only heard of.
    TermAdopted,
    /// Takes entries of a leader whose term is over.
    OldLeaderHeard,
    /// Takes answers to an earlier leadership for answers to this one.
    OldAnswerCounted,
    /// Commits entries of earlier terms by counting.
    OldTermCommitted,
    /// Does not compare the term before the entries sent.
    PrevTermUnchecked,
    /// Cuts the log after the entries sent, always.
    TruncateAlways,
    /// Keeps entries that contradict the leader's.
    ConflictKept,
    /// Commits beyond what is known to match.
    CommitBeyondSent,
    /// Takes what it sent for what arrived.
    OptimisticMatch,
    /// Confirms its whole log.
    OwnLengthMatched,
    /// Acknowledges a write that only it has.
    AckBeforeCommit,
    /// Lets its commit index follow every message.
    CommitGoesBack,
    /// Confirms entries that are not on its disk.
    AckBeforeFsync,
    /// Counts its own entries before they are on its disk.
    LeaderCountsUnsynced,
    /// Sends its vote before it is on its disk.
    VoteBeforeFsync,
    /// Forgets its vote in a crash.
    VoteForgotten,
    /// Forgets its term in a crash.
    TermForgotten,
    /// Loses the end of its log in a crash.
    TailForgotten,
    /// Loses everything in a crash and goes on.
    Amnesia,
    /// Executes a repeated command again.
    NoSessions,
    /// Recognises repetitions only while it leads.
    LeaderOnlySessions,
    /// Takes a client's next command for a repetition.
    SessionWithoutSequence,
    /// Calls a write failed that is in its log.
    CertainFailure,
    /// Decides a compare-and-set before it is in the log.
    CasAtLeader,
    /// Answers reads without asking anybody.
    StaleRead,
    /// Answers reads as a follower.
    FollowerRead,
    /// Answers reads from entries that are not committed.
    DirtyRead,
    /// Answers reads before it knows what is committed.
    ReadBeforeNoop,
    /// Takes an answer to an earlier question for leave to read.
    OldRoundRead,
    /// Leaves the sessions out of its snapshots.
    SessionsNotInSnapshot,
    /// Writes that there is a snapshot before what is in it.
    SnapshotInTwoSteps,
    /// Installs snapshots that are older than what it has.
    StaleSnapshot,
    /// Throws its whole log away for a snapshot.
    SnapshotDropsLog,
    /// Takes over a snapshot's place, but not its state.
    SnapshotWithoutState,
    /// Begins one entry too far behind its snapshot.
    EntrySkipped,
    /// Leaves no margin for clocks that run at different rates.
    LeaseWithoutMargin,
    /// Trusts its lease for longer than an election takes.
    LeaseTooLong,
    /// Counts its lease from when answers arrive.
    LeaseFromAnswer,
    /// Trusts its lease as long as it leads.
    LeaseByRole,
    /// Votes while a leader may have a lease.
    LeaseUnprotected,
    /// Forgets in a crash that a leader may have a lease.
    LeaseForgotten,
    /// Begins a change of members before an entry of its own term is committed.
    EarlyReconfiguration,
    /// Begins a change of members while another is under way.
    TwoChangesAtOnce,
    /// Goes on leading, and counting itself, when it is removed.
    RemovedLeaderLeads,
    /// Counts learners as if they were voters.
    LearnerCounts,
    /// Leaves the members out of its snapshots.
    ConfigNotInSnapshot,
    /// Votes for whom the leader wants, whatever its log.
    TransferUnchecked,
    /// Keeps its lease though another was told to stand for election.
    TransferKeepsLease,
    /// A control: heartbeats come seldom.
    SlowHeartbeats,
    /// A control: terms are counted in tens.
    TermsInTens,
    /// A control: every command is in the log twice.
    ProposedTwice,
    /// A control: every append is answered twice.
    AnsweredTwice,
    /// A control: every append carries at most one entry.
    OneByOne,
    /// A control: a leader sends only what is on its disk.
    LeaderWaitsForDisk,
    /// A control: the logs' parting is looked for one entry at a time.
    SlowBackup,
    /// A control: candidates are listened to whether there is a leader or not.
    Disruptable,
    /// A control: reads wait for two rounds.
    ReadsAskTwice,
    /// A control: every entry is compacted away at once.
    EagerSnapshots,
    /// A control: leases are much shorter than they may be.
    ShortLease,
    /// A control: a server is a voter before it has the log.
    EagerVoter,
    /// A control: a follower is told to stand for election before it has the log.
    EagerTransfer,
}

const AREAS: &[&[(Bug, Mutant)]] = &[
    elections::TABLE,
    replication::TABLE,
    durability::TABLE,
    sessions::TABLE,
    reads::TABLE,
    snapshots::TABLE,
    leases::TABLE,
    membership::TABLE,
    controls::TABLE,
];

fn entries() -> impl Iterator<Item = &'static (Bug, Mutant)> {
    AREAS.iter().copied().flatten()
}

/// The schedule of faults that brings a bug out, where those that are drawn do so too seldom.
pub fn schedule(name: &str) -> Option<&'static str> {
    (name == "lease-forgotten").then_some(leases::PROMISE_FORGOTTEN)
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
            .ok_or_else(|| Store::Raft.unknown_bug(name))
    }
}

/// What a restarted node remembers of what its disk held.
pub(super) fn recalled(
    bug: Option<Bug>,
    mut found: Recovered,
    out: &mut Effects<Raft>,
) -> Recovered {
    let Recovered { hard, log, .. } = &mut found;
    match bug {
        Some(Bug::VoteForgotten) => hard.vote = None,
        Some(Bug::TermForgotten) => *hard = HardState { term: log.last_term(), vote: None },
        Some(Bug::TailForgotten) if log.last_index() > log.base().index => {
            log.truncate(log.last_index());
        }
        Some(Bug::Amnesia) => {
            out.persist(log::write_nothing());
            return Recovered::default();
        }
        _ => {}
    }
    found
}

impl Raft {
    /// Whether this bug is planted.
    pub(super) fn bug(&self, bug: Bug) -> bool {
        self.options.bug == Some(bug)
    }

    /// Whether a message of a term that is over is taken all the same.
    pub(super) fn takes_old(&self, body: &Body) -> bool {
        match self.options.bug {
            Some(Bug::OldVoteCounted) => matches!(body, Body::Vote { .. }),
            Some(Bug::OldLeaderHeard) => matches!(body, Body::Append { .. }),
            Some(Bug::OldAnswerCounted) => matches!(body, Body::Appended { .. }),
            _ => false,
        }
    }

    /// The command as the state machine gets it.
    pub(super) fn applied_command<'a>(&self, command: &'a Command) -> Cow<'a, Command> {
        let session = match (self.options.bug, &command.session) {
            (Some(Bug::NoSessions), _) => None,
            (Some(Bug::LeaderOnlySessions), _) if !matches!(self.state, State::Leader(_)) => None,
            (Some(Bug::SessionWithoutSequence), Some(session)) => {
                Some(Session { client: session.client.clone(), sequence: 1 })
            }
            _ => return Cow::Borrowed(command),
        };
        Cow::Owned(Command { session, op: command.op.clone() })
    }

    /// A compare-and-set as the leader finds it before anybody has agreed: a plain write, or
    /// nothing.
    pub(super) fn decided_early(&self, command: Command) -> Result<Command, kv::Output> {
        let Op::Cas { key, expected, new } = &command.op else { return Ok(command) };
        let current = self.store.get(key);
        if current != *expected {
            return Err(kv::Output::Cas { applied: false, current });
        }
        let op = Op::Put { key: key.clone(), value: new.clone() };
        Ok(Command { session: command.session, op })
    }

    /// The value of a key after every entry of the log, committed or not.
    pub(super) fn uncommitted_value(&self, key: &str) -> kv::Value {
        let mut store = self.store.clone();
        let pending = (self.applied + 1..=self.log.last_index()).filter_map(|at| self.log.get(at));
        for entry in pending {
            if let Payload::Command(command) = &entry.payload {
                store.apply(command);
            }
        }
        store.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sound() {
        crate::catalogue::checks::catalogue_is_sound(entries().copied(), (28, 8));
    }
}
