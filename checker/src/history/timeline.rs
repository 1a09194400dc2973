//! Where the points of a history stand: their events' lines and times, kept small.
//!
//! Nearly all lines follow their predecessors at the same distance, and nearly all times come soon
//! after them, so both are kept as runs. A rank leads back to its event without a column for it,
//! since nearly all events have a rank and nearly all ranks are in the order of the events.

use rayon::slice::ParallelSliceMut;

/// A number for each event, in runs that progress evenly.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    runs: Vec<LineRun>,
    events: u32,
}

#[derive(Clone, Copy, Debug)]
struct LineRun {
    event: u32,
    line: u32,
    step: u32,
}

impl LineRun {
    fn line(self, event: u32) -> u32 {
        self.line.saturating_add((event - self.event).saturating_mul(self.step))
    }
}

impl Lines {
    /// The line of the next event.
    #[inline]
    pub(super) fn push(&mut self, line: u32) {
        let event = self.events;
        self.events += 1;
        if let Some(run) = self.runs.last_mut() {
            if event == run.event + 1
                && let Some(step) = line.checked_sub(run.line)
            {
                run.step = step;
                return;
            }
            if run.line(event) == line {
                return;
            }
        }
        self.runs.push(LineRun { event, line, step: 0 });
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<LineRun>()
    }

    /// The line of an event.
    pub(super) fn get(&self, event: u32) -> u32 {
        let run = self.runs.partition_point(|run| run.event <= event);
        run.checked_sub(1).map_or(0, |run| self.runs[run].line(event))
    }
}

/// A time for each event, or none.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// From which event on times count from which moment.
    runs: Vec<(u32, u64)>,
    after: Vec<u32>,
}

/// Stands for no time.
const MISSING: u32 = u32::MAX;
/// By how much a time may lie before that of its run's first event; the rest of a run's 4.3 seconds
/// lies after it.
const SLACK: u64 = 1 << 30;

impl Times {
    /// The time of the next event.
    #[inline]
    pub(super) fn push(&mut self, time: Option<u64>) {
        let after = time.map_or(MISSING, |time| {
            let start = self.runs.last().and_then(|(_, start)| time.checked_sub(*start));
            match start.and_then(|after| u32::try_from(after).ok()) {
                Some(after) if after != MISSING => after,
                _ => self.start_run(time),
            }
        });
        self.after.push(after);
    }

    fn start_run(&mut self, time: u64) -> u32 {
        let start = time.saturating_sub(SLACK);
        self.runs.push((self.after.len() as u32, start));
        (time - start) as u32
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<(u32, u64)>() + self.after.capacity() * size_of::<u32>()
    }

    /// The time of an event.
    pub(super) fn get(&self, event: u32) -> Option<u64> {
        let after = self.after.get(event as usize).filter(|after| **after != MISSING)?;
        let run = self.runs.partition_point(|(first, _)| *first <= event);
        Some(self.runs[run - 1].1 + u64::from(*after))
    }

    /// Forgets room that is not needed.
    pub(super) fn shrink(&mut self) {
        self.after.shrink_to_fit();
    }
}

/// Which event has which rank.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranks {
    /// For each event without a rank, in order, how many events with one come before it.
    unranked: Vec<u32>,
    events: u32,
    /// Ranks in the order of events, by rank; empty if that order is theirs.
    order: Vec<u32>,
}

impl Ranks {
    /// The next event has a rank: this one, in the order of events.
    #[inline]
    pub(super) fn push(&mut self) -> u32 {
        self.events += 1;
        self.len() - 1
    }

    /// The next event has no rank.
    pub(super) fn skip(&mut self) {
        self.unranked.push(self.len());
        self.events += 1;
    }

    /// How many ranks there are.
    pub(super) fn len(&self) -> u32 {
        self.events - self.unranked.len() as u32
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        (self.unranked.capacity() + self.order.capacity()) * size_of::<u32>()
    }

    /// How many events there are.
    pub(super) fn events(&self) -> u32 {
        self.events
    }

    /// The event of a rank.
    pub(super) fn event(&self, rank: u32) -> u32 {
        let position = self.order.get(rank as usize).copied().unwrap_or(rank);
        position + self.unranked.partition_point(|before| *before <= position) as u32
    }

    /// Puts the ranks in the order of a key, where it is equal in the order of events, and says
    /// which rank each has now. Both count ranks in the order of events.
    pub(super) fn sort_by_key<K: Ord>(&mut self, key: impl Fn(u32) -> K + Sync) -> Vec<u32> {
        self.order = (0..self.len()).collect();
        self.order.par_sort_unstable_by_key(|&position| (key(position), position));
        let mut ranks = vec![0; self.order.len()];
        for (rank, &position) in (0..).zip(&self.order) {
            ranks[position as usize] = rank;
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn lines_and_times_of_any_kind_are_kept() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for events in 0..300 {
            let (mut lines, mut times) = (Lines::default(), Times::default());
            let (mut line, mut time) = (rng.random_range(0..3), 0u64);
            let strangeness = rng.random_range(0..3);
            let mut told = Vec::new();
            for _ in 0..events {
                line = match rng.random_range(0..20) {
                    0 if strangeness > 0 => rng.random(),
                    1..4 if strangeness > 1 => line,
                    4..6 if strangeness > 1 => u32::MAX,
                    _ => line.saturating_add(1 + strangeness),
                };
                time = match rng.random_range(0..20) {
                    0 if strangeness > 0 => rng.random(),
                    1 if strangeness > 0 => u64::MAX,
                    2..5 => time.saturating_sub(rng.random_range(0..3_000_000_000)),
                    _ => time.saturating_add(rng.random_range(0..3_000_000_000)),
                };
                let time = (strangeness == 0 || rng.random_ratio(9, 10)).then_some(time);
                lines.push(line);
                times.push(time);
                told.push((line, time));
            }
            for (event, told) in (0..).zip(told) {
                assert_eq!((lines.get(event), times.get(event)), told);
            }
        }
    }

    #[test]
    fn even_lines_and_times_take_one_run() {
        let (mut lines, mut times) = (Lines::default(), Times::default());
        for event in 0..1000 {
            lines.push(7 + 2 * event);
            times.push(Some(u64::from(event * 3_000_000)));
        }
        assert_eq!((lines.runs.len(), times.runs.len()), (1, 1));
    }

    #[test]
    fn ranks_lead_back_to_their_events() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for _ in 0..300 {
            let mut ranks = Ranks::default();
            let mut events = Vec::new();
            for event in 0..rng.random_range(0..50) {
                if rng.random_ratio(1, 3) {
                    ranks.skip();
                } else {
                    assert_eq!(ranks.push() as usize, events.len());
                    events.push(event);
                }
            }
            for (rank, event) in (0..).zip(&events) {
                assert_eq!(ranks.event(rank), *event);
            }
            let keys: Vec<u8> = events.iter().map(|_| rng.random_range(0..9)).collect();
            let moved = ranks.sort_by_key(|rank| keys[rank as usize]);
            let mut expected: Vec<_> = keys.iter().zip(&events).collect();
            expected.sort();
            for (event, rank) in events.iter().zip(moved) {
                assert_eq!(ranks.event(rank), *event);
                assert_eq!(expected[rank as usize].1, event);
            }
        }
    }
}
