//! A change of members, step by step, at the node that was ordered to make it; see `membership`.
//!
//! An order is carried out like this: read the register of configurations; finish a change that
//! somebody else has left half done, or go back if the order is its reverse; register the
//! configuration between; propose every key again; tell who joins what it has to know; register the
//! configuration that comes of it. What is not done after half of the time is gone back on, so that
//! one who joins and does not answer is in nobody's way.
//!
//! An order goes on from what it has read first, and ends when others register a configuration
//! meanwhile. And one that finds nothing to do registers the same members under a new number. So an
//! order that was given up and is still on its way is not carried out after a later one was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::collect::Grave;
use super::line::{Asker, Waiting, Want};
use super::membership::{Configuration, Members, REGISTER};
use super::message::Body;
use super::mutants::Bug;
use super::{Note, Paxos};
use crate::kv::{Command, Key, Op, Output};
use crate::replica::{Admin, Effects, NodeId, Refusal, Reply, RequestId, Time};

/// How many keys a message lists.
const LISTED_MAX: usize = 1000;

/// How many keys are proposed again at a time.
const SCANNED_MAX: usize = 32;

/// The place of a change in the agenda, where nothing but keys are; no client has such a key.
pub(super) const ALARM: &str = "\0change";

/// What an operator has ordered of this node.
#[derive(Clone, Debug)]
pub(super) struct Change {
    request: RequestId,
    node: NodeId,
    /// Whether it is to be a member, or no longer.
    adds: bool,
    address: Option<Arc<str>>,
    /// When what is half done is gone back on.
    half: Time,
    /// When it is given up.
    until: Time,
    /// Whether the register was read.
    begun: bool,
    /// Whether this order has registered a configuration.
    moved: bool,
    /// Whether that was the one between, of its own.
    planned: bool,
    /// Whether it was gone back on.
    reverted: bool,
    /// Counts steps, so that late answers are not taken for those of this one.
    step: u64,
    stage: Stage,
    /// When it was to be looked at again last.
    alarm: Time,
}

#[derive(Clone, Debug)]
enum Stage {
    /// Reads the register.
    Reading,
    /// Registers a configuration.
    Registering(Box<Configuration>),
    /// Asks acceptors for their keys.
    Listing { cursors: BTreeMap<NodeId, Option<Key>>, done: BTreeSet<NodeId>, keys: BTreeSet<Key> },
    /// Proposes them again.
    Scanning { left: BTreeSet<Key>, under_way: BTreeSet<Key> },
    /// Tells those who join what was done to keys that are gone.
    Bequeathing { left: BTreeSet<NodeId> },
}

impl Paxos {
    /// Takes an operator's order up.
    pub(super) fn administer(&mut self, request: RequestId, order: Admin, out: &mut Effects<Self>) {
        let (node, adds, address) = match order {
            Admin::AddServer { node, address } => (node, true, address),
            Admin::RemoveServer { node } => (node, false, None),
            Admin::Transfer { .. } => {
                let why = "nobody leads in this store".into();
                return out.reply_at_once(request, Err(Refusal::Inapplicable { why }));
            }
        };
        if !self.is_member() {
            return out.reply_at_once(request, Err(self.not_member()));
        }
        if self.change.is_some() {
            return out.reply_at_once(request, Err(Refusal::Busy));
        }
        let limit = self.options.change_limit;
        self.change = Some(Change {
            request,
            node,
            adds,
            address,
            half: self.now + limit / 2,
            until: self.now + limit,
            begun: false,
            moved: false,
            planned: false,
            reverted: false,
            step: self.steps,
            stage: Stage::Reading,
            alarm: self.now,
        });
        self.set_change_alarm();
        self.enter(Stage::Reading, out);
    }

