//! 3B: the key-value store with compaction of the log.

use super::Failure;
use super::clerk::Clerk;
use super::lab::Lab;
use super::steps::ELECTION;

/// After how many entries a snapshot takes their place: about the thousand bytes of the tests.
pub(super) const INTERVAL: u64 = 10;

/// What a server's disk may hold beside its snapshot, in bytes: twice the tests' thousand.
pub(super) const SIZE_MAX: u64 = 2_000;

/// Servers that fell behind catch up by snapshot, and serve from it.
pub(super) async fn install(lab: &Lab) -> Result<(), Failure> {
    let mut clerk = Clerk::of_all(lab);
    clerk.put("a", "A").await?;
    clerk.check("a", "A").await?;

    lab.split(|server| server == 2);
    let mut some = Clerk::new(lab, [0, 1]);
    for number in 0..50 {
        some.put(&number.to_string(), &number.to_string()).await?;
    }
    lab.sleep(ELECTION).await;
    some.put("b", "B").await?;
    lab.log_sizes_at_most(SIZE_MAX)?;

    // Of the majority now one is behind.
    lab.split(|server| server == 1);
    let mut others = Clerk::new(lab, [0, 2]);
    others.put("c", "C").await?;
    others.put("d", "D").await?;
    for (key, value) in [("a", "A"), ("b", "B"), ("1", "1"), ("49", "49")] {
        others.check(key, value).await?;
    }

    lab.split(|_| false);
    clerk.put("e", "E").await?;
    for (key, value) in [("c", "C"), ("e", "E"), ("1", "1")] {
        clerk.check(key, value).await?;
    }
    Ok(())
}

/// Snapshots are as large as the state, not as what led to it.
pub(super) async fn size(lab: &Lab) -> Result<(), Failure> {
    const SNAPSHOT_MAX: u64 = 500;
    let mut clerk = Clerk::of_all(lab);
    for _ in 0..200 {
        for value in ["0", "1"] {
            clerk.put("x", value).await?;
            clerk.check("x", value).await?;
        }
    }
    lab.log_sizes_at_most(SIZE_MAX)?;
    lab.expect_at_most("bytes of snapshot", lab.largest_snapshot(), SNAPSHOT_MAX)
}
