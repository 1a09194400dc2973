//! How nodes are: what befell each and lasts, so that it befalls a new process of the node, too, until it is
//! cured.

use std::time::{Duration, Instant};

use super::HandsError;
use crate::ailment::{Ailment, Part, Percent};
use crate::foreign;
use crate::process::NodeProcess;
use crate::wires::Wires;

/// How a node is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// Since when it stands still.
    pub(super) paused: Option<Instant>,
    pub(super) throttle: Option<Percent>,
    pub(super) squeezed: bool,
    /// How far its clock has leapt in all.
    pub(super) leapt: Duration,
    /// How its clock goes: it drifts or strobes.
    pub(super) pace: Ailment,
    pub(super) stall: Duration,
    pub(super) full: bool,
    /// Its next sync fails, or one did and it stopped.
    pub(super) balks: bool,
}

impl Default for Condition {
    fn default() -> Self {
        let (leapt, stall) = (Duration::ZERO, Duration::ZERO);
        let (paused, throttle, squeezed) = (None, None, false);
        let (full, balks) = (false, false);
        let pace = Ailment::Drift(Percent::WHOLE);
        Condition { paused, throttle, squeezed, leapt, pace, stall, full, balks }
    }
}

/// What curing a part of a node came to.
#[derive(Debug)]
pub(super) enum Cure {
    /// It was well.
    Nothing,
    /// It is well again, which was so.
    Well(String),
    /// It had ended for what it lacked, and was started again.
    Started,
}

impl Condition {
    /// Lets what lasts befall a new process of the node.
    pub(super) async fn befall<W: Wires>(
        &self,
        process: &mut NodeProcess,
    ) -> Result<(), HandsError> {
        let well = Condition::default();
        let ailments = [
            (self.leapt != well.leapt, Ailment::Leap(self.leapt)),
            (self.pace != well.pace, self.pace),
            (self.stall != well.stall, Ailment::Stall(self.stall)),
            (self.full, Ailment::Fill),
        ];
        let throttle = self.throttle.map(Ailment::Throttle);
        let ailments = ailments.into_iter().filter(|(befell, _)| *befell).map(|(_, it)| it);
        for ailment in ailments.chain(throttle) {
            tell::<W>(process, ailment, 0).await?;
        }
        Ok(())
    }

    /// Cures a part of a node, which is down if an action ended it.
    pub(super) async fn cure<W: Wires>(
        &mut self,
        part: Part,
        process: &mut NodeProcess,
        is_down: bool,
    ) -> Result<Cure, HandsError> {
        let was = *self;
        let well = Condition::default();
        match part {
            Part::Process => {
                (self.paused, self.throttle, self.squeezed) = (None, None, false);
                if was.paused.is_none() && was.throttle.is_none() && !was.squeezed {
                    return Ok(Cure::Nothing);
                }
                if process.free().await? {
                    return Ok(Cure::Well(match was.paused {
                        Some(since) => {
                            format!("stood still for {:.1} s", since.elapsed().as_secs_f64())
                        }
                        None => "has time and memory again".to_owned(),
                    }));
                }
                if was.squeezed && !is_down {
                    self.start_again::<W>(process).await
                } else {
                    Ok(Cure::Nothing)
                }
            }
            Part::Clock if was.pace != well.pace => {
                self.pace = well.pace;
                tell::<W>(process, well.pace, 0).await?;
                Ok(Cure::Well("runs true again".to_owned()))
            }
            Part::Clock => Ok(Cure::Nothing),
            Part::Disk => {
                let (late, failed) = (was.stall != well.stall, was.full || was.balks);
                (self.stall, self.full, self.balks) = (well.stall, well.full, well.balks);
                if failed && process.exited()?.is_some() && !is_down {
                    return self.start_again::<W>(process).await;
                }
                if !late && !failed {
                    return Ok(Cure::Nothing);
                }
                tell::<W>(process, Ailment::Stall(well.stall), 0).await?;
                process.tell("room").await?;
                Ok(Cure::Well("writes as usual".to_owned()))
            }
        }
    }

    async fn start_again<W: Wires>(&self, process: &mut NodeProcess) -> Result<Cure, HandsError> {
        process.restart().await?;
        self.befall::<W>(process).await?;
        Ok(Cure::Started)
    }
}

/// Lets an ailment befall a process; says whether there is one. The seed decides what the ailment
/// leaves to chance.
pub(super) async fn tell<W: Wires>(
    process: &mut NodeProcess,
    ailment: Ailment,
    seed: u64,
) -> Result<bool, HandsError> {
    if !W::HEARD && ailment.part() != Part::Process {
        return foreign::befall(process, ailment).await;
    }
    // What a node is told over its life line: times in nanoseconds, rates in per cent. Nobody who stands
    // still needs to be told so.
    let line = match ailment {
        Ailment::Pause => return Ok(process.pause().await?),
        Ailment::Throttle(share) => return Ok(process.throttle(share)?),
        Ailment::Squeeze => return Ok(process.squeeze()?),
        Ailment::Leap(by) => format!("leap {}", by.as_nanos()),
        Ailment::Drift(rate) => format!("rate {}", rate.get()),
        Ailment::Strobe(turn) => format!("strobe {}", turn.as_nanos()),
        Ailment::Stall(by) => format!("stall {}", by.as_nanos()),
        Ailment::Fill => "fill".to_owned(),
        Ailment::Balk => format!("balk {seed}"),
    };
    Ok(process.tell(&line).await?)
}
