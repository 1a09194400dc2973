//! The data: texts that survive reading and printing, faults that resolve to what they say.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rashomon_nemesis::{
    Action, Ailment, Breeder, Cluster, Damage, Ending, Fault, Grudge, Node, NodeSet, Package,
    Packages, ParseError, Part, Partition, Percent, Pick, Rate, Resolved, Schedule, Split, Step,
    Trigger, Trouble, Ways,
};

const SIZE: u16 = 7;

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        3 => (1..=SIZE).prop_map(|node| Pick::Node(Node(node))),
        2 => Just(Pick::Leader),
        2 => (0..=SIZE + 1).prop_map(Pick::Random),
        1 => Just(Pick::Minority),
        1 => Just(Pick::Majority),
        1 => Just(Pick::Everyone),
        2 => Just(Pick::Rest),
    ]
}

fn node_set() -> impl Strategy<Value = NodeSet> {
    vec(pick(), 0..4).prop_map(NodeSet)
}

fn partition() -> impl Strategy<Value = Partition> {
    let ways = prop_oneof![Just(Ways::Both), Just(Ways::One)];
    let split =
        (node_set(), node_set(), ways).prop_map(|(from, to, ways)| Split { from, to, ways });
    prop_oneof![
        8 => vec(split, 1..3).prop_map(Partition::Splits),
        1 => Just(Partition::Ring),
        1 => Just(Partition::Bridge),
    ]
}

