//! Histories, files and damage to them, drawn at random; and what several tests ask of them.

use std::collections::HashMap;
use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rashomon_checker::history::{
    Event, EventType, Format, Process, ReadOptions, Recording, Value, Warning, jsonl,
    read_bytes_with,
};

pub(crate) fn config(cases: u32) -> ProptestConfig {
    // The same cases each time: a run that fails must fail again.
    let rng_seed = RngSeed::Fixed(0x5261_7368_6f6d_6f6e);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,8}",
        2 => any::<String>(),
        1 => "[\\x00-\\x1f\"\\\\{}\\[\\]:;#,]{0,6}",
        1 => Just("$number".to_owned()),
        1 => Just("$map".to_owned()),
        1 => Just("a text too long to be shared with its next occurrence".to_owned()),
    ]
}

pub(crate) fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i128>().prop_map(|huge| huge.to_string()),
        any::<f64>().prop_map(|fraction| fraction.to_string()),
        any::<f64>().prop_map(|fraction| format!("{fraction:e}")),
        "-?[0-9]{1,30}(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        "[0-9]{1,3}/[1-9]",
        Just("##Inf".to_owned()),
        Just(String::new()),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (0..10i64).prop_map(Value::Int),
        number().prop_map(|spelling| Value::Number(spelling.into())),
        text().prop_map(Value::text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::list),
            vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::map),
            vec((text().prop_map(Value::text), inner), 0..3).prop_map(Value::map),
        ]
    })
}

pub(crate) fn some_value() -> impl Strategy<Value = Option<Value>> {
    proptest::option::of(value().prop_filter("nil is none", |value| !value.is_nil()))
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let process = prop_oneof![
        any::<u64>().prop_map(Process::Client),
        text().prop_map(|name| Process::Named(name.into())),
    ];
    let kind = prop_oneof![
        Just(EventType::Invoke),
        Just(EventType::Ok),
        Just(EventType::Fail),
        Just(EventType::Info)
    ];
    let node = proptest::option::of(text().prop_map(Into::into));
    let place = (any::<u64>(), proptest::option::of(any::<u64>()));
    (place, process, kind, text(), some_value(), value(), node, some_value()).prop_map(
        |((index, time), process, kind, f, key, value, node, error)| Event {
            index,
            time,
            process,
            kind,
            f: f.into(),
            key,
            value,
            node,
            error,
            line: 0,
        },
    )
}

pub(crate) fn written(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        jsonl::write_event(&mut out, event).expect("a vector takes everything");
    }
    out
}

/// The warnings about the file, not about who acts in it.
pub(crate) fn damage(recording: &Recording) -> Vec<Warning> {
    let is_damage = |warning: &&Warning| !matches!(warning, Warning::NoClients { .. });
    recording.warnings.iter().filter(is_damage).cloned().collect()
}

pub(crate) fn unplaced(events: &[Event]) -> Vec<Event> {
    events.iter().map(|event| Event { line: 0, ..event.clone() }).collect()
}

/// Bytes that matter to some parser, and some that matter to none.
pub(crate) const SIGNIFICANT: &[u8] = b"{}[]()\"\\:;#,_ \n\t\r0195-+.eEnNMutf/x\x00\x7f\xc3\xff$^'";

/// Changes to a file: what to do, where (as a share of its length), and with which byte.
pub(crate) fn mutations() -> impl Strategy<Value = Vec<(u8, f64, u8)>> {
    vec((0..4u8, 0.0..1.0f64, proptest::sample::select(SIGNIFICANT)), 1..5)
}

pub(crate) fn mutated(mut bytes: Vec<u8>, mutations: &[(u8, f64, u8)]) -> Vec<u8> {
    for (what, place, byte) in mutations {
        let at = (*place * bytes.len() as f64) as usize;
        match what {
            _ if at >= bytes.len() => bytes.push(*byte),
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 => drop(bytes.remove(at)),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

/// Writes a value in EDN, with noise between the tokens.
pub(crate) fn write_edn(out: &mut String, value: &Value, noise: &mut impl Iterator<Item = u8>) {
    out.push_str(match noise.next() {
        Some(0) => " #_ [gone {:a #_b c}] ",
        Some(1) => " ; gone ]\n",
        Some(2) => " #some/tag ",
        Some(3) => ", ,\t\r\n",
        _ => " ",
    });
    match value {
        Value::Nil => out.push_str("nil"),
        Value::Bool(truth) => write!(out, "{truth}").unwrap(),
        Value::Int(int) => {
            let suffix = if noise.next() == Some(4) { "N" } else { "" };
            write!(out, "{int}{suffix}").unwrap();
        }
        Value::Number(spelling) => out.push_str(spelling),
        Value::Text(text) => write_edn_text(out, text, noise.next() == Some(5)),
        Value::List(items) => {
            let brackets = if noise.next() == Some(6) { ('(', ')') } else { ('[', ']') };
            out.push(brackets.0);
            items.iter().for_each(|item| write_edn(out, item, noise));
            out.push(brackets.1);
        }
        Value::Map(pairs) => {
            out.push('{');
            for (key, value) in pairs.iter() {
                write_edn(out, key, noise);
                write_edn(out, value, noise);
            }
            out.push('}');
        }
    }
}

pub(crate) fn write_edn_text(out: &mut String, text: &str, escape_all: bool) {
    let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_name && !escape_all {
        return write!(out, ":{text}").unwrap();
    }
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            _ if escape_all => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// The numbers of EDN that stand for themselves.
pub(crate) fn edn_number() -> impl Strategy<Value = Value> {
    let spelling =
        "-?([1-9][0-9]{19,30}|[1-9][0-9]{0,9}(\\.[0-9]{1,3}M?|e[+-]?[0-9]{1,2}|/[1-9])|##NaN)";
    let spelling =
        spelling.prop_filter("a sign of nothing", |spelling| !spelling.starts_with("-#"));
    spelling.prop_map(|spelling| Value::Number(spelling.into()))
}

pub(crate) fn edn_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        edn_number(),
        text().prop_map(Value::text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::list),
            vec((inner.clone(), inner), 0..3).prop_map(Value::map),
        ]
    })
}

