//! Tests of whole simulated runs.

mod guided;
mod mishaps;
mod snapshots;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use clap::ValueEnum;
use rashomon_checker::history::{Event, EventType, Process};
use rashomon_stores::raft::ReadMode;
use rashomon_stores::replica::{
    Effects, Input, NodeId, RecoverError, Replica, Role, Setup, Slot, Status, Time, Write,
};

use super::explore::{Exploration, Manner, explore, explore_of};
use super::run::Run;
use super::shrink::{Size, Symptom, shrink};
use super::verdict::{Seed, run_scenario, run_seed, write_history};
use super::witness::{Breach, NoWitness, Witness};
use super::{Scenario, Settings, Stores, Subject, System, Telling};
use crate::campaign::judge::judge_events;
use crate::campaign::plan::WorkloadName;
use crate::report::VerdictWord;

fn settings(workload: WorkloadName, nemesis: &str, bug: Option<&str>) -> Settings {
    Settings {
        store: "raft".into(),
        bug: bug.map(str::to_owned),
        reads: ReadMode::default(),
        workload,
        nemesis: nemesis.parse().expect("there are such kinds"),
        schedule: None,
        swarm: false,
        nodes: 5,
        concurrency: 6,
        rate: 60.0,
        time_limit: Duration::from_secs(8),
    }
}

fn history(run: &Seed) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_history(&run.recorded.events, &mut bytes).expect("memory can be written to");
    bytes
}

fn explored(settings: &Settings, seeds: u64, jobs: usize, keep_going: bool) -> Exploration {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let manner = Manner { jobs, keep_going, stop: &stop, done: &done };
    explore(settings, 1..=seeds, manner).expect("every seed can be run")
}

#[test]
fn a_seed_run_twice_leaves_the_same_bytes() {
    let settings = settings(WorkloadName::Register, "all", None);
    let mut histories = BTreeSet::new();
    for seed in 1..=24 {
        let tellings = [Telling::STORY, Telling::NOTHING];
        let runs = tellings.map(|told| run_seed(&settings, seed, told).expect("it runs"));
        let [once, again] = runs.each_ref().map(history);
        assert_eq!(once, again, "seed {seed}: telling the story changes it");
        let scenario = Scenario::generate(seed, &settings);
        let retold = Stores.simulate(&scenario, Telling::STORY).expect("it runs");
        assert_eq!(runs[0].recorded.story, retold.story, "seed {seed}");
        assert!(retold.story.is_some_and(|story| story.lines().count() > 500));
        assert!(histories.insert(once), "seed {seed} is like another");
    }
}

#[test]
fn a_store_without_a_leader_keeps_what_it_promises() {
    let kinds = "partition,kill,pause,network,disk,clock,cpu";
    let paxos = |workload| Settings { store: "paxos".into(), ..settings(workload, kinds, None) };
    for workload in [WorkloadName::Append, WorkloadName::Delete] {
        let found = explored(&paxos(workload), 25, 2, true);
        assert_eq!(found.violations, [0; 0], "{workload}");
        let seen = &found.coverage.sometimes;
        for what in [
            "proposals at once",
            "proposals for several requests",
            "proposals overtaken again and again",
            "promises kept over a crash",
            "tombstones collected",
            "tombstones not collected",
        ] {
            assert!(seen[what] > 0, "never any {what}: {seen:?}");
        }
        assert_eq!(found.coverage.sometimes["mishaps of leaders"], 0);
    }
    let run = run_seed(&paxos(WorkloadName::Delete), 1, Telling::STORY).expect("it runs");
    let again = run_seed(&paxos(WorkloadName::Delete), 1, Telling::NOTHING).expect("it runs");
    assert_eq!(history(&run), history(&again));
}

