//! How mishaps befall the nodes of a world, and pass; see [`Mishap`].

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_stores::replica::{NodeId, Replica, Role};

use super::{Event, Happening, Rot, World, index};
use crate::sim::climate::{Chance, Climate};
use crate::sim::mishap::Mishap;
use crate::sim::witness::Breach;

const MILLISECOND: u64 = 1_000_000;
/// The longest time for which a clock strobes, in nanoseconds.
const STROBE_MAX: u64 = 3_000 * MILLISECOND;
/// The longest times between two changes of the rate of a clock that strobes, in nanoseconds: shorter
/// than an election, or longer than a leader's time.
const STROBE_STEPS: [u64; 2] = [200 * MILLISECOND, 2_000 * MILLISECOND];

/// The longest time for which a processor is slow, in nanoseconds.
const SLOW_MAX: u64 = 3_000 * MILLISECOND;
/// The longest that a step takes on a slow processor, in nanoseconds.
const STEP_MAX: u64 = 20 * MILLISECOND;
/// The longest time for which a disk is full, in nanoseconds.
const FULL_MAX: u64 = 4_000 * MILLISECOND;
/// The longest that a supervisor takes to start a node again, in nanoseconds.
const RESTART_MAX: u64 = 1_500 * MILLISECOND;

/// The shortest time for which a node that lost its power is off, in nanoseconds, and how often it
/// may double: every scale up to half a second is as likely.
const OFF_MIN: u64 = 2 * MILLISECOND;
const OFF_DOUBLINGS: u32 = 8;

/// How many millionths a clock goes too fast: two clocks of three are as wrong as one may be.
pub(super) fn wrong_rate(drift: i64, rng: &mut ChaCha8Rng) -> i64 {
    match rng.random_range(0..3) {
        0 => -drift,
        1 => drift,
        _ => rng.random_range(-drift..=drift),
    }
}

/// A mishap that begins or ends, for whoever writes the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Incident {
    pub(in crate::sim) node: NodeId,
    pub(in crate::sim) mishap: Mishap,
    pub(in crate::sim) turn: Turn,
}

/// Where an incident stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Turn {
    /// It begins; what it is, in a sentence.
    Begins(String),
    /// It is over: whether it made a difference, and what was seen of that.
    Ends(bool, String),
}

impl<R: Replica, W> World<R, W> {
    /// Draws when each kind of mishap befalls a node first.
    pub(super) fn plan_mishaps(&mut self, id: NodeId) {
        for mishap in Mishap::ALL {
            self.plan_mishap(id, mishap);
        }
    }

    fn plan_mishap(&mut self, node: NodeId, mishap: Mishap) {
        // The climate may have become fair since.
        if let Some(every) = self.climate.every.every(mishap) {
            let after = self.mishaps.random_range(0..2 * every);
            self.queue.push(self.now + after, Event::Befall { node, mishap });
        }
    }

    /// Lets a mishap befall a node, unless it is under way there or the climate has become fair.
    pub(super) fn befall(&mut self, id: NodeId, mishap: Mishap) {
        if self.climate.every.every(mishap).is_none() {
            return;
        }
        self.plan_mishap(id, mishap);
        if mishap == Mishap::BitRot {
            return self.damage(id);
        }
        let node = &self.nodes[index(id)];
        let Some(running) = &node.running else { return };
        if node.under_way[mishap as usize].is_some() {
            return;
        }
        self.hardship.of_leaders += u64::from(running.core.status().role == Role::Leader);
        match mishap {
            Mishap::Pause => self.pause(id),
            Mishap::ClockJump => self.jump_clock(id),
            Mishap::ClockStrobe => self.begin_strobe(id),
            Mishap::SlowCpu => self.slow_down(id),
            // It begins when there is something to sync.
            Mishap::FsyncFailure => self.nodes[index(id)].fsync_fails = true,
            Mishap::FullDisk => self.fill_disk(id),
            Mishap::BitRot => {}
        }
    }