pub(crate) fn edn_history(values: &[Value], noise: &[u8]) -> String {
    let mut noise = noise.iter().copied().cycle();
    let mut out = String::new();
    for value in values {
        out.push_str("{:process 1 :type :ok, :f :read :value");
        write_edn(&mut out, value, &mut noise);
        out.push_str("}\n");
    }
    out
}

/// Reads without a guess at independent keys.
pub(crate) fn told(bytes: &[u8], format: Format) -> Result<Recording, String> {
    let options = ReadOptions { format: Some(format), keyed: Some(false) };
    read_bytes_with(bytes, "h", options).map_err(|error| error.to_string())
}

pub(crate) fn log_history(values: &[Value]) -> String {
    let mut out = String::new();
    for (position, value) in values.iter().enumerate() {
        let kind = if position % 2 == 0 { "invoke" } else { "ok" };
        write!(out, "{}\t:{kind}\t:write\t", position / 2).unwrap();
        let mut text = String::new();
        write_edn(&mut text, value, &mut std::iter::repeat(9));
        writeln!(out, "{}", text.trim_start()).unwrap();
    }
    out
}

/// What a client does next, if it does nothing odd, and how.
type Step = (u64, EventType, u8, Option<u64>, Value, (bool, bool, bool));

fn step() -> impl Strategy<Value = Step> {
    let process = prop_oneof![8 => 0..4u64, 1 => 1 << 30..(1 << 30) + 2u64];
    let kind = prop_oneof![
        4 => Just(EventType::Ok),
        1 => Just(EventType::Fail),
        1 => Just(EventType::Info)
    ];
    let oddity = prop_oneof![200 => 1..20u8, 1 => Just(0u8)];
    let pause = prop_oneof![
        3 => (0..3u64).prop_map(Some),
        3 => (0..2_000_000_000u64).prop_map(Some),
        1 => Just(None),
    ];
    let value = prop_oneof![3 => (0..3i64).prop_map(Value::Int), 1 => value()];
    (process, kind, oddity, pause, value, any::<(bool, bool, bool)>())
}

/// What is done to the cluster.
fn named(index: u64, time: u64) -> Event {
    Event {
        index,
        time: Some(time),
        process: Process::nemesis(),
        kind: EventType::Info,
        f: "cut".into(),
        key: None,
        value: Value::list([Value::text("n1"), Value::text("n2")]),
        node: None,
        error: None,
        line: 0,
    }
}

/// Histories as clients make them, but for a few that make no sense.
pub(crate) fn history() -> impl Strategy<Value = Vec<Event>> {
    let clock = prop_oneof![Just(0u8), Just(1), Just(2)];
    (vec(step(), 1..40), clock, any::<bool>()).prop_map(|(steps, clock, has_keys)| {
        let mut events: Vec<Event> = Vec::new();
        let mut pending: HashMap<u64, (&'static str, Option<Value>)> = HashMap::new();
        let mut fresh = 100;
        let mut renamed: HashMap<u64, u64> = HashMap::new();
        let mut now = 5_000_000_000u64;
        for (position, (client, kind, oddity, pause, value, flips)) in (0..).zip(steps) {
            now += pause.unwrap_or(0);
            if oddity == 1 {
                events.push(named(position, now));
                continue;
            }
            let process = *renamed.entry(client).or_insert(client);
            let invoked = pending.remove(&process);
            let (f, key, kind) = match (oddity, invoked) {
                (0, _) => ("odd", None, kind),
                (_, Some((f, key))) => (f, key.filter(|_| flips.0), kind),
                (_, None) => {
                    let f = if flips.0 { "read" } else { "write" };
                    let key = has_keys.then(|| Value::text(if flips.1 { "x" } else { "y" }));
                    pending.insert(process, (f, key.clone()));
                    (f, key, EventType::Invoke)
                }
            };
            if kind == EventType::Info {
                fresh += 1;
                renamed.insert(client, fresh);
            }
            events.push(Event {
                index: position,
                // Some clocks are late, and some are not there.
                time: match clock {
                    0 => Some(now),
                    1 => Some(now - u64::from(oddity)),
                    _ => pause.map(|_| now),
                },
                process: Process::Client(process),
                kind,
                f: f.into(),
                key,
                value,
                node: flips.1.then(|| if flips.2 { "n1" } else { "n2" }.into()),
                error: flips.2.then(|| Value::text("late")),
                line: 0,
            });
        }
        events
    })
}
