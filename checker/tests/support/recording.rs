//! Operations with their ends in time, and the many ways in which a recorder may tell them.

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{Event, EventType, Process, Value};

/// What a generated operation does, and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    pub(crate) f: &'static str,
    pub(crate) key: Option<Value>,
    pub(crate) input: Value,
    pub(crate) output: Value,
    pub(crate) kind: EventType,
    pub(crate) call: u32,
    pub(crate) ret: u32,
}

/// The deeds as a recording: with times or without, with equal times, in any order of lines that
/// the times allow, and with processes that are used again.
pub(crate) fn events(deeds: &[Deed], rng: &mut ChaCha8Rng) -> Vec<Event> {
    let timed = rng.random_bool(0.7);
    let coarse = if timed { rng.random_range(1..4) } else { 1 };
    let mut points: Vec<(u32, u32, usize, bool)> = Vec::new();
    for (index, deed) in deeds.iter().enumerate() {
        let (call, ret) = (deed.call / coarse, deed.ret / coarse);
        let (early, late) = (rng.random_range(0..1000), rng.random_range(1000..2000));
        // Lines of one instant come in any order, but a completion never before its invocation.
        let call_line = if call == ret || rng.random_bool(0.5) { early } else { late };
        points.push((call, call_line, index, false));
        let missing = deed.kind == EventType::Info && rng.random_bool(0.3);
        if !missing {
            points.push((
                ret,
                if call == ret { late } else { rng.random_range(0..2000) },
                index,
                true,
            ));
        }
    }
    points.sort_unstable();
    let mut free: Vec<(u32, u64)> = Vec::new();
    let (mut process_of, mut processes) = (vec![0; deeds.len()], 0);
    let mut events = Vec::new();
    for (line, &(time, _, index, is_return)) in points.iter().enumerate() {
        let deed = &deeds[index];
        if !is_return {
            let reusable = free.iter().position(|&(since, _)| since < time);
            process_of[index] = match reusable {
                Some(position) => free.swap_remove(position).1,
                None => {
                    processes += 1;
                    processes
                }
            };
        } else if deed.kind != EventType::Info {
            free.push((time, process_of[index]));
        }
        events.push(Event {
            index: line as u64,
            time: timed.then_some(u64::from(time)),
            process: Process::Client(process_of[index]),
            kind: if is_return { deed.kind } else { EventType::Invoke },
            f: Arc::from(deed.f),
            key: deed.key.clone(),
            value: if is_return { deed.output.clone() } else { deed.input.clone() },
            node: None,
            error: None,
            line: line as u32 + 1,
        });
    }
    events
}
