//! What the fuzzer tries with bytes that it finds, tried with some that are drawn: nonsense, and
//! histories that were tampered with.

#[path = "support/attack.rs"]
mod attack;
#[path = "support/judge.rs"]
mod judge;
#[path = "support/recording.rs"]
mod recording;

use std::io::Write;
use std::path::PathBuf;

use arbitrary::Unstructured;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{Event, Format, read_bytes};

use attack::{attack_engines, attack_readers, attack_writers, small_history, written};

fn noise(rng: &mut impl Rng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(0..most)];
    rng.fill(&mut bytes[..]);
    bytes
}

/// The same with some bytes changed, left out, put in or repeated.
fn tampered(bytes: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=bytes.len());
        let end = rng.random_range(at..=bytes.len().min(at + 40));
        match rng.random_range(0..5) {
            0 => bytes.insert(at, rng.random()),
            1 => bytes.insert(at, *b"{}[]()\"\\:;#, \n\0-9e."[..].get(end % 19).unwrap_or(&b'x')),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.extend_from_within(at..end),
            _ => bytes[at..end].iter_mut().take(2).for_each(|byte| *byte ^= 1 << (end % 8)),
        }
    }
    bytes
}

/// The events of a small history.
fn drawn(rng: &mut impl Rng) -> Vec<Event> {
    loop {
        let bytes = noise(rng, 200);
        if let Ok((_, events)) = small_history(&mut Unstructured::new(&bytes)) {
            return events;
        }
    }
}

#[test]
fn no_bytes_confuse_a_reader() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut histories = 0;
    for _ in 0..3_000 {
        attack_readers(&noise(&mut rng, 200));
        let format = [Format::Jsonl, Format::Json, Format::Edn, Format::Rash];
        let format = format[rng.random_range(0..format.len())];
        let bytes = tampered(&written(&drawn(&mut rng), format), &mut rng);
        attack_readers(&bytes);
        histories += usize::from(read_bytes(&bytes, "h", None).is_ok());
    }
    assert!((150..2_850).contains(&histories), "{histories} are still histories");
}

#[test]
fn no_change_of_a_recorded_history_confuses_a_reader() {
    let Some(folder) = std::env::var_os("RASHOMON_HISTORIES").map(PathBuf::from) else {
        // Not by eprintln: a test that passes would swallow it.
        let message = "NOT TESTED: RASHOMON_HISTORIES does not name a folder of histories\n";
        std::io::stderr().write_all(message.as_bytes()).expect("stderr");
        return;
    };
    let index = std::fs::read_to_string(folder.join("index.tsv")).expect("index.tsv");
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for line in index.lines().skip(1) {
        let file = line.split('\t').next().expect("a file");
        let bytes = std::fs::read(folder.join(file)).expect(file);
        // Enough of it to hold each kind of line.
        let bytes = &bytes[..bytes.len().min(4_000)];
        (0..3).for_each(|_| attack_readers(&tampered(bytes, &mut rng)));
    }
}

#[test]
fn no_bytes_make_events_that_are_read_otherwise_than_written() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    (0..20_000).for_each(|_| attack_writers(&noise(&mut rng, 400)));
}

#[test]
fn no_bytes_make_a_history_that_engines_differ_on() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut verdicts = [0, 0];
    for _ in 0..20_000 {
        if let Some(is_linearizable) = attack_engines(&noise(&mut rng, 120)) {
            verdicts[usize::from(is_linearizable)] += 1;
        }
    }
    assert!(verdicts.iter().all(|&count| count > 2_000), "one-sided: {verdicts:?}");
}