    /// Begins a step.
    fn enter(&mut self, stage: Stage, out: &mut Effects<Self>) {
        self.steps += 1;
        let Some(change) = &mut self.change else { return };
        change.step = self.steps;
        let want = match &stage {
            Stage::Reading => Some(Want::Read),
            Stage::Registering(configuration) => {
                let (expected, new) = (self.configuration.value(), configuration.value());
                let op = Op::Cas { key: REGISTER.into(), expected, new };
                Some(Want::Write(Command { session: None, op }))
            }
            _ => None,
        };
        change.stage = stage;
        if let Some(want) = want {
            self.ask_myself(&REGISTER.into(), want, out);
        }
        self.pursue_change(out);
    }

    /// Puts a request of this change's step in line.
    fn ask_myself(&mut self, key: &Key, want: Want, out: &mut Effects<Self>) {
        let Some(change) = &self.change else { return };
        let (asker, until) = (Asker::Change(change.step), change.until);
        self.line_up(key, Waiting { asker, want, until, proposed: false }, out);
    }

    /// A configuration was adopted, by the order under way (`own`) or not.
    pub(super) fn go_on_with_change(&mut self, own: bool, out: &mut Effects<Self>) {
        let Some(change) = &self.change else { return };
        if change.moved && self.is_reached(change) {
            self.end_change(Ok(Output::Done), out);
        } else if !own && change.begun || !self.is_member() || change.reverted {
            let why = "the members are others meanwhile, or as they were; ask again".into();
            self.end_change(Err(Refusal::Unfinished { why }), out);
        } else if change.begun {
            self.decide(out);
        } else {
            self.enter(Stage::Reading, out);
        }
    }

    fn end_change(&mut self, reply: Reply, out: &mut Effects<Self>) {
        if let Some(change) = self.change.take() {
            out.reply_at_once(change.request, reply);
        }
    }

    /// Whether the members are as the order wants them.
    fn is_reached(&self, change: &Change) -> bool {
        let Configuration { next, .. } = &*self.configuration;
        next.is_none() && self.configuration.is_member(change.node) == change.adds
    }

    /// What was asked for a step was answered.
    pub(super) fn on_own_reply(
        &mut self,
        step: u64,
        key: &Key,
        reply: Reply,
        out: &mut Effects<Self>,
    ) {
        let Some(change) = &mut self.change else { return };
        if change.step != step {
            return;
        }
        match (&mut change.stage, reply) {
            (Stage::Reading, Ok(Output::Value(value))) => {
                match Configuration::read(&value) {
                    // Adopting it brings this change back here, to read it in itself.
                    Some(later) if later.epoch > self.configuration.epoch => {
                        self.announce(later, true, out);
                    }
                    _ => {
                        change.begun = true;
                        self.decide(out);
                    }
                }
            }
            (Stage::Registering(configuration), Ok(Output::Cas { applied, current })) => {
                let registered = match applied {
                    true => Some((**configuration).clone()),
                    false => Configuration::read(&current),
                };
                // An earlier proposal of the same may have been chosen unheard.
                let own = registered.as_ref() == Some(&**configuration);
                change.moved |= own;
                match registered {
                    Some(later) => self.announce(later, own, out),
                    None => self.give_change_up(out),
                }
            }
            (Stage::Scanning { under_way, .. }, Ok(_)) => {
                under_way.remove(key);
                self.pursue_change(out);
            }
            (_, _) => self.give_change_up(out),
        }
    }

    /// Decides what comes next, this node's configuration being the registered one.
    fn decide(&mut self, out: &mut Effects<Self>) {
        let Some(change) = &self.change else { return };
        let current = self.configuration.clone();
        let (node, adds) = (change.node, change.adds);
        let Some(next) = &current.next else {
            return match self.planned(&current) {
                Ok(planned) => {
                    if let Some(change) = &mut self.change {
                        change.planned = planned.next.is_some();
                    }
                    self.enter(Stage::Registering(Box::new(planned)), out);
                }
                Err(why) => self.end_change(Err(Refusal::Inapplicable { why }), out),
            };
        };
        let reverses = current.is_member(node) == adds && next.nodes.contains_key(&node) != adds;
        if reverses {
            self.go_back(out);
        } else if self.bug(Bug::NoRescan) {
            self.bequeath(out);
        } else {
            let cursors = current.members.nodes.keys().map(|node| (*node, None)).collect();
            let (done, keys) = (BTreeSet::new(), BTreeSet::new());
            self.enter(Stage::Listing { cursors, done, keys }, out);
        }
    }

