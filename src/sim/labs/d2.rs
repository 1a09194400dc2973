//! 2D: compaction of the log. Servers take a snapshot after every ten entries.

use super::Failure;
use super::lab::Lab;
use super::steps::Retry;

/// After how many entries a snapshot takes their place.
pub(super) const INTERVAL: u64 = 10;

/// What a server's disk may hold beside its snapshot, in bytes.
const SIZE_MAX: u64 = 2_000;

/// What happens to a server while the others go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Stay,
    /// It is disconnected.
    Cut,
    /// It crashes.
    Crash,
}

/// Servers fall behind while the others compact their logs, and catch up by snapshot.
pub(super) async fn snapshots(lab: &Lab, fate: Fate) -> Result<(), Failure> {
    let servers = lab.servers();
    let rest = if fate == Fate::Stay { servers } else { servers - 1 };
    lab.one(lab.random_command(), servers, Retry::Yes).await?;
    let mut leader = lab.one_leader().await?;
    for round in 0..30 {
        let follower = (leader + 1) % servers;
        let (victim, sender) = if round % 3 == 1 { (leader, follower) } else { (follower, leader) };
        match fate {
            Fate::Stay => {}
            Fate::Cut => lab.disconnect(victim),
            Fate::Crash => lab.crash(victim),
        }
        if fate != Fate::Stay {
            lab.one(lab.random_command(), rest, Retry::Yes).await?;
        }
        for _ in 0..INTERVAL / 2 + lab.random(INTERVAL) {
            lab.start(sender, lab.random_command());
        }
        lab.one(lab.random_command(), rest, Retry::Yes).await?;
        lab.log_sizes_at_most(SIZE_MAX)?;
        match fate {
            Fate::Stay => continue,
            Fate::Cut => lab.connect(victim),
            Fate::Crash => lab.restart(victim)?,
        }
        lab.one(lab.random_command(), servers, Retry::Yes).await?;
        leader = lab.one_leader().await?;
    }
    Ok(())
}

/// Nobody falls behind.
pub(super) async fn basic(lab: &Lab) -> Result<(), Failure> {
    snapshots(lab, Fate::Stay).await
}

/// Servers that were disconnected catch up.
pub(super) async fn install(lab: &Lab) -> Result<(), Failure> {
    snapshots(lab, Fate::Cut).await
}

/// Servers that had crashed catch up.
pub(super) async fn install_crash(lab: &Lab) -> Result<(), Failure> {
    snapshots(lab, Fate::Crash).await
}

/// All servers crash; they go on from their snapshots and logs.
pub(super) async fn all_crash(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    lab.one(lab.random_command(), servers, Retry::Yes).await?;
    for _ in 0..5 {
        for _ in 0..INTERVAL / 2 + lab.random(INTERVAL) {
            lab.one(lab.random_command(), servers, Retry::Yes).await?;
        }
        let before = lab.one(lab.random_command(), servers, Retry::Yes).await?;
        restart_all(lab)?;
        let after = lab.one(lab.random_command(), servers, Retry::Yes).await?;
        lab.ensure(after > before, || format!("command {after} comes after command {before}"))?;
    }
    Ok(())
}

/// A snapshot survives although nothing but the log is written between two restarts.
pub(super) async fn init(lab: &Lab) -> Result<(), Failure> {
    let servers = lab.servers();
    for _ in 0..INTERVAL + 2 {
        lab.one(lab.random_command(), servers, Retry::Yes).await?;
    }
    for _ in 0..2 {
        restart_all(lab)?;
        lab.one(lab.random_command(), servers, Retry::Yes).await?;
    }
    Ok(())
}

fn restart_all(lab: &Lab) -> Result<(), Failure> {
    (0..lab.servers()).for_each(|server| lab.crash(server));
    (0..lab.servers()).try_for_each(|server| lab.restart(server))
}
