//! Letting another node lead.

use super::*;

fn done() -> Reply {
    Ok(Output::Done)
}

/// How often a node was told to stand for election.
fn told(node: &Node, to: NodeId) -> usize {
    let told = |(at, message): &&(NodeId, Message)| *at == to && message.body == Body::TimeoutNow;
    node.sent.iter().filter(told).count()
}

#[test]
fn the_other_is_told_when_it_has_everything_and_nothing_is_taken_up_meanwhile() {
    let mut node = Node::leader(Options::default());
    node.stored();
    node.acknowledged(N2, 1, 0);
    node.write(1);
    node.stored();
    node.order(2, Admin::Transfer { to: N3 });
    node.write(3);
    node.order(4, Admin::Transfer { to: N2 });
    let busy = || Err(Refusal::Busy);
    assert_eq!(node.replies, [(3, busy()), (4, busy())]);
    node.acknowledged(N2, 2, 0);
    assert_eq!((node.raft.commit, told(&node, N3)), (2, 0), "entry 2 is missing there");
    node.acknowledged(N3, 2, 0);
    node.acknowledged(N3, 2, 0);
    assert_eq!((told(&node, N3), told(&node, N2)), (1, 0));
    let ask = Body::RequestVote { last_index: 2, last_term: 1, transfer: true };
    node.hear(N3, 2, ask);
    assert_eq!(node.raft.hard, HardState { term: 2, vote: Some(N3) }, "though it leads");
    assert_eq!(node.replies[2..], [(1, done()), (2, done())]);
}

#[test]
fn what_is_not_done_in_time_is_given_up() {
    let options = Options::default();
    let mut node = Node::leader(options.clone());
    node.stored();
    node.order(1, Admin::Transfer { to: N3 });
    node.now += options.election_max;
    node.acknowledged(N2, 1, 1);
    let unfinished = |reply: &Reply| matches!(reply, Err(Refusal::Unfinished { .. }));
    assert!(unfinished(&node.replies[0].1));
    node.write(2);
    assert_eq!(node.raft.log.last_index(), 2, "it leads on");
}

#[test]
fn a_word_that_is_lost_costs_an_election_time_out_and_no_more() {
    let options = Options::default();
    let mut node = Node::leader(options.clone());
    node.stored();
    node.acknowledged(N2, 1, 1);
    node.acknowledged(N3, 1, 1);
    node.order(1, Admin::Transfer { to: N3 });
    assert_eq!(told(&node, N3), 1);
    let (began, mut round) = (node.now, 1);
    node.write(9);
    assert_eq!(node.replies, [(9, Err(Refusal::Busy))]);
    while !node.replies.iter().any(|(id, _)| *id == 1) {
        assert!(node.now <= began + options.election_max + options.heartbeat, "it is stuck");
        node.now += options.heartbeat;
        node.step(Input::Timer(Timer::Heartbeat));
        round += 1;
        node.acknowledged(N2, 1, round);
    }
    assert_eq!((told(&node, N3), node.raft.role()), (1, Role::Leader), "it was said once");
    node.write(10);
    assert_eq!(node.raft.log.last_index(), 2, "it leads on, and takes writes again");
    node.order(11, Admin::Transfer { to: N2 });
    node.stored();
    node.acknowledged(N2, 2, round);
    assert_eq!(told(&node, N2), 1, "and can be asked again");
}

#[test]
fn only_another_voter_can_be_told() {
    let mut node = Node::leader(Options::default());
    for (request, to) in [(1, N1), (2, NodeId(9))] {
        node.order(request, Admin::Transfer { to });
    }
    assert!(
        node.replies
            .iter()
            .all(|(_, reply)| { matches!(reply, Err(Refusal::Inapplicable { .. })) })
    );
    let mut node = Node::new(Options::default());
    node.order(1, Admin::Transfer { to: N2 });
    assert_eq!(node.replies, [(1, Err(Refusal::NotLeader { leader: None }))]);
}

#[test]
fn who_is_told_stands_at_once_and_nobody_refuses_it_for_the_leader() {
    let mut node = Node::new(Options::default());
    node.hear(N2, 1, append((0, 0), entries(1, &[1]), 0));
    node.hear(N3, 1, Body::TimeoutNow);
    assert_eq!(node.raft.role(), Role::Follower, "that is not its leader");
    node.hear(N2, 1, Body::TimeoutNow);
    assert_eq!(node.raft.hard, HardState { term: 2, vote: Some(N1) });
    let ask = Body::RequestVote { last_index: 1, last_term: 1, transfer: true };
    assert_eq!(node.last_to(N3), &Message { term: 2, body: ask.clone() });

    let mut voter = Node::new(Options::default());
    voter.hear(N2, 1, append((0, 0), entries(1, &[1]), 0));
    voter.hear(N3, 2, ask);
    assert_eq!(voter.raft.hard.vote, Some(N3));
}

#[test]
fn a_lease_is_given_up_for_good_when_another_is_told() {
    let mut node = Node::leader(Options { reads: ReadMode::Lease, ..Options::default() });
    node.stored();
    node.acknowledged(N2, 1, 1);
    node.read(1);
    assert_eq!(node.replies.len(), 1);
    node.order(2, Admin::Transfer { to: N2 });
    assert_eq!(told(&node, N2), 1);
    node.read(3);
    assert_eq!(node.replies.len(), 1, "it has to ask");
    node.now += Options::default().election_max;
    node.acknowledged(N2, 1, 2);
    assert_eq!(node.replies.len(), 3, "a majority was asked, and the handover is given up");
    node.step(Input::Timer(Timer::Heartbeat));
    node.acknowledged(N2, 1, 3);
    node.read(4);
    assert_eq!(node.replies.len(), 3, "but what it said may still arrive");
}
