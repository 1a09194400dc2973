//! Tests of observers: what clocks and snapshots make of what their nodes do.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cut::{Cut, Void};
use super::snapshot::{Manner, Marker, Recorder, View};
use super::trace::{Event, Kind, Tracer, read};
use super::{Envelope, Observer};
use crate::clock::hybrid::Stamp;
use crate::eventual::message::{Body, Message};
use crate::eventual::{Eventual, Options};
use crate::kv::{Command, Op, Value};
use crate::replica::{Effect, Effects, Input, NodeId, Replica, Request, RequestId, Setup, Time};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const NOW: Time = Time::from_nanos(7);
const PATIENCE: Duration = Duration::from_millis(100);
const RESEND: Duration = Duration::from_millis(10);
const MANNER: Manner = Manner { patience: PATIENCE, resend: RESEND, bug: None };

fn observer(node: NodeId) -> Observer<Eventual> {
    let mut observer = Observer::new(node, Some(Tracer::new(node)), MANNER);
    observer.started(NOW, 1);
    observer
}

fn message(leaf: u64) -> Message {
    Message { at: Stamp::default(), body: Body::Leaves(vec![leaf]) }
}

fn view() -> View<Eventual, Message> {
    let setup = Setup { id: N1, members: vec![N1, N2], seed: 1 };
    let mut effects = Effects::default();
    let state = Eventual::recover(setup, Options::default(), Vec::new(), NOW, &mut effects);
    View { state: state.expect("it starts"), held: vec![(N2, message(9))] }
}

fn events(observer: &mut Observer<Eventual>) -> Vec<Event> {
    read(&observer.take_trace()).expect("a trace").events
}

#[test]
fn a_message_brings_what_its_sender_knew() {
    let (mut one, mut two) = (observer(N1), observer(N2));
    let envelope = one.sent(NOW, N2, &message(1));
    two.noted(NOW, &"meanwhile");
    two.received(NOW, N1, Some(&envelope), &message(1), view);
    let (one, two) = (events(&mut one), events(&mut two));
    assert_eq!(one[1].clock.to_string(), "n1:2");
    assert_eq!(two[2].clock.to_string(), "n1:2,n2:3");
    assert_eq!(two[2].kind, Kind::Receive { from: N1, sent_in: 1, number: 1 });
    assert!(one[1].happened_before(&two[2]) && !two[2].happened_before(&one[1]));
    assert!(!one[1].happened_before(&two[1]) && !two[1].happened_before(&one[1]));
    assert!(!one[1].happened_before(&one[1]));
}

