//! What a leader knows of its majority by the clock: whether it still has one (check quorum, §6.2),
//! and until when nobody else can lead (leases, §6.4.1).
//!
//! Every heartbeat begins a round, a number that followers give back in their answers. When a
//! majority has answered a round, all of them heard this leader at or after the time at which the
//! round began, by the leader's own clock. That time, the *contact*, is all that is needed:
//!
//! - A leader whose contact lies more than an election time-out back has lost its majority, or will
//!   not know of its successor; it steps down, so that its clients look elsewhere.
//! - Whoever heard a leader listens to no candidate for the least election time-out, by its own
//!   clock. So until that time after the contact no majority can elect another leader, and reads
//!   may be answered without asking anybody: the lease. It is shorter by the margin for clocks
//!   that run at different rates: with rates between `1 - d` and `1 + d`, by `(1 - d) / (1 + d)`.
//!   What clocks show does not matter, only how fast they go. A node that starts again does not
//!   know whom it heard, so it behaves as if it had just heard a leader.

use std::collections::VecDeque;
use std::time::Duration;

use super::mutants::Bug;
use super::{Leader, Options, Raft, ReadMode, State};
use crate::replica::{Effects, Time};

/// Rounds that a leader remembers the beginning of; without check quorum there may be any number.
const ROUNDS_MAX: usize = 256;

/// When a majority certainly followed.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    /// The latest round.
    pub(super) round: u64,
    /// When rounds began that no majority has answered yet.
    began: VecDeque<(u64, Time)>,
    /// When the latest round began that a majority has answered.
    at: Time,
    /// Whether that was a round, and not only the election.
    answered: bool,
    /// Whether somebody may be elected in spite of the lease.
    given_up: bool,
}

impl Contact {
    /// A leader's at the beginning of its term. Its voters may have heard an earlier leader only,
    /// and long ago; so there is no lease yet.
    pub(super) fn new(now: Time) -> Self {
        Contact { round: 0, began: VecDeque::new(), at: now, answered: false, given_up: false }
    }

    /// Begins a round.
    pub(super) fn begin_round(&mut self, now: Time) {
        self.round += 1;
        self.began.push_back((self.round, now));
        if self.began.len() > ROUNDS_MAX {
            self.began.pop_front();
        }
    }

    /// From now on somebody may be elected who is not refused because of this leader (§3.10).
    pub(super) fn give_up_lease(&mut self) {
        self.given_up = true;
    }

    /// A majority has answered a round, or a later one.
    fn answered(&mut self, round: u64) {
        while let Some((began, at)) = self.began.front().copied()
            && began <= round
        {
            self.began.pop_front();
            self.at = at;
            self.answered = true;
        }
    }
}

impl Options {
    /// How long after a contact a leader may answer reads by itself.
    fn lease(&self) -> Duration {
        let (million, drift) = (1_000_000, self.clock_drift_ppm.min(1_000_000));
        match self.bug {
            Some(Bug::LeaseWithoutMargin) => self.election_min,
            Some(Bug::LeaseTooLong) => self.election_max * 2,
            Some(Bug::ShortLease) => self.election_min / 4,
            _ => self.election_min * (million - drift) / (million + drift),
        }
    }
}

impl Raft {
    /// The latest round that a majority, this leader included if it votes, has answered.
    pub(super) fn followed_round(&self) -> u64 {
        let State::Leader(leader) = &self.state else { return 0 };
        self.reached(leader.contact.round, |progress| progress.round)
    }

    /// Takes note of whom the leader has heard.
    pub(super) fn renew_contact(&mut self) {
        // Most answers are to rounds that a majority has answered already.
        let waits = |leader: &Leader| !leader.contact.began.is_empty();
        if matches!(&self.state, State::Leader(leader) if waits(leader)) {
            let (round, late) = (self.followed_round(), self.bug(Bug::LeaseFromAnswer));
            if let State::Leader(leader) = &mut self.state {
                leader.contact.answered(round);
                if late && leader.contact.answered {
                    leader.contact.at = self.now;
                }
            }
        }
    }

    /// Ends a leadership without a majority (§6.2); says whether it was one.
    pub(super) fn step_down_if_alone(&mut self, now: Time, out: &mut Effects<Self>) -> bool {
        let State::Leader(leader) = &mut self.state else { return false };
        let silence = now.saturating_sub(leader.contact.at);
        // Who does not ask a quorum for a read does not notice the lack of one either.
        let asks = self.options.check_quorum && self.options.bug != Some(Bug::StaleRead);
        let alone = asks && silence > self.options.election_max;
        if alone {
            // It is not the other's election that ends this leadership.
            if let Some(handover) = &mut leader.handover {
                handover.told = false;
            }
            self.leader = None;
            self.become_follower(now, out);
        }
        alone
    }

    /// How much is left of what leases count on, by the node's own clock: of a leader's lease, of a
    /// follower's promise to listen to no candidate; nothing, less than a quarter, or more. Zero where
    /// there are no leases.
    pub(super) fn trust(&self) -> u8 {
        if self.options.reads != ReadMode::Lease {
            return 0;
        }
        let (begun, lasts) = match &self.state {
            State::Leader(leader) if !leader.contact.answered => return 1,
            State::Leader(leader) => (Some(leader.contact.at), self.options.lease()),
            _ => (self.heard, self.options.election_min),
        };
        match begun.map(|at| (at + lasts).saturating_sub(self.now)) {
            Some(left) if left > lasts / 4 => 3,
            Some(left) if !left.is_zero() => 2,
            _ => 1,
        }
    }

    /// Whether nobody else can lead at this time (§6.4.1).
    pub(super) fn has_lease(&self, now: Time) -> bool {
        let State::Leader(leader) = &self.state else { return false };
        let Contact { answered, given_up, .. } = leader.contact;
        let holds = now < leader.contact.at + self.options.lease();
        answered && !given_up && (holds || self.bug(Bug::LeaseByRole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_the_beginning_of_the_last_round_that_was_answered() {
        let at = Duration::from_millis;
        let mut contact = Contact::new(at(5));
        for now in [10, 20, 30] {
            contact.begin_round(at(now));
        }
        contact.answered(0);
        assert_eq!((contact.at, contact.answered), (at(5), false));
        contact.answered(2);
        assert_eq!((contact.at, contact.answered), (at(20), true));
        contact.answered(1);
        assert_eq!(contact.at, at(20), "an old answer says nothing new");
        for now in 0..1000 {
            contact.begin_round(at(100 + now));
        }
        assert_eq!(contact.began.len(), ROUNDS_MAX);
    }

    #[test]
    fn a_lease_ends_before_anybody_votes_whatever_the_clocks() {
        let options = Options { clock_drift_ppm: 50_000, ..Options::default() };
        // The leader's clock is as slow as it may be, a voter's as fast.
        let lease_lasts = options.lease().as_secs_f64() / 0.95;
        let promise_lasts = options.election_min.as_secs_f64() / 1.05;
        assert!(lease_lasts <= promise_lasts && lease_lasts > 0.99 * promise_lasts);
        let lawless = Options { clock_drift_ppm: u32::MAX, ..Options::default() };
        assert_eq!(lawless.lease(), Duration::ZERO);
    }
}
