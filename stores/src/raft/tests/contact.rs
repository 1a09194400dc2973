//! Pre-votes, check quorum, and reads that a lease answers.

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A leader with its first entry committed, in round 1.
fn settled(options: Options) -> Node {
    let mut node = Node::leader(options);
    node.stored();
    node.acknowledged(N2, 1, 0);
    node
}

fn lease() -> Options {
    Options { reads: ReadMode::Lease, ..Options::default() }
}

#[test]
fn nobody_stands_for_election_who_could_not_win() {
    let mut node = Node::new(Options::default());
    for _ in 0..5 {
        node.step(Input::Timer(Timer::Election));
        node.hear(N2, 0, Body::PreVote { granted: false });
    }
    assert_eq!((node.raft.role(), node.raft.hard.term), (Role::Candidate, 0));
    assert!(node.disk.is_empty(), "thinking of it leaves no trace");
    let asked = node.sent.iter().all(|(_, message)| message.body.asks_for_a_vote());
    assert!(asked && node.sent.len() == 10);
    node.hear(N3, 0, Body::PreVote { granted: true });
    assert_eq!(node.raft.hard, HardState { term: 1, vote: Some(N1) });
}

#[test]
fn a_pre_vote_is_given_like_a_vote_and_binds_nobody() {
    let mut node = Node::new(Options::default());
    node.hear(N2, 2, append((0, 0), entries(1, &[1, 2]), 0));
    let ask = |last_index, last_term| Body::RequestPreVote { last_index, last_term };
    let sent = node.sent.len();
    node.hear(N3, 2, ask(9, 2));
    assert_eq!(node.sent.len(), sent, "it hears a leader");
    node.now += Duration::from_secs(1);
    for (last, granted) in [((2, 2), true), ((1, 2), false), ((9, 1), false), ((1, 3), true)] {
        node.hear(N3, 2, ask(last.0, last.1));
        let answer = Message { term: 2, body: Body::PreVote { granted } };
        assert_eq!(node.last_to(N3), &answer, "{last:?}");
    }
    assert_eq!(node.raft.hard, HardState { term: 2, vote: None });
    node.hear(N3, 1, ask(9, 9));
    assert_eq!(node.last_to(N3), &Message { term: 2, body: Body::Stale });
}

#[test]
fn a_leader_without_a_majority_steps_down_after_an_election_timeout() {
    let options = Options::default();
    let mut node = settled(options.clone());
    node.write(1);
    node.now += options.election_max;
    node.step(Input::Timer(Timer::Heartbeat));
    assert_eq!(node.raft.role(), Role::Leader, "not a moment too early");
    node.acknowledged(N3, 1, 2);
    node.now += options.election_max;
    node.step(Input::Timer(Timer::Heartbeat));
    assert_eq!(node.raft.role(), Role::Leader, "it was heard when that round began");
    node.now += MILLISECOND;
    node.step(Input::Timer(Timer::Heartbeat));
    assert_eq!((node.raft.role(), node.raft.hard.term), (Role::Follower, 1));
    assert_eq!(node.replies, [(1, Err(Refusal::LostLeadership { leader: None }))]);
    node.step(Input::Timer(Timer::Heartbeat));
    node.write(2);
    assert_eq!(node.replies[1..], [(2, Err(Refusal::NotLeader { leader: None }))]);

    let mut node = settled(Options { check_quorum: false, ..options });
    node.now += Duration::from_secs(100);
    node.step(Input::Timer(Timer::Heartbeat));
    assert_eq!(node.raft.role(), Role::Leader);
}

#[test]
fn a_majority_of_one_leads_on_however_late_it_makes_itself_heard() {
    let mut node = Node::of(&[N1], Options::default(), BTreeMap::new());
    node.step(Input::Timer(Timer::Election));
    node.stored();
    for _ in 0..3 {
        assert_eq!(node.raft.role(), Role::Leader);
        node.now += node.raft.options.election_max * 5;
        node.step(Input::Timer(Timer::Heartbeat));
    }
}

