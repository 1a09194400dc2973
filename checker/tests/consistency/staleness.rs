//! Staleness against its definition, and on a history whose numbers can be told.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::consistency::{Options, staleness};
use rashomon_checker::history::EventType;

use crate::figures::parse;
use crate::scribe::{Op, history};
use crate::{CASES, small};

/// What the definition says of a read: the versions and the time that it was behind.
fn behind(ops: &[Op], read: &Op) -> Option<(u32, u64)> {
    let brought = |op: &Op| match op.input.as_list() {
        Some([_, new]) if op.f == "cas" => new.clone(),
        _ => op.input.clone(),
    };
    let writes = || ops.iter().filter(|op| op.f != "read" && op.kind != EventType::Fail);
    let writers: Vec<&Op> = writes().filter(|op| brought(op) == read.output).collect();
    let end = |op: &Op| if op.kind == EventType::Ok { op.ret } else { u64::MAX };
    let sources = writers.iter().filter(|op| op.call < read.ret).map(|op| end(op));
    let since = match (read.output.is_nil(), writers.len()) {
        (true, _) => sources.max().unwrap_or(0),
        (false, 1) => sources.max()?,
        (false, _) => return None,
    };
    let newer = writes().filter(|op| op.call > since && end(op) < read.call);
    let ends: Vec<u64> = newer.map(end).collect();
    Some((ends.len() as u32, ends.iter().min().map_or(0, |first| read.call - first)))
}

#[test]
fn reads_are_as_far_behind_as_defined() {
    let (mut fresh, mut stale, mut unjudged) = (0, 0, 0);
    for seed in 0..CASES {
        let (ops, end) = small(&mut ChaCha8Rng::seed_from_u64(4 * CASES + seed), false);
        let history = history(&ops, Some(end));
        let found = staleness(&history, &Options::default());
        let mut reads: Vec<&Op> =
            ops.iter().filter(|op| op.f == "read" && op.kind == EventType::Ok).collect();
        reads.sort_by_key(|read| read.call);
        let judged: Vec<_> = reads.iter().filter_map(|read| behind(&ops, read)).collect();
        let expected: Vec<_> =
            judged.iter().copied().filter(|(versions, _)| *versions > 0).collect();
        let told: Vec<_> = found.stale.iter().map(|it| (it.versions, it.behind_ns)).collect();
        assert_eq!(told, expected, "seed {seed}: {ops:#?}");
        let counts = (judged.len() as u64, (reads.len() - judged.len()) as u64);
        assert_eq!((found.reads, found.unjudged), counts, "seed {seed}");
        let mut times: Vec<u64> = judged.iter().map(|(_, time)| *time).collect();
        times.sort_unstable();
        for (q, place) in [(0.0, 0), (0.5, times.len().div_ceil(2).max(1) - 1)] {
            let quantile = times.get(place).copied().unwrap_or(0);
            assert_eq!(found.quantile_ns(q), quantile, "seed {seed}");
        }
        assert_eq!(found.quantile_ns(1.0), times.last().copied().unwrap_or(0), "seed {seed}");
        fresh += found.reads - found.stale.len() as u64;
        stale += found.stale.len() as u64;
        unjudged += found.unjudged;
    }
    assert!(fresh.min(stale).min(unjudged) > CASES / 10, "{fresh} {stale} {unjudged}");
}

#[test]
fn a_read_two_versions_behind_says_so() {
    // Operations begin every 100 ns and take 50.
    let (ops, end) =
        parse("1 n1 write 1\n 1 n1 write 2\n 1 n1 write 3\n 2 n2 read 1\n 2 n2 read 3");
    let found = staleness(&history(&ops, end), &Options::default());
    assert_eq!((found.reads, found.unjudged), (2, 0));
    let [stale] = found.stale[..] else { panic!("{found:?}") };
    assert_eq!((stale.op.0, stale.versions, stale.behind_ns), (3, 2, 150));
    assert_eq!((found.quantile_ns(0.5), found.quantile_ns(0.99)), (0, 150));
    assert_eq!((found.quantile_versions(0.5), found.quantile_versions(1.0)), (0, 2));
}

#[test]
fn what_is_no_register_is_not_judged() {
    let (ops, end) = parse("1 n1 increment 1\n 2 n2 read 0");
    let found = staleness(&history(&ops, end), &Options::default());
    assert_eq!((found.reads, found.unjudged, found.stale.len()), (0, 1, 0));
    assert_eq!((found.quantile_ns(0.99), found.quantile_versions(0.99)), (0, 0));
    // Nor is what was written twice.
    let (ops, end) = parse("1 n1 write 1\n 2 n2 write 1\n 2 n2 read 1");
    let found = staleness(&history(&ops, end), &Options::default());
    assert_eq!((found.reads, found.unjudged), (0, 1));
}
