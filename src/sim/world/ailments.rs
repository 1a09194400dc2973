//! How ailments of a schedule befall the nodes of a world, and are cured. What befalls nodes by itself
//! is in `mishaps`.

use rashomon_nemesis::{Ailment, Part, Percent};
use rashomon_stores::replica::{NodeId, Replica};

use super::{Event, Happening, World, index};
use crate::sim::witness::Breach;

/// How a node is, by the schedule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// It stands still until it is told to go on.
    pub(super) stopped: bool,
    /// How many per cent of the right rate its clock goes at.
    rate: Percent,
    /// How much longer each sync of its disk takes, in nanoseconds.
    pub(super) stall: u64,
    /// Its disk is full.
    pub(super) full: bool,
    /// It went down for want of room.
    starved: bool,
}

impl Default for Condition {
    fn default() -> Self {
        let (stopped, full, starved) = (false, false, false);
        Condition { stopped, rate: Percent::WHOLE, stall: 0, full, starved }
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
        match ailment {
            Ailment::Pause => node.condition.stopped = true,
            Ailment::Leap(by) => node.clock.jump(now, ns(by)),
            Ailment::Drift(rate) => {
                node.condition.rate = rate;
                node.clock.change_rate(now, ppm(rate));
            }
            Ailment::Stall(by) => node.condition.stall = ns(by),
            Ailment::Fill => node.condition.full = true,
        }
        if ailment.part() == Part::Clock {
            self.retime(id);
        }
        true
    }

    /// Cures a part of every node, and starts those that stopped because of it.
    ///
    /// # Errors
    /// As of [`World::start`].
    pub(in crate::sim) fn cure(&mut self, part: Part) -> Result<(), Breach> {
        for id in self.ids() {
            let now = self.now;
            let node = &mut self.nodes[index(id)];
            match part {
                Part::Process if node.condition.stopped => {
                    node.condition.stopped = false;
                    if !node.backlog.is_empty() {
                        self.queue.push(node.busy_until.max(now), Event::Resume { node: id });
                    }
                }
                Part::Clock if node.condition.rate != Percent::WHOLE => {
                    node.condition.rate = Percent::WHOLE;
                    node.clock.change_rate(now, 0);
                    self.retime(id);
                }
                Part::Disk => {
                    (node.condition.stall, node.condition.full) = (0, false);
                    if std::mem::take(&mut node.condition.starved) {
                        self.start(id)?;
                    }
                }
                Part::Process | Part::Clock => {}
            }
        }
        Ok(())
    }

    /// A node finds no room for what it is to write, and stops until there is some.
    pub(super) fn starve(&mut self, id: NodeId) -> Happening<W> {
        self.nodes[index(id)].condition.starved = true;
        self.hardship.disk_failures += 1;
        self.tell(|| format!("{id} finds no room on its disk and stops"));
        self.go_down(id);
        Happening::Stopped(id)
    }
}

/// Millionths by which a clock of this rate goes too fast.
fn ppm(rate: Percent) -> i64 {
    (i64::from(rate.get()) - 100) * 10_000
}