#[test]
fn a_clock_goes_on_after_a_crash_and_link_numbers_begin_anew() {
    let mut one = observer(N1);
    one.sent(NOW, N2, &message(1));
    let mut file = one.take_trace();
    let whole = file.len();
    file.extend(br#"{"node":1,"incarn"#);
    let cut = read(&file).expect("a trace");
    assert_eq!((cut.whole, cut.events.len()), (whole, 2));
    let mut again: Observer<Eventual> =
        Observer::new(N1, Some(Tracer::resume(N1, &cut.events)), MANNER);
    again.started(NOW, 2);
    let envelope = again.sent(NOW, N2, &message(2));
    assert_eq!((envelope.incarnation, envelope.number), (2, 1));
    assert_eq!(envelope.clock.expect("it is traced").to_string(), "n1:4");
}

#[test]
fn whoever_is_not_traced_only_numbers_its_messages() {
    let mut quiet: Observer<Eventual> = Observer::new(N1, None, MANNER);
    quiet.started(NOW, 3);
    quiet.sent(NOW, N2, &message(1));
    let envelope = quiet.sent(NOW, N2, &message(2));
    assert_eq!(envelope, Envelope { incarnation: 3, number: 2, snapshot: 0, clock: None });
    let json = serde_json::to_string(&envelope).expect("JSON");
    assert_eq!(json, r#"{"incarnation":3,"number":2}"#);
    assert!(quiet.take_trace().is_empty());
    let mut one = observer(N1);
    one.received(NOW, N2, None, &message(3), view);
    assert_eq!(events(&mut one)[1].clock.to_string(), "n1:2");
}

/// A message from after a snapshot makes its receiver record its part before it takes the message in.
#[test]
fn a_message_from_after_the_cut_does_not_get_into_a_state_from_before_it() {
    let (mut one, mut two) = (observer(N1), observer(N2));
    let before = one.sent(NOW, N2, &message(1));
    one.begin(NOW, 1, view);
    let after = one.sent(NOW, N2, &message(2));
    assert_eq!((before.snapshot, after.snapshot), (0, 1));
    two.received(NOW, N1, Some(&after), &message(2), view);
    two.received(NOW, N1, Some(&before), &message(1), view);
    let part = two.part().expect("it has recorded its part");
    let in_channel: Vec<u64> = part.channels[&N1].messages.iter().map(|it| it.number).collect();
    assert_eq!(in_channel, [1], "the one from before the cut, which was overtaken");
    assert_eq!(part.held, [(N2, message(9))]);
    let kinds: Vec<Kind> = events(&mut two).into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds[1], Kind::Snapshot { number: 1 });
    assert!(matches!(kinds[2], Kind::Receive { number: 2, .. }));
}

/// Two recorders, each with a peer, and messages that are letters.
fn pair() -> [Recorder<u8, char>; 2] {
    [N1, N2].map(|node| {
        let mut recorder = Recorder::new(node, MANNER);
        recorder.meet(N1);
        recorder.meet(N2);
        recorder.started(1);
        recorder
    })
}

fn state(state: u8) -> View<u8, char> {
    View { state, held: Vec::new() }
}

/// Carries markers to and fro until there are none.
fn carry(now: Time, [one, two]: &mut [Recorder<u8, char>; 2]) {
    loop {
        let (to_two, to_one) = (one.take_markers(), two.take_markers());
        if to_two.is_empty() && to_one.is_empty() {
            return;
        }
        let hear = |there: &mut Recorder<u8, char>, from, marker: Marker| {
            if there.is_news(marker.snapshot) {
                there.record(now, marker.snapshot, state(22), None);
            }
            there.marked(now, from, marker);
        };
        to_two.into_iter().for_each(|(_, marker)| hear(two, N1, marker));
        to_one.into_iter().for_each(|(_, marker)| hear(one, N2, marker));
    }
}

fn parts(recorders: &[Recorder<u8, char>; 2]) -> BTreeMap<NodeId, super::snapshot::Part<u8, char>> {
    let parts = recorders.iter().filter_map(|recorder| recorder.part().cloned());
    parts.map(|part| (part.node, part)).collect()
}

#[test]
fn a_cut_without_faults_is_complete_as_soon_as_all_has_arrived() {
    let mut pair = pair();
    let (first, second) = (pair[0].sent(N2), pair[0].sent(N2));
    pair[1].received(NOW, N1, Some(&first), &'a');
    pair[0].record(NOW, 1, state(11), None);
    carry(NOW, &mut pair);
    assert_eq!(Cut::of(1, &[N1, N2], parts(&pair)).expect_err("b"), Void::Open(N2));
    // The network repeats both.
    for (envelope, message) in [(&first, 'a'), (&second, 'b'), (&second, 'b')] {
        pair[1].received(NOW, N1, Some(envelope), &message);
    }
    let cut = Cut::of(1, &[N1, N2], parts(&pair)).expect("it is complete");
    assert_eq!(cut.on_its_way().collect::<Vec<_>>(), [(N1, N2, &'b')]);
    assert_eq!((cut.parts[&N1].state, cut.parts[&N2].state, cut.missing()), (11, 22, 0));
}

#[test]
fn what_is_lost_is_waited_for_only_so_long_and_counted() {
    let mut pair = pair();
    let [_lost, late] = [pair[0].sent(N2), pair[0].sent(N2)];
    pair[0].record(NOW, 1, state(11), None);
    let after = pair[0].sent(N2);
    carry(NOW, &mut pair);
    pair[1].received(NOW, N1, Some(&after), &'c');
    pair[1].tick(NOW + PATIENCE / 2);
    assert!(!parts(&pair)[&N2].is_complete(&[N1, N2]));
    pair[1].received(NOW + PATIENCE / 2, N1, Some(&late), &'b');
    pair[1].tick(NOW + PATIENCE);
    let cut = Cut::of(1, &[N1, N2], parts(&pair)).expect("it is complete");
    assert_eq!(cut.on_its_way().collect::<Vec<_>>(), [(N1, N2, &'b')]);
    assert_eq!(cut.missing(), 1);
    // The next snapshot does not wait for it again.
    pair[1].record(NOW + PATIENCE, 2, state(12), None);
    carry(NOW + PATIENCE, &mut pair);
    assert_eq!(Cut::of(2, &[N1, N2], parts(&pair)).expect("it is complete").missing(), 0);
}

#[test]
fn a_lost_marker_is_sent_again_and_answered() {
    let mut pair = pair();
    pair[0].record(NOW, 1, state(11), None);
    assert_eq!(pair[0].take_markers().len(), 1, "and it is lost");
    let later = NOW + RESEND;
    assert_eq!(pair[0].deadline(), Some(later));
    pair[0].tick(later);
    carry(later, &mut pair);
    assert!(Cut::of(1, &[N1, N2], parts(&pair)).is_ok());
}

#[test]
fn a_crash_in_the_middle_voids_a_snapshot() {
    let mut pair = pair();
    pair[0].record(NOW, 1, state(11), None);
    let collected = pair[0].part().cloned().expect("its part");
    pair[0].started(2);
    let reborn = pair[0].sent(N2);
    assert_eq!((reborn.incarnation, reborn.snapshot), (2, 0));
    // What the second incarnation did is in the state of the other, and not in that of the first.
    pair[1].received(NOW, N1, Some(&reborn), &'z');
    pair[1].record(NOW, 1, state(22), None);
    let marker = Marker { snapshot: 1, incarnation: 1, sent: 0, wants: false };
    pair[1].marked(NOW, N1, marker);
    pair[1].tick(NOW + PATIENCE);
    let mut parts = parts(&pair);
    parts.insert(N1, collected);
    for channel in parts.get_mut(&N1).expect("it").channels.values_mut() {
        channel.closed = true;
    }
    let why = Cut::of(1, &[N1, N2], parts.clone()).expect_err("it is void");
    assert_eq!(why, Void::Crashed { node: N1, other: N2 });
    assert!(Cut::unverified(1, &[N1, N2], parts).is_ok(), "unless nobody looks");
}

/// A cut of two nodes, the second of which has a key if `has` says so, with a message on its way.
fn cut(has: bool, on_its_way: &Message) -> Cut<Eventual, Message> {
    let mut pair = [N1, N2].map(|node| {
        let mut recorder: Recorder<Eventual, Message> = Recorder::new(node, MANNER);
        recorder.meet(N1);
        recorder.meet(N2);
        recorder.started(1);
        recorder
    });
    let envelope = pair[0].sent(N2);
    let mut second = view().state;
    if has {
        let input = Input::Message { from: N1, message: stored() };
        second.step(NOW, input, &mut Effects::default());
    }
    pair[0].record(NOW, 1, View { state: view().state, held: Vec::new() }, None);
    pair[1].record(NOW, 1, View { state: second, held: Vec::new() }, None);
    pair[1].received(NOW, N1, Some(&envelope), on_its_way);
    let [to_two, to_one] = pair.each_mut().map(|recorder| recorder.take_markers()[0].1);
    pair[1].marked(NOW, N1, to_two);
    pair[0].marked(NOW, N2, to_one);
    let parts = pair.iter().filter_map(|recorder| recorder.part().cloned());
    let parts = parts.map(|part| (part.node, part)).collect();
    Cut::of(1, &[N1, N2], parts).expect("it is complete")
}

/// The message of a write.
fn stored() -> Message {
    let mut writer = view().state;
    let mut effects = Effects::default();
    let op = Op::Put { key: "x".into(), value: Value::Int(1) };
    let request = Request::Write(Command { session: None, op });
    writer.step(NOW, Input::Request { id: RequestId(1), request }, &mut effects);
    let sent = effects.drain().find_map(|effect| match effect {
        Effect::Send { message, .. } => Some(message),
        _ => None,
    });
    sent.expect("it tells the others")
}

#[test]
fn nodes_have_converged_if_nothing_on_its_way_would_change_them() {
    assert_eq!(cut(false, &message(0)).converged(), Ok(()));
    let why = cut(false, &stored()).converged().expect_err("it is on its way");
    assert!(why.starts_with("what is on its way from n1 would change n2: "), "{why}");
    let why = cut(true, &stored()).converged().expect_err("the first has nothing");
    assert_eq!(why, "n1 and n2 do not have the same");
}
