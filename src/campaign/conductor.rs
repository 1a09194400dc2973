//! The conductor: watches who leads, strikes when the schedule says so, and undoes everything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rashomon_nemesis::{Action, Damage, Outcome, Part, Resolved, Schedule, Step, Trigger};
use tokio::sync::watch;

use super::chronicle;
use super::recorder::Recorder;
use super::run::{Tally, Watcher};
use crate::target::{Concluded, Leader, Target, TargetError, Task};

/// How often it is asked who leads.
pub(crate) const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// Drives the faults of one run.
pub(super) struct Conductor<'a, T> {
    pub(super) target: &'a mut T,
    pub(super) recorder: Arc<Recorder>,
    pub(super) watcher: &'a dyn Watcher,
    tally: Arc<Tally>,
    /// Who leads now, if anybody says so.
    leads: Option<Leader>,
    /// The latest leader that was recorded.
    recorded: Option<Leader>,
    open: Vec<OpenFault>,
    struck: u64,
}

/// A fault that has struck and is not undone yet.
struct OpenFault {
    id: u64,
    action: Action,
    outcome: Outcome,
    /// Whether it was recorded that it bit.
    bit: bool,
    /// Of its orders to the cluster: those under way, and how many were carried out.
    orders: (Vec<Task>, usize),
}

impl<'a, T: Target> Conductor<'a, T> {
    pub(super) fn new(
        target: &'a mut T,
        recorder: Arc<Recorder>,
        watcher: &'a dyn Watcher,
        tally: Arc<Tally>,
    ) -> Self {
        let (leads, recorded, open) = (None, None, Vec::new());
        Conductor { target, recorder, watcher, tally, leads, recorded, open, struck: 0 }
    }

    /// Carries out the schedule until `end` or until told to stop; faults may then still stand.
    pub(super) async fn conduct(
        &mut self,
        schedule: &Schedule,
        end: Instant,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), TargetError> {
        let began = self.recorder.began();
        let steps = schedule.steps().iter().enumerate();
        let due = |(number, step): (usize, &Step)| Some((began.checked_add(step.at)?, number));
        let mut queue: BTreeSet<(Instant, usize)> = steps.filter_map(due).collect();
        let mut triggers: Vec<_> = schedule.steps().iter().map(|step| step.trigger).collect();
        // Steps that wait for the next change of leader, and how long after it they strike.
        let mut armed: Vec<(usize, Duration)> = Vec::new();
        // Steps that wait until so many operations have ended.
        let mut counting: Vec<(usize, u64)> = Vec::new();
        let mut known = self.recorded;
        loop {
            let next = queue.first().copied().filter(|(at, _)| *at < end);
            let until = next.map_or(end, |(at, _)| at);
            let news = (!armed.is_empty()).then_some(known);
            let count = counting.iter().map(|(_, count)| *count).min();
            if !self.watch_until(until, (news, count), &mut stop).await {
                return Ok(());
            }
            let ended = self.tally.ended();
            let (due, waiting) = counting.into_iter().partition(|(_, count)| *count <= ended);
            counting = waiting;
            let due: Vec<(usize, u64)> = due;
            if !due.is_empty() {
                queue.extend(due.into_iter().map(|(number, _)| (Instant::now(), number)));
                continue;
            }
            if self.recorded != known {
                known = self.recorded;
                let now = Instant::now();
                let due = |(number, delay)| Some((now.checked_add(delay)?, number));
                queue.extend(armed.drain(..).filter_map(due));
                continue;
            }
            let Some(next) = next else { return Ok(()) };
            queue.remove(&next);
            match triggers[next.1].take() {
                Some(Trigger::LeaderChange(delay)) => armed.push((next.1, delay)),
                Some(Trigger::Operations(count)) => counting.push((next.1, count)),
                None => self.strike(schedule, next.1).await?,
            }
        }
    }