#[test]
fn a_single_node_loses_nothing_whatever_befalls_it() {
    let alone = Settings {
        store: "single".into(),
        nodes: 1,
        ..settings(WorkloadName::Append, "kill,disk,pause", None)
    };
    let found = explored(&alone, 40, 2, true);
    assert_eq!((found.coverage.valid, found.coverage.unknown), (40, 0), "{:?}", found.unknown);
    assert!(found.coverage.hardship.crashes_with_loss > 0, "{:?}", found.coverage.hardship);
    let many = Settings { nodes: 3, ..alone };
    assert!(run_seed(&many, 1, Telling::NOTHING).is_err(), "a node of this store is alone");
}

#[test]
fn a_scenario_says_everything_about_its_run() {
    let settings = settings(WorkloadName::Register, "all", Some("stale-read"));
    for seed in 1..=12 {
        let run = run_seed(&settings, seed, Telling::NOTHING).expect("it runs");
        let read: Scenario = toml::from_str(&run.scenario.to_toml()).expect("its text is read");
        assert_eq!(read, run.scenario, "seed {seed}");
        assert_eq!(read.check(), Ok(()));
        let again = run_scenario(&Stores, run.scenario.resolved(&run.recorded), Telling::NOTHING);
        let again = again.expect("it runs");
        // The history also says what was asked of a fault, and when a strike that came to nothing
        // looked who leads; for clients everything is the same.
        let told = |run: &Seed| -> Vec<_> {
            let clients = |event: &&Event| matches!(event.process, Process::Client(_));
            let events = run.recorded.events.iter().filter(clients).cloned();
            events.map(|event| Event { index: 0, line: 0, ..event }).collect()
        };
        assert!(told(&run) == told(&again), "seed {seed}");
    }
}

#[test]
fn a_violation_shrinks_to_a_handful_of_operations_and_always_to_the_same() {
    let settings = settings(WorkloadName::Register, "partition,kill,network", Some("stale-read"));
    let found = explored(&settings, 20, 2, false).first.expect("a stale read in 20 seeds");
    let shrunk = || {
        let shrunk = shrink(&Stores, found.scenario.clone(), 3_000).expect("it can be run");
        shrunk.expect("it has a violation")
    };
    let (once, again) = (shrunk(), shrunk());
    assert_eq!(once.run.scenario, again.run.scenario);
    assert_eq!(history(&once.run), history(&again.run));
    assert!(once.is_minimal, "{} tries", once.tries);
    let (from, to) = (once.from, Size::of(&once.run.scenario));
    assert!(to.operations <= 6 && to.faults <= 2 && to.clients <= 4, "{to:?}");
    assert!(from.operations > 100 && to.time_limit_ms < from.time_limit_ms, "{from:?} {to:?}");
    let file: Scenario = toml::from_str(&once.run.scenario.to_toml()).expect("its text is read");
    let replayed = run_scenario(&Stores, file, Telling::NOTHING).expect("it runs");
    assert_eq!(Symptom::of(&replayed), Symptom::of(&found));
    assert_eq!(history(&replayed), history(&once.run), "to the byte");
}

#[test]
fn what_shows_no_violation_does_not_shrink() {
    let sound = Scenario::generate(1, &settings(WorkloadName::Register, "none", None));
    assert!(shrink(&Stores, sound, 10).expect("it can be run").is_none());
}

/// A quiet run of three nodes under these steps, with its story.
fn under(schedule: &str) -> Seed {
    let given = Some(schedule.parse().expect("it is a schedule"));
    let settings = settings(WorkloadName::Register, "none", None);
    run_seed(&Settings { schedule: given, nodes: 3, ..settings }, 1, Telling::STORY)
        .expect("it runs")
}

/// The lines of a run's story with these words, and their times in seconds.
fn told(run: &Seed, words: &str) -> Vec<f64> {
    let lines = run.recorded.story.as_deref().expect("it was to be told").lines();
    let time = |line: &str| line.trim().split(' ').next().and_then(|time| time.parse().ok());
    lines.filter(|line| line.contains(words)).map(|line| time(line).expect(line)).collect()
}

