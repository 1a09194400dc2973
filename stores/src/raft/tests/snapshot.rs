//! Compacting, and what is said while a snapshot is on its way.

use super::super::log::Place;
use super::super::message::Chunk;
use super::super::snapshot::Snapshot;
use super::*;

fn options() -> Options {
    Options { snapshot_every: 3, snapshot_chunk_bytes: 40, ..Options::default() }
}

/// A leader whose writes 1 to 4 made entries 2 to 5, all committed and compacted.
fn compacted_leader() -> Node {
    let mut node = Node::leader(options());
    (1..=4).for_each(|id| node.write(id));
    node.stored();
    node.acknowledged(N2, 5, 0);
    assert_eq!(node.raft.log.base().index, 0, "not in the step that applies");
    node.stored();
    assert_eq!(node.raft.log.base(), Place { index: 5, term: 1 });
    node
}

/// The chunk that was sent last to a node.
fn last_chunk(node: &Node, to: NodeId) -> Chunk {
    match &node.last_to(to).body {
        Body::InstallSnapshot { chunk, .. } => chunk.clone(),
        other => panic!("{other:?} is no chunk"),
    }
}

/// Lets a leader send to a follower until it says what a test waits for.
fn transfer(leader: &mut Node, follower: &mut Node, until: impl Fn(&Body) -> bool) {
    for _ in 0..100 {
        let chunk = last_chunk(leader, N3);
        follower.hear(N2, leader.raft.hard.term, Body::InstallSnapshot { chunk, round: 0 });
        let answer = follower.last_to(N2).body.clone();
        if until(&answer) {
            return;
        }
        leader.hear(N3, leader.raft.hard.term, answer);
    }
    panic!("it never comes to that");
}

fn is_installed(answer: &Body) -> bool {
    *answer == Body::Appended { round: 0, outcome: Outcome::Match { index: 5 } }
}

#[test]
fn what_is_applied_is_compacted_and_recovered() {
    let mut node = compacted_leader();
    assert!(node.raft.log.entries().is_empty());
    node.write(5);
    assert_eq!(node.disk.len(), 3, "term and vote, the snapshot, and one entry");
    let recovered = Node::recovered(options(), node.disk).raft;
    assert_eq!((recovered.commit, recovered.log.last_index()), (5, 6));
    assert_eq!((&recovered.store, recovered.store.get("x")), (&node.raft.store, Value::Int(4)));
}

#[test]
fn a_follower_that_needs_what_is_gone_gets_a_snapshot_in_chunks() {
    let mut leader = compacted_leader();
    let mut follower = Node::new(Options::default());
    leader.hear(
        N3,
        1,
        Body::Appended {
            round: 0,
            outcome: Outcome::Conflict { prev_index: 0, term: None, index: 1 },
        },
    );
    leader.step(Input::Timer(Timer::Heartbeat));
    assert_eq!(last_chunk(&leader, N3).offset, 0);
    transfer(&mut leader, &mut follower, is_installed);
    let chunks = leader
        .sent
        .iter()
        .filter(|(to, message)| *to == N3 && matches!(message.body, Body::InstallSnapshot { .. }));
    assert!(chunks.count() >= 3, "it is longer than two chunks");
    assert_eq!(follower.raft.store, leader.raft.store);
    assert_eq!((follower.raft.commit, follower.raft.log.base().index), (5, 5));
    leader.acknowledged(N3, 5, 0);
    leader.write(5);
    assert_eq!(leader.last_to(N3).body, append_of(&leader, 5));
    let body = leader.last_to(N3).body.clone();
    follower.hear(N2, 1, body);
    assert_eq!(follower.raft.log.last_index(), 6, "entries go on behind the snapshot");
    let recovered = Node::recovered(options(), follower.disk).raft;
    assert_eq!((recovered.applied, recovered.log.last_index()), (5, 6));
}

/// The append of everything a leader has behind an index.
fn append_of(leader: &Node, prev_index: Index) -> Body {
    let State::Leader(state) = &leader.raft.state else { panic!("it leads") };
    let log = &leader.raft.log;
    Body::Append {
        prev_index,
        prev_term: log.term_at(prev_index).expect("it is there"),
        entries: log.batch_from(prev_index + 1, 100, usize::MAX),
        commit: leader.raft.commit,
        round: state.contact.round,
    }
}

