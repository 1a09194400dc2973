//! Single decisions of the core, by hand: one node, and messages as if from its peers. What a
//! cluster of them does is tested in a simulated world, in `tests/raft.rs`.

mod contact;
mod election;
mod membership;
mod snapshot;
mod transfer;

use super::log::{Entry, Payload};
use super::message::{Body, Message, Outcome};
use super::*;
use crate::kv::{Command, Op, Output, Value};
use crate::replica::{Admin, Effect, Reply, Write};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

/// A node of three, whose disk reports when the test says so.
struct Node {
    raft: Raft,
    out: Effects<Raft>,
    now: Time,
    sent: Vec<(NodeId, Message)>,
    replies: Vec<(u64, Reply)>,
    /// Everything that was persisted, as if all of it had become durable.
    disk: BTreeMap<Slot, Record>,
}

impl Node {
    fn new(options: Options) -> Node {
        Node::recovered(options, BTreeMap::new())
    }

    /// A node that finds this on its disk.
    fn recovered(options: Options, disk: BTreeMap<Slot, Record>) -> Node {
        Node::of(&[N1, N2, N3], options, disk)
    }

    /// The first node, in a cluster of these members.
    fn of(members: &[NodeId], options: Options, disk: BTreeMap<Slot, Record>) -> Node {
        let setup = Setup { id: N1, members: members.to_vec(), seed: 7 };
        let mut out = Effects::default();
        let found = disk.clone().into_iter().collect();
        let raft = Raft::recover(setup, options, found, Duration::ZERO, &mut out);
        let raft = raft.expect("a sound disk");
        Node { raft, out, now: Duration::ZERO, sent: Vec::new(), replies: Vec::new(), disk }
    }

    /// The leader of term 1, with its first entry sent but not acknowledged.
    fn leader(options: Options) -> Node {
        let mut node = Node::new(options);
        node.lead();
        node
    }

    /// Wins the election for the next term with the vote of the second node.
    fn lead(&mut self) {
        let term = self.raft.hard.term + 1;
        self.stand(term);
        self.stored();
        self.hear(N2, term, Body::Vote { granted: true });
        assert_eq!(self.raft.role(), Role::Leader);
    }

    /// Stands for election in the next term, with the consent of the second node.
    fn stand(&mut self, term: Term) {
        self.step(Input::Timer(Timer::Election));
        self.hear(N2, term - 1, Body::PreVote { granted: true });
        assert_eq!(self.raft.hard, HardState { term, vote: Some(N1) });
    }

    fn step(&mut self, input: Input<Raft>) {
        self.raft.step(self.now, input, &mut self.out);
        for effect in self.out.drain() {
            match effect {
                Effect::Send { to, message, .. } => self.sent.push((to, message)),
                Effect::Reply { to, reply, .. } => self.replies.push((to.0, reply)),
                Effect::Persist { writes, .. } => {
                    for write in writes {
                        match write {
                            Write::Put(slot, record) => drop(self.disk.insert(slot, record)),
                            Write::Erase(from, to) => {
                                self.disk.retain(|slot, _| *slot < from || *slot > to);
                            }
                        }
                    }
                }
                Effect::SetTimer { .. } | Effect::Note(_) => {}
            }
        }
    }

    fn hear(&mut self, from: NodeId, term: Term, body: Body) {
        self.step(Input::Message { from, message: Message { term, body } });
    }

    /// Everything persisted so far is durable.
    fn stored(&mut self) {
        self.step(Input::Stored(self.out.last_ticket()));
    }

    fn write(&mut self, id: u64) {
        let op = Op::Put { key: "x".into(), value: (id as i64).into() };
        let request = Request::Write(Command { session: None, op });
        self.step(Input::Request { id: RequestId(id), request });
    }

    fn read(&mut self, id: u64) {
        self.step(Input::Request { id: RequestId(id), request: Request::Read("x".into()) });
    }

    fn order(&mut self, id: u64, order: Admin) {
        self.step(Input::Request { id: RequestId(id), request: Request::Admin(order) });
    }