    /// The configuration that follows on a stable one by the order.
    fn planned(&self, current: &Configuration) -> Result<Configuration, String> {
        let Some(change) = &self.change else { return Err("there is no order".into()) };
        let epoch = current.epoch + 1;
        let mut planned = Configuration { epoch, ..current.clone() };
        if current.is_member(change.node) == change.adds {
            return Ok(planned);
        }
        let mut nodes = current.members.nodes.clone();
        if change.adds {
            nodes.insert(change.node, epoch);
            let address = change.address.clone();
            planned.addresses.extend(address.map(|address| (change.node, address)));
        } else {
            nodes.remove(&change.node);
        }
        if nodes.is_empty() {
            return Err(format!("{} is the only member", change.node));
        }
        let next = Members::of(nodes, &self.options).map_err(|error| error.to_string())?;
        match self.bug(Bug::OneStepChange) {
            true => planned.members = next,
            false => planned.next = Some(next),
        }
        Ok(planned)
    }

    /// Every key has been proposed again: who joins has to know what was done to keys that are gone.
    fn bequeath(&mut self, out: &mut Effects<Self>) {
        let left = self.configuration.joining().collect();
        self.enter(Stage::Bequeathing { left }, out);
    }

    /// Does what the stage can do at once.
    fn pursue_change(&mut self, out: &mut Effects<Self>) {
        let Some(change) = &mut self.change else { return };
        match &mut change.stage {
            Stage::Reading | Stage::Registering(_) => {}
            Stage::Listing { cursors, done, keys } => {
                if self.configuration.promised(done.iter()) {
                    let (left, under_way) = (std::mem::take(keys), BTreeSet::new());
                    out.note(Note::Rescans { keys: left.len() });
                    self.enter(Stage::Scanning { left, under_way }, out);
                } else {
                    let asked =
                        cursors.iter().map(|(node, after)| (*node, after.clone())).collect();
                    self.ask_for_keys(asked, out);
                }
            }
            Stage::Scanning { left, under_way } => {
                let mut begun = Vec::new();
                while under_way.len() < SCANNED_MAX
                    && let Some(key) = left.pop_first()
                {
                    under_way.insert(key.clone());
                    begun.push(key);
                }
                let done = under_way.is_empty();
                for key in begun {
                    self.ask_myself(&key, Want::Read, out);
                }
                if done {
                    self.bequeath(out);
                }
            }
            Stage::Bequeathing { left } if left.is_empty() => {
                let current = self.configuration.clone();
                let next = current.next.as_ref().unwrap_or(&current.members);
                let configuration = settled(&current, next);
                self.enter(Stage::Registering(Box::new(configuration)), out);
            }
            Stage::Bequeathing { left } => {
                let (nodes, epoch) = (left.clone(), self.configuration.epoch);
                for node in nodes {
                    let body = Body::Inherit { epoch, graves: self.graves.all() };
                    self.post(node, &REGISTER.into(), body, out);
                }
            }
        }
    }

    /// Asks acceptors for the keys after these.
    fn ask_for_keys(&mut self, asked: Vec<(NodeId, Option<Key>)>, out: &mut Effects<Self>) {
        let epoch = self.configuration.epoch;
        for (node, after) in asked {
            self.post(node, &REGISTER.into(), Body::List { epoch, after }, out);
        }
    }