#[test]
fn a_step_may_wait_for_the_next_change_of_leader() {
    let run = under(
        "at 2s cut leader | rest; at 2s when leader changes + 5ms kill leader; at 4s heal; \
         at 4s restart; at 7.9s when leader changes kill leader",
    );
    let elected = told(&run, "leads term").into_iter().find(|time| *time > 2.0);
    let kills = run.recorded.struck.iter().filter(|step| step.fault.name() == "kill");
    let struck: Vec<f64> = kills.map(|step| step.at.as_secs_f64()).collect();
    assert_eq!(struck.len(), 1, "the second waits in vain: {struck:?}");
    let delay = struck[0] - elected.expect("the others elect somebody");
    assert!((0.005..0.005_001).contains(&delay), "{delay}");
}

#[test]
fn a_hold_also_keeps_what_is_on_its_way() {
    let run = under("at 2s hold leader | rest; at 4s heal");
    let on_their_way = told(&run, "held: ");
    assert!(!on_their_way.is_empty(), "messages are under way all the time");
    assert!(on_their_way.iter().all(|time| (2.0..2.01).contains(time)), "{on_their_way:?}");
}

#[test]
fn what_is_paused_takes_nothing_until_it_goes_on() {
    let run = under("at 2s pause leader; at 4s resume");
    let [pause, resume] = run.recorded.struck.as_slice() else { panic!("two steps") };
    let paused = pause.fault.to_string().replace("pause ", "");
    let lines = run.recorded.story.as_deref().expect("it was to be told").lines();
    let meanwhile = |line: &&str| {
        let mut words = line.split_whitespace();
        let time: f64 = words.next().and_then(|time| time.parse().ok()).unwrap_or(0.0);
        // What it had sent before arrives.
        let is_its_own = words.next() == Some(paused.as_str()) && words.next() != Some("->");
        is_its_own && time > pause.at.as_secs_f64() && time < resume.at.as_secs_f64()
    };
    let done: Vec<&str> = lines.filter(meanwhile).collect();
    assert!(done.is_empty(), "{paused} does nothing meanwhile: {done:?}");
    assert!(told(&run, "leads term").iter().any(|time| (2.0..4.0).contains(time)), "another leads");
    assert_eq!(run.judged.results.verdict, VerdictWord::Valid, "{}", run.judged.results.why);
}

#[test]
fn clocks_leap_and_drift_and_disks_stall_as_they_are_told() {
    let elected = |steps: &str| told(&under(steps), "leads term");
    let calm = elected("seed 1");
    assert_eq!(calm.len(), elected("at 2s stall leader by 1ms; at 4s clear").len());
    // A follower whose clock leaps beyond its patience calls an election.
    assert!(elected("at 2s leap rest by 10s").len() > calm.len());
    let run = under("at 2s stall everyone by 60ms; at 4s clear");
    let latency = |run: &Seed| {
        let functions = run.judged.results.functions.iter();
        functions.filter_map(|it| Some(it.latency?.max_ns)).max().expect("something happened")
    };
    assert!(latency(&run) >= 60_000_000, "what is to be durable takes so long");
    assert_eq!(run.judged.results.verdict, VerdictWord::Valid, "{}", run.judged.results.why);
}

#[test]
fn a_node_without_room_stops_and_starts_again_when_there_is_some() {
    let run = under("at 2s fill leader; at 5s clear");
    let stops = told(&run, "finds no room");
    let [stop] = stops.as_slice() else { panic!("one stops, once: {stops:?}") };
    assert!((2.0..5.0).contains(stop), "{stop}");
    assert!(told(&run, " starts").contains(&5.0), "{:?}", told(&run, " starts"));
    assert_eq!(run.judged.results.verdict, VerdictWord::Valid, "{}", run.judged.results.why);
}