    fn pause(&mut self, id: NodeId) {
        let long = self.mishaps.random_range(Climate::PAUSE_MAX / 100..Climate::PAUSE_MAX);
        let node = &mut self.nodes[index(id)];
        node.busy_until = node.busy_until.max(self.now + long);
        let waited = node.waited;
        self.hardship.pauses += 1;
        let sentence = format!("{id} stands still for {} ms", long / MILLISECOND);
        self.begin(id, Mishap::Pause, waited, Some(long), sentence);
    }

    fn jump_clock(&mut self, id: NodeId) {
        let most = [100, 1_000, 5_000][self.mishaps.random_range(0..3)] * MILLISECOND;
        let by = self.mishaps.random_range(most / 20..most);
        let node = &mut self.nodes[index(id)];
        let before = node.clock.shows(self.now);
        node.clock.jump(self.now, by);
        let after = node.clock.shows(self.now);
        let deadlines = node.running.iter().flat_map(|running| &running.timers);
        let passed = deadlines.filter_map(|(_, alarm)| alarm.deadline);
        let passed = passed.filter(|deadline| (before..=after).contains(deadline)).count();
        self.retime(id);
        self.hardship.clock_jumps += 1;
        self.hardship.deadlines_jumped += passed as u64;
        let sentence = format!("the clock of {id} leaps {} ms ahead", by / MILLISECOND);
        self.begin(id, Mishap::ClockJump, 0, None, sentence);
        self.end(id, Mishap::ClockJump, passed > 0, format!("it leapt over {passed} deadlines"));
    }

    fn begin_strobe(&mut self, id: NodeId) {
        let long = self.mishaps.random_range(STROBE_MAX / 10..STROBE_MAX);
        let shown = self.nodes[index(id)].clock.shows(self.now).as_nanos() as u64;
        let before = shown.wrapping_sub(self.now);
        let sentence = format!("the clock of {id} changes its rate again and again");
        self.begin(id, Mishap::ClockStrobe, before, Some(long), sentence);
        self.strobe(id);
    }

    /// Changes the rate of a clock, as long as it strobes.
    pub(super) fn strobe(&mut self, id: NodeId) {
        if self.nodes[index(id)].under_way[Mishap::ClockStrobe as usize].is_none() {
            return;
        }
        self.change_rate(id);
        let most = STROBE_STEPS[self.mishaps.random_range(0..STROBE_STEPS.len())];
        let step = self.mishaps.random_range(most / 20..most);
        self.queue.push(self.now + step, Event::Strobe { node: id });
    }

    fn change_rate(&mut self, id: NodeId) {
        let drift = i64::from(self.climate.drift_ppm);
        let ppm = wrong_rate(drift, &mut self.mishaps);
        self.nodes[index(id)].clock.change_rate(self.now, ppm);
        self.hardship.rate_changes += 1;
        self.retime(id);
    }

    fn slow_down(&mut self, id: NodeId) {
        let long = self.mishaps.random_range(SLOW_MAX / 10..SLOW_MAX);
        let step = self.mishaps.random_range(STEP_MAX / 40..STEP_MAX);
        let node = &mut self.nodes[index(id)];
        node.step_ns = step;
        let waited = node.waited;
        self.hardship.slow_cpus += 1;
        let sentence = format!("every step takes {id} {} us", step / 1_000);
        self.begin(id, Mishap::SlowCpu, waited, Some(long), sentence);
    }

    fn fill_disk(&mut self, id: NodeId) {
        let long = self.mishaps.random_range(FULL_MAX / 20..FULL_MAX);
        let sentence = format!("the disk of {id} is full");
        self.begin(id, Mishap::FullDisk, 0, Some(long), sentence);
    }