    /// A follower has everything up to an index, and took part in a round.
    fn acknowledged(&mut self, from: NodeId, index: Index, round: u64) {
        let outcome = Outcome::Match { index };
        self.hear(from, self.raft.hard.term, Body::Appended { round, outcome });
    }

    /// The last thing that was sent to a node.
    fn last_to(&self, to: NodeId) -> &Message {
        let sent = self.sent.iter().rev().find(|(at, _)| *at == to);
        &sent.expect("something was sent").1
    }
}

fn entries(first: Index, terms: &[Term]) -> Vec<Entry> {
    let entry =
        |(index, term): (Index, &Term)| Entry { index, term: *term, payload: Payload::Noop };
    (first..).zip(terms).map(entry).collect()
}

fn append(prev: (Index, Term), entries: Vec<Entry>, commit: Index) -> Body {
    let (prev_index, prev_term) = prev;
    Body::Append { prev_index, prev_term, entries, commit, round: 0 }
}

fn value(int: i64) -> Reply {
    Ok(Output::Value(Value::Int(int)))
}

#[test]
fn its_own_vote_counts_when_it_is_durable() {
    let mut node = Node::new(Options::default());
    node.stand(1);
    node.hear(N2, 1, Body::Vote { granted: true });
    assert_eq!(node.raft.role(), Role::Candidate, "one vote of three, and one not on disk yet");
    node.stored();
    assert_eq!(node.raft.role(), Role::Leader);
}

#[test]
fn a_follower_that_hears_its_leader_does_not_listen_to_candidates() {
    let mut node = Node::new(Options::default());
    node.hear(N2, 1, append((0, 0), entries(1, &[1]), 0));
    let ask = Body::RequestVote { last_index: 9, last_term: 9, transfer: false };
    node.now += Options::default().election_min - Duration::from_millis(1);
    node.hear(N3, 10, ask.clone());
    assert_eq!(node.raft.hard, HardState { term: 1, vote: None });
    node.now += Duration::from_millis(1);
    node.hear(N3, 10, ask);
    assert_eq!(node.raft.hard, HardState { term: 10, vote: Some(N3) });
    assert_eq!(node.last_to(N3), &Message { term: 10, body: Body::Vote { granted: true } });
}

#[test]
fn a_vote_needs_an_up_to_date_log() {
    let cases = [((2, 2), true), ((1, 3), true), ((3, 2), true), ((1, 2), false), ((9, 1), false)];
    for ((last_index, last_term), granted) in cases {
        let mut node = Node::new(Options::default());
        node.hear(N2, 2, append((0, 0), entries(1, &[1, 2]), 0));
        node.now += Duration::from_secs(1);
        node.hear(N3, 5, Body::RequestVote { last_index, last_term, transfer: false });
        let vote = &Message { term: 5, body: Body::Vote { granted } };
        assert_eq!(node.last_to(N3), vote, "candidate's last entry: {last_index} of {last_term}");
    }
}

#[test]
fn a_leader_commits_with_a_majority_of_disks() {
    let mut node = Node::leader(Options::default());
    node.write(1);
    node.stored();
    assert_eq!(node.raft.commit, 0, "its own disk alone");
    node.acknowledged(N2, 1, 0);
    assert_eq!((node.raft.commit, node.replies.len()), (1, 0));
    node.acknowledged(N3, 2, 0);
    assert_eq!((node.raft.commit, &node.replies[..]), (2, &[(1, Ok(Output::Done))][..]));

    node.write(2);
    node.acknowledged(N2, 3, 0);
    assert_eq!(node.raft.commit, 2, "its own disk is not done");
    node.acknowledged(N3, 3, 0);
    assert_eq!(node.raft.commit, 3, "two other disks do, too");
}

#[test]
fn entries_of_earlier_terms_are_not_committed_by_counting() {
    let mut node = Node::new(Options::default());
    node.hear(N2, 1, append((0, 0), entries(1, &[1, 1]), 0));
    node.lead();
    node.stored();
    node.acknowledged(N2, 2, 0);
    assert_eq!(node.raft.commit, 0, "a majority has entry 2, but it is of term 1");
    node.acknowledged(N2, 3, 0);
    assert_eq!(node.raft.commit, 3);
}