#[test]
fn a_step_may_wait_until_so_many_operations_have_ended() {
    let run = under("at 1s after 100 operations kill n1; at 3s after 10 operations heal");
    let [kill, heal] = run.recorded.struck.as_slice() else { panic!("{:?}", run.recorded.struck) };
    let ended = |event: &&Event| {
        matches!(event.process, Process::Client(_)) && event.kind != EventType::Invoke
    };
    let at = kill.at.as_nanos() as u64;
    let by_then = run.recorded.events.iter().filter(ended).filter(|it| it.time <= Some(at)).count();
    assert_eq!(by_then, 100, "{:?}", kill.at);
    assert_eq!(heal.at, Duration::from_secs(3), "there were as many long before");
}

#[test]
fn slow_links_are_late_and_lose_nothing() {
    let run = under("at 2s slow everyone | everyone by 40ms; at 4s heal");
    let coverage = &run.judged.results.coverage;
    let [fault] = coverage.faults.as_slice() else { panic!("{:?}", coverage.faults) };
    assert!(fault.bit && run.recorded.traffic.slowed > 10, "{fault:?}");
    assert_eq!(run.recorded.traffic.stopped + run.recorded.traffic.lost, 0);
    let latency = run.judged.results.functions.iter().filter_map(|it| Some(it.latency?.max_ns));
    assert!(latency.max() >= Some(40_000_000), "what a majority has to say takes so long");
    assert_eq!(run.judged.results.verdict, VerdictWord::Valid, "{}", run.judged.results.why);
}

#[test]
fn every_node_leads_while_the_last_reads_ask_it() {
    let run = under("seed 1");
    for node in ["n1", "n2", "n3"] {
        let times = told(&run, &format!("{node} leads term"));
        assert!(!times.is_empty(), "{node} never led, though nothing happened to it");
    }
}

#[test]
fn every_scenario_that_was_checked_in_comes_to_what_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("there are scenarios") {
        let path = entry.expect("it can be read").path();
        let scenario = Scenario::read(&path).expect("it is a scenario");
        let expected = scenario.expect.clone().expect("it says what it comes to");
        let run = run_scenario(&Stores, scenario, Telling::NOTHING).expect("it runs");
        let symptom = Symptom::of(&run).map(|symptom| symptom.to_string());
        let verdict = format!("{:?}", run.judged.results.verdict).to_lowercase();
        assert_eq!(symptom.unwrap_or(verdict), expected, "{}", path.display());
        count += 1;
    }
    assert!(count >= 2, "{count} scenarios");
}

#[test]
fn what_is_found_does_not_depend_on_how_many_threads_look() {
    let settings = settings(WorkloadName::Append, "all", Some("stale-read"));
    for keep_going in [false, true] {
        let one = explored(&settings, 16, 1, keep_going);
        for jobs in [2, 5] {
            let many = explored(&settings, 16, jobs, keep_going);
            assert_eq!(one.coverage, many.coverage);
            assert_eq!(one.violations, many.violations);
            let first = |found: &Exploration| found.first.as_deref().map(history);
            assert_eq!(first(&one), first(&many));
        }
    }
}

#[test]
fn stale_reads_are_caught_and_a_sound_store_is_not_blamed() {
    for workload in WorkloadName::value_variants().iter().copied() {
        let sound = explored(&settings(workload, "partition", None), 20, 2, true);
        assert_eq!(sound.violations, Vec::<u64>::new(), "{workload}");
        let broken = explored(&settings(workload, "partition", Some("stale-read")), 20, 2, true);
        assert!(!broken.violations.is_empty(), "{workload}: no stale read in 20 seeds");
        let first = broken.first.expect("there is a violation");
        assert!(first.judged.results.finding.is_some(), "clients have seen it");
        assert_eq!(first.recorded.breach, None, "the logs are sound, only reads are not");
    }
}

