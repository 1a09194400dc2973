//! The binary form: whole, cut off, damaged, and gone on with.

use std::fs::OpenOptions;

use proptest::collection::vec;
use proptest::prelude::*;
use rashomon_checker::history::{
    Event, EventType, Format, History, Problem, Process, ReadOptions, Value, Warning, load_file,
    rash, read_bytes, read_file,
};

use crate::loading::check_both_ways;
use crate::strategies::{config, damage, event, history, mutated, mutations};

/// Events in blocks.
type Blocks = Vec<Vec<Event>>;

fn blocks() -> impl Strategy<Value = Blocks> {
    vec(vec(event(), 1..5), 1..4)
}

/// A file, and where its header and each of its blocks end.
fn file(blocks: &[Vec<Event>]) -> (Vec<u8>, Vec<usize>) {
    let mut writer = rash::Writer::new(Vec::new()).unwrap();
    for block in blocks {
        block.iter().for_each(|event| writer.write_event(event).unwrap());
        writer.end_block().unwrap();
    }
    let bytes = writer.finish().unwrap();
    let mut ends = vec![16];
    while let Some(rest) = bytes.get(ends[ends.len() - 1]..).filter(|rest| !rest.is_empty()) {
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap());
        ends.push(ends[ends.len() - 1] + 16 + length as usize);
    }
    assert_eq!(ends.len(), blocks.len() + 1);
    (bytes, ends)
}

fn told(bytes: &[u8]) -> Result<(Vec<Event>, Vec<Warning>), Problem> {
    match read_bytes(bytes, "h", Some(Format::Rash)) {
        Ok(recording) => Ok((recording.events.clone(), damage(&recording))),
        Err(error) => Err(error.problem),
    }
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn events_written_are_read_back(blocks in blocks()) {
        let recording = read_bytes(&file(&blocks).0, "h", None).unwrap();
        prop_assert_eq!(recording.format, Format::Rash);
        prop_assert_eq!(damage(&recording), []);
        prop_assert_eq!(recording.events, blocks.concat());
    }

    #[test]
    fn no_damage_goes_unnoticed(
        blocks in blocks(),
        changes in vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 1..4),
    ) {
        let (bytes, ends) = file(&blocks);
        let mut damaged = bytes.clone();
        for (place, what, byte) in changes {
            let at = place.index(damaged.len());
            match what {
                0 => damaged[at] ^= 1 << (byte % 8),
                1 => damaged[at] = byte,
                2 => damaged.insert(at, byte),
                _ => drop(damaged.remove(at)),
            }
        }
        if let Ok((events, warnings)) = told(&damaged) {
            let whole = ends.iter().filter(|end| damaged.get(..**end) == bytes.get(..**end)).count();
            prop_assert!(whole >= 1);
            prop_assert_eq!(events, blocks[..whole - 1].concat());
            // Whatever follows the whole blocks is spoken of.
            prop_assert_eq!(warnings.is_empty(), damaged.len() == ends[whole - 1]);
        }
    }

    #[test]
    fn operations_are_those_of_the_events(events in history(), mutations in mutations()) {
        let (bytes, _) = file(&[events]);
        check_both_ways(&bytes)?;
        check_both_ways(&mutated(bytes, &mutations))?;
    }
}

proptest! {
    #![proptest_config(config(100))]

    /// What is left is a beginning, and whoever reads hears of it.
    #[test]
    fn any_beginning_is_readable(blocks in blocks(), zeros in 0..40usize) {
        let (bytes, ends) = file(&blocks);
        for length in 16..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= length).count() - 1;
            let end = ends[whole];
            // A file system may have made room that was never written to.
            let room = vec![0; if length % 3 == 0 { zeros } else { 0 }];
            match told(&[&bytes[..length], &room].concat()) {
                Ok((events, warnings)) => {
                    prop_assert_eq!(events, blocks[..whole].concat());
                    let rest = (length + room.len() - end) as u64;
                    let torn = Warning::Torn { offset: end as u64, bytes: rest };
                    prop_assert_eq!(warnings, if rest == 0 { vec![] } else { vec![torn] });
                }
                Err(Problem::Empty) => prop_assert_eq!(whole, 0),
                Err(other) => prop_assert!(false, "{} of {:?}: {}", length, ends, other),
            }
        }
    }

    #[test]
    fn a_torn_file_can_be_gone_on_with(
        blocks in blocks(),
        more in vec(event(), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (bytes, ends) = file(&blocks);
        let length = 16 + cut.index(bytes.len() - 15);
        let whole = ends.iter().filter(|end| **end <= length).count() - 1;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.rash");
        std::fs::write(&path, &bytes[..length]).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let (mut writer, torn) = rash::Writer::append(file).unwrap();
        prop_assert_eq!(torn, (length - ends[whole]) as u64);
        more.iter().for_each(|event| writer.write_event(event).unwrap());
        writer.finish().unwrap();
        let recording = read_file(&path).unwrap();
        prop_assert_eq!(damage(&recording), []);
        prop_assert_eq!(recording.events, [blocks[..whole].concat(), more].concat());
    }
}

