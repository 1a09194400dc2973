//! Until when a value is needed.
//!
//! A value is needed by a read of it, by a compare-and-set that expects it, and by a
//! compare-and-set that failed on another, each until it returns. A compare-and-set that never
//! returns needs its value only for as long as the value that it would leave is needed. After that,
//! a write of the value changes nothing that anybody sees: right after it could only come another
//! write.

use std::collections::BinaryHeap;

use super::action::Action;

/// No rank: nobody ever needs it.
pub(super) const UNNEEDED: u32 = 0;

/// The rank of the last return, of one operation or another, that needs each value. Ranks of
/// returns are above 0, for an invocation comes before.
pub(super) fn last_needs(
    values: usize,
    completed: impl Iterator<Item = (Action, u32)>,
    crashed: impl Iterator<Item = Action>,
) -> Vec<u32> {
    let mut last = vec![UNNEEDED; values];
    // The last mismatch, and the last with another value than that one.
    let (mut latest, mut other): (Option<(u32, u32)>, u32) = (None, UNNEEDED);
    for (action, ret) in completed {
        match action {
            Action::Read(value) | Action::Cas(value, _) => {
                last[value as usize] = last[value as usize].max(ret);
            }
            Action::Mismatch(value) => match latest {
                Some((known, _)) if known == value => {
                    latest = latest.max(Some((known, ret)));
                }
                Some((_, rank)) if rank > ret => other = other.max(ret),
                _ => {
                    other = other.max(latest.map_or(UNNEEDED, |(_, rank)| rank));
                    latest = Some((value, ret));
                }
            },
            Action::Nothing | Action::Write(_) => {}
        }
    }
    if let Some((mismatched, rank)) = latest {
        for (value, last) in last.iter_mut().enumerate() {
            *last = (*last).max(if value as u32 == mismatched { other } else { rank });
        }
    }
    pass_on(&mut last, crashed);
    last
}

/// A crashed compare-and-set needs its value for as long as somebody needs the one it leaves.
fn pass_on(last: &mut [u32], crashed: impl Iterator<Item = Action>) {
    let mut expected_for: Vec<Vec<u32>> = vec![Vec::new(); last.len()];
    for action in crashed {
        if let Action::Cas(expected, new) = action {
            expected_for[new as usize].push(expected);
        }
    }
    // The latest first, so that each value is passed on once.
    let mut open: BinaryHeap<(u32, u32)> = last.iter().copied().zip(0..).collect();
    while let Some((rank, new)) = open.pop() {
        for expected in std::mem::take(&mut expected_for[new as usize]) {
            if last[expected as usize] < rank {
                last[expected as usize] = rank;
                open.push((rank, expected));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_needs_every_value_but_one() {
        let mismatch = |value, ret| (Action::Mismatch(value), ret);
        let needs = |completed: &[(Action, u32)]| {
            last_needs(3, completed.iter().copied(), std::iter::empty())
        };
        assert_eq!(needs(&[mismatch(0, 4)]), [0, 4, 4]);
        assert_eq!(needs(&[mismatch(0, 4), mismatch(1, 7)]), [7, 4, 7]);
        assert_eq!(needs(&[mismatch(0, 4), mismatch(1, 7), mismatch(0, 9)]), [7, 9, 9]);
        assert_eq!(needs(&[mismatch(1, 7), mismatch(1, 8), mismatch(2, 3)]), [8, 3, 8]);
    }

    #[test]
    fn crashed_chains_pass_needs_on() {
        let crashed = [Action::Cas(0, 1), Action::Cas(1, 2), Action::Cas(3, 0)];
        let completed = [(Action::Read(2), 5), (Action::Cas(0, 3), 2)];
        let needs = last_needs(4, completed.into_iter(), crashed.into_iter());
        assert_eq!(needs, [5, 5, 5, 5]);
    }
}