    /// Carries out a step on the cluster as it now is.
    async fn strike(&mut self, schedule: &Schedule, number: usize) -> Result<(), TargetError> {
        self.watch().await;
        let cluster = self.target.cluster(self.leads.map(|leader| leader.node));
        let fault = &schedule.steps()[number].fault;
        let resolved = fault.resolve(&cluster, &mut schedule.rng(number))?;
        self.carry_out(&resolved).await
    }

    /// Heals every link and restarts every node that is down.
    pub(super) async fn undo_everything(&mut self) -> Result<(), TargetError> {
        if self.open.iter().any(|fault| undone_by(&fault.action, &Action::Heal)) {
            self.undo(&Action::Heal).await?;
        }
        let down = self.target.cluster(None).down;
        if !down.is_empty() {
            self.undo(&Action::Restart(down)).await?;
        }
        for cure in Part::ALL.map(Action::Cure) {
            if self.open.iter().any(|fault| undone_by(&fault.action, &cure)) {
                self.undo(&cure).await?;
            }
        }
        Ok(())
    }

    /// Gives up the orders that are under way, and begins to make everybody a member who is meant to be
    /// one; says whether that is needed.
    pub(super) async fn restore(&mut self) -> Result<bool, TargetError> {
        let concluded = self.target.give_up().await;
        self.conclude(&concluded);
        self.target.restore().await
    }

    /// Writes down which orders came to an end; says whether all of the restoration were carried out.
    pub(super) fn hear_of_orders(&mut self) -> bool {
        let concluded = self.target.concluded();
        self.conclude(&concluded);
        concluded.iter().all(|order| order.of_fault || order.done)
    }

    fn conclude(&mut self, concluded: &[Concluded]) {
        for Concluded { task, done, .. } in concluded.iter().filter(|order| order.of_fault) {
            let is_of = |fault: &OpenFault| fault.orders.0.contains(task);
            let Some(place) = self.open.iter().position(is_of) else { continue };
            let fault = &mut self.open[place];
            fault.orders.0.retain(|order| order != task);
            fault.orders.1 += usize::from(*done);
            if *done && !fault.bit {
                fault.bit = true;
                self.recorder.record(chronicle::bit(fault.id));
            }
            if fault.orders.0.is_empty() {
                let OpenFault { id, action, bit, orders: (_, done), .. } = self.open.remove(place);
                let observed = format!("{done} of {} orders carried out", Task::of(&action).len());
                self.say(&format!("{action}: {observed}"));
                self.recorder.record(chronicle::healed(id, bit, &observed));
            }
        }
    }

    /// Notices who leads, and records it when it changes.
    pub(super) async fn watch(&mut self) {
        self.hear_of_orders();
        self.watch_for_bites();
        self.leads = self.target.leader().await;
        let Some(leader) = self.leads else { return };
        // Of two that claim to lead the later counts, so the term never goes back.
        if self.recorded.is_none_or(|known| leader.term > known.term) {
            self.recorded = Some(leader);
            self.recorder.record(chronicle::leads(&leader.node.to_string(), leader.term));
            self.say(&format!("{} leads, term {}", leader.node, leader.term));
        }
    }

    /// Notices which faults of links have begun to bite.
    fn watch_for_bites(&mut self) {
        for fault in self.open.iter_mut().filter(|fault| !fault.bit) {
            fault.bit = self.target.bites(&fault.action);
            if fault.bit {
                self.recorder.record(chronicle::bit(fault.id));
            }
        }
    }

    /// Watches until `due`, or until another leader than the last known is recorded, if one is given,
    /// or so many operations have ended; says whether it came to that, rather than to a stop.
    async fn watch_until(
        &mut self,
        due: Instant,
        (known, count): (Option<Option<Leader>>, Option<u64>),
        stop: &mut watch::Receiver<bool>,
    ) -> bool {
        loop {
            if *stop.borrow() {
                return false;
            }
            let now = Instant::now();
            let is_counted = count.is_some_and(|count| self.tally.ended() >= count);
            if now >= due || is_counted || known.is_some_and(|known| self.recorded != known) {
                return true;
            }
            tokio::select! {
                () = tokio::time::sleep_until(due.min(now + WATCH_INTERVAL).into()) => {}
                _ = stop.wait_for(|stopped| *stopped) => return false,
            }
            self.watch().await;
        }
    }

