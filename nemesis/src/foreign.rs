//! What befalls programs of others, which no words reach: their clocks are moved from outside.

use crate::ailment::Ailment;
use crate::hands::HandsError;
use crate::process::NodeProcess;

/// Lets a program's clock go wrong; says whether it runs. Its disk cannot be reached from here.
#[cfg(target_os = "linux")]
pub(crate) async fn befall(
    process: &mut NodeProcess,
    ailment: Ailment,
) -> Result<bool, HandsError> {
    use crate::clock::ForeignClock;

    if !matches!(ailment, Ailment::Leap(_) | Ailment::Drift(_)) {
        return Err(HandsError::Deaf(ailment));
    }
    if process.exited()?.is_some() {
        return Ok(false);
    }
    let Some(pid) = process.pid() else { return Ok(false) };
    itself(pid).await;
    let mut clock = ForeignClock::of(pid)?;
    match ailment {
        Ailment::Leap(by) => clock.jump(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX))?,
        Ailment::Drift(rate) => clock.drift(rate)?,
        _ => return Err(HandsError::Deaf(ailment)),
    }
    Ok(true)
}

/// Waits until a process is no longer what enters its host: what it executes has a true clock again.
#[cfg(target_os = "linux")]
async fn itself(pid: u32) {
    for _ in 0..1_000 {
        match std::fs::read_link(format!("/proc/{pid}/exe")) {
            Ok(program) if program.file_name().is_some_and(|name| name == "ip") => {}
            _ => return,
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) async fn befall(
    _process: &mut NodeProcess,
    ailment: Ailment,
) -> Result<bool, HandsError> {
    Err(HandsError::Deaf(ailment))
}
