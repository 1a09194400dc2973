//! How ailments of a schedule befall the nodes of a world, and are cured. What befalls nodes by itself
//! is in `mishaps`.

use rashomon_nemesis::{Ailment, Damage, Part, Percent};
use rashomon_stores::replica::{NodeId, Replica};

use super::{Event, Happening, Rot, World, index};
use crate::sim::mishap::Mishap;
use crate::sim::witness::Breach;

/// How often a throttled node runs and stands still, in nanoseconds.
const THROTTLE_PERIOD: u64 = 100_000_000;

/// How a node is, by the schedule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// It stands still until it is told to go on.
    pub(super) stopped: bool,
    /// What share of the processor's time it gets, if not all.
    throttle: Option<Percent>,
    /// It gets no more memory.
    pub(super) squeezed: bool,
    /// How many per cent of the right rate its clock goes at.
    rate: Percent,
    /// How long the turns are by which its clock is fast and slow, in nanoseconds.
    strobe: Option<u64>,
    /// How often it was told to do something by turns: what it did so before, it does along with it.
    changes: u64,
    /// How much longer each sync of its disk takes, in nanoseconds.
    pub(super) stall: u64,
    /// Its disk is full.
    pub(super) full: bool,
    /// The next sync of its disk fails.
    pub(super) balks: bool,
    /// It went down for want of memory, or because its disk was full or failed.
    starved: Option<Part>,
}

impl Default for Condition {
    fn default() -> Self {
        let (stopped, squeezed) = (false, false);
        let (full, balks) = (false, false);
        let (throttle, strobe, starved) = (None, None, None);
        let (rate, changes, stall) = (Percent::WHOLE, 0, 0);
        Condition {
            stopped,
            throttle,
            squeezed,
            rate,
            strobe,
            changes,
            stall,
            full,
            balks,
            starved,
        }
    }
}

impl<R: Replica, W> World<R, W> {
    /// Lets an ailment befall a node, if it runs; says whether it does.
    pub(in crate::sim) fn ail(&mut self, id: NodeId, ailment: Ailment) -> bool {
        let now = self.now;
        let node = &mut self.nodes[index(id)];
        if node.running.is_none() {
            return false;
        }
        let ns = |by: std::time::Duration| u64::try_from(by.as_nanos()).unwrap_or(u64::MAX / 4);
        if matches!(ailment, Ailment::Throttle(_) | Ailment::Strobe(_)) {
            node.condition.changes += 1;
        }
        let turn = Event::Turn { node: id, changes: node.condition.changes, slow: false };
        match ailment {
            Ailment::Pause => node.condition.stopped = true,
            Ailment::Throttle(share) => {
                node.condition.throttle = Some(share);
                self.queue.push(now, turn);
            }
            Ailment::Squeeze => node.condition.squeezed = true,
            Ailment::Leap(by) => node.clock.jump(now, ns(by)),
            Ailment::Drift(rate) => {
                (node.condition.rate, node.condition.strobe) = (rate, None);
                node.clock.change_rate(now, ppm(rate));
            }
            Ailment::Strobe(by) => {
                node.condition.strobe = Some(ns(by).max(1));
                self.queue.push(now, turn);
            }
            Ailment::Stall(by) => node.condition.stall = ns(by),
            Ailment::Fill => node.condition.full = true,
            Ailment::Balk => node.condition.balks = true,
        }
        if ailment.part() == Part::Clock {
            self.retime(id);
        }
        true
    }

    /// Cures a part of every node, and starts those that stopped because of it; says how many did.
    ///
    /// # Errors
    /// As of [`World::start`].
    pub(in crate::sim) fn cure(&mut self, part: Part) -> Result<u64, Breach> {
        let mut starved = 0;
        for id in self.ids() {
            let now = self.now;
            let node = &mut self.nodes[index(id)];
            match part {
                Part::Process => {
                    (node.condition.throttle, node.condition.squeezed) = (None, false);
                    if std::mem::take(&mut node.condition.stopped) && !node.backlog.is_empty() {
                        self.queue.push(node.busy_until.max(now), Event::Resume { node: id });
                    }
                }
                Part::Clock => {
                    let strobes = node.condition.strobe.take().is_some();
                    if strobes || node.condition.rate != Percent::WHOLE {
                        node.condition.rate = Percent::WHOLE;
                        node.clock.change_rate(now, 0);
                        self.retime(id);
                    }
                }
                Part::Disk => {
                    (node.condition.stall, node.condition.full) = (0, false);
                    node.condition.balks = false;
                }
            }
            let lacked = &mut self.nodes[index(id)].condition.starved;
            if lacked.take_if(|what| *what == part).is_some() {
                starved += 1;
                self.start(id)?;
            }
        }
        Ok(starved)
    }

    /// What a throttled node or a strobing clock does by turns: its next turn comes.
    pub(super) fn turn(&mut self, id: NodeId, changes: u64, slow: bool) {
        let now = self.now;
        let node = &mut self.nodes[index(id)];
        let (throttle, strobe) = (node.condition.throttle, node.condition.strobe);
        if node.condition.changes != changes || (throttle, strobe) == (None, None) {
            return;
        }
        if let Some(share) = throttle {
            let stands = THROTTLE_PERIOD / 100 * (100 - u64::from(share.get().min(100)));
            node.busy_until = node.busy_until.max(now + stands);
        }
        let rate = if slow { 10 } else { 190 };
        if strobe.is_some() {
            node.clock.change_rate(now, (rate - 100) * 10_000);
        }
        let next = Event::Turn { node: id, changes, slow: !slow };
        self.queue.push(now + strobe.unwrap_or(THROTTLE_PERIOD), next);
        if strobe.is_some() {
            self.retime(id);
        }
    }

    /// Does this to the data of a node that is down; says whether there was anything to do it to. What is
    /// spoilt is found when it starts again.
    pub(in crate::sim) fn damage_data(&mut self, id: NodeId, damage: Damage) -> bool {
        let node = &mut self.nodes[index(id)];
        if node.running.is_some() {
            return false;
        }
        match damage {
            Damage::Flip | Damage::Truncate => {
                let is_there = node.disk.some_slot(&mut self.mishaps).is_some();
                if is_there && node.rot == Rot::Sound {
                    node.rot = Rot::Damaged;
                }
                is_there
            }
            Damage::Save => {
                node.disk.save();
                true
            }
            Damage::Rollback => {
                let is_back = node.disk.roll_back();
                if is_back && node.rot == Rot::Found {
                    self.end(id, Mishap::BitRot, true, "what was saved was put back".to_owned());
                }
                if is_back {
                    self.nodes[index(id)].rot = Rot::Sound;
                }
                is_back
            }
        }
    }

    /// A node finds no memory, or cannot make durable what it is to write, and stops until there is some.
    pub(super) fn starve(&mut self, id: NodeId, of: Part) -> Happening<W> {
        let condition = &mut self.nodes[index(id)].condition;
        condition.starved = Some(of);
        let what = match of {
            Part::Disk if condition.full => "room on its disk",
            Part::Disk => "way to sync its disk",
            Part::Process | Part::Clock => "memory",
        };
        self.hardship.disk_failures += u64::from(of == Part::Disk);
        self.tell(|| format!("{id} finds no {what} and stops"));
        self.go_down(id);
        Happening::Stopped(id)
    }
}

/// Millionths by which a clock of this rate goes too fast.
fn ppm(rate: Percent) -> i64 {
    (i64::from(rate.get()) - 100) * 10_000
}
