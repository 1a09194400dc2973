//! Clusters of operations on one value, and their chains.

use rustc_hash::FxHashMap;

use super::slots::START;
use super::sweep::{Line, Zone};
use super::{Contradiction, Flaw};
use crate::history::NEVER;
use crate::linearizability::budget::Meter;

/// No value: that of the start is never made.
const NONE: u32 = START;

/// The operations that found or made one value.
#[derive(Clone, Copy, Debug)]
struct Cluster {
    /// The first completion and the last invocation; in the head of a chain, in the end those of
    /// all the chain. Once the chain has its place in the order, the place of the maker and that
    /// of the next operation that found the value.
    ends: [u32; 2],
    /// How many operations, and how the value was made.
    members: u32,
}

impl Cluster {
    const EMPTY: Cluster = Cluster { ends: [NEVER, 0], members: 0 };
    /// It has a maker.
    const MADE: u32 = 1 << 31;
    /// Its maker found another value.
    const LINKED: u32 = 1 << 30;
    /// It is part of a chain.
    const JOINED: u32 = 1 << 29;
    const COUNT: u32 = Self::JOINED - 1;

    fn has(self, flag: u32) -> bool {
        self.members & flag != 0
    }

    fn zone(self) -> Zone {
        Zone { first: self.ends[0], last: self.ends[1] }
    }
}

/// The clusters of all values, by slot. Operations come by invocation; those of unknown outcome
/// complete [`NEVER`].
#[derive(Debug)]
pub(super) struct Clusters {
    table: Vec<Cluster>,
    /// The value that was made from each value; empty if none ever was.
    next: Vec<u32>,
    /// What operations of unknown outcome may have found, by what they may have made.
    in_doubt: FxHashMap<u32, u32>,
    /// A value that was found and replaced twice.
    replaced_twice: Option<u32>,
    /// Everything is told as it stood then.
    horizon: u32,
}

impl Clusters {
    /// No operations yet on so many values.
    pub(super) fn new(slots: usize, horizon: u32, meter: &mut Meter<'_>) -> Result<Self, Flaw> {
        meter.draw(slots * size_of::<Cluster>())?;
        Ok(Clusters {
            table: vec![Cluster::EMPTY; slots],
            next: Vec::new(),
            in_doubt: FxHashMap::default(),
            replaced_twice: None,
            horizon,
        })
    }

    /// An operation made a value, or a completed one found it.
    #[inline]
    pub(super) fn touch(
        &mut self,
        slot: usize,
        made: bool,
        call: u32,
        ret: u32,
    ) -> Result<(), Flaw> {
        let cluster = &mut self.table[slot];
        let [first, _] = cluster.ends;
        // Somebody else made it, or somebody found it who was done before anybody began to.
        let is_odd = cluster.has(Cluster::MADE) | (first < call) | (slot == START as usize);
        if made & is_odd {
            return Err(self.misfit(slot));
        }
        cluster.ends = [first.min(ret), call];
        cluster.members = (cluster.members + 1) | (u32::from(made) << 31);
        Ok(())
    }

    /// What is wrong with another maker of a value.
    #[cold]
    fn misfit(&self, slot: usize) -> Flaw {
        let cluster = self.table[slot];
        if slot == START as usize || cluster.has(Cluster::MADE) {
            return Flaw::Unsuitable;
        }
        Flaw::Contradiction(Contradiction { clusters: [slot as u32; 2], by: cluster.ends[0] })
    }

    /// An operation found one value and made another.
    pub(super) fn replace(
        &mut self,
        [found, made]: [usize; 2],
        call: u32,
        ret: u32,
        meter: &mut Meter<'_>,
    ) -> Result<(), Flaw> {
        self.touch(made, true, call, ret)?;
        if ret == NEVER {
            // Two numbers and a control byte, at the average load.
            meter.draw(2 * size_of::<[u32; 2]>())?;
            self.table[made].members |= Cluster::LINKED;
            self.in_doubt.insert(made as u32, found as u32);
            return Ok(());
        }
        self.link([found as u32, made as u32], meter)
    }