#[test]
fn what_was_truncated_does_not_become_durable() {
    let mut node = Node::new(Options::default());
    node.hear(N2, 1, append((0, 0), entries(1, &[1, 1, 1]), 0));
    let of_term_1 = node.out.last_ticket();
    node.hear(N3, 2, append((1, 1), entries(2, &[2]), 0));
    node.step(Input::Stored(of_term_1));
    assert_eq!(node.raft.durable, 1, "entries 2 and 3 of term 1 are on disk, but no longer meant");
    node.stored();
    assert_eq!(node.raft.durable, 2);
    node.hear(N2, 3, append((0, 0), entries(1, &[3]), 0));
    assert_eq!(node.raft.durable, 0, "what was durable may be truncated as well");
}

#[test]
fn an_old_append_does_not_shorten_the_log_nor_commit_what_it_does_not_reach() {
    let mut node = Node::new(Options::default());
    node.hear(N2, 1, append((0, 0), entries(1, &[1, 1, 1]), 0));
    node.hear(N2, 1, append((0, 0), entries(1, &[1]), 3));
    assert_eq!((node.raft.log.last_index(), node.raft.commit), (3, 1));
}

#[test]
fn a_leader_skips_a_term_of_conflicts_per_answer() {
    let mut node = Node::new(Options::default());
    node.hear(N2, 6, append((0, 0), entries(1, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]), 0));
    node.lead();
    // The follower has 1 1 1 4 4 4 4, figure 7 (b) of the paper with a tail: it is too short.
    let conflict = |prev_index, term, index| Body::Appended {
        round: 0,
        outcome: Outcome::Conflict { prev_index, term, index },
    };
    let prev = |node: &Node| match node.last_to(N3).body {
        Body::Append { prev_index, .. } => prev_index,
        ref other => panic!("{other:?} is no append"),
    };
    assert_eq!(prev(&node), 10);
    node.hear(N3, 7, conflict(10, None, 8));
    assert_eq!(prev(&node), 7);
    let sent = node.sent.len();
    node.hear(N3, 7, conflict(10, None, 8));
    assert_eq!(node.sent.len(), sent, "an answer that comes twice is not acted on twice");
    node.hear(N3, 7, conflict(7, Some(4), 4));
    assert_eq!(prev(&node), 5, "the last entry of term 4 that the leader has");
    node.acknowledged(N3, 11, 0);
    node.hear(N3, 7, conflict(5, Some(4), 4));
    let State::Leader(leader) = &node.raft.state else { panic!("it leads") };
    assert_eq!(leader.followers.len(), 2);
    node.write(1);
    assert_eq!(prev(&node), 11, "an old conflict does not move a follower back");
}

#[test]
fn a_read_waits_for_the_first_commit_of_the_term_and_for_a_round() {
    let mut node = Node::leader(Options::default());
    node.read(1);
    node.stored();
    assert!(node.replies.is_empty(), "nothing of this term is committed");
    node.acknowledged(N2, 1, 1);
    assert!(node.replies.is_empty(), "that answer is of a round before the read");
    node.acknowledged(N2, 1, 2);
    assert_eq!(node.replies, [(1, Ok(Output::Value(Value::Null)))]);

    node.write(2);
    node.stored();
    node.read(3);
    node.read(4);
    node.acknowledged(N3, 2, 3);
    let expected = [(2, Ok(Output::Done)), (3, value(2))];
    assert_eq!(node.replies[1..], expected, "read 4 came when round 3 was under way");
    node.acknowledged(N3, 2, 4);
    assert_eq!(node.replies[3..], [(4, value(2))]);
}

#[test]
fn the_stale_read_mutant_asks_nobody() {
    let options = Options { bug: Some(Bug::StaleRead), ..Options::default() };
    let mut node = Node::leader(options);
    node.read(1);
    assert_eq!(node.replies, [(1, Ok(Output::Value(Value::Null)))]);
}