    /// As an acceptor: lists keys.
    pub(super) fn on_list(&mut self, from: NodeId, after: Option<Key>, out: &mut Effects<Self>) {
        let epoch = self.configuration.epoch;
        let (keys, more) = self.acceptor.keys_after(after.as_ref(), LISTED_MAX);
        self.answer(from, &REGISTER.into(), Body::Listed { epoch, after, keys, more }, out);
    }

    /// An acceptor has listed keys.
    pub(super) fn on_listed(
        &mut self,
        from: NodeId,
        after: &Option<Key>,
        (listed, more): (Vec<Key>, bool),
        out: &mut Effects<Self>,
    ) {
        let Some(change) = &mut self.change else { return };
        let Stage::Listing { cursors, done, keys } = &mut change.stage else { return };
        if cursors.get(&from) != Some(after) {
            return;
        }
        let last = listed.last().cloned();
        keys.extend(listed);
        if more {
            cursors.insert(from, last.clone());
            self.ask_for_keys(vec![(from, last)], out);
        } else {
            cursors.remove(&from);
            done.insert(from);
            if self.configuration.promised(done.iter()) {
                self.pursue_change(out);
            }
        }
    }

    /// As one who joins: takes over what was done to keys that are gone.
    pub(super) fn on_inherit(
        &mut self,
        from: NodeId,
        graves: Vec<(Arc<str>, Grave)>,
        out: &mut Effects<Self>,
    ) {
        let mut writes = Vec::new();
        for (client, Grave { sequence, output, .. }) in graves {
            writes.extend(self.graves.dig(client, sequence, output));
        }
        self.persist(writes, out);
        let epoch = self.configuration.epoch;
        self.answer(from, &REGISTER.into(), Body::Inherited { epoch }, out);
    }

    /// One who joins knows what was done to keys that are gone.
    pub(super) fn on_inherited(&mut self, from: NodeId, out: &mut Effects<Self>) {
        let Some(change) = &mut self.change else { return };
        let Stage::Bequeathing { left } = &mut change.stage else { return };
        if left.remove(&from) && left.is_empty() {
            self.pursue_change(out);
        }
    }

    /// The time has come to ask again, or to give up.
    pub(super) fn look_at_change(&mut self, out: &mut Effects<Self>) {
        let Some(change) = &self.change else { return };
        if change.until <= self.now {
            return self.give_change_up(out);
        }
        match change.stage {
            Stage::Reading | Stage::Registering(_) => {}
            _ if change.half <= self.now => self.go_back(out),
            // What is scanned is asked for again by its line.
            Stage::Scanning { .. } => {}
            Stage::Listing { .. } | Stage::Bequeathing { .. } => self.pursue_change(out),
        }
        self.set_change_alarm();
    }

    /// Registers the members before once more: their acceptances were enough all the time.
    fn go_back(&mut self, out: &mut Effects<Self>) {
        let back = settled(&self.configuration, &self.configuration.members);
        if let Some(change) = &mut self.change {
            change.reverted = change.planned;
        }
        self.enter(Stage::Registering(Box::new(back)), out);
    }

    fn give_change_up(&mut self, out: &mut Effects<Self>) {
        let why = "too few nodes have answered in time".into();
        self.end_change(Err(Refusal::Unfinished { why }), out);
    }

    fn set_change_alarm(&mut self) {
        let Some(change) = &mut self.change else { return };
        self.agenda.remove(&(change.alarm, ALARM.into()));
        change.alarm = (self.now + self.options.resend).min(change.until);
        self.agenda.insert((change.alarm, ALARM.into()));
    }
}

/// The configuration that settles one in between: with these members.
fn settled(current: &Configuration, members: &Members) -> Configuration {
    let mut addresses = current.addresses.clone();
    addresses.retain(|node, _| members.nodes.contains_key(node));
    Configuration { epoch: current.epoch + 1, members: members.clone(), next: None, addresses }
}