    /// The maker of one value found the other one; somebody saw that it did.
    pub(super) fn link(
        &mut self,
        [found, made]: [u32; 2],
        meter: &mut Meter<'_>,
    ) -> Result<(), Flaw> {
        if self.next.is_empty() {
            meter.draw(self.table.len() * size_of::<u32>())?;
            self.next = vec![NONE; self.table.len()];
        }
        let next = &mut self.next[found as usize];
        if *next != NONE {
            self.replaced_twice = Some(found);
        }
        *next = made;
        self.table[made as usize].members |= Cluster::LINKED;
        Ok(())
    }

    /// Whether the value has a maker of whom nobody said yet what it found.
    pub(super) fn is_free(&self, slot: u32) -> bool {
        let cluster = self.table[slot as usize];
        cluster.has(Cluster::MADE) && !cluster.has(Cluster::LINKED)
    }

    #[inline]
    fn next(&self, slot: u32) -> u32 {
        self.next.get(slot as usize).copied().unwrap_or(NONE)
    }

    /// Whether the value must have been there.
    #[inline]
    fn is_needed(&self, slot: u32) -> bool {
        self.table[slot as usize].ends[0] != NEVER || self.next(slot) != NONE
    }

    fn contradiction(&self, one: u32, other: u32) -> Flaw {
        Flaw::Contradiction(Contradiction { clusters: [one, other], by: self.horizon })
    }

    /// Joins clusters to chains and puts those on a line of these ranks, unless one of them
    /// contradicts itself.
    pub(super) fn join(&mut self, ranks: [u32; 2], meter: &mut Meter<'_>) -> Result<Line, Flaw> {
        self.apply_in_doubt(meter)?;
        let mut line = Line::new(ranks, self.table.len(), meter)?;
        let mut earliest = (NEVER, NONE);
        for slot in START + 1..self.table.len() as u32 {
            let cluster = self.table[slot as usize];
            if !self.is_needed(slot) || cluster.has(Cluster::LINKED) {
                continue;
            }
            if !cluster.has(Cluster::MADE) {
                return Err(self.contradiction(slot, slot));
            }
            self.join_chain(slot)?;
            let zone = self.zone(slot);
            earliest = earliest.min((zone.first, slot));
            line.put(slot, zone);
        }
        self.join_chain(START)?;
        // The chain of the initial value comes first whenever it completes.
        if earliest.0 < self.zone(START).last {
            return Err(self.contradiction(START, earliest.1));
        }
        self.find_unjoined()?;
        Ok(line)
    }

    /// Lets those operations of unknown outcome take effect that somebody needs.
    fn apply_in_doubt(&mut self, meter: &mut Meter<'_>) -> Result<(), Flaw> {
        let needed = self.in_doubt.keys().copied().filter(|&made| self.is_needed(made));
        let mut needed: Vec<u32> = needed.collect();
        while let Some(made) = needed.pop() {
            if let Some(found) = self.in_doubt.remove(&made) {
                self.link([found, made], meter)?;
                needed.push(found);
            }
        }
        self.replaced_twice.map_or(Ok(()), |found| Err(self.contradiction(found, found)))
    }

    /// Gives the head of a chain the zone of all of it.
    #[inline]
    fn join_chain(&mut self, head: u32) -> Result<(), Flaw> {
        let mut zone = self.zone(head);
        let mut slot = self.next(head);
        while slot != NONE {
            let cluster = &mut self.table[slot as usize];
            cluster.members |= Cluster::JOINED;
            let Zone { first, last } = cluster.zone();
            if first < zone.last {
                return Err(self.contradiction(head, slot));
            }
            zone = Zone { first: zone.first.min(first), last: zone.last.max(last) };
            slot = self.next(slot);
        }
        self.table[head as usize].ends = [zone.first, zone.last];
        Ok(())
    }

