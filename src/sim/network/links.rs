//! What a schedule has made of the links: which are closed, and what is wrong with others.

use std::collections::BTreeMap;
use std::io;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{Grudge, Percent, Rate, Trouble};
use rashomon_stores::replica::NodeId;
use serde::Serialize;

/// How long a sender believes in a connection that leads nowhere: as long as a live node waits for a
/// peer to take a message before it gives the connection up.
const BELIEF: u64 = 300_000_000;

/// The directed links between up to 64 nodes, a bit each.
#[derive(Debug, Default)]
struct Closed(Vec<u64>);

impl Closed {
    fn close(&mut self, grudge: &Grudge) {
        for (from, to) in grudge.links() {
            let from = usize::from(from.0);
            if self.0.len() <= from {
                self.0.resize(from + 1, 0);
            }
            self.0[from] |= 1 << to.0;
        }
    }

    fn has(&self, from: NodeId, to: NodeId) -> bool {
        self.0.get(usize::from(from.0)).is_some_and(|links| links & (1 << to.0) != 0)
    }
}

/// What is wrong with a link that is open.
#[derive(Clone, Copy, Debug, Default)]
struct Drag {
    /// How much longer messages take, in nanoseconds.
    slow: u64,
    lose: Option<Percent>,
    limit: Option<Rate>,
    /// Until when a narrow link is taken by what was sent before.
    taken: u64,
    /// The next message breaks off.
    breaks_off: bool,
    /// Until when messages go to a connection that leads nowhere.
    stranded: u64,
}

/// What the links make of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It sets out, and takes so many nanoseconds longer.
    Open(u64),
    /// It is lost.
    Lost,
    /// It waits until the link is healed.
    Waits,
}

/// The links between the nodes.
#[derive(Debug, Default)]
pub(super) struct Links {
    cut: Closed,
    hold: Closed,
    drags: BTreeMap<(NodeId, NodeId), Drag>,
}

impl Links {
    /// Lets this be wrong with these links from now on.
    pub(super) fn strike(&mut self, trouble: Trouble, grudge: &Grudge, now: u64) {
        match trouble {
            Trouble::Cut => self.cut.close(grudge),
            Trouble::Hold => self.hold.close(grudge),
            _ => {
                for (from, to) in grudge.links() {
                    let drag = self.drags.entry((NodeId(from.0), NodeId(to.0))).or_default();
                    drag.strike(trouble, now);
                }
            }
        }
    }

    /// Whether a cut stops messages of a link.
    pub(super) fn cuts(&self, from: NodeId, to: NodeId) -> bool {
        self.cut.has(from, to)
    }

    /// Whether messages of a link wait.
    pub(super) fn holds(&self, from: NodeId, to: NodeId) -> bool {
        self.hold.has(from, to)
    }

    /// What becomes of a message that is sent now.
    pub(super) fn pass<M: Serialize>(
        &mut self,
        (from, to): (NodeId, NodeId),
        message: &M,
        now: u64,
        rng: &mut ChaCha8Rng,
    ) -> Passage {
        if self.cuts(from, to) {
            return Passage::Lost;
        }
        if self.holds(from, to) {
            return Passage::Waits;
        }
        match self.drags.get_mut(&(from, to)) {
            Some(drag) => drag.pass(message, now, rng),
            None => Passage::Open(0),
        }
    }
}

impl Drag {
    fn strike(&mut self, trouble: Trouble, now: u64) {
        match trouble {
            Trouble::Slow(by) => self.slow = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX / 4),
            Trouble::Lose(chance) => self.lose = Some(chance),
            Trouble::Limit(rate) => self.limit = Some(rate),
            Trouble::Reset => self.breaks_off = true,
            Trouble::Strand => self.stranded = now.saturating_add(BELIEF),
            Trouble::Cut | Trouble::Hold => {}
        }
    }

    fn pass<M: Serialize>(&mut self, message: &M, now: u64, rng: &mut ChaCha8Rng) -> Passage {
        if now < self.stranded || std::mem::take(&mut self.breaks_off) {
            return Passage::Lost;
        }
        if self.lose.is_some_and(|chance| rng.random_range(0..100) < chance.get()) {
            return Passage::Lost;
        }
        let mut longer = match self.slow {
            0 => 0,
            by => by / 2 + rng.random_range(0..=by),
        };
        if let Some(rate) = self.limit {
            let takes = rate.time_of(size(message)).as_nanos();
            let takes = u64::try_from(takes).unwrap_or(u64::MAX / 4);
            self.taken = self.taken.max(now).saturating_add(takes);
            longer += self.taken - now;
        }
        Passage::Open(longer)
    }
}

/// How many bytes a message has on a live link, about.
fn size<M: Serialize>(message: &M) -> usize {
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, message) {
        Ok(()) => counter.0,
        // Live nodes could not send it either.
        Err(_) => 0,
    }
}

/// Counts what is written to it.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rashomon_nemesis::Node;

    use super::*;

    const LINK: (NodeId, NodeId) = (NodeId(1), NodeId(2));

    fn troubled(trouble: Trouble) -> (Links, ChaCha8Rng) {
        let mut links = Links::default();
        links.strike(trouble, &[(Node(1), Node(2))].into_iter().collect(), 1_000);
        (links, ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn one_message_breaks_off_and_the_next_passes() {
        let (mut links, mut rng) = troubled(Trouble::Reset);
        assert_eq!(links.pass((LINK.1, LINK.0), &1, 1_000, &mut rng), Passage::Open(0));
        assert_eq!(links.pass(LINK, &1, 1_000, &mut rng), Passage::Lost);
        assert_eq!(links.pass(LINK, &1, 1_000, &mut rng), Passage::Open(0));
    }

    #[test]
    fn what_is_sent_to_a_dead_connection_is_lost_until_it_is_given_up() {
        let (mut links, mut rng) = troubled(Trouble::Strand);
        assert_eq!(links.pass(LINK, &1, 1_000 + BELIEF - 1, &mut rng), Passage::Lost);
        assert_eq!(links.pass(LINK, &1, 1_000 + BELIEF, &mut rng), Passage::Open(0));
    }

    #[test]
    fn a_narrow_link_takes_its_time_and_one_message_after_the_other() {
        let (mut links, mut rng) = troubled(Trouble::Limit(Rate::new(100).expect("a rate")));
        // Six bytes in JSON, at ten milliseconds each.
        let message = "abcd";
        let takes = 60_000_000;
        assert_eq!(links.pass(LINK, &message, 5_000, &mut rng), Passage::Open(takes));
        assert_eq!(links.pass(LINK, &message, 5_000, &mut rng), Passage::Open(2 * takes));
        let later = 5_000 + 2 * takes;
        assert_eq!(links.pass(LINK, &message, later, &mut rng), Passage::Open(takes));
    }

    #[test]
    fn as_many_are_lost_as_it_says() {
        let (mut links, mut rng) = troubled(Trouble::Lose(Percent::new(30).expect("per cent")));
        let is_lost = |_: &u32| links.pass(LINK, &1, 0, &mut rng) == Passage::Lost;
        let lost = (0..10_000).filter(is_lost).count();
        assert!((2_700..3_300).contains(&lost), "{lost} of 10000");
    }
}