#[test]
fn an_answer_from_the_next_term_ends_a_leadership_and_leaves_writes_unknown() {
    let mut node = Node::leader(Options::default());
    node.write(1);
    node.read(2);
    node.hear(N2, 2, Body::Stale);
    assert_eq!(node.raft.role(), Role::Follower);
    let lost = || Err(Refusal::LostLeadership { leader: None });
    assert_eq!(node.replies, [(1, lost()), (2, lost())]);
    node.write(3);
    assert_eq!(node.replies[2..], [(3, Err(Refusal::NotLeader { leader: None }))]);
    node.hear(N2, 2, append((0, 0), entries(1, &[1, 2]), 0));
    node.read(4);
    assert_eq!(node.replies[3..], [(4, Err(Refusal::NotLeader { leader: Some(N2) }))]);
}

#[test]
fn an_isolated_leader_takes_up_only_so_much() {
    let mut node = Node::leader(Options { requests_max: 3, ..Options::default() });
    for id in 0..5 {
        node.write(id);
        node.read(10 + id);
    }
    let busy = || Err(Refusal::Busy);
    assert_eq!(node.replies, [(3, busy()), (13, busy()), (4, busy()), (14, busy())]);
    assert_eq!(node.raft.log.last_index(), 4);
}

#[test]
fn a_slow_follower_gets_no_more_than_a_window() {
    let mut node = Node::leader(Options { append_window: 2, ..Options::default() });
    node.acknowledged(N2, 1, 0);
    node.sent.clear();
    for id in 0..10 {
        node.write(id);
    }
    let entries_to = |node: &Node, to| -> usize {
        let count = |body: &Body| match body {
            Body::Append { entries, .. } => entries.len(),
            _ => 0,
        };
        node.sent.iter().filter(|(at, _)| *at == to).map(|(_, message)| count(&message.body)).sum()
    };
    assert_eq!(entries_to(&node, N2), 2);
    assert_eq!(entries_to(&node, N3), 0, "a probe is under way there");
    node.acknowledged(N2, 3, 0);
    assert_eq!(entries_to(&node, N2), 4);
    node.acknowledged(N2, 4, 0);
    assert_eq!(entries_to(&node, N2), 5);
}

#[test]
fn messages_that_overtook_each_other_do_not_multiply() {
    const ENTRIES: u64 = 200;
    let options = Options { append_bytes_max: 0, ..Options::default() };
    let mut node = Node::leader(options);
    node.acknowledged(N2, 1, 0);
    (0..ENTRIES).for_each(|id| node.write(id));
    node.sent.clear();
    // It has one entry more each time, and finds a gap before the last that was sent to it.
    for has in 2..ENTRIES / 2 {
        let outcome = Outcome::Conflict { prev_index: ENTRIES, term: None, index: has };
        node.hear(N2, 1, Body::Appended { round: 0, outcome });
        node.acknowledged(N2, has, 0);
    }
    let sent = node.sent.iter().filter(|(to, _)| *to == N2).count() as u64;
    assert!(sent <= 2 * ENTRIES, "{sent} messages");
    // Once there are no more gaps, all the rest is soon on its way.
    for has in ENTRIES / 2..ENTRIES / 2 + 8 {
        node.acknowledged(N2, has, 0);
    }
    let Some((_, message)) = node.sent.iter().rfind(|(to, _)| *to == N2) else { panic!("none") };
    let Body::Append { entries, .. } = &message.body else { panic!("{message:?}") };
    assert_eq!(entries.last().map(|entry| entry.index), Some(ENTRIES + 1));
}

#[test]
fn appends_that_no_leader_sends_are_refused() {
    let cases = [
        append((0, 0), entries(2, &[1]), 0),
        append((0, 0), entries(1, &[2]), 0),
        append((0, 0), [entries(1, &[1]), entries(3, &[1])].concat(), 0),
        append((1, 1), entries(2, &[0]), 0),
    ];
    for body in cases {
        let mut node = Node::new(Options::default());
        node.hear(N2, 1, append((0, 0), entries(1, &[1]), 0));
        let sent = node.sent.len();
        node.hear(N2, 1, body.clone());
        assert_eq!((node.raft.log.last_index(), node.sent.len()), (1, sent), "{body:?}");
    }
    let mut node = Node::leader(Options::default());
    node.hear(N2, 1, append((1, 1), Vec::new(), 0));
    assert_eq!(node.raft.role(), Role::Leader, "nobody else can lead its term");
}
