//! The line of events: invocations and completions in the order of their ranks.

use crate::history::NEVER;
use crate::model::Call;

/// An event: which call, and whether it is its completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event(u32);

impl Event {
    const NONE: Event = Event(u32::MAX);

    fn new(call: usize, is_return: bool) -> Self {
        Event((call as u32) << 1 | u32::from(is_return))
    }

    pub(super) fn call(self) -> u32 {
        self.0 >> 1
    }

    pub(super) fn is_return(self) -> bool {
        self.0 & 1 == 1
    }
}

/// How many ranks there may be for each event for them to be counted out instead of sorted.
const SPARSE: usize = 8;

/// The events of these calls, which are given by invocation. Crashed calls never return.
pub(super) fn line<O>(calls: &[Call<O>]) -> Vec<Event> {
    let Some(first) = calls.first().map(|call| call.call) else { return Vec::new() };
    let ends = calls.iter().map(|call| if call.ret == NEVER { call.call } else { call.ret });
    let ranks = (ends.max().unwrap_or(first) - first) as usize + 1;
    if ranks > SPARSE * calls.len() {
        return sorted(calls);
    }
    let mut line = vec![Event::NONE; ranks];
    for (index, call) in calls.iter().enumerate() {
        line[(call.call - first) as usize] = Event::new(index, false);
        if call.ret != NEVER {
            line[(call.ret - first) as usize] = Event::new(index, true);
        }
    }
    line.retain(|&event| event != Event::NONE);
    line
}

fn sorted<O>(calls: &[Call<O>]) -> Vec<Event> {
    let mut points = Vec::with_capacity(2 * calls.len());
    for (index, call) in calls.iter().enumerate() {
        points.push((call.call, Event::new(index, false)));
        if call.ret != NEVER {
            points.push((call.ret, Event::new(index, true)));
        }
    }
    points.sort_unstable_by_key(|&(rank, _)| rank);
    points.into_iter().map(|(_, event)| event).collect()
}