fn event_of(process: u64) -> Event {
    Event {
        index: process,
        time: Some(process),
        process: Process::Client(process),
        kind: EventType::Invoke,
        f: "write".into(),
        key: None,
        value: Value::Int(process as i64),
        node: Some("n1".into()),
        error: None,
        line: 0,
    }
}

fn error(bytes: &[u8]) -> String {
    read_bytes(bytes, "history.rash", None).unwrap_err().to_string()
}

#[test]
fn a_block_that_is_lost_or_out_of_place_is_noticed() {
    let blocks: Blocks = (0..4).map(|process| vec![event_of(process)]).collect();
    let (bytes, ends) = file(&blocks);
    let part = |block: usize| &bytes[ends[block]..ends[block + 1]];
    let header = &bytes[..16];
    let lost = [header, part(0), part(2), part(3)].concat();
    let swapped = [header, part(0), part(2), part(1), part(3)].concat();
    let twice = [header, part(0), part(1), part(1), part(2)].concat();
    let place = |block: usize| {
        format!("history.rash: block {}, at byte {}, is damaged", block + 1, ends[block])
    };
    for (bytes, block) in [(lost, 1), (swapped, 1), (twice, 2)] {
        let error = error(&bytes);
        assert!(error.starts_with(&place(block)), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_explained() {
    let (bytes, ends) = file(&[vec![event_of(1)], vec![event_of(2)]]);
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x40;
        error(&bytes)
    };
    assert_eq!(
        changed(ends[1] - 2),
        "history.rash: block 1, at byte 16, is damaged (its checksum is wrong); what comes before \
         it is whole and can be saved by cutting the file off there"
    );
    assert_eq!(changed(13), "history.rash: not rash: the first 16 bytes are damaged");
    assert!(changed(ends[1] + 1).contains("block 2, at byte"), "{}", changed(ends[1] + 1));
    assert_eq!(changed(3), "history.rash: not rash: it does not begin as such a file does");
    assert!(error(&bytes[..16]).contains("no complete event"), "{}", error(&bytes[..16]));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.rash");
    std::fs::write(&path, "{\"process\":0}\n").unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let error = rash::Writer::append(file).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(std::fs::read(&path).unwrap(), b"{\"process\":0}\n", "it is left alone");
}

#[test]
fn values_too_deep_to_be_read_are_not_written() {
    let deep = |lists: usize| (0..lists).fold(Value::Nil, |inner, _| Value::list([inner]));
    let write = |value: Value| {
        let mut writer = rash::Writer::new(Vec::new()).unwrap();
        writer.write_event(&Event { value, ..event_of(1) })?;
        writer.finish()
    };
    let bytes = write(deep(128)).unwrap();
    assert_eq!(read_bytes(&bytes, "h", None).unwrap().events[0].value, deep(128));
    assert_eq!(write(deep(129)).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}

/// More than one piece of any reader, in blocks of any size.
#[test]
fn many_blocks() {
    let events: Vec<Event> = (0..400_000).map(event_of_many).collect();
    let mut writer = rash::Writer::new(Vec::new()).unwrap();
    for event in &events {
        writer.write_event(event).unwrap();
        if event.index % 30_011 == 0 {
            writer.end_block().unwrap();
        }
    }
    let bytes = writer.finish().unwrap();
    assert!(bytes.len() < 12 * events.len(), "{}", bytes.len());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.rash");
    std::fs::write(&path, bytes).unwrap();
    assert!(read_file(&path).unwrap().events == events);
    let loaded = load_file(&path, ReadOptions::default()).unwrap();
    let expected = History::from_events(&events).unwrap();
    assert_eq!(loaded.history.len(), 200_000);
    for (ours, theirs) in loaded.history.operations().zip(expected.operations()) {
        assert_eq!((ours.input(), ours.output()), (theirs.input(), theirs.output()));
        assert_eq!((ours.call(), ours.ret()), (theirs.call(), theirs.ret()));
    }
}

/// Ten clients take turns.
fn event_of_many(index: u64) -> Event {
    let (round, process) = (index / 20, index % 10);
    Event {
        index,
        time: Some(index * 1000 + index % 7),
        kind: if index % 20 < 10 { EventType::Invoke } else { EventType::Ok },
        value: Value::Int((round * 10 + process) as i64),
        key: Some(Value::text(if process % 2 == 0 { "x" } else { "y" })),
        ..event_of(process)
    }
}