    async fn carry_out(&mut self, resolved: &Resolved) -> Result<(), TargetError> {
        let action = &resolved.action;
        if action.is_empty() || !self.target.takes(action) {
            return Ok(());
        }
        if !resolved.asked.is_strike() {
            return self.undo(action).await;
        }
        let outcome = self.target.apply(action).await?;
        self.struck += 1;
        self.recorder.record(chronicle::struck(self.struck, resolved));
        self.say(&format!("{}: {}", resolved.asked.name(), resolved.sentence()));
        if let Action::Damage(damage, _) = action {
            // It is done and over, and nothing undoes it.
            let bit = *damage != Damage::Save && !outcome.damaged.is_empty();
            self.say(&outcome.to_string());
            if bit {
                self.recorder.record(chronicle::bit(self.struck));
            }
            self.recorder.record(chronicle::healed(self.struck, bit, &outcome.to_string()));
            return Ok(());
        }
        // What befalls a process does so at once, unless it waits for the process to need something.
        let waits = matches!(action, Action::Ail(ailment, _) if ailment.starves());
        let touched = !outcome.ended.is_empty() || !outcome.ailing.is_empty();
        let bit = touched && !waits;
        if bit {
            self.recorder.record(chronicle::bit(self.struck));
        }
        let (action, orders) = (action.clone(), (Task::of(action), 0));
        self.open.push(OpenFault { id: self.struck, action, outcome, bit, orders });
        Ok(())
    }

    async fn undo(&mut self, action: &Action) -> Result<(), TargetError> {
        let outcome = self.target.apply(action).await?;
        let open = std::mem::take(&mut self.open);
        let (over, open): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|fault| undone_by(&fault.action, action));
        self.open = open;
        if !over.is_empty() {
            self.say(&outcome.to_string());
        }
        for node in &outcome.lost {
            self.struck += 1;
            let sentence = format!("{node} does not start any more: its data is damaged");
            self.recorder.record(chronicle::befell(self.struck, "bit-rot", node, &sentence));
            let observed = "the node is left out from now on";
            self.recorder.record(chronicle::healed(self.struck, true, observed));
        }
        for fault in over {
            // What a cut did is known when it is healed; what a kill did, when it struck.
            let (bit, observed) = match action {
                Action::Heal => (outcome.bitten() > 0, outcome.to_string()),
                Action::Cure(_) => {
                    (cured_bit(&fault, &outcome), format!("{}; {outcome}", fault.outcome))
                }
                _ => (!fault.outcome.ended.is_empty(), fault.outcome.to_string()),
            };
            self.recorder.record(chronicle::healed(fault.id, bit, &observed));
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        self.watcher.say(self.recorder.began().elapsed(), what);
    }
}

/// Whether an ailment that is cured now bit: it befell somebody; but one that starves its node, only if
/// the node ended and so had to be started again.
fn cured_bit(fault: &OpenFault, cure: &Outcome) -> bool {
    let mut struck = fault.outcome.ailing.iter();
    match &fault.action {
        Action::Ail(ailment, _) if ailment.starves() => {
            struck.any(|node| cure.restarted.contains(node))
        }
        _ => struck.next().is_some(),
    }
}

