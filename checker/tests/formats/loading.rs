//! Operations straight from a file, and from events in memory, are those of a pairing that is
//! too simple to be wrong.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use rashomon_checker::history::{
    Event, EventType, Format, History, NEVER, Outcome, Place, Process, ReadOptions, Value,
    load_reader, read_bytes_with,
};

use crate::strategies::{config, edn_history, edn_value, history, mutated, mutations, written};

/// Everything that a history says of an operation.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    process: u64,
    f: String,
    key: Option<Value>,
    input: Value,
    output: Value,
    outcome: Outcome,
    call: u32,
    ret: u32,
    times: (Option<u64>, Option<u64>),
    places: (Place, Option<Place>),
    node: Option<String>,
    answered_by: Option<String>,
    error: Option<Value>,
}

fn told(history: &History) -> Vec<Told> {
    let told = history.operations().map(|operation| Told {
        process: operation.process(),
        f: operation.f().to_owned(),
        key: operation.key(),
        input: operation.input(),
        output: operation.output(),
        outcome: operation.outcome(),
        call: operation.call(),
        ret: operation.ret(),
        times: (operation.call_time(), operation.return_time()),
        places: (operation.call_place(), operation.return_place()),
        node: operation.node().map(str::to_owned),
        answered_by: operation.answered_by().map(str::to_owned),
        error: operation.error(),
    });
    told.collect()
}

fn place(events: &[Event], position: usize) -> Place {
    Place { line: events[position].line, event: position as u32 }
}

/// Pairs events, and says where they do not make a history.
fn paired(events: &[Event]) -> Result<Vec<Told>, Place> {
    let mut all: Vec<Told> = Vec::new();
    // The operation that each process has pending, and the processes that ended in doubt.
    let mut pending: HashMap<u64, (usize, &Event)> = HashMap::new();
    let mut ended = Vec::new();
    for (position, event) in events.iter().enumerate() {
        let Process::Client(process) = event.process else { continue };
        let here = place(events, position);
        if event.kind == EventType::Invoke {
            let earlier = pending.insert(process, (all.len(), event));
            if earlier.is_some() || ended.contains(&process) {
                return Err(here);
            }
            all.push(Told {
                process,
                f: event.f.to_string(),
                key: event.key.clone(),
                input: event.value.clone(),
                output: Value::Nil,
                outcome: Outcome::Info,
                call: NEVER,
                ret: NEVER,
                times: (event.time, None),
                places: (here, None),
                node: event.node.as_deref().map(str::to_owned),
                answered_by: event.node.as_deref().map(str::to_owned),
                error: None,
            });
            continue;
        }
        let (id, invocation) = pending.remove(&process).ok_or(here)?;
        let is_backwards = invocation.time.zip(event.time).is_some_and(|(call, ret)| ret < call);
        let is_on_other_key = event.key.is_some() && event.key != invocation.key;
        if event.f != invocation.f || is_on_other_key || is_backwards {
            return Err(here);
        }
        let operation = &mut all[id];
        operation.times.1 = event.time;
        operation.places.1 = Some(here);
        operation.error.clone_from(&event.error);
        let answered_by = event.node.as_deref().map(str::to_owned);
        operation.answered_by = answered_by.or(operation.answered_by.take());
        operation.node = operation.node.take().or(event.node.as_deref().map(str::to_owned));
        match event.kind {
            EventType::Ok => operation.outcome = Outcome::Ok,
            EventType::Fail => operation.outcome = Outcome::Fail,
            EventType::Info | EventType::Invoke => ended.push(process),
        }
        if operation.outcome != Outcome::Info {
            operation.output = event.value.clone();
        }
    }
    rank(events, &mut all);
    Ok(all)
}

