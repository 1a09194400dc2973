//! What a check does beside being right: it names the lines of bad input, keeps to its bounds, does
//! not depend on the number of threads, and its certificates are worth something.

mod support;

use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::{Event, EventType, HistoryError, NEVER, OpId, Process, Value};
use rashomon_checker::linearizability::{
    Engine, Options, Resource, Verdict, Witness, brute, certify, check, examine,
};
use rashomon_checker::model::{Model, ModelError, Part, Specification, Visitor};
use rashomon_checker::{Bound, History};

use support::WORKLOADS;

fn event(line: u32, process: u64, kind: EventType, f: &str, value: Value) -> Event {
    Event {
        index: u64::from(line) - 1,
        time: None,
        process: Process::Client(process),
        kind,
        f: Arc::from(f),
        key: None,
        value,
        node: None,
        error: None,
        line,
    }
}

use EventType::{Fail, Info, Invoke, Ok as Done};

/// Who answers may be another node than was asked: one that it sent the client to.
#[test]
fn who_answers_need_not_have_been_asked() {
    let at = |line, process, kind, node: Option<&str>| Event {
        node: node.map(Arc::from),
        ..event(line, process, kind, "read", Value::Nil)
    };
    let (n1, n2) = (Some("n1"), Some("n2"));
    let events = [
        at(1, 1, Invoke, n1),
        at(2, 1, Done, n2),
        at(3, 2, Invoke, n1),
        at(4, 2, Done, None),
        at(5, 3, Invoke, None),
        at(6, 3, Done, n2),
    ];
    let history = History::from_events(&events).expect("a history");
    let nodes: Vec<_> = history.operations().map(|it| (it.node(), it.answered_by())).collect();
    assert_eq!(nodes, [(n1, n2), (n1, n1), (n2, n2)]);
}

/// A history knows its size: a few dozen bytes an operation, and what its values own.
#[test]
fn a_history_counts_its_bytes() {
    let write = |of: &dyn Fn(u32) -> Value| {
        let operation = |number: u32| {
            [Invoke, Done].map(|kind| event(2 * number + 1, 0, kind, "write", of(number)))
        };
        let events: Vec<Event> = (0..10_000).flat_map(operation).collect();
        History::from_events(&events).expect("a history").bytes() / 10_000
    };
    let small = write(&|number| Value::Int(i64::from(number)));
    assert!((33..=64).contains(&small), "{small} bytes an operation");
    let long = write(&|number| Value::text(format!("{number:01000}")));
    assert!((1033..=1200).contains(&long), "{long} bytes an operation");
}

/// The end of a lease's term is a release that may take effect at any later time, or never.
#[test]
fn a_lease_may_be_free_once_its_holder_gave_up_and_not_before() {
    let model: Model = "lease".parse().expect("another name of the lock with an owner");
    let is_linearizable = |steps: &[(u64, EventType, &str)]| {
        let events: Vec<Event> = (1..)
            .zip(steps)
            .map(|(line, &(p, kind, f))| event(line, p, kind, f, Value::Nil))
            .collect();
        let history = History::from_events(&events).expect("a history");
        match check(&history, &model, &Options::default()).expect("a lock") {
            Verdict::Valid(witness) => certify(&history, &model, &witness).is_ok(),
            Verdict::Invalid(_) => false,
            Verdict::Unknown(bound) => panic!("{bound}"),
        }
    };
    let [held, renewed] = ["acquire", "renew"].map(|f| [(0, Invoke, f), (0, Done, f)]);
    let over = [(0, Invoke, "release"), (0, Info, "release")];
    let next = [(1, Invoke, "acquire"), (1, Done, "acquire")];
    // Granted to the next only after the term; or never again.
    assert!(is_linearizable(&[held, renewed, over, next].concat()));
    assert!(is_linearizable(&[held, renewed, over].concat()));
    // Within the term, whether it was renewed or not.
    assert!(!is_linearizable(&[held, next, over].concat()));
    assert!(!is_linearizable(&[held, next, renewed].concat()));
    // Granted to two after one term.
    let third = [(2, Invoke, "acquire"), (2, Done, "acquire")];
    assert!(!is_linearizable(&[held, over, next, third].concat()));
}