/// Whether an action undoes an earlier one. A kill of several nodes is undone when the first of
/// its nodes is back: from then on it is no longer the fault that it was.
pub(crate) fn undone_by(fault: &Action, action: &Action) -> bool {
    match (fault, action) {
        (Action::Link(..), Action::Heal) => true,
        (Action::End(_, ended), Action::Restart(restarted)) => !ended.is_disjoint(restarted),
        (Action::Ail(ailment, _), Action::Cure(part)) => ailment.part() == *part,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use rashomon_nemesis::{Cluster, Node};

    use super::super::recorder::Recorder;
    use super::*;
    use crate::client::HttpClient;

    /// Three nodes that take turns in leading, and a note of what was done to them and when.
    struct Turns {
        began: Instant,
        changes_at: Duration,
        /// A hundred operations end whenever it is asked who leads.
        tally: Arc<Tally>,
        done: Vec<(Duration, Action)>,
    }

    impl Target for Turns {
        type Client = HttpClient;

        fn client(&self, _: u16, _: u64) -> Result<HttpClient, TargetError> {
            unreachable!("nobody works here")
        }

        async fn leader(&self) -> Option<Leader> {
            self.tally.ok.fetch_add(100, Ordering::Relaxed);
            let later = self.began.elapsed() >= self.changes_at;
            Some(Leader { node: Node(1 + u16::from(later)), term: 1 + u64::from(later) })
        }

        async fn settled(&self) -> Result<(), String> {
            Ok(())
        }

        fn cluster(&self, leader: Option<Node>) -> Cluster {
            Cluster { leader, ..Cluster::new(3) }
        }

        async fn apply(&mut self, action: &Action) -> Result<Outcome, TargetError> {
            self.done.push((self.began.elapsed(), action.clone()));
            Ok(Outcome::default())
        }

        fn bites(&self, action: &Action) -> bool {
            matches!(action, Action::Link(..))
        }

        async fn stop(self) {}
    }

    struct Nobody;

    impl Watcher for Nobody {
        fn say(&self, _: Duration, _: &str) {}
    }

    /// What a schedule does within two seconds, in the middle of which the leader changes.
    async fn conducted(schedule: &str) -> Vec<(Duration, String)> {
        let folder = tempfile::tempdir().expect("a folder for a while");
        let path = folder.path().join("history.jsonl");
        let recorder = Arc::new(Recorder::create(&path).expect("its file can be created"));
        let began = recorder.began();
        let (tally, changes_at) = (Arc::new(Tally::default()), Duration::from_secs(1));
        let mut target = Turns { began, changes_at, tally: tally.clone(), done: Vec::new() };
        let schedule: Schedule = schedule.parse().expect("it is a schedule");
        let (_stop, stopped) = watch::channel(false);
        let mut conductor = Conductor::new(&mut target, recorder, &Nobody, tally);
        let end = began + Duration::from_secs(2);
        conductor.conduct(&schedule, end, stopped).await.expect("nothing fails here");
        target.done.into_iter().map(|(at, action)| (at, action.to_string())).collect()
    }

    #[tokio::test]
    async fn a_step_may_wait_until_so_many_operations_have_ended() {
        let done = conducted(
            "at 0.1s after 600 operations kill n2; at 0.2s after 100000 operations kill n3\n\
             at 1.5s after 100 operations heal",
        )
        .await;
        let what: Vec<&str> = done.iter().map(|(_, action)| action.as_str()).collect();
        assert_eq!(what, ["kill n2", "heal"], "there never are as many as that");
        assert!(done[0].0 >= Duration::from_millis(450), "{done:?}");
        assert!(done[1].0 >= Duration::from_millis(1_500), "not before its time: {done:?}");
    }

    #[tokio::test]
    async fn a_step_may_wait_for_the_next_change_of_leader() {
        let done = conducted(
            "at 0.2s when leader changes + 100ms cut leader | rest\n\
             at 0.2s when leader changes heal\n\
             at 0.3s kill n3\n\
             at 1.5s when leader changes kill leader",
        )
        .await;
        let what: Vec<&str> = done.iter().map(|(_, action)| action.as_str()).collect();
        assert_eq!(what, ["kill n3", "heal", "cut n2 | n1, n3"], "nobody leads after n2");
        assert!(done[1].0 >= Duration::from_secs(1), "{done:?}");
        assert!(done[2].0 >= done[1].0 + Duration::from_millis(90), "{done:?}");
    }
}
