//! How far from atomic, against the definitions.

use rashomon_checker::consistency::Options;
use rashomon_checker::consistency::atomicity::atomicity;

use crate::figures::parse;
use crate::rungs::atomicity::compare_all;
use crate::scribe::history;

/// Histories of at most seven reads and writes.
const HISTORIES: u64 = 30_000;

#[test]
fn k_and_delta_are_as_defined() {
    let counts = compare_all(0..HISTORIES);
    let [known, stale, none, open] = counts;
    assert!(known.min(stale).min(none) > HISTORIES / 40, "{counts:?}");
    assert!(open < known / 50, "{counts:?}");
}

#[test]
fn a_stale_read_says_how_far() {
    // Operations begin every 100 ns and take 50.
    let of = |text: &str| {
        let (ops, end) = parse(text);
        let found = atomicity(&history(&ops, end), &Options::default());
        (found.k.at_least, found.k.at_most, found.delta_ns)
    };
    assert_eq!(of("1 n1 write 1\n 2 n2 read 1"), (1, Some(1), Some(0)));
    // The second write ended at 250, the read began at 400; the third at 350, and at 500.
    assert_eq!(of("1 n1 write 1\n 1 n1 write 2\n 2 n2 read 1"), (2, Some(2), Some(50)));
    let worse = "1 n1 write 1\n 1 n1 write 2\n 1 n1 write 3\n 2 n2 read 1";
    assert_eq!(of(worse), (3, Some(3), Some(150)));
    // Keys are judged by themselves, and the worst counts.
    let keys = "1 n1 write x 1\n 1 n1 write x 2\n 1 n1 write y 1\n 1 n1 write y 2\n 2 n2 read x 1\n 2 n2 read y 2";
    assert_eq!(of(keys), (2, Some(2), Some(250)));
    assert_eq!(of("1 n1 write 1\n 2 n2 read 7"), (1, None, None), "from nowhere");
    assert_eq!(of("2 n2 read 1\n 1 n1 write 1"), (2, None, None), "from the future");
    assert_eq!(of("1 n1 write 1\n 2 n2 write 1\n 2 n2 read 1"), (1, None, None), "written twice");
    assert_eq!(of("1 n1 write 1\n 1 n1 write 2\n 1 n1 cas [1,3]"), (2, None, None), "replaced");
    let replaced = "1 n1 write 1\n 1 n1 write 2\n 1 n1 cas [2,3]\n 2 n2 read 1";
    assert_eq!(of(replaced), (3, None, Some(150)), "two writes behind");
}