#[test]
fn what_no_process_can_do_is_an_error_with_its_line() {
    let build = |events: &[(u64, EventType, &str)]| {
        let lines = events.iter().zip(10..);
        let events: Vec<Event> =
            lines.map(|(&(p, kind, f), line)| event(line, p, kind, f, Value::Nil)).collect();
        History::from_events(&events).expect_err("an error")
    };
    let place = |error: &HistoryError| error.to_string().split(':').next().map(str::to_owned);

    let error = build(&[(1, Done, "read")]);
    assert!(matches!(error, HistoryError::NotInvoked { process: 1, kind: "ok", .. }), "{error}");
    assert_eq!(place(&error).as_deref(), Some("line 10"));

    let error = build(&[(1, Invoke, "read"), (1, Done, "read"), (1, Fail, "read")]);
    assert!(matches!(error, HistoryError::NotInvoked { kind: "fail", .. }), "{error}");
    assert_eq!(place(&error).as_deref(), Some("line 12"));

    let error = build(&[(1, Invoke, "read"), (2, Invoke, "read"), (1, Invoke, "write")]);
    assert!(matches!(error, HistoryError::StillPending { .. }), "{error}");
    assert_eq!(place(&error).as_deref(), Some("line 12"));

    let error = build(&[(1, Invoke, "read"), (1, Info, "read"), (1, Invoke, "read")]);
    assert!(matches!(error, HistoryError::UsedAfterInfo { .. }), "{error}");
    assert_eq!(place(&error).as_deref(), Some("line 12"));

    let error = build(&[(1, Invoke, "read"), (1, Done, "write")]);
    assert!(matches!(error, HistoryError::OtherFunction { .. }), "{error}");
    assert_eq!(place(&error).as_deref(), Some("line 11"));
}

#[test]
fn an_operation_stays_on_its_key_and_does_not_end_before_it_begins() {
    let mut events =
        [event(3, 1, Invoke, "read", Value::Nil), event(4, 1, Done, "read", Value::Nil)];
    events[0].key = Some(Value::from("x"));
    events[1].key = Some(Value::from("y"));
    let error = History::from_events(&events).expect_err("another key");
    assert!(matches!(error, HistoryError::OtherKey { .. }), "{error}");
    assert!(error.to_string().starts_with("line 4:"), "{error}");

    events[1].key = None;
    (events[0].time, events[1].time) = (Some(20), Some(5));
    let error = History::from_events(&events).expect_err("back in time");
    assert!(matches!(error, HistoryError::TimeRunsBackwards { behind: 15, .. }), "{error}");
}

#[test]
fn failed_operations_and_named_events_stay_visible() {
    let mut faults = event(2, 0, Info, "partition", Value::Nil);
    faults.process = Process::nemesis();
    let events = [
        event(1, 0, Invoke, "write", Value::Int(1)),
        faults.clone(),
        event(3, 0, Fail, "write", Value::Int(1)),
        event(4, 1, Invoke, "read", Value::Nil),
    ];
    let history = History::from_events(&events).expect("a history");
    assert_eq!(history.named_events(), [faults]);
    let told: Vec<_> = history.operations().map(|op| (op.outcome(), op.ret() == NEVER)).collect();
    use rashomon_checker::history::Outcome;
    assert_eq!(told, [(Outcome::Fail, false), (Outcome::Info, true)]);
}