    /// What a node wrote cannot be synced: its host stops it, and its supervisor starts it again.
    pub(super) fn fail_to_sync(&mut self, id: NodeId) -> Happening<W> {
        let node = &mut self.nodes[index(id)];
        node.fsync_fails = false;
        match &mut node.under_way[Mishap::FullDisk as usize] {
            Some(failures) => {
                *failures += 1;
                self.hardship.writes_without_room += 1;
                self.tell(|| format!("{id} finds no room on its disk and stops"));
            }
            None => {
                let sentence = format!("an fsync of {id} fails, and it stops");
                self.begin(id, Mishap::FsyncFailure, self.now, None, sentence);
            }
        }
        self.hardship.disk_failures += 1;
        self.go_down(id);
        let at = self.now + self.mishaps.random_range(RESTART_MAX / 30..RESTART_MAX);
        self.nodes[index(id)].restart_at = Some(at);
        self.queue.push(at, Event::Restart { node: id });
        Happening::Stopped(id)
    }

    /// A node loses power at a moment at which its disk is busy, and gets it back soon: often within
    /// the same election.
    pub(super) fn lose_power(&mut self, id: NodeId, incarnation: u64) -> Happening<W> {
        // The climate may have become fair since.
        let over = self.climate.power_loss == Chance::NEVER;
        if over || self.nodes[index(id)].incarnations != incarnation || !self.go_down(id) {
            return Happening::Nothing;
        }
        let long = OFF_MIN << self.mishaps.random_range(0..OFF_DOUBLINGS);
        let at = self.now + self.mishaps.random_range(OFF_MIN..=2 * long);
        self.nodes[index(id)].restart_at = Some(at);
        self.queue.push(at, Event::Restart { node: id });
        Happening::Stopped(id)
    }

    /// A supervisor starts a node, unless somebody else has seen to it since.
    pub(super) fn restart(&mut self, id: NodeId) -> Happening<W> {
        if self.nodes[index(id)].restart_at != Some(self.now) {
            return Happening::Nothing;
        }
        self.start(id).map_or_else(Happening::Broken, |()| Happening::Nothing)
    }

    /// Damages a record on a node's disk, if the others can live without that node.
    fn damage(&mut self, id: NodeId) {
        if self.nodes[index(id)].rot == Rot::Sound && self.may_lose(id) {
            self.nodes[index(id)].rot = Rot::Damaged;
        }
    }

    /// Whether most nodes, and most of the members wherever a node knows them, would still have a
    /// sound disk without that of this one. It may yet become a member, and so may others whose
    /// disk is damaged.
    fn may_lose(&self, id: NodeId) -> bool {
        let is_gone = |node: &NodeId| *node == id || self.is_damaged(*node);
        let gone = self.ids().filter(is_gone).count();
        let most_stay = |members: usize| members == 0 || 2 * gone < members;
        let known = |(_, core): (NodeId, &R)| core.status().voters.len();
        most_stay(self.nodes.len()) && self.cores().map(known).all(most_stay)
    }

    /// Reads a node's disk at its start; whether a record on it is damaged, so that its host refuses
    /// to start it, now and ever.
    pub(super) fn finds_damage(&mut self, id: NodeId) -> bool {
        let node = &mut self.nodes[index(id)];
        if node.rot == Rot::Damaged {
            // Of an empty disk nothing can be damaged.
            let Some(slot) = node.disk.some_slot(&mut self.mishaps) else { return false };
            let sentence =
                format!("the record of {id} in {slot:?} is damaged: it stays down for good");
            node.rot = Rot::Found;
            node.restart_at = None;
            self.hardship.lost_nodes += 1;
            self.begin(id, Mishap::BitRot, 0, None, sentence);
        }
        self.nodes[index(id)].rot == Rot::Found
    }

    /// Whether a node's disk is damaged, though nobody may know it yet.
    pub(in crate::sim) fn is_damaged(&self, id: NodeId) -> bool {
        self.nodes.get(index(id)).is_some_and(|node| node.rot != Rot::Sound)
    }

    /// Whether a node is down for good.
    pub(in crate::sim) fn is_lost(&self, id: NodeId) -> bool {
        self.nodes[index(id)].rot == Rot::Found
    }