    /// Values that were made from each other in a circle.
    fn find_unjoined(&self) -> Result<(), Flaw> {
        if self.next.is_empty() {
            return Ok(());
        }
        let is_unjoined = |&slot: &u32| {
            let cluster = self.table[slot as usize];
            cluster.has(Cluster::LINKED) && !cluster.has(Cluster::JOINED) && self.is_needed(slot)
        };
        let unjoined = (START + 1..self.table.len() as u32).find(is_unjoined);
        unjoined.map_or(Ok(()), |slot| Err(self.contradiction(slot, slot)))
    }

    #[inline]
    fn zone(&self, slot: u32) -> Zone {
        self.table[slot as usize].zone()
    }

    /// Finds places for all operations in an order, or that there is none.
    pub(super) fn arrange(mut self, line: Line) -> Result<Arrangement, Flaw> {
        let mut place = 0;
        self.give_places(START, &mut place);
        let swept = line.sweep(&mut self, Self::zone, |clusters, chain| {
            clusters.give_places(chain, &mut place);
        });
        // The line is not needed any more, and has room for the order.
        let mut order = swept.map_err(|[one, other]| self.contradiction(one, other))?;
        order.resize(place as usize, 0);
        Ok(Arrangement { clusters: self, order })
    }

    /// Gives the clusters of a chain the next places.
    #[inline]
    fn give_places(&mut self, head: u32, place: &mut u32) {
        let mut slot = head;
        loop {
            let cluster = &mut self.table[slot as usize];
            cluster.ends = [*place, *place + u32::from(cluster.has(Cluster::MADE))];
            *place += cluster.members & Cluster::COUNT;
            slot = self.next(slot);
            if slot == NONE {
                return;
            }
        }
    }

    /// The values that can be there in the end, where there is an order: the last ones of the
    /// chains that can come last, and what operations of unknown outcome can make of them or of
    /// anything.
    pub(super) fn ends(&self) -> Vec<u32> {
        let made = START + 1..self.table.len() as u32;
        let heads = || made.clone().filter(|&slot| !self.table[slot as usize].has(Cluster::LINKED));
        // A chain can come last if no operation of another began after its first completion.
        let (mut latest, mut other, mut head_of_latest) = (0, 0, START);
        for head in heads().filter(|&head| self.is_needed(head)) {
            let last = self.zone(head).last;
            other = other.max(last.min(latest));
            if head_of_latest == START || last > latest {
                (latest, head_of_latest) = (last, head);
            }
        }
        let can_be_last = |&head: &u32| match self.is_needed(head) {
            true => self.zone(head).first > if head == head_of_latest { other } else { latest },
            // What nobody needs may have been made in the end.
            false => self.table[head as usize].has(Cluster::MADE),
        };
        let mut ends: Vec<u32> = heads().filter(can_be_last).map(|head| self.end(head)).collect();
        if head_of_latest == START {
            ends.push(self.end(START));
        }
        let mut makes: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (&made, &found) in &self.in_doubt {
            makes.entry(found).or_default().push(made);
        }
        let mut looked_at = 0;
        while let Some(found) = ends.get(looked_at) {
            ends.extend(makes.remove(found).unwrap_or_default());
            looked_at += 1;
        }
        ends.sort_unstable();
        ends
    }

    /// The last value of a chain.
    fn end(&self, head: u32) -> u32 {
        let mut slot = head;
        while self.next(slot) != NONE {
            slot = self.next(slot);
        }
        slot
    }
}

/// Clusters with places in the order for their operations.
#[derive(Debug)]
pub(super) struct Arrangement {
    clusters: Clusters,
    order: Vec<u32>,
}

impl Arrangement {
    /// Puts an operation that made a value, or only found it, into its place. They come by
    /// invocation.
    #[inline]
    pub(super) fn place(&mut self, operation: u32, slot: usize, made: bool) {
        let place = &mut self.clusters.table[slot].ends[usize::from(!made)];
        // What was made in doubt and nobody needs has no place.
        if let Some(found) = self.order.get_mut(*place as usize) {
            *found = operation;
            *place += 1;
        }
    }

    /// The order, once all operations are in place.
    pub(super) fn order(self) -> Vec<u32> {
        self.order
    }
}