/// Whatever went wrong, an eventual store of any kind has the same on every node when all is healed.
#[test]
fn an_eventual_store_converges_after_everything_went_wrong() {
    let mut crashes = 0;
    for (store, workload) in [
        ("eventual", WorkloadName::Set),
        ("eventual:handoff=off", WorkloadName::Register),
        ("eventual:siblings,sessions", WorkloadName::Register),
        ("eventual:r=2,w=2", WorkloadName::Counter),
    ] {
        let settings =
            Settings { store: store.into(), nodes: 3, ..settings(workload, "all", None) };
        for seed in 1..=8 {
            let recorded = Stores.simulate(&Scenario::generate(seed, &settings), Telling::NOTHING);
            let recorded = recorded.expect("it can be run");
            assert_eq!(recorded.recovery.missing, None, "{store}, seed {seed}");
            crashes += recorded.hardship.crashes;
        }
    }
    assert!(crashes > 0, "nothing went wrong");
    let many =
        Settings { store: "eventual:r=4".into(), ..settings(WorkloadName::Set, "none", None) };
    let few = Settings { nodes: 3, ..many };
    assert!(
        run_seed(&few, 1, Telling::NOTHING).is_err(),
        "four nodes cannot read where there are three"
    );
}

#[test]
fn a_sound_store_lives_again_after_everything_went_wrong() {
    let found = explored(&settings(WorkloadName::Register, "all", None), 80, 2, true);
    assert_eq!((found.violations.len(), found.unknown.len()), (0, 0));
    let coverage = found.coverage;
    assert_eq!((coverage.seeds, coverage.valid), (80, 80));
    // Nothing failed and nothing was tested look different.
    let reached = [
        coverage.overlapping,
        coverage.info,
        coverage.traffic.lost,
        coverage.traffic.duplicated,
        coverage.traffic.held,
        coverage.traffic.stopped,
        coverage.traffic.waited,
        coverage.hardship.crashes_with_loss,
        coverage.hardship.pauses,
    ];
    assert!(reached.iter().all(|count| *count > 0), "{coverage:?}");
    assert!(coverage.sometimes.values().all(|count| *count > 0), "{coverage:?}");
}

#[test]
fn local_reads_are_caught_and_leases_hold_while_clocks_keep_to_their_margin() {
    let reads = |reads| Settings { reads, ..settings(WorkloadName::Register, "all", None) };
    let lease = explored(&reads(ReadMode::Lease), 40, 2, true);
    assert_eq!((lease.violations.len(), lease.unknown.len()), (0, 0));
    let local = explored(&reads(ReadMode::Local), 10, 2, false);
    let first = local.first.expect("there is a stale read");
    assert!(first.judged.results.finding.is_some(), "clients have seen it");
}

#[test]
fn without_faults_everything_goes_well_once_somebody_leads() {
    for seed in 1..=5 {
        let settings = settings(WorkloadName::Append, "none", None);
        let run = run_seed(&settings, seed, Telling::NOTHING).expect("it runs");
        assert_eq!(run.judged.results.verdict, VerdictWord::Valid);
        let late = |event: &&Event| event.time > Some(3_000_000_000);
        let failed = run.recorded.events.iter().filter(late).find(|event| {
            matches!(event.process, Process::Client(_))
                && matches!(event.kind, EventType::Fail | EventType::Info)
        });
        assert_eq!(failed, None);
    }
}

/// A core that does nothing and believes that somebody else leads.
#[derive(Clone, Debug)]
struct Idle(NodeId);

impl Replica for Idle {
    type Message = ();
    type Record = ();
    type Timer = ();
    type Note = String;
    type Options = ();

    fn recover(
        setup: Setup,
        (): (),
        _disk: Vec<(Slot, ())>,
        _now: Time,
        _out: &mut Effects<Self>,
    ) -> Result<Self, RecoverError> {
        Ok(Idle(setup.id))
    }

    fn step(&mut self, _now: Time, _input: Input<Self>, _out: &mut Effects<Self>) {}

    fn status(&self) -> Status {
        Status {
            id: self.0,
            role: Role::Follower,
            term: 1,
            leader: Some(NodeId(1)),
            voters: Vec::new(),
            learners: Vec::new(),
            snapshot_index: 0,
            last_index: 0,
            commit_index: 0,
            applied_index: 0,
            elections_started: 0,
            elections_won: 0,
            leader_changes: 0,
            writes_proposed: 0,
            reads_served: 0,
            digest: 0,
        }
    }
}