#[test]
fn chunks_come_late_twice_and_not_at_all() {
    let mut leader = compacted_leader();
    let mut follower = Node::new(Options::default());
    leader.step(Input::Timer(Timer::Heartbeat));
    let first = last_chunk(&leader, N3);
    transfer(&mut leader, &mut follower, |answer| matches!(answer, Body::ChunkReceived { .. }));
    let answer = follower.last_to(N2).body.clone();
    leader.hear(N3, 1, answer.clone());
    let second = last_chunk(&leader, N3);
    assert_eq!(second.offset, first.text.len());
    let sent = leader.sent.len();
    leader.hear(N3, 1, answer);
    assert_eq!(leader.sent.len(), sent, "an answer that comes twice is not acted on twice");

    // The second chunk is lost; the heartbeat repeats it.
    leader.step(Input::Timer(Timer::Heartbeat));
    assert_eq!(last_chunk(&leader, N3), second);
    // The first comes again: the follower still wants the second.
    follower.hear(N2, 1, Body::InstallSnapshot { chunk: first.clone(), round: 0 });
    let wanted = first.text.len();
    let answer = Body::ChunkReceived { last: first.last, at: 0, wanted, round: 0 };
    assert_eq!(follower.last_to(N2).body, answer);

    // The follower loses what it has, and the transfer begins anew.
    let mut follower = Node::new(Options::default());
    follower.hear(N2, 1, Body::InstallSnapshot { chunk: second.clone(), round: 0 });
    let answer = Body::ChunkReceived { last: first.last, at: second.offset, wanted: 0, round: 0 };
    assert_eq!(follower.last_to(N2).body, answer);
    leader.hear(N3, 1, answer);
    assert_eq!(last_chunk(&leader, N3), first);
    transfer(&mut leader, &mut follower, is_installed);

    // An old chunk does nothing to a state that has it all.
    follower.hear(N2, 1, Body::InstallSnapshot { chunk: first, round: 0 });
    assert!(is_installed(&follower.last_to(N2).body));
    assert_eq!(follower.raft.store, leader.raft.store);
}

#[test]
fn a_transfer_goes_on_under_another_leader() {
    let mut leader = compacted_leader();
    let mut follower = Node::new(Options::default());
    leader.step(Input::Timer(Timer::Heartbeat));
    transfer(&mut leader, &mut follower, |answer| matches!(answer, Body::ChunkReceived { .. }));
    let Body::ChunkReceived { wanted, .. } = follower.last_to(N2).body else { panic!("as above") };

    let mut next = Node::recovered(options(), leader.disk);
    next.lead();
    let conflict = Outcome::Conflict { prev_index: 5, term: None, index: 1 };
    next.hear(N3, 2, Body::Appended { round: 0, outcome: conflict });
    assert_eq!(last_chunk(&next, N3).offset, 0, "it cannot know better");
    transfer(&mut next, &mut follower, |answer| {
        *answer
            == Body::ChunkReceived { last: Place { index: 5, term: 1 }, at: 0, wanted, round: 0 }
    });
    next.hear(N3, 2, follower.last_to(N2).body.clone());
    assert_eq!(last_chunk(&next, N3).offset, wanted);
    transfer(&mut next, &mut follower, is_installed);
    assert_eq!(follower.raft.store.get("x"), Value::Int(4));
}

#[test]
fn entries_behind_a_snapshot_stay_if_they_agree_with_it() {
    let snapshot = |term| {
        let last = Place { index: 2, term };
        let text = Snapshot { last, members: Arc::default(), state: kv::Store::default() }.text();
        let chunk = Chunk { last, offset: 0, text, done: true };
        Body::InstallSnapshot { chunk, round: 0 }
    };
    for (term, last_index) in [(1, 3), (2, 2)] {
        let mut node = Node::new(Options::default());
        node.hear(N2, 1, append((0, 0), entries(1, &[1, 1, 1]), 0));
        node.stored();
        node.hear(N2, 3, snapshot(term));
        assert_eq!(node.raft.log.last_index(), last_index, "up to 2 of {term}");
        let entries = node.raft.log.entries().len();
        assert_eq!(node.disk.len(), 2 + entries, "term and vote, the snapshot, entries");
        node.stored();
        assert_eq!(node.raft.durable, last_index);
    }
}

#[test]
fn an_append_from_before_the_snapshot_counts_from_behind_it() {
    let mut node = Node::new(options());
    node.hear(N2, 1, append((0, 0), entries(1, &[1, 1, 1, 1]), 4));
    node.stored();
    assert_eq!(node.raft.log.base().index, 4);
    node.hear(N2, 1, append((1, 1), entries(2, &[1, 1, 1, 1]), 5));
    assert_eq!((node.raft.log.last_index(), node.raft.commit), (5, 5));
    node.hear(N2, 1, append((1, 1), entries(2, &[1]), 5));
    let outcome = Outcome::Match { index: 4 };
    assert_eq!(node.last_to(N2).body, Body::Appended { round: 0, outcome });
}

#[test]
fn a_snapshot_that_cannot_be_read_is_refused() {
    let last = Place { index: 2, term: 1 };
    let other = Snapshot {
        last: Place { index: 3, term: 1 },
        members: Arc::default(),
        state: kv::Store::default(),
    };
    for text in ["{".to_owned(), other.text()] {
        let mut node = Node::new(Options::default());
        let chunk = Chunk { last, offset: 0, text, done: true };
        node.hear(N2, 1, Body::InstallSnapshot { chunk, round: 0 });
        assert_eq!((node.raft.commit, node.sent.len()), (0, 0));
    }
}
