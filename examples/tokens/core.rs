//! Accounts that send each other tokens: a core in which a number has to stay the same for ever, and no
//! node can see it.
//!
//! Each node has a durable account and, now and then, sends some of it to another. A transfer has a
//! number on its link, is sent again until it is confirmed, and taken in once. So the tokens of all
//! accounts, and those of transfers that were sent and not taken in, are as many as in the beginning:
//! in every state of the whole that can have been. That makes it the classic test of a snapshot
//! (Chandy and Lamport's own example is a token, §2.2).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_stores::kv::{Output, Value};
use rashomon_stores::replica::{
    Effects, Input, NodeId, RecoverError, Replica, Request, Setup, Slot, Status, Time, Write,
};
use serde::{Deserialize, Serialize};

/// What every account holds in the beginning.
pub(crate) const ENDOWMENT: u64 = 1_000;

/// How long a node waits between transfers, at most.
const PAUSE_MAX: Duration = Duration::from_millis(60);
/// How often transfers that are not confirmed are sent again: far more than it takes without faults.
const RESEND: Duration = Duration::from_millis(150);
/// How many transfers to one node may be without confirmation.
const OPEN_MAX: usize = 8;

/// The transfers of a link that were taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// All up to this number.
    upto: u64,
    /// And these beyond.
    beyond: BTreeSet<u64>,
}

impl Taken {
    pub(crate) fn contains(&self, number: u64) -> bool {
        number <= self.upto || self.beyond.contains(&number)
    }

    fn insert(&mut self, number: u64) {
        self.beyond.insert(number);
        while self.beyond.remove(&(self.upto + 1)) {
            self.upto += 1;
        }
    }
}

/// What a node must not forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Its tokens.
    pub(crate) balance: u64,
    /// The number of its last transfer to each other node.
    last: BTreeMap<NodeId, u64>,
    /// Its transfers that are not confirmed, by whom they are for and number.
    pub(crate) open: BTreeMap<NodeId, BTreeMap<u64, u64>>,
    /// The transfers of others that it has taken in.
    pub(crate) taken: BTreeMap<NodeId, Taken>,
}

impl Account {
    /// Whether it has taken in a transfer.
    pub(crate) fn has_taken(&self, from: NodeId, number: u64) -> bool {
        self.taken.get(&from).is_some_and(|taken| taken.contains(number))
    }
}

/// What nodes say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// Some tokens, under the number of the transfer on its link.
    Transfer { number: u64, amount: u64 },
    /// That transfer is taken in, on the disk.
    Confirmed { number: u64 },
}

/// The timers of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Time to send somebody tokens.
    Transfer,
    /// Time to send again what was not confirmed.
    Resend,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    id: NodeId,
    others: Vec<NodeId>,
    rng: ChaCha8Rng,
    pub(crate) account: Account,
}

const PLACE: Slot = Slot::Numbered(0, 0);

impl Tokens {
    fn keep(&self, out: &mut Effects<Self>) {
        out.persist(vec![Write::Put(PLACE, self.account.clone())]);
    }

    fn set_pause(&mut self, now: Time, out: &mut Effects<Self>) {
        let pause = self.rng.random_range(PAUSE_MAX / 60..=PAUSE_MAX);
        out.set_timer(Timer::Transfer, now + pause);
    }

    /// Sends a few tokens to somebody, if there are any.
    fn transfer(&mut self, out: &mut Effects<Self>) {
        let to = self.others[self.rng.random_range(0..self.others.len())];
        let amount = self.rng.random_range(1..=100).min(self.account.balance);
        let open = self.account.open.entry(to).or_default();
        if amount == 0 || open.len() >= OPEN_MAX {
            return;
        }
        let number = self.account.last.entry(to).or_insert(0);
        *number += 1;
        let number = *number;
        open.insert(number, amount);
        self.account.balance -= amount;
        self.keep(out);
        out.send(to, Message::Transfer { number, amount });
    }

    fn resend(&self, out: &mut Effects<Self>) {
        for (to, open) in &self.account.open {
            for (number, amount) in open {
                out.send(*to, Message::Transfer { number: *number, amount: *amount });
            }
        }
    }

    fn take(&mut self, from: NodeId, number: u64, amount: u64, out: &mut Effects<Self>) {
        if !self.account.has_taken(from, number) {
            self.account.taken.entry(from).or_default().insert(number);
            self.account.balance += amount;
            self.keep(out);
        }
        // A transfer that is confirmed is forgotten by its sender: it waits for the disk.
        out.send(from, Message::Confirmed { number });
    }
}

impl Replica for Tokens {
    type Message = Message;
    type Record = Account;
    type Timer = Timer;
    type Note = String;
    type Options = ();

    fn recover(
        setup: Setup,
        (): (),
        disk: Vec<(Slot, Account)>,
        now: Time,
        out: &mut Effects<Self>,
    ) -> Result<Self, RecoverError> {
        let mut others = setup.members;
        others.retain(|member| *member != setup.id);
        let (last, open, taken) = Default::default();
        let fresh = Account { balance: ENDOWMENT, last, open, taken };
        let account = disk.into_iter().next().map_or(fresh, |(_, account)| account);
        let rng = ChaCha8Rng::seed_from_u64(setup.seed);
        let mut node = Tokens { id: setup.id, others, rng, account };
        node.set_pause(now, out);
        out.set_timer(Timer::Resend, now + RESEND);
        Ok(node)
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Effects<Self>) {
        match input {
            Input::Message { from, message: Message::Transfer { number, amount } } => {
                self.take(from, number, amount, out);
            }
            Input::Message { from, message: Message::Confirmed { number } } => {
                let open = self.account.open.get_mut(&from);
                if open.is_some_and(|open| open.remove(&number).is_some()) {
                    self.keep(out);
                }
            }
            Input::Timer(Timer::Transfer) => {
                self.transfer(out);
                self.set_pause(now, out);
            }
            Input::Timer(Timer::Resend) => {
                self.resend(out);
                out.set_timer(Timer::Resend, now + RESEND);
            }
            // Clients may ask, so that a run can see that the node lives.
            Input::Request { id, request: Request::Read(_) } => {
                let balance = i64::try_from(self.account.balance).unwrap_or(i64::MAX);
                out.reply(id, Ok(Output::Value(Value::Int(balance))));
            }
            Input::Request { id, .. } => out.reply(id, Ok(Output::Done)),
            Input::Stored(_) => {}
        }
    }

    fn status(&self) -> Status {
        Status::of_peer(self.id)
    }
}