/// A core that panics at the first request, or refuses to start again, as it is told to.
#[derive(Clone, Debug)]
struct Clumsy {
    idle: Idle,
    patient: bool,
}

impl Replica for Clumsy {
    type Message = ();
    type Record = ();
    type Timer = ();
    type Note = String;
    type Options = bool;

    fn recover(
        setup: Setup,
        patient: bool,
        disk: Vec<(Slot, ())>,
        _: Time,
        out: &mut Effects<Self>,
    ) -> Result<Self, RecoverError> {
        if !disk.is_empty() {
            return Err(RecoverError("it has been here before".into()));
        }
        out.persist(vec![Write::Put(Slot::Numbered(0, 0), ())]);
        Ok(Clumsy { idle: Idle(setup.id), patient })
    }

    fn step(&mut self, _: Time, input: Input<Self>, _: &mut Effects<Self>) {
        let asked = matches!(input, Input::Request { .. });
        assert!(self.patient || !asked, "no more requests, please");
    }

    fn status(&self) -> Status {
        self.idle.status()
    }
}

/// Whether its nodes are patient.
struct ClumsySubject(bool);

impl Subject for ClumsySubject {
    type Core = Clumsy;
    type Witness = NoWitness;

    fn options(&self) -> bool {
        self.0
    }

    fn witness(&self) -> NoWitness {
        NoWitness
    }
}

#[test]
fn a_core_that_breaks_is_a_violation_of_its_seed_and_shrinks() {
    let settings = settings(WorkloadName::Register, "kill", None);
    for (patient, invariant, words) in
        [(false, "no panic", "no more requests, please"), (true, "recovery", "been here before")]
    {
        let system = ClumsySubject(patient);
        let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let manner = Manner { jobs: 2, keep_going: true, stop: &stop, done: &done };
        let found = explore_of(&system, &settings, 1..=4, manner).expect("nothing of ours broke");
        let first = found.first.expect("there is a violation");
        assert!(first.judged.results.why.contains(words), "{}", first.judged.results.why);
        assert!(first.judged.results.reproduce.contains("--seed"));
        assert_eq!(Symptom::of(&first), Some(Symptom::Breach(invariant)));
        let shrunk = shrink(&system, first.scenario, 300).expect("it can be run");
        let size = Size::of(&shrunk.expect("it has a violation").run.scenario);
        assert!(size.nodes <= 3 && size.operations <= 1 && size.faults <= 1, "{size:?}");
    }
}

/// Breaks at the first crash, to see what becomes of that.
struct Strict(bool);

impl Witness<Idle> for Strict {
    fn noted(&mut self, _: NodeId, _: &String, _: &Idle) -> Result<(), Breach> {
        Ok(())
    }

    fn stepped(&mut self, node: NodeId, _: &Idle) -> Result<(), Breach> {
        if self.0 { Err(Breach::new("no crashes", node.to_string())) } else { Ok(()) }
    }

    fn crashed(&mut self, _: NodeId) {
        self.0 = true;
    }

    fn glanced(&mut self, _: &[(NodeId, &Idle)], _: bool) -> Result<(), Breach> {
        Ok(())
    }

    fn sightings(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

#[test]
fn a_store_that_never_answers_is_not_alive_and_any_core_can_be_put_in() {
    let scenario = Scenario::generate(1, &settings(WorkloadName::Register, "kill", None));
    let run = Run::new(&scenario, (), Strict(false), Telling::NOTHING).complete();
    let missing = run.recovery.missing.as_deref().expect("it never served");
    assert!(missing.contains("timeout"), "{missing}");
    assert_eq!(run.breach.map(|breach| breach.invariant), Some("no crashes"));
    let judged =
        judge_events(&scenario.plan(), &run.events, run.recovery, false).expect("a sound history");
    assert_eq!(judged.results.verdict, VerdictWord::Violation);
    assert!(judged.results.why.contains("did not recover"), "{}", judged.results.why);
}
