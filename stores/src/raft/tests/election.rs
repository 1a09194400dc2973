//! Requests for votes that are repeated, because nobody has answered.

use super::*;

const N4: NodeId = NodeId(4);
const N5: NodeId = NodeId(5);

/// Whom a node asked for a vote since it was last looked at, and whether its leader wanted that.
fn asked(node: &mut Node) -> Vec<(NodeId, bool)> {
    let asked = node.sent.drain(..).filter_map(|(to, message)| match message.body {
        Body::RequestVote { transfer, .. } => Some((to, transfer)),
        _ => None,
    });
    asked.collect()
}

#[test]
fn a_candidate_asks_again_who_has_not_answered() {
    let members = [N1, N2, N3, N4, N5];
    let mut node =
        Node::of(&members, Options { pre_vote: false, ..Options::default() }, BTreeMap::new());
    node.step(Input::Timer(Timer::Election));
    assert_eq!(asked(&mut node), [N2, N3, N4, N5].map(|to| (to, false)));
    node.stored();
    node.hear(N2, 1, Body::Vote { granted: false });
    node.hear(N3, 1, Body::Vote { granted: true });
    node.step(Input::Timer(Timer::Heartbeat));
    assert_eq!(asked(&mut node), [N4, N5].map(|to| (to, false)));
    // In another term nobody has answered yet.
    node.step(Input::Timer(Timer::Election));
    assert_eq!(asked(&mut node).len(), 4);
    node.stored();
    node.hear(N4, 2, Body::Vote { granted: true });
    node.hear(N5, 2, Body::Vote { granted: true });
    assert_eq!(node.raft.role(), Role::Leader);
    node.step(Input::Timer(Timer::Heartbeat));
    assert_eq!(asked(&mut node), [], "it leads");
}

#[test]
fn a_candidate_that_gave_up_asks_nobody() {
    let mut node = Node::new(Options::default());
    node.stand(1);
    node.hear(N2, 1, append((0, 0), entries(1, &[1]), 0));
    node.sent.clear();
    node.step(Input::Timer(Timer::Heartbeat));
    assert_eq!(node.sent, []);
}

#[test]
fn whom_the_leader_wants_to_lead_says_so_each_time() {
    let mut node = Node::new(Options::default());
    node.hear(N2, 1, append((0, 0), entries(1, &[1]), 0));
    node.hear(N2, 1, Body::TimeoutNow);
    node.step(Input::Timer(Timer::Heartbeat));
    let everybody = [N2, N3].map(|to| (to, true));
    assert_eq!(asked(&mut node), [everybody, everybody].concat());
}

#[test]
fn a_voter_answers_a_repeated_request_as_before() {
    let mut node = Node::new(Options::default());
    let ask = Body::RequestVote { last_index: 0, last_term: 0, transfer: false };
    for _ in 0..2 {
        for (candidate, granted) in [(N2, true), (N3, false)] {
            node.hear(candidate, 1, ask.clone());
            let vote = &Message { term: 1, body: Body::Vote { granted } };
            assert_eq!(node.last_to(candidate), vote);
        }
    }
    assert_eq!(node.raft.hard, HardState { term: 1, vote: Some(N2) });
}