#[test]
fn what_a_model_cannot_read_is_an_error_with_its_line() {
    let check = |name: &str, f: &str, input: Value, output: Value| {
        let events = [event(7, 1, Invoke, f, input), event(8, 1, Done, f, output)];
        let history = History::from_events(&events).expect("a history");
        let model: Model = name.parse().expect(name);
        check(&history, &model, &Options::default()).expect_err(name)
    };
    for (name, f) in [
        ("register", "cas"),
        ("cas-register", "txn"),
        ("multi-register", "read"),
        ("kv", "cas"),
        ("mutex", "read"),
    ] {
        let error = check(name, f, Value::Nil, Value::Nil);
        assert!(matches!(error, ModelError::UnknownFunction { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("line 7:") && text.contains(name) && text.contains(f), "{text}");
    }
    let error = check("cas-register", "cas", Value::Int(3), Value::Nil);
    assert!(error.to_string().starts_with("line 7:"), "{error}");
    let pair = Value::list([Value::Int(1), Value::Int(2)]);
    let error = check("cas-register", "cas", pair.clone(), Value::from("yes"));
    assert!(error.to_string().starts_with("line 8:"), "{error}");
    let error = check("multi-register", "txn", pair.clone(), pair);
    assert!(matches!(error, ModelError::MalformedValue { .. }), "{error}");
}

/// Transactions that write different values at once, and a read that saw none of them: every order
/// of every subset has to be ruled out.
fn hard(key: &str, first_process: u64, count: u32, events: &mut Vec<Event>) {
    let txn = |f: &str, value: u32| {
        let value = if f == "read" { Value::Nil } else { Value::Int(value.into()) };
        Value::list([Value::list([Value::from(f), Value::from("x"), value])])
    };
    let mut push = |process: u64, kind, value| {
        let mut event = event(events.len() as u32 + 1, process, kind, "txn", value);
        event.key = Some(Value::from(key));
        events.push(event);
    };
    for number in 0..count {
        push(first_process + u64::from(number), Invoke, txn("write", number));
    }
    for number in 0..count {
        push(first_process + u64::from(number), Done, txn("write", number));
    }
    push(first_process, Invoke, txn("read", 0));
    let nowhere = Value::list([Value::from("read"), Value::from("x"), Value::Int(-1)]);
    push(first_process, Done, Value::list([nowhere]));
}

fn bounded(events: &[Event], options: &Options) -> Verdict {
    let history = History::from_events(events).expect("a history");
    let model: Model = "multi-register".parse().expect("a model");
    check(&history, &model, options).expect("decodes")
}

#[test]
fn a_bound_makes_an_unknown_that_says_where_and_what_to_do() {
    let mut events = Vec::new();
    hard("k", 0, 40, &mut events);
    let little_memory = Options { memory: 1 << 20, ..Options::default() };
    let Verdict::Unknown(bound) = bounded(&events, &little_memory) else { panic!("no bound") };
    assert_eq!(bound.resource, Resource::Memory(1 << 20));
    assert_eq!((bound.key.as_deref(), bound.operations), (Some("k"), 41));
    assert!(bound.place.is_some() && bound.reached > 0, "{bound:?}");
    let text = bound.to_string();
    assert!(text.contains("1 MiB of memory") && text.contains("raise the memory limit"), "{text}");

    let little_time = Options { time: Duration::from_millis(50), ..Options::default() };
    let Verdict::Unknown(bound) = bounded(&events, &little_time) else { panic!("no bound") };
    assert!(matches!(bound, Bound { resource: Resource::Time(_), undecided: 1, parts: 1, .. }));
    assert!(bound.to_string().contains("raise the time limit"), "{bound}");
}

#[test]
fn a_violation_is_reported_whatever_other_keys_did() {
    let mut events = Vec::new();
    hard("hard", 0, 40, &mut events);
    hard("easy", 100, 2, &mut events);
    let options = Options { memory: 1 << 20, ..Options::default() };
    let Verdict::Invalid(explanation) = bounded(&events, &options) else { panic!("no violation") };
    assert_eq!(explanation.key.as_deref(), Some("easy"));
}

/// A thousand concurrent writes of 1, two hundred compare-and-sets that never return, and a client
/// that reads 1 and another value in turn, once more than compare-and-sets could make one: no order
/// explains it, and there are more ways to try than anybody can.
fn hostile() -> History {
    let mut events = Vec::new();
    let mut push = |process, kind, f: &str, value| {
        events.push(event(events.len() as u32 + 1, process, kind, f, value));
    };
    for process in 0..1000 {
        push(process, Invoke, "write", Value::Int(1));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for process in 1000..1200 {
        let [expected, new] = [rng.random_range(1..=10), rng.random_range(2..=10)];
        push(process, Invoke, "cas", Value::list([Value::Int(expected), Value::Int(new)]));
    }
    for number in 0..=200 {
        for value in [1, 2 + number % 9] {
            push(1200, Invoke, "read", Value::Nil);
            push(1200, Done, "read", Value::Int(value));
        }
    }
    for process in 0..1000 {
        push(process, Done, "write", Value::Int(1));
    }
    History::from_events(&events).expect("a history")
}

#[test]
fn a_hostile_history_ends_within_its_bounds() {
    let history = hostile();
    let model: Model = "cas-register".parse().expect("a model");
    for engine in [None, Some(Engine::Lazy), Some(Engine::General)] {
        let (time, explanation_time) = (Duration::from_secs(2), Duration::from_secs(1));
        let memory = 16 << 20;
        let options = Options { time, memory, explanation_time, engine, ..Options::default() };
        let examined = examine(&history, &model, &options).expect("decodes");
        assert!(examined.memory <= memory, "{engine:?}: {} bytes", examined.memory);
        match examined.verdict {
            Verdict::Valid(_) => panic!("{engine:?}: more reads than compare-and-sets"),
            Verdict::Invalid(_) => {}
            Verdict::Unknown(bound) => {
                assert!(matches!(bound.resource, Resource::Time(_) | Resource::Memory(_)));
                assert_eq!((bound.operations, bound.undecided), (history.len(), 1), "{engine:?}");
                assert!(bound.to_string().contains("; raise the "), "{bound}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let outcome = |threads: usize, seed: u64| {
        let workload = WORKLOADS[seed as usize % WORKLOADS.len()];
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut all = Vec::new();
        for key in 0..6 {
            let mut deeds = support::deeds(workload, &mut rng, 6);
            deeds.iter_mut().for_each(|deed| deed.key = Some(Value::Int(key)));
            all.append(&mut deeds);
        }
        let events = support::events(&all, &mut rng);
        let history = History::from_events(&events).expect("a history");
        let model: Model = workload.model(&mut rng).parse().expect("a model");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| match check(&history, &model, &Options::default()).expect("decodes") {
            Verdict::Valid(witness) => format!("{witness:?}"),
            Verdict::Invalid(explanation) => format!("{explanation:?}"),
            Verdict::Unknown(bound) => panic!("{bound}"),
        })
    };
    for seed in 0..100 {
        assert_eq!(outcome(1, seed), outcome(4, seed), "seed {seed}");
    }
}

/// Whether an order explains a history, said as plainly as possible.
struct Explains<'a> {
    history: &'a History,
    order: &'a [OpId],
}

impl Visitor for Explains<'_> {
    type Output = bool;

    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> bool {
        let position = |id: OpId| self.order.iter().position(|&other| other == id);
        let operations = || self.history.operations();
        let in_real_time = operations().all(|one| {
            operations().all(|other| match (position(one.id()), position(other.id())) {
                (Some(first), Some(second)) => one.ret() >= other.call() || first < second,
                _ => true,
            })
        });
        let mut all: Vec<OpId> = self.order.to_vec();
        all.sort_unstable();
        all.dedup();
        let is_legal = |part: &Part<S>| {
            let calls = || part.calls.iter();
            let mine = self.order.iter().filter_map(|id| calls().find(|call| call.id == *id));
            let step = |state: S::State, call: &_| {
                let call: &rashomon_checker::model::Call<S::Operation> = call;
                part.specification.step(&state, &call.operation)
            };
            let complete = calls().all(|call| call.ret == NEVER || self.order.contains(&call.id));
            complete && mine.clone().try_fold(part.specification.init(), step).is_some()
        };
        let known = parts.iter().map(|part| part.calls.len()).sum::<usize>();
        let belongs =
            |id: &OpId| parts.iter().any(|part| part.calls.iter().any(|call| call.id == *id));
        let proper = all.len() == self.order.len() && all.len() <= known && all.iter().all(belongs);
        proper && in_real_time && parts.iter().all(is_legal)
    }
}

#[test]
fn the_verifier_accepts_exactly_the_orders_that_explain() {
    let mut counts = [0, 0];
    for seed in 0..6_000 {
        let workload = WORKLOADS[seed as usize % WORKLOADS.len()];
        let (history, mut rng) = support::history(workload, seed, brute::LIMIT);
        let model: Model = workload.model(&mut rng).parse().expect("a model");
        let mut order: Vec<OpId> = match check(&history, &model, &Options::default()) {
            Ok(Verdict::Valid(witness)) => witness.order,
            _ => history.operations().map(|operation| operation.id()).collect(),
        };
        match seed % 5 {
            0 => order.shuffle(&mut rng),
            1 if order.len() > 1 => {
                let at = seed as usize % (order.len() - 1);
                order.swap(at, at + 1);
            }
            2 => drop(order.pop()),
            3 => order.extend(order.first().copied()),
            _ => {}
        }
        let expected = model.decode(&history, Explains { history: &history, order: &order });
        let accepted = certify(&history, &model, &Witness { order }).is_ok();
        assert_eq!(Ok(accepted), expected, "seed {seed} of {workload:?}");
        counts[usize::from(accepted)] += 1;
    }
    assert!(counts.iter().all(|&count| count > 1_000), "{counts:?}");
}

#[test]
fn a_model_is_suggested_from_the_functions() {
    let suggest = |functions: &[&str]| {
        let lines = functions.iter().zip(1..);
        let events: Vec<Event> =
            lines.map(|(f, line)| event(line, line.into(), Invoke, f, Value::Nil)).collect();
        Model::suggest(&History::from_events(&events).expect("a history")).map(|model| model.name())
    };
    assert_eq!(suggest(&["read", "write"]), Some("register"));
    assert_eq!(suggest(&["read", "write", "cas"]), Some("cas-register"));
    assert_eq!(suggest(&["txn"]), Some("multi-register"));
    assert_eq!(suggest(&["get", "append"]), Some("kv"));
    assert_eq!(suggest(&["read", "append"]), Some("kv"));
    assert_eq!(suggest(&["release"]), Some("mutex"));
    assert_eq!(suggest(&["frobnicate"]), None);
    assert_eq!(suggest(&[]), None);
}