fn ailment() -> impl Strategy<Value = Ailment> {
    let rate = (1u16..=1000).prop_map(|rate| Percent::new(rate).expect("it is in range"));
    prop_oneof![
        Just(Ailment::Pause),
        any::<Duration>().prop_map(Ailment::Leap),
        rate.prop_map(Ailment::Drift),
        (1u16..100).prop_map(|it| Ailment::Throttle(Percent::new(it).expect("in range"))),
        Just(Ailment::Squeeze),
        (1u64..).prop_map(|ms| Ailment::Strobe(Duration::from_millis(ms))),
        any::<Duration>().prop_map(Ailment::Stall),
        Just(Ailment::Fill),
        Just(Ailment::Balk),
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        4 => Just(Trouble::Cut),
        2 => Just(Trouble::Hold),
        2 => any::<Duration>().prop_map(Trouble::Slow),
        1 => (1u16..=100).prop_map(|it| Trouble::Lose(Percent::new(it).expect("in range"))),
        2 => (1u32..).prop_map(|it| Trouble::Limit(Rate::new(it).expect("more than none"))),
        1 => Just(Trouble::Reset),
        1 => Just(Trouble::Strand),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let ending = prop::sample::select(&Ending::ALL[..]);
    prop_oneof![
        8 => (trouble(), partition()).prop_map(|(trouble, links)| Fault::Link(trouble, links)),
        1 => Just(Fault::Heal),
        2 => (ending, node_set()).prop_map(|(ending, set)| Fault::End(ending, set)),
        1 => Just(Fault::Restart(None)),
        1 => node_set().prop_map(|set| Fault::Restart(Some(set))),
        1 => Just(Fault::Add(None)),
        1 => btree_set((1..=SIZE + 3).prop_map(Node), 0..3).prop_map(|set| Fault::Add(Some(set))),
        1 => node_set().prop_map(Fault::Remove),
        1 => node_set().prop_map(Fault::Retire),
        1 => node_set().prop_map(Fault::Transfer),
        3 => (ailment(), node_set()).prop_map(|(ailment, set)| Fault::Ail(ailment, set)),
        1 => prop::sample::select(&Part::ALL[..]).prop_map(Fault::Cure),
        1 => (prop::sample::select(&Damage::ALL[..]), node_set()).prop_map(|(damage, set)| Fault::Damage(damage, set)),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let time = prop_oneof![(0u64..100_000).prop_map(Duration::from_millis), any::<Duration>()];
    let delay = prop_oneof![Just(Duration::ZERO), any::<Duration>()];
    let trigger = prop_oneof![
        delay.prop_map(Trigger::LeaderChange),
        any::<u64>().prop_map(Trigger::Operations),
    ];
    let trigger = proptest::option::of(trigger);
    let step = (time, trigger, fault());
    let step = step.prop_map(|(at, trigger, fault)| Step { at, trigger, fault });
    (any::<u64>(), vec(step, 0..8)).prop_map(|(seed, steps)| Schedule::new(seed, steps))
}

fn nodes() -> impl Strategy<Value = BTreeSet<Node>> {
    btree_set((1..=SIZE).prop_map(Node), 0..=usize::from(SIZE))
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let leader = proptest::option::of((1..=SIZE).prop_map(Node));
    (leader, nodes(), nodes()).prop_map(|(leader, down, gone)| {
        let all = Cluster::new(SIZE);
        let nodes: BTreeSet<Node> = all.nodes.difference(&gone).copied().collect();
        let leader = leader.filter(|node| nodes.contains(node));
        let down = down.intersection(&nodes).copied().collect();
        Cluster { nodes, leader, down, gone }
    })
}

/// Seven nodes of which some may be down.
fn full_cluster() -> impl Strategy<Value = Cluster> {
    (proptest::option::of((1..=SIZE).prop_map(Node)), nodes()).prop_map(|(leader, down)| Cluster {
        leader,
        down,
        ..Cluster::new(SIZE)
    })
}

fn resolve(fault: &Fault, cluster: &Cluster, seed: u64) -> Resolved {
    fault.resolve(cluster, &mut ChaCha8Rng::seed_from_u64(seed)).expect("every node exists")
}

fn cut(fault: &str, cluster: &Cluster, seed: u64) -> Grudge {
    match resolve(&fault.parse().expect("a fault"), cluster, seed).action {
        Action::Link(Trouble::Cut, grudge) => grudge,
        other => panic!("{fault} came to {other}"),
    }
}

/// Reads what it prints, and its JSON is that text.
fn survives_its_text<T>(value: &T) -> Result<(), TestCaseError>
where
    T: std::str::FromStr<Err = ParseError> + std::fmt::Display + std::fmt::Debug + PartialEq,
    T: serde::Serialize + for<'de> serde::Deserialize<'de>,
{
    let text = value.to_string();
    let read = text.parse::<T>();
    prop_assert_eq!(read.as_ref(), Ok(value), "from {:?}", text);
    let json = serde_json::to_value(value).expect("text is JSON");
    prop_assert_eq!(json.as_str(), Some(text.as_str()));
    prop_assert_eq!(&serde_json::from_value::<T>(json).expect("its own JSON"), value);
    Ok(())
}

fn breeder() -> impl Strategy<Value = Breeder> {
    let packages = vec(prop::sample::select(&Package::ALL[..]), 0..4);
    let times = (0u64..20_000, 0u64..20_000);
    (packages, any::<bool>(), any::<bool>(), times).prop_map(|(packages, orders, leads, times)| {
        let (from, long) = times;
        let (from, end) = (Duration::from_millis(from), Duration::from_millis(from + long));
        Breeder { packages, orders, nodes: SIZE, leads, from, end }
    })
}

/// What is bred is sound, survives its text, strikes in time and leaves alone what was to be.
fn is_bred_well(child: &Schedule, parent: &Schedule, by: &Breeder) -> Result<(), TestCaseError> {
    survives_its_text(child)?;
    prop_assert_eq!(child.check(SIZE), Ok(()));
    prop_assert_eq!(child.seed(), parent.seed());
    prop_assert!(child.steps().iter().all(|step| step.at <= by.end), "{}", child);
    let before = |schedule: &Schedule| -> Vec<Step> {
        schedule.steps().iter().filter(|step| step.at < by.from).cloned().collect()
    };
    prop_assert_eq!(before(child), before(parent));
    Ok(())
}

proptest! {
    #[test]
    fn what_is_bred_is_a_schedule_like_any_other(
        parent in schedule(),
        other in schedule(),
        breeder in breeder(),
        moment in 0u64..20_000,
        seed: u64,
    ) {
        let (parent, other) = (parent.sound(SIZE), other.sound(SIZE));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        is_bred_well(&breeder.cut(&parent), &parent, &breeder)?;
        is_bred_well(&breeder.mutate(&parent, &mut rng), &parent, &breeder)?;
        let again = &mut ChaCha8Rng::seed_from_u64(seed);
        prop_assert_eq!(
            breeder.mutate(&parent, again),
            breeder.mutate(&parent, &mut ChaCha8Rng::seed_from_u64(seed))
        );
        let spliced = breeder.splice(&parent, &other, Duration::from_millis(moment));
        is_bred_well(&spliced, &parent, &breeder)?;
    }

    #[test]
    fn schedules_survive_their_text(schedule in schedule()) {
        survives_its_text(&schedule)?;
    }

    #[test]
    fn faults_and_actions_survive_their_text(fault in fault(), cluster in cluster(), seed: u64) {
        survives_its_text(&fault)?;
        let resolved = resolve(&fault, &cluster, seed);
        survives_its_text(&resolved.action)?;
        let json = serde_json::to_string(&resolved).expect("a record is JSON");
        prop_assert_eq!(serde_json::from_str::<Resolved>(&json).expect("its own JSON"), resolved);
    }

    /// What was done, run again as a schedule, does the same, whoever leads by then.
    #[test]
    fn actions_ask_for_themselves(fault in fault(), cluster in cluster(), other: Option<u8>) {
        let done = resolve(&fault, &cluster, 1).action;
        let again: Fault = done.to_string().parse().expect("an action is a fault");
        let leader = other.map(|node| Node(1 + u16::from(node) % SIZE));
        let later = Cluster { leader, ..cluster };
        prop_assert_eq!(resolve(&again, &later, 2).action, done);
    }

    #[test]
    fn equal_seeds_resolve_equally(fault in fault(), cluster in cluster(), seed: u64) {
        prop_assert_eq!(resolve(&fault, &cluster, seed), resolve(&fault, &cluster, seed));
    }

    #[test]
    fn kills_and_restarts_touch_only_whom_they_can(
        fault in fault(), cluster in cluster(), seed: u64,
    ) {
        let resolved = resolve(&fault, &cluster, seed);
        match &resolved.action {
            Action::End(_, nodes) => prop_assert!(nodes.is_subset(&cluster.up())),
            Action::Restart(nodes) | Action::Damage(_, nodes) => {
                prop_assert!(nodes.is_subset(&cluster.down));
            }
            Action::Link(_, grudge) => {
                for (from, to) in grudge.links() {
                    prop_assert!(from != to);
                    prop_assert!(cluster.nodes.contains(&from) && cluster.nodes.contains(&to));
                }
            }
            Action::Heal => {}
            Action::Add(nodes) => {
                prop_assert!(nodes.is_disjoint(&cluster.nodes) && nodes.is_disjoint(&cluster.gone));
                let after = cluster.nodes.len() + nodes.len();
                prop_assert!(nodes.is_empty() || after <= Cluster::CEILING);
            }
            Action::Remove(nodes) | Action::Retire(nodes) => {
                prop_assert!(nodes.is_subset(&cluster.nodes));
                let after = cluster.nodes.len() - nodes.len();
                prop_assert!(nodes.is_empty() || after >= Cluster::FLOOR);
            }
            Action::Transfer(nodes) => {
                prop_assert!(nodes.len() <= 1 && nodes.is_subset(&cluster.nodes));
            }
            Action::Ail(_, nodes) => prop_assert!(nodes.is_subset(&cluster.up())),
            Action::Cure(_) => {}
        }
        if resolved.stand_in.is_some() {
            prop_assert!(fault.to_string().contains("leader"));
            let unreachable = cluster.leader.is_none_or(|leader| cluster.down.contains(&leader)
                || matches!(fault, Fault::Restart(_) | Fault::Transfer(_) | Fault::Damage(..)));
            prop_assert!(unreachable);
        }
        prop_assert!(!resolved.sentence().is_empty());
    }

    /// Every set that leaves a choice takes as many as it says, and none that was spoken of.
    #[test]
    fn draws_are_disjoint_and_of_their_size(cluster in full_cluster(), a in 0..=SIZE, b in 0..=SIZE) {
        let fault = format!("cut random {a} -> random {b}");
        let grudge = cut(&fault, &cluster, u64::from(a * 31 + b));
        let expected = usize::from(a) * usize::from(b.min(SIZE - a));
        prop_assert_eq!(grudge.len(), expected);
    }

    #[test]
    fn leader_and_rest_mean_what_they_say(leader in 1..=SIZE, seed: u64) {
        let cluster = Cluster { leader: Some(Node(leader)), ..Cluster::new(SIZE) };
        let isolated = Grudge::isolate(Node(leader), &cluster.nodes);
        prop_assert_eq!(&cut("cut leader | rest", &cluster, seed), &isolated);
        prop_assert_eq!(&cut("cut rest | leader", &cluster, seed), &isolated);
        let deaf = cut("cut rest -> leader", &cluster, seed);
        let mute = cut("cut leader -> rest", &cluster, seed);
        prop_assert!(deaf.links().all(|(_, to)| to == Node(leader)));
        prop_assert!(mute.links().all(|(from, _)| from == Node(leader)));
        prop_assert_eq!(deaf.len() + mute.len(), isolated.len());
        // A minority of seven is three: the leader, two more, and four on the other side.
        let minority = cut("cut leader, random 2 | rest", &cluster, seed);
        prop_assert_eq!(minority.len(), 2 * 3 * 4);
        prop_assert_eq!(minority.links().filter(|(from, _)| *from == Node(leader)).count(), 4);
    }

    #[test]
    fn an_unknown_leader_has_a_stand_in(seed: u64) {
        let cluster = Cluster::new(SIZE);
        let resolved = resolve(&"cut leader | rest".parse().expect("a fault"), &cluster, seed);
        let node = resolved.stand_in.expect("somebody is taken for the leader");
        prop_assert_eq!(resolved.action, Action::Link(Trouble::Cut, Grudge::isolate(node, &cluster.nodes)));
    }

    /// The blocks a grudge is printed in are the grudge: no link more, none less.
    #[test]
    fn blocks_are_exactly_the_grudge(links in vec((1..=SIZE, 1..=SIZE), 0..30)) {
        let grudge: Grudge = links.into_iter().map(|(a, b)| (Node(a), Node(b))).collect();
        let mut together = Grudge::default();
        for block in grudge.blocks() {
            together.extend(&Grudge::between(&block.from, &block.to, block.ways));
        }
        prop_assert_eq!(together, grudge);
    }

    #[test]
    fn rings_and_bridges_and_halves(size in 1u16..10, seed: u64) {
        let cluster = Cluster::new(size);
        let nodes: Vec<Node> = Node::first(size).collect();
        let hears = |grudge: &Grudge, node: Node| -> BTreeSet<Node> {
            nodes.iter().copied().filter(|from| !grudge.silences(*from, node)).collect()
        };
        let ring = cut("cut ring", &cluster, seed);
        let heard: BTreeSet<_> = nodes.iter().map(|node| hears(&ring, *node)).collect();
        prop_assert!(heard.iter().all(|heard| heard.len() >= cluster.majority()));
        if size > 3 {
            prop_assert_eq!(heard.len(), nodes.len(), "two nodes hear the same majority");
        }
        let bridge = cut("cut bridge", &cluster, seed);
        let (near, far) = (usize::from(size / 2), usize::from((size - 1) / 2));
        prop_assert_eq!(bridge.len(), 2 * near * far);
        prop_assert!(nodes.iter().any(|node| hears(&bridge, *node).len() == nodes.len()));
        let halves = Grudge::halves(&nodes);
        prop_assert_eq!(halves.len(), 2 * near * (nodes.len() - near));
    }

    /// Whatever the text, reading ends in a value or in an error at a place within it.
    #[test]
    fn errors_are_within_the_text(
        text in "[ -~\\n]{0,60}|((seed|at|cut|kill|leader|rest|random|n[0-9]|[0-9.]{1,3}s?|\\||->|,|;|\\n|#) ?){0,20}",
    ) {
        if let Err(error) = text.parse::<Schedule>() {
            let line = text.lines().nth(error.line - 1).unwrap_or("");
            prop_assert!(error.column >= 1 && error.column <= line.chars().count() + 1);
        }
    }

    #[test]
    fn generated_schedules_keep_their_promises(
        seed: u64, millis in 500u64..120_000, size in 1u16..9, chosen in 1usize..4,
    ) {
        let run = Duration::from_millis(millis);
        let packages: BTreeSet<Package> =
            Package::ALL.into_iter().enumerate().filter(|(i, _)| chosen >> i & 1 == 1).map(|(_, p)| p).collect();
        let packages = Packages(packages);
        survives_its_text(&packages)?;
        let schedule = Schedule::generate(&packages, seed, run, size);
        prop_assert_eq!(&Schedule::generate(&packages, seed, run, size), &schedule);
        survives_its_text(&schedule)?;
        prop_assert_eq!(schedule.check(size), Ok(()));
        let mut strikes: Vec<&Fault> = Vec::new();
        for pair in schedule.steps().chunks(2) {
            let [strike, mend] = pair else { panic!("a strike that is never mended") };
            prop_assert!(strike.at < mend.at && mend.at < run);
            prop_assert!(strike.fault.is_strike());
            let undo = if strike.fault.name() == "cut" { Fault::Heal } else { Fault::Restart(None) };
            prop_assert_eq!(&mend.fault, &undo);
            strikes.push(&strike.fault);
        }
        // The last part of the run is whole again.
        let last = schedule.steps().last().expect("a strike").at;
        prop_assert!(last + run.mul_f64(0.3).min(Duration::from_millis(2500)) <= run);
        for (name, leader) in [("cut", "cut leader | rest"), ("kill", "kill leader")] {
            let own: Vec<String> =
                strikes.iter().filter(|f| f.name() == name).map(ToString::to_string).collect();
            let wanted = packages.0.iter().any(|p| (p.name() == "kill") == (name == "kill"));
            prop_assert_eq!(wanted, !own.is_empty());
            prop_assert!(own.first().is_none_or(|first| first == leader));
            prop_assert!(own.iter().filter(|fault| *fault == leader).count() * 2 >= own.len());
        }
    }
}

#[test]
fn a_20_second_run_has_four_to_six_strikes_of_two_to_four_seconds() {
    let packages: Packages = "partition".parse().expect("a package");
    let mut written = BTreeSet::new();
    for seed in 0..500 {
        let schedule = Schedule::generate(&packages, seed, Duration::from_secs(20), 5);
        assert!((8..=12).contains(&schedule.steps().len()), "{schedule}");
        for pair in schedule.steps().chunks(2) {
            let lasts = pair[1].at - pair[0].at;
            assert!((1900..=4000).contains(&lasts.as_millis()), "{lasts:?} in\n{schedule}");
            written.insert(pair[0].fault.to_string());
        }
    }
    let all = [
        "cut bridge",
        "cut leader -> rest",
        "cut leader | rest",
        "cut leader, random 1 | rest",
        "cut minority | rest",
        "cut random 1 | rest",
        "cut rest -> leader",
        "cut ring",
    ];
    assert_eq!(written.into_iter().collect::<Vec<_>>(), all);
}

/// The bytes a seed stands for: whoever changes them breaks everybody's recorded seeds.
#[test]
fn a_seed_is_a_schedule_for_ever() {
    let packages: Packages = "partition,kill".parse().expect("packages");
    let schedule = Schedule::generate(&packages, 1, Duration::from_secs(20), 5);
    let lines = [
        "seed 1",
        "at 1.38s cut leader | rest",
        "at 3.89s heal",
        "at 4.69s kill leader",
        "at 7.02s restart",
        "at 8.11s kill minority",
        "at 10.36s restart",
        "at 11.19s cut leader | rest",
        "at 13.79s heal",
        "at 14.63s cut ring",
        "at 16.88s heal",
    ];
    assert_eq!(schedule.to_string().lines().collect::<Vec<_>>(), lines);
    assert_eq!(Schedule::generate(&Packages::default(), 1, Duration::from_secs(20), 5).steps(), []);
}

#[test]
fn each_step_draws_on_its_own() {
    let text = "seed 5; at 1s kill random 1; at 2s restart; at 3s kill random 1";
    let schedule: Schedule = text.parse().expect("a schedule");
    let cluster = Cluster::new(1000);
    let killed = |step: usize| {
        let fault = &schedule.steps()[step].fault;
        fault.resolve(&cluster, &mut schedule.rng(step)).expect("no node is named").action
    };
    assert_eq!(killed(0), killed(0));
    assert_ne!(killed(0), killed(2));
}

#[test]
fn people_write_schedules_loosely() {
    let loose = "# a cut\n\n at 7.9 s heal;at 3.2s   cut leader|rest # both\n;;\nat 9s kill n1,n2\r\nseed 4";
    let schedule: Schedule = loose.parse().expect("a schedule");
    let strict = "seed 4\nat 3.2s cut leader | rest\nat 7.9s heal\nat 9s kill n1, n2\n";
    assert_eq!(schedule.to_string(), strict);
    assert_eq!("".parse::<Schedule>().expect("an empty one"), Schedule::default());
}

#[test]
fn errors_say_where_and_what() {
    let error = |text: &str| text.parse::<Schedule>().expect_err(text).to_string();
    let set = "a node set: `leader`, `random 2`, `minority`, `majority`, `everyone`, `rest`, \
               `nobody` or nodes such as `n1, n2`";
    for (text, expected) in [
        ("at 3s heal\nat 4s brew tea", "line 2, column 7: expected a fault: `cut`, `hold`, `slow`, `lose`, `limit`, `reset`, `strand`, `heal`, `kill`, `stop`, `unplug`, `restart`, `pause`, `throttle`, `squeeze`, `resume`, `leap`, `drift`, `strobe`, `steady`, `stall`, `fill`, `balk`, `clear`, `flip`, `truncate`, `save`, `rollback`, `add`, `remove`, `retire` or `transfer`, found `brew`".to_owned()),
        ("at soon heal", "line 1, column 4: expected a time such as `3.2s`, `350ms` or `2m`, found `soon`".to_owned()),
        ("at 3s cut leader\nat 4s heal", "line 1, column 17: expected `|`, `->` or `,`, found the end of the line".to_owned()),
        ("at 3s cut leader |", format!("line 1, column 19: expected {set}, found the end")),
        ("at 3s cut leader | n0", format!("line 1, column 20: expected {set}, found `n0`")),
        ("at 3s kill random", "line 1, column 18: expected how many nodes, such as `1`, found the end".to_owned()),
        ("at 3s kill random -1", "line 1, column 19: expected how many nodes, such as `1`, found `-1`".to_owned()),
        ("at 3s add leader", "line 1, column 11: expected new nodes such as `n6`, or nothing for the next that is free, found `leader`".to_owned()),
        ("at 3s transfer n2", "line 1, column 16: expected `to`, found `n2`".to_owned()),
        ("at 3s leap n1", "line 1, column 14: expected `by` and a time, as in `by 3s`, found the end".to_owned()),
        ("at 3s stall n1 by much", "line 1, column 19: expected a time such as `3.2s`, `350ms` or `2m`, found `much`".to_owned()),
        ("at 3s drift n1 150%", "line 1, column 16: expected `at` and per cent, as in `at 50%`, found `150%`".to_owned()),
        ("at 3s drift n1 at 0%", "line 1, column 19: expected per cent from `1%` to `1000%`, found `0%`".to_owned()),
        ("at 3s slow n1 | n2", "line 1, column 19: expected `by` and a time, as in `by 3s`, found the end".to_owned()),
        ("at 3s heal n1", "line 1, column 12: expected the end of the line or `;`, found `n1`".to_owned()),
        ("seed 1\nseed 2", "line 2, column 1: expected `at` or `every`, found `seed`".to_owned()),
        ("at 1s after many operations heal", "line 1, column 13: expected a number of operations, found `many`".to_owned()),
        ("at 1s when leader changes heal for 2s", "line 1, column 32: expected the end of the line or `;`: nothing that waits, or that nothing mends, lasts for a time, found `for`".to_owned()),
        ("every 2s±3s until 9s heal", "line 1, column 13: expected a time, or two as in `5s±2s`, the second not longer than the first, found `until`".to_owned()),
        ("every 2s heal", "line 1, column 10: expected `until` and a time, found `heal`".to_owned()),
        ("seed x", "line 1, column 6: expected a whole number, found `x`".to_owned()),
        ("hello", "line 1, column 1: expected `at`, `every` or `seed`, found `hello`".to_owned()),
        ("at 1s lose n1 | n2 at 101%", "line 1, column 23: expected per cent from `1%` to `100%`, found `101%`".to_owned()),
        ("at 1s limit n1 | n2 to 0B/s", "line 1, column 24: expected a rate such as `500B/s`, `10kB/s` or `2MB/s`, found `0B/s`".to_owned()),
        ("at 1s limit n1 | n2 9kB/s", "line 1, column 21: expected `to` and a rate, as in `to 10kB/s`, found `9kB/s`".to_owned()),
    ] {
        assert_eq!(error(text), expected, "{text:?}");
    }
    let packages = |text: &str| text.parse::<Packages>().expect_err(text).to_string();
    assert_eq!(
        packages("kill,flood"),
        "line 1, column 6: expected `partition`, `kill`, `pause`, `clock`, `disk`, `link`, \
         `restart`, `membership`, `all` or `none`, found `flood`"
    );
    assert_eq!(packages("none,kill"), "line 1, column 5: expected nothing more, found `,`");
}

#[test]
fn what_repeats_and_what_lasts_is_read_as_its_steps() {
    let read = |text: &str| text.parse::<Schedule>().expect(text);
    let lasting = read("at 2s cut leader | rest for 3s; at 9s pause n1 for 500ms");
    assert_eq!(
        lasting.to_string(),
        "seed 0\nat 2s cut leader | rest\nat 5s heal\nat 9s pause n1\nat 9.5s resume\n"
    );
    let regular = read("every 4s until 12s kill random 1 for 1s");
    let times: Vec<u64> = regular.steps().iter().map(|step| step.at.as_secs()).collect();
    assert_eq!(times, [4, 5, 8, 9, 12, 13]);
    let later = read("every 4s from 1s until 9s kill random 1; every 4s from 2s until 1s heal");
    let times: Vec<u64> = later.steps().iter().map(|step| step.at.as_secs()).collect();
    assert_eq!(times, [1, 5, 9]);
    let loose = read("seed 7; every 5s±2s until 60s cut leader | rest for 1s");
    let strikes: Vec<u128> = loose
        .steps()
        .iter()
        .filter(|step| step.fault.is_strike())
        .map(|step| step.at.as_millis())
        .collect();
    assert!((8..=20).contains(&strikes.len()), "{strikes:?}");
    let gaps = strikes.windows(2).map(|pair| pair[1] - pair[0]);
    let gaps: BTreeSet<u128> = gaps.collect();
    assert!(gaps.iter().all(|gap| (3_000..=7_000).contains(gap)) && gaps.len() > 5, "{gaps:?}");
    assert_eq!(read("seed 7; every 5s±2s until 60s cut leader | rest for 1s"), loose);
    assert_ne!(
        read("seed 8; every 5s±2s until 60s cut leader | rest for 1s").steps(),
        loose.steps()
    );
    assert_eq!(read(&loose.to_string()), loose, "what is printed is what was read");
}

#[test]
fn unknown_nodes_are_told_before_the_run() {
    let schedule: Schedule = "at 1s heal; at 2s cut n1 | n2, n9".parse().expect("a schedule");
    let error = schedule.check(5).expect_err("there is no n9");
    assert_eq!(error.to_string(), "there is no node n9: the cluster has 5, n1 to n5");
    let fault = &schedule.steps()[1].fault;
    assert_eq!(fault.resolve(&Cluster::new(5), &mut schedule.rng(1)), Err(error));
    let growing: Schedule =
        "at 1s add; at 2s kill n6; at 3s add n8; at 4s retire n8".parse().unwrap();
    assert_eq!((growing.check(5), growing.last_added(5)), (Ok(()), 8));
    let early: Schedule = "at 1s kill n6; at 2s add n6".parse().unwrap();
    assert!(early.check(5).is_err());
}

#[test]
fn sentences_are_for_people() {
    let cluster = Cluster { leader: Some(Node(3)), ..Cluster::new(5) };
    let sentence = |fault: &str, cluster: &Cluster| {
        resolve(&fault.parse().expect("a fault"), cluster, 1).sentence()
    };
    for (fault, expected) in [
        ("cut leader | rest", "no messages between n3 (leader) and n1, n2, n4, n5"),
        ("cut rest -> leader", "no messages from n1, n2, n4, n5 to n3 (leader)"),
        ("hold n1 -> n2 and n4 | n5", "messages held from n1 to n2; between n4 and n5"),
        ("cut n1 | n1", "cut no link"),
        ("kill leader", "n3 (leader) killed"),
        ("restart", "nobody restarted"),
        ("unplug leader", "n3 (leader) lost power"),
        ("balk n1, n2", "disks of n1, n2 fail to sync"),
        ("flip n1", "a bit of nobody flipped"),
        ("heal", "all links open again"),
        ("add", "n6 to be added"),
        ("retire leader", "n3 (leader) to be removed and shut down"),
        ("remove n1, n2, n4, n5", "n1, n2 to be removed and left running"),
        ("transfer to n2, n4", "n2 to lead"),
    ] {
        assert_eq!(sentence(fault, &cluster), expected, "{fault}");
    }
    let unled = resolve(&"kill leader".parse().expect("a fault"), &Cluster::new(5), 1);
    let node = unled.stand_in.expect("a stand-in");
    let expected = format!("{node} killed; no leader was known, {node} was taken for it");
    assert_eq!(unled.sentence(), expected);
}