#[test]
fn a_leader_that_makes_sure_of_its_majority_is_not_unseated_by_votes() {
    for (check_quorum, role) in [(true, Role::Leader), (false, Role::Follower)] {
        let mut node = settled(Options { check_quorum, ..Options::default() });
        node.hear(N3, 9, Body::RequestVote { last_index: 9, last_term: 9, transfer: false });
        assert_eq!(node.raft.role(), role);
    }
}

#[test]
fn a_lease_answers_reads_until_somebody_else_could_be_elected() {
    let mut node = settled(lease());
    node.read(1);
    assert!(node.replies.is_empty(), "the votes are no lease: nobody has answered a round");
    node.acknowledged(N2, 1, 1);
    node.acknowledged(N2, 1, 2);
    assert_eq!(node.replies, [(1, Ok(Output::Value(Value::Null)))]);
    let until = lease().election_min * 95 / 105;
    node.now = until - MILLISECOND;
    node.read(2);
    assert_eq!(node.replies.len(), 2, "at once");
    node.now = until;
    node.read(3);
    assert_eq!(node.replies.len(), 2, "the lease has ended");
    node.acknowledged(N3, 1, 3);
    assert_eq!(node.replies.len(), 3, "a majority has been asked");
    node.read(4);
    assert_eq!(node.replies.len(), 4, "and has renewed the lease");
}

#[test]
fn an_outline_tells_what_is_left_of_a_lease_and_of_a_promise_to_a_leader() {
    let lasts = lease().election_min;
    let mut leader = settled(lease());
    assert_eq!(leader.raft.outline().trust(), 1, "nobody has answered a round");
    leader.acknowledged(N2, 1, 1);
    let mut follower = Node::new(lease());
    follower.hear(N2, 1, append((0, 0), entries(1, &[1]), 0));
    for (node, whole) in [(&mut leader, lasts * 95 / 105), (&mut follower, lasts)] {
        for (passed, left) in [(whole / 2, 3), (whole * 4 / 5, 2), (whole, 1)] {
            node.now = passed;
            node.hear(N3, 0, Body::Stale);
            assert_eq!(node.raft.outline().trust(), left, "after {passed:?} of {whole:?}");
        }
    }
    assert_eq!(settled(Options::default()).raft.outline().trust(), 0, "reads ask a majority");
}

#[test]
fn a_lease_is_nothing_before_the_term_has_committed() {
    let mut node = Node::leader(lease());
    node.hear(N2, 1, Body::Appended { round: 1, outcome: Outcome::Match { index: 0 } });
    assert!(node.raft.has_lease(node.now));
    node.read(1);
    assert!(node.replies.is_empty());
}

#[test]
fn who_has_heard_a_leader_keeps_its_promise_in_a_later_term_and_after_a_crash() {
    let ask = Body::RequestVote { last_index: 9, last_term: 9, transfer: false };
    let mut node = Node::new(lease());
    node.hear(N2, 1, append((0, 0), entries(1, &[1]), 0));
    // An old request of this node's own is answered from a later term.
    node.hear(N3, 4, Body::Stale);
    node.hear(N3, 4, ask.clone());
    assert_eq!(node.raft.hard, HardState { term: 4, vote: None });

    let mut again = Node::recovered(lease(), node.disk);
    again.hear(N3, 4, ask.clone());
    assert_eq!(again.raft.hard.vote, None, "it does not know whom it has heard");
    again.now += lease().election_min;
    again.hear(N3, 4, ask);
    assert_eq!(again.raft.hard.vote, Some(N3));
}

#[test]
fn local_reads_ask_nobody() {
    let mut node = Node::new(Options { reads: ReadMode::Local, ..Options::default() });
    node.read(1);
    assert_eq!(node.replies, [(1, Ok(Output::Value(Value::Null)))]);
}

#[test]
fn ways_of_reading_have_names() {
    for mode in ReadMode::ALL {
        assert_eq!(mode.name().parse(), Ok(mode));
        assert_eq!(serde_json::to_string(&mode).ok(), Some(format!("\"{mode}\"")));
    }
    let error = "quorum".parse::<ReadMode>().unwrap_err().to_string();
    assert!(error.contains("read-index, lease, local"), "{error}");
}
