//! Small histories of a few processes and keys, such that every rung is often kept and often broken:
//! from stores that keep some order and no more, with a read spoilt now and then, and with reads of
//! anything.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{EventType, Value};

use crate::scribe::{NODES, Op};

const KEYS: [&str; 3] = ["x", "y", "z"];

/// How the writes of others come to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// All in one order, at once.
    AtOnce,
    /// All in one order, later.
    Later,
    /// In the order of each process, or of causality as far as the luck goes.
    Apart,
    /// In any order.
    Anyhow,
    /// A read returns anything.
    Nonsense,
}

/// A replica: how much of what it has taken, and the last write of each key.
#[derive(Clone, Default)]
struct Replica {
    taken: Vec<usize>,
    held: [Value; 3],
}

impl Replica {
    fn take(&mut self, number: usize, (key, value): &(usize, Value)) {
        if !self.taken.contains(&number) {
            self.taken.push(number);
            self.held[*key] = value.clone();
        }
    }
}

/// Generates a history of at most so many operations, with unique values unless it says otherwise.
pub(crate) fn feed(rng: &mut ChaCha8Rng, most: usize) -> Vec<Op> {
    let delivery = match rng.random_range(0..10) {
        0 => Delivery::AtOnce,
        1..3 => Delivery::Later,
        3..6 => Delivery::Apart,
        6..8 => Delivery::Anyhow,
        _ => Delivery::Nonsense,
    };
    let keys = [1, 2, 2, 3][rng.random_range(0..4)];
    // The smallest violations have four operations; most need more.
    let count = rng.random_range(4..=most).max(rng.random_range(4..=most));
    let mut processes: Vec<u64> = (0..rng.random_range(2..5)).collect();
    let mut replicas = vec![Replica::default(); processes.len()];
    let mut writes: Vec<(usize, usize, Value)> = Vec::new();
    let (repeats, crashes, cas) =
        (rng.random_bool(0.1), rng.random_bool(0.3), rng.random_bool(0.3));
    let mut ops: Vec<Op> = Vec::new();
    for number in 0..count {
        let client = rng.random_range(0..processes.len());
        let key = rng.random_range(0..keys);
        deliver(rng, delivery, client, &mut replicas, &writes);
        let seen = replicas[client].held[key].clone();
        let seen = match delivery {
            Delivery::Nonsense => some(rng, key, &writes),
            _ if rng.random_bool(0.15) => some(rng, key, &writes),
            _ => seen,
        };
        let fresh = if repeats { rng.random_range(1..4) } else { number as i64 + 1 };
        let fresh = Value::Int(fresh);
        let (f, input, output) = match rng.random_range(0..10) {
            0..4 => ("write", fresh.clone(), fresh.clone()),
            4 if cas => {
                let pair = Value::list([seen, fresh.clone()]);
                ("cas", pair.clone(), pair)
            }
            5 if cas && rng.random_bool(0.3) => ("delete", Value::Nil, Value::Nil),
            _ => ("read", Value::Nil, seen),
        };
        let kind = match rng.random_range(0..6) {
            0 if crashes && f != "read" => EventType::Info,
            1 if crashes => EventType::Fail,
            _ => EventType::Ok,
        };
        if f != "read" && (kind == EventType::Ok || rng.random_bool(0.3)) {
            let value = if f == "delete" { Value::Nil } else { fresh };
            writes.push((client, key, value.clone()));
            replicas[client].take(writes.len() - 1, &(key, value));
        }
        let node = NODES[client % NODES.len()];
        let (process, key, error) = (processes[client], KEYS[key], None);
        ops.push(Op { process, node, f, key, input, output, kind, error, call: 0, ret: 0 });
        if kind == EventType::Info {
            processes[client] += 10;
        }
    }
    set_times(rng, &mut ops);
    ops
}

/// A value of a key that may have been written, or nothing.
fn some(rng: &mut ChaCha8Rng, key: usize, writes: &[(usize, usize, Value)]) -> Value {
    let own: Vec<&Value> = writes.iter().filter(|it| it.1 == key).map(|it| &it.2).collect();
    match rng.random_range(0..40) {
        0 => Value::Int(99),
        1..8 => Value::Nil,
        _ if own.is_empty() => Value::Nil,
        _ => own[rng.random_range(0..own.len())].clone(),
    }
}

/// What a process hears of before it does something.
fn deliver(
    rng: &mut ChaCha8Rng,
    delivery: Delivery,
    client: usize,
    replicas: &mut [Replica],
    writes: &[(usize, usize, Value)],
) {
    let taken = |replica: &Replica, number: usize| replica.taken.contains(&number);
    let mut new: Vec<usize> =
        (0..writes.len()).filter(|number| !taken(&replicas[client], *number)).collect();
    let kept = match delivery {
        Delivery::AtOnce => new.len(),
        _ => rng.random_range(0..=new.len()),
    };
    match delivery {
        Delivery::AtOnce | Delivery::Later => new.truncate(kept),
        Delivery::Apart => {
            // Of some processes all, of others nothing yet.
            let heard: Vec<bool> = replicas.iter().map(|_| rng.random_bool(0.5)).collect();
            new.retain(|number| heard[writes[*number].0]);
            if rng.random_bool(0.5) {
                new.truncate(kept);
            }
            new.sort_by_key(|number| (writes[*number].0 + client) % replicas.len());
        }
        Delivery::Anyhow | Delivery::Nonsense => {
            for place in (1..new.len()).rev() {
                new.swap(place, rng.random_range(0..=place));
            }
            new.truncate(kept);
        }
    }
    for number in new {
        let (_, key, value) = &writes[number];
        replicas[client].take(number, &(*key, value.clone()));
    }
}

/// Gives the operations times: about one after the other, overlapping more or less.
fn set_times(rng: &mut ChaCha8Rng, ops: &mut [Op]) {
    let wide = [1, 5, 30][rng.random_range(0..3)];
    let mut free: Vec<(u64, u64)> = Vec::new();
    for (number, op) in (1..).zip(ops) {
        let since = free.iter().rfind(|(process, _)| *process == op.process);
        let since = since.map_or(0, |(_, since)| *since);
        let early = rng.random_range(0..=wide);
        let call = (number * 1_000u64).saturating_sub(early * 1_000).max(since + 1_000);
        let ret = call.max(number * 1_000) + rng.random_range(0..=wide) * 1_000;
        // All times are different: those of an operation end in its number.
        (op.call, op.ret) = (call + number * 2, ret + number * 2 + 1);
        free.push((op.process, ret));
    }
}
