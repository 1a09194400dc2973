//! What is done to programs of others where they run: their clocks.

use std::time::Duration;

use rashomon_nemesis::ForeignClock;

use super::nodes::idler;
use super::{Area, Finding, Trial, wrong};

pub(super) async fn findings() -> Vec<Finding> {
    vec![Finding::of(Area::Clocks, "leap, drift, strobe", clock().await)]
}

async fn clock() -> Trial {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let mut process = idler()?;
    let Some(pid) = process.pid() else { return wrong("a process ended at once") };
    // It is to be itself first: what it executes has a true clock.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut clock = ForeignClock::of(pid)?;
    clock.jump(HOUR_NS)?;
    let ahead = clock.ahead_ns()?;
    clock.reset()?;
    let back = clock.ahead_ns()?;
    process.kill().await?;
    if ahead < HOUR_NS / 2 || back != 0 {
        return wrong(format!("a clock moved by an hour was {ahead} ns ahead, and then {back} ns"));
    }
    Ok("the clock of a process was an hour ahead, and true again".to_owned())
}
