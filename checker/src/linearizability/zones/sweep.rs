//! The sweep over zones: whether two chains contradict each other, and in which order they come.

use std::hint::select_unpredictable;

use super::Flaw;
use super::slots::START;
use crate::linearizability::budget::Meter;

/// How much longer than the list of chains a line of ranks may be to be swept without sorting.
const MAX_GAP: usize = 8;

/// No chain: that of the initial value comes before the line.
const NONE: u32 = START;

/// When the operations of a chain took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    /// The first completion.
    pub(super) first: u32,
    /// The last invocation.
    pub(super) last: u32,
}

impl Zone {
    /// Where the zone begins.
    fn left(self) -> u32 {
        self.first.min(self.last)
    }

    /// Whether the value was there throughout.
    fn is_forward(self) -> bool {
        self.first < self.last
    }
}

/// Chains on the line of ranks, each where its zone begins.
#[derive(Debug)]
pub(super) struct Line {
    /// A chain or [`NONE`] for each rank; without ranks if they are far apart.
    chains: Vec<u32>,
    /// The first rank.
    from: u32,
    /// The beginnings of the zones with their chains, if ranks are far apart.
    far: Vec<(u32, u32)>,
    is_far: bool,
}

impl Line {
    /// A line of ranks, from the first to the last, for about so many chains.
    pub(super) fn new(ranks: [u32; 2], chains: usize, meter: &mut Meter<'_>) -> Result<Self, Flaw> {
        let [from, to] = ranks;
        let span = to.saturating_sub(from) as usize + 1;
        let is_far = span / MAX_GAP > chains;
        meter.draw(if is_far {
            chains * size_of::<[u32; 3]>()
        } else {
            span * size_of::<u32>()
        })?;
        let chains = if is_far { Vec::new() } else { vec![NONE; span] };
        Ok(Line { chains, from, far: Vec::new(), is_far })
    }

    /// Puts a chain on the line. No two zones begin at one rank.
    #[inline]
    pub(super) fn put(&mut self, chain: u32, zone: Zone) {
        if self.is_far {
            self.far.push((zone.left(), chain));
        } else {
            self.chains[(zone.left() - self.from) as usize] = chain;
        }
    }

    /// Visits the chains in an order that respects real time, or finds two each of which would
    /// have to come first. Gives back the room that the line took.
    pub(super) fn sweep<T>(
        mut self,
        table: &mut T,
        zone: impl Fn(&T, u32) -> Zone,
        mut visit: impl FnMut(&mut T, u32),
    ) -> Result<Vec<u32>, [u32; 2]> {
        self.far.sort_unstable();
        self.chains.extend(self.far.iter().map(|&(_, chain)| chain));
        let (mut current, mut end) = (NONE, 0);
        squeeze(&mut self.chains);
        for &chain in &self.chains {
            let zone = zone(table, chain);
            // A forward zone must begin after the current one, a backward one must not end in it.
            if zone.first < end {
                return Err([current, chain]);
            }
            let forward = zone.is_forward();
            current = select_unpredictable(forward, chain, current);
            end = select_unpredictable(forward, zone.last, end);
            visit(table, chain);
        }
        Ok(self.chains)
    }
}

/// Leaves out what is no chain, without guessing what that will be.
fn squeeze(chains: &mut Vec<u32>) {
    let mut count = 0;
    for index in 0..chains.len() {
        let chain = chains[index];
        chains[count] = chain;
        count += usize::from(chain != NONE);
    }
    chains.truncate(count);
}
