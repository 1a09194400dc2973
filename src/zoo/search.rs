//! The least seed that shows something, found by several threads at a time.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many threads try seeds.
    pub(super) jobs: usize,
    /// The last seed to try; the first is 1.
    pub(super) last: u64,
    /// When no further seed is begun.
    pub(super) deadline: Instant,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// How many seeds were tried, up to the one that shows something if one does.
    pub(super) tried: u64,
    /// The worlds' time that these took, in nanoseconds.
    pub(super) virtual_ns: u64,
    /// The least seed that shows something, and what.
    pub(super) caught: Option<(u64, T)>,
}

/// Tries seeds until one shows something. `look` says how long the seed's run took in its world, in
/// nanoseconds, and what it shows. Which seed is found does not depend on the number of threads,
/// unless the deadline comes first.
///
/// # Errors
/// The error of the least seed that has one.
pub(super) fn least<T: Send, E: Send>(
    bounds: Bounds,
    look: impl Fn(u64) -> Result<(u64, Option<T>), E> + Sync,
) -> Result<Found<T>, E> {
    let next = AtomicU64::new(1);
    // Seeds beyond this one count for nothing.
    let last = AtomicU64::new(bounds.last);
    let seen = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..bounds.jobs {
            scope.spawn(|| {
                while Instant::now() < bounds.deadline {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > last.load(Ordering::Relaxed) {
                        return;
                    }
                    let result = look(seed);
                    if !matches!(result, Ok((_, None))) {
                        last.fetch_min(seed, Ordering::Relaxed);
                    }
                    let mut seen = seen.lock().expect("no thread panics with the lock held");
                    seen.insert(seed, result);
                }
            });
        }
    });
    let mut found = Found { tried: 0, virtual_ns: 0, caught: None };
    for (seed, result) in seen.into_inner().expect("no thread has panicked") {
        let (virtual_ns, shown) = result?;
        found.tried += 1;
        found.virtual_ns += virtual_ns;
        if let Some(shown) = shown {
            found.caught = Some((seed, shown));
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bounds(jobs: usize, last: u64) -> Bounds {
        Bounds { jobs, last, deadline: Instant::now() + Duration::from_secs(3600) }
    }

    #[test]
    fn the_least_seed_is_found_whatever_the_number_of_threads() {
        for jobs in [1, 2, 7] {
            let look = |seed: u64| {
                // The least is the slowest.
                thread::sleep(Duration::from_millis(if seed == 10 { 20 } else { 0 }));
                Ok::<_, ()>((5, (seed % 11 >= 10).then_some(seed * 2)))
            };
            let found = least(bounds(jobs, 100), look).expect("no error");
            assert_eq!((found.tried, found.virtual_ns, found.caught), (10, 50, Some((10, 20))));
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is_and_errors_come_out() {
        let found = least(bounds(3, 20), |_| Ok::<_, ()>((1, None::<u8>))).expect("no error");
        assert_eq!((found.tried, found.caught), (20, None));
        let broken = least(bounds(3, 20), |seed| match seed {
            4.. => Err(seed),
            _ => Ok((1, None::<u8>)),
        });
        assert_eq!(broken.map(|found| found.tried), Err(4));
        let late = Bounds { deadline: Instant::now(), ..bounds(2, 20) };
        assert_eq!(least(late, |_| Ok::<_, ()>((1, None::<u8>))).map(|found| found.tried), Ok(0));
    }
}