/// Counts, for each point, those before it.
fn rank(events: &[Event], all: &mut [Told]) {
    let mut of_clients = events.iter().filter(|event| matches!(event.process, Process::Client(_)));
    let has_times = of_clients.all(|event| event.time.is_some());
    let point = |time: Option<u64>, is_return: bool, place: Place| match has_times {
        true => (time, is_return, place.event),
        false => (None, false, place.event),
    };
    let call = |told: &Told| point(told.times.0, false, told.places.0);
    let ret = |told: &Told| match (told.outcome, told.places.1) {
        (Outcome::Ok | Outcome::Fail, Some(place)) => Some(point(told.times.1, true, place)),
        _ => None,
    };
    let points: Vec<_> =
        all.iter().flat_map(|told| [Some(call(told)), ret(told)]).flatten().collect();
    let rank = |point| points.iter().filter(|other| **other < point).count() as u32;
    for told in all {
        (told.call, told.ret) = (rank(call(told)), ret(told).map_or(NEVER, rank));
    }
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn events_are_paired_as_they_should_be(events in history(), lines in any::<bool>()) {
        let mut events = events;
        for (line, event) in (1..).zip(&mut events) {
            event.line = if lines { line * 3 } else { 0 };
        }
        match (History::from_events(&events), paired(&events)) {
            (Ok(history), Ok(expected)) => {
                prop_assert_eq!(told(&history), expected);
                let named = |event: &&Event| matches!(event.process, Process::Named(_));
                let expected: Vec<_> = events.iter().filter(named).cloned().collect();
                prop_assert_eq!(history.named_events(), expected);
            }
            (Err(error), Err(place)) => {
                prop_assert!(error.to_string().starts_with(&format!("{place}: ")), "{}", error);
            }
            (ours, theirs) => prop_assert!(false, "{:?} but {:?}", ours, theirs),
        }
    }
}

/// Everything that comes of a file, in words: from its events, and straight.
fn both_ways(bytes: &[u8], options: ReadOptions) -> [String; 2] {
    let show = |history: &History, format: Format, warnings: &dyn std::fmt::Debug| {
        format!("{format} {warnings:?} {:?} {:?}", told(history), history.named_events())
    };
    let straight = match load_reader(bytes, "h", options) {
        Ok(loaded) => show(&loaded.history, loaded.format, &loaded.warnings),
        Err(error) => error.to_string(),
    };
    let by_events = match read_bytes_with(bytes, "h", options) {
        Ok(recording) => match History::from_events(&recording.events) {
            Ok(history) => show(&history, recording.format, &recording.warnings),
            Err(error) => format!("h: {error}"),
        },
        Err(error) => error.to_string(),
    };
    [straight, by_events]
}

pub(crate) fn check_both_ways(bytes: &[u8]) -> Result<(), TestCaseError> {
    for format in std::iter::once(None).chain(Format::ALL.map(Some)) {
        for keyed in [None, Some(true), Some(false)] {
            let [straight, by_events] = both_ways(bytes, ReadOptions { format, keyed });
            prop_assert_eq!(straight, by_events, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn a_file_of_ours_has_the_operations_of_its_events(
        events in history(),
        mutations in mutations(),
    ) {
        let bytes = written(&events);
        check_both_ways(&bytes)?;
        check_both_ways(&mutated(bytes, &mutations))?;
    }

    #[test]
    fn a_file_of_jepsens_has_the_operations_of_its_events(
        values in vec(edn_value(), 1..5),
        noise in vec(0..12u8, 1..40),
        mutations in mutations(),
    ) {
        let bytes = edn_history(&values, &noise).into_bytes();
        check_both_ways(&bytes)?;
        check_both_ways(&mutated(bytes, &mutations))?;
    }
}

/// Independent keys: a step is a client, what it does, a key, and whether it goes by the rules.
fn keyed_history(steps: &[(u8, u8, u8, u8)]) -> String {
    let mut text = String::new();
    let mut pending: HashMap<u8, (u8, u8)> = HashMap::new();
    for (client, what, key, rule) in steps {
        let (kind, what, key) = match pending.remove(client) {
            Some((what, asked)) => (":ok", what, if *rule == 0 { *key } else { asked }),
            None => {
                pending.insert(*client, (*what, *key));
                (":invoke", *what, *key)
            }
        };
        let (f, value) = match (what, rule) {
            (_, 1) => ("write", "7".to_owned()),
            (0, _) => ("read", format!("[{key} nil]")),
            (1, _) => ("write", format!("[{key} {what}]")),
            (_, 2) => ("cas", format!("[{key} 1]")),
            (_, 3) => ("cas", "nil".to_owned()),
            _ => ("cas", format!("[{key} [1 2]]")),
        };
        text += &format!("{{:process {client} :type {kind} :f :{f} :value {value}}}\n");
    }
    text
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn keys_are_evident_or_not_both_ways(
        steps in vec((0..3u8, 0..3u8, 0..2u8, 0..200u8), 1..30),
    ) {
        check_both_ways(keyed_history(&steps).as_bytes())?;
    }
}