    /// A mishap begins, and ends after so many nanoseconds if it does by itself. `before` is what it
    /// is measured against in the end.
    fn begin(
        &mut self,
        id: NodeId,
        mishap: Mishap,
        before: u64,
        long: Option<u64>,
        sentence: String,
    ) {
        self.tell(|| sentence.clone());
        self.nodes[index(id)].under_way[mishap as usize] = Some(before);
        self.incidents.push(Incident { node: id, mishap, turn: Turn::Begins(sentence) });
        if let Some(long) = long {
            self.queue.push(self.now + long, Event::Pass { node: id, mishap });
        }
    }

    pub(super) fn end(&mut self, id: NodeId, mishap: Mishap, bit: bool, observed: String) {
        self.nodes[index(id)].under_way[mishap as usize] = None;
        self.incidents.push(Incident { node: id, mishap, turn: Turn::Ends(bit, observed) });
    }

    /// Ends a mishap that is under way at a node.
    pub(super) fn pass(&mut self, id: NodeId, mishap: Mishap) {
        let node = &mut self.nodes[index(id)];
        let Some(before) = node.under_way[mishap as usize] else { return };
        let (bit, observed) = match mishap {
            Mishap::Pause => {
                node.busy_until = self.now;
                let waited = node.waited - before;
                (waited > 0, format!("{waited} inputs waited"))
            }
            Mishap::ClockJump => (false, String::new()),
            Mishap::ClockStrobe => {
                let shown = node.clock.shows(self.now).as_nanos() as u64;
                let gained = shown.wrapping_sub(self.now).wrapping_sub(before) as i64;
                let gained_ms = gained / MILLISECOND as i64;
                (gained_ms != 0, format!("the clock gained {gained_ms} ms"))
            }
            Mishap::SlowCpu => {
                node.step_ns = 0;
                let waited = node.waited - before;
                (waited > 0, format!("{waited} inputs waited"))
            }
            Mishap::FsyncFailure => {
                let down_ms = (self.now - before) / MILLISECOND;
                (true, format!("the node was down for {down_ms} ms"))
            }
            Mishap::FullDisk => (before > 0, format!("{before} writes failed")),
            Mishap::BitRot => (true, "the node never came back".to_owned()),
        };
        self.end(id, mishap, bit, observed);
    }

    /// Ends what is under way at every node, and starts those that wait for their supervisors; nothing
    /// befalls any in a fair climate.
    ///
    /// # Errors
    /// As of [`World::start`].
    pub(in crate::sim) fn become_fair(&mut self) -> Result<(), Breach> {
        self.climate = Climate::FAIR;
        for id in self.ids() {
            self.nodes[index(id)].fsync_fails = false;
            for mishap in Mishap::ALL.into_iter().filter(|mishap| *mishap != Mishap::BitRot) {
                self.pass(id, mishap);
            }
            if self.nodes[index(id)].restart_at.is_some() {
                self.start(id)?;
            }
        }
        Ok(())
    }

    /// Tells of the nodes that were lost that they never came back.
    pub(in crate::sim) fn conclude(&mut self) {
        for id in self.ids() {
            self.pass(id, Mishap::BitRot);
        }
    }

    /// Lets timers fire when the clock, which has changed, will show their deadlines.
    pub(super) fn retime(&mut self, id: NodeId) {
        let node = &mut self.nodes[index(id)];
        let (clock, incarnation) = (node.clock, node.incarnations);
        let Some(running) = &mut node.running else { return };
        for (timer, alarm) in &mut running.timers {
            let Some(deadline) = alarm.deadline else { continue };
            let at = clock.when(deadline).max(self.now);
            if alarm.queued.is_none_or(|queued| queued > at) {
                alarm.queued = Some(at);
                self.queue.push(at, Event::Timer { node: id, incarnation, timer: *timer });
            }
        }
    }
}
