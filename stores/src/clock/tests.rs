//! Every clock against happens-before itself, over random histories of messages that are lost,
//! doubled and overtaken.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{hybrid, lamport, vector::Vector};
use crate::replica::NodeId;

const NODES: usize = 4;

/// What happens on a node.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// It sends a message, or does something else that others may hear of.
    Send,
    /// It receives one of the messages sent so far, chosen by this number; perhaps not for the first
    /// time.
    Receive(prop::sample::Index),
}

/// An event: where, the message it receives (as the number of the event that sent it), and by how
/// much the node's physical clock has moved.
#[derive(Clone, Copy, Debug)]
struct Event {
    node: usize,
    receives: Option<usize>,
    moved: i64,
}

fn history() -> impl Strategy<Value = Vec<Event>> {
    let happening = prop_oneof![
        Just(Happening::Send),
        any::<prop::sample::Index>().prop_map(Happening::Receive),
    ];
    // Physical clocks go at their own rates, stand still and go back.
    let moved = prop_oneof![3 => 0i64..1_000, 1 => Just(0i64), 1 => -2_000i64..0];
    vec((0..NODES, happening, moved), 0..60).prop_map(|happenings| {
        let mut events: Vec<Event> = Vec::new();
        for (node, happening, moved) in happenings {
            let receives = match happening {
                Happening::Receive(index) if !events.is_empty() => Some(index.index(events.len())),
                _ => None,
            };
            events.push(Event { node, receives, moved });
        }
        events
    })
}

/// For each event, those that happened before it.
fn happened_before(events: &[Event]) -> Vec<BTreeSet<usize>> {
    let mut before: Vec<BTreeSet<usize>> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let own = (0..number).rev().find(|earlier| events[*earlier].node == event.node);
        let causes = own.into_iter().chain(event.receives);
        let all = causes.flat_map(|cause| before[cause].iter().copied().chain([cause])).collect();
        before.push(all);
    }
    before
}

/// Every two events, with how they are ordered in truth.
fn pairs(events: &[Event]) -> Vec<(usize, usize, Option<Ordering>)> {
    let before = happened_before(events);
    let all = (0..events.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    all.map(|(a, b)| (a, b, before[b].contains(&a).then_some(Ordering::Less))).collect()
}

fn node(number: usize) -> NodeId {
    NodeId(number as u16 + 1)
}

proptest! {
    #[test]
    fn lamport_clocks_never_contradict_happens_before(events in history()) {
        let mut clocks: Vec<_> = (0..NODES).map(|n| lamport::Clock::new(node(n))).collect();
        let mut stamps: Vec<lamport::Stamp> = Vec::new();
        for event in &events {
            let clock = &mut clocks[event.node];
            let stamp = match event.receives {
                Some(sent) => clock.receive(stamps[sent]),
                None => clock.tick(),
            };
            stamps.push(stamp);
        }
        for (a, b, order) in pairs(&events) {
            prop_assert_ne!(stamps[a], stamps[b], "the order is total");
            if order.is_some() {
                prop_assert!(stamps[a] < stamps[b], "{} is before {}", a, b);
                prop_assert!(stamps[a].counter < stamps[b].counter, "whatever the nodes' numbers");
            }
        }
    }

    #[test]
    fn vector_clocks_are_happens_before(events in history()) {
        let mut clocks = vec![Vector::new(); NODES];
        let mut stamps: Vec<Vector> = Vec::new();
        for event in &events {
            let clock = &mut clocks[event.node];
            if let Some(sent) = event.receives {
                clock.merge(&stamps[sent]);
            }
            clock.tick(node(event.node));
            stamps.push(clock.clone());
        }
        for (a, b, order) in pairs(&events) {
            prop_assert_eq!(stamps[a].partial_cmp(&stamps[b]), order, "{} and {}", a, b);
            prop_assert_eq!(stamps[a].is_concurrent_with(&stamps[b]), order.is_none());
            prop_assert_eq!(stamps[b].covers(&stamps[a]), order.is_some());
        }
        for stamp in stamps {
            prop_assert_eq!(stamp.to_string().parse(), Ok(stamp));
        }
    }

    /// One direction of happens-before; and between the physical clock of the node and the largest
    /// reading of any clock so far, whatever the clocks do.
    #[test]
    fn hybrid_clocks_respect_causes_and_stay_close(events in history()) {
        let mut physical = [10_000i64, 10_500, 50_000, 9_000];
        let mut clocks = [hybrid::Clock::default(); NODES];
        let mut stamps: Vec<hybrid::Stamp> = Vec::new();
        let mut largest = 0;
        for event in &events {
            let reading = &mut physical[event.node];
            *reading = (*reading + event.moved).max(0);
            let now = *reading as u64;
            largest = largest.max(now);
            let clock = &mut clocks[event.node];
            let before = clock.last();
            let time = Duration::from_nanos(now);
            let stamp = match event.receives {
                Some(sent) => clock.receive(time, stamps[sent]),
                None => clock.tick(time),
            };
            prop_assert!(stamp > before, "it never goes back");
            prop_assert!(now <= stamp.physical && stamp.physical <= largest);
            prop_assert!(stamp.logical as usize <= events.len(), "it starts again with each time");
            prop_assert_eq!(stamp.to_string().parse(), Ok(stamp));
            stamps.push(stamp);
        }
        for (a, b, order) in pairs(&events) {
            if order.is_some() {
                prop_assert!(stamps[a] < stamps[b], "{} is before {}", a, b);
            }
        }
    }

    /// Merging is a least upper bound: in any order and however often, and not more than is known.
    #[test]
    fn vectors_merge_to_their_least_upper_bound(counts in vec(vec(0u64..4, NODES), 3)) {
        let vectors: Vec<Vector> = counts.iter().map(|counts| {
            let mut vector = Vector::new();
            counts.iter().enumerate().for_each(|(number, count)| vector.learn(node(number), *count));
            vector
        }).collect();
        let merged = |order: &[usize]| {
            let mut all = Vector::new();
            order.iter().for_each(|number| all.merge(&vectors[*number]));
            all
        };
        let all = merged(&[0, 1, 2]);
        prop_assert_eq!(&all, &merged(&[2, 1, 0, 1, 2]));
        prop_assert!(vectors.iter().all(|vector| all.covers(vector)));
        for number in 0..NODES {
            let largest = counts.iter().map(|counts| counts[number]).max().unwrap_or(0);
            prop_assert_eq!(all.get(node(number)), largest);
        }
    }
}

#[test]
fn nonsense_is_no_time() {
    for text in ["n1", "1:2", "n0:1", "n1:0", "n1:2,", "n1:-2", "n1:2;n2:3", " "] {
        assert!(text.parse::<Vector>().is_err(), "{text:?}");
    }
    for text in ["", "1", "1.", "-1.0", "1.0.0"] {
        assert!(text.parse::<hybrid::Stamp>().is_err(), "{text:?}");
    }
    assert_eq!("".parse(), Ok(Vector::new()));
}

/// A counter that is full does not go back to nothing.
#[test]
fn a_full_counter_goes_over_into_the_time() {
    let full = hybrid::Stamp { physical: 7, logical: u32::MAX };
    let mut clock = hybrid::Clock::after(full);
    assert!(clock.tick(Duration::from_nanos(3)) > full);
}
