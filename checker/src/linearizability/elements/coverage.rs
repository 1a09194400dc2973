//! How many spans cover each point of a row, where spans only go away.
//!
//! A segment tree over the points. A node knows how many spans have gone that covered all points
//! below it, and the least that a point below is still covered, so a span that goes touches a
//! logarithmic number of nodes, and the next point that nothing covers is as far away.

use std::ops::Range;

/// Points by number, with how often each is covered.
#[derive(Debug)]
pub(super) struct Coverage {
    /// A power of two: node 1 is the root, and from here on nodes are points.
    width: usize,
    /// The least that a point below is covered, but for what has gone further up.
    least: Vec<u32>,
    /// Spans that have gone and covered exactly the points below.
    gone: Vec<u32>,
}

impl Coverage {
    /// Points covered so often.
    pub(super) fn new(counts: &[u32]) -> Self {
        let width = counts.len().next_power_of_two();
        let mut least = vec![u32::MAX; 2 * width];
        least[width..width + counts.len()].copy_from_slice(counts);
        for node in (1..width).rev() {
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Coverage { width, least, gone: vec![0; width] }
    }

    /// Takes away a span that covers these points.
    pub(super) fn uncover(&mut self, points: Range<usize>) {
        if points.is_empty() {
            return;
        }
        let (mut left, mut right) = (points.start + self.width, points.end + self.width);
        while left < right {
            if left % 2 == 1 {
                self.lower(left);
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                self.lower(right);
            }
            (left, right) = (left / 2, right / 2);
        }
        self.update_above(points.start + self.width);
        self.update_above(points.end - 1 + self.width);
    }

    fn lower(&mut self, node: usize) {
        self.least[node] -= 1;
        if let Some(gone) = self.gone.get_mut(node) {
            *gone += 1;
        }
    }

    fn update_above(&mut self, mut node: usize) {
        while node > 1 {
            node /= 2;
            let least = self.least[2 * node].min(self.least[2 * node + 1]);
            self.least[node] = least - self.gone[node];
        }
    }

    /// The first point from this one on that nothing covers.
    pub(super) fn next_free(&self, from: usize) -> Option<usize> {
        if from >= self.width {
            return None;
        }
        let mut node = from + self.width;
        // What has gone above the node: a point is free if its least says no more than that.
        let above = |node: usize| std::iter::successors(Some(node / 2), |node| Some(node / 2));
        let mut gone: u32 =
            above(node).take_while(|&node| node > 0).map(|node| self.gone[node]).sum();
        while self.least[node] != gone {
            while node % 2 == 1 {
                node /= 2;
                if node == 0 {
                    return None;
                }
                gone -= self.gone[node];
            }
            node += 1;
        }
        while node < self.width {
            gone += self.gone[node];
            node *= 2;
            node += usize::from(self.least[node] != gone);
        }
        Some(node - self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn what_is_free_is_what_counting_finds_free() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for points in 0..70 {
            let mut span = |_| {
                let ends = [0; 2].map(|_| rng.random_range(0..=points));
                ends[0].min(ends[1])..ends[0].max(ends[1])
            };
            let spans: Vec<Range<usize>> = (0..20).map(&mut span).collect();
            let covers = |point: usize| move |span: &&Range<usize>| span.contains(&point);
            let count = |spans: &[Range<usize>], point| spans.iter().filter(covers(point)).count();
            let counts: Vec<u32> = (0..points).map(|point| count(&spans, point) as u32).collect();
            let mut coverage = Coverage::new(&counts);
            for gone in 0..=spans.len() {
                let left = &spans[gone..];
                for from in 0..=points {
                    let free = (from..points).find(|&point| count(left, point) == 0);
                    assert_eq!(coverage.next_free(from), free, "{left:?} from {from}");
                }
                if let Some(span) = left.first() {
                    coverage.uncover(span.clone());
                }
            }
        }
    }
}
