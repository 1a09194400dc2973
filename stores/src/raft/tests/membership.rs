//! Changing who belongs to the cluster.

use super::*;

const N4: NodeId = NodeId(4);

fn add(node: NodeId) -> Admin {
    Admin::AddServer { node, address: None }
}

fn remove(node: NodeId) -> Admin {
    Admin::RemoveServer { node }
}

fn done() -> Reply {
    Ok(Output::Done)
}

/// A leader with its first entry committed.
fn settled() -> Node {
    let mut node = Node::leader(Options::default());
    node.stored();
    node.acknowledged(N2, 1, 0);
    node
}

/// The entry that makes these the voters.
fn members(index: Index, term: Term, voters: &[NodeId]) -> Entry {
    let members = Membership::of(voters.iter().copied());
    Entry { index, term, payload: Payload::Members(Arc::new(members)) }
}

fn voters(node: &Node) -> Vec<u16> {
    node.raft.members().voters.iter().map(|id| id.0).collect()
}

#[test]
fn a_server_gets_the_log_before_it_counts() {
    let mut node = settled();
    node.order(1, add(N4));
    node.stored();
    assert_eq!((voters(&node), node.raft.members().learners.len()), (vec![1, 2, 3], 1));
    node.acknowledged(N4, 2, 0);
    assert_eq!(node.raft.commit, 1, "a learner does not count");
    assert_eq!(voters(&node), [1, 2, 3], "and becomes nothing before that is committed");
    node.acknowledged(N2, 2, 0);
    assert_eq!((node.raft.commit, voters(&node)), (2, vec![1, 2, 3, 4]));
    node.stored();
    node.acknowledged(N4, 3, 0);
    assert_eq!((node.raft.commit, node.replies.len()), (2, 0), "two of four");
    node.acknowledged(N3, 3, 0);
    assert_eq!((node.raft.commit, &node.replies[..]), (3, &[(1, done())][..]));
    node.order(2, add(N4));
    assert_eq!(node.replies[1..], [(2, done())], "it is one already");
}

#[test]
fn a_server_that_cannot_keep_up_stays_a_learner() {
    let options = Options::default();
    let mut node = settled();
    node.order(1, add(N4));
    node.stored();
    node.acknowledged(N2, 2, 0);
    for round in 0..=10 {
        assert!(node.replies.is_empty(), "round {round}");
        node.now += options.election_min + Duration::from_millis(1);
        node.acknowledged(N4, node.raft.log.last_index(), 0);
    }
    assert!(matches!(node.replies[..], [(1, Err(Refusal::Unfinished { .. }))]));
    assert_eq!((voters(&node), node.raft.members().learners.len()), (vec![1, 2, 3], 1));
    node.order(2, add(N4));
    node.acknowledged(N4, node.raft.log.last_index(), 0);
    assert_eq!(voters(&node), [1, 2, 3, 4], "now it does");

    let mut node = settled();
    node.order(1, add(N4));
    node.stored();
    node.acknowledged(N2, 2, 0);
    node.now += 10 * options.election_max + Duration::from_millis(1);
    node.acknowledged(N3, 2, 1);
    assert!(matches!(node.replies[..], [(1, Err(Refusal::Unfinished { .. }))]), "nobody is there");
}

/// The erratum of 2015: the leader before may have begun a change, too.
#[test]
fn no_change_begins_before_an_entry_of_the_term_is_committed_or_beside_another() {
    let mut node = Node::leader(Options::default());
    node.stored();
    node.order(1, remove(N3));
    assert_eq!(node.replies, [(1, Err(Refusal::Busy))]);
    node.acknowledged(N2, 1, 0);
    node.order(2, remove(N3));
    assert_eq!(voters(&node), [1, 2]);
    node.order(3, add(N4));
    node.order(4, Admin::Transfer { to: N2 });
    assert_eq!(node.replies[1..], [(3, Err(Refusal::Busy)), (4, Err(Refusal::Busy))]);
}

#[test]
fn a_configuration_holds_from_the_log_on_and_gives_way_when_truncated() {
    let mut node = Node::new(Options::default());
    node.hear(
        N2,
        1,
        append((0, 0), [entries(1, &[1]), vec![members(2, 1, &[N1, N2])]].concat(), 0),
    );
    assert_eq!((voters(&node), node.raft.quorum()), (vec![1, 2], 2));
    let recovered = Node::recovered(Options::default(), node.disk.clone());
    assert_eq!(voters(&recovered), [1, 2], "also after a crash");
    node.hear(N3, 2, append((1, 1), entries(2, &[2]), 0));
    assert_eq!(voters(&node), [1, 2, 3]);
}

#[test]
fn a_configuration_survives_in_a_snapshot() {
    let options = Options { snapshot_every: 2, ..Options::default() };
    let mut node = Node::new(options.clone());
    node.hear(
        N2,
        1,
        append((0, 0), [entries(1, &[1]), vec![members(2, 1, &[N1, N2])]].concat(), 2),
    );
    node.stored();
    assert_eq!((node.raft.log.base().index, voters(&node)), (2, vec![1, 2]));
    let snapshot = node.raft.snapshot().expect("it has one").clone();
    assert_eq!(voters(&Node::recovered(options, node.disk)), [1, 2]);

    let mut other = Node::new(Options::default());
    let last = snapshot.last;
    let chunk = message::Chunk { last, offset: 0, text: snapshot.text(), done: true };
    other.hear(N2, 1, Body::InstallSnapshot { chunk, round: 0 });
    assert_eq!(voters(&other), [1, 2]);
    assert_eq!(voters(&Node::recovered(Options::default(), other.disk)), [1, 2]);
}

#[test]
fn a_leader_that_is_removed_leads_until_that_is_committed_without_counting_itself() {
    let mut node = settled();
    node.order(1, remove(N1));
    node.stored();
    node.acknowledged(N2, 2, 0);
    assert_eq!((node.raft.role(), node.raft.commit), (Role::Leader, 1), "one of two");
    node.acknowledged(N3, 2, 0);
    assert_eq!((node.raft.role(), node.raft.commit), (Role::Follower, 2));
    assert_eq!(node.replies, [(1, done())]);
    let sent = node.sent.len();
    node.step(Input::Timer(Timer::Election));
    assert_eq!(node.sent.len(), sent, "it does not stand any more");

    // As far as this one knows its removal is not committed, and its vote may be missing for that.
    let mut again = Node::recovered(Options::default(), node.disk);
    again.step(Input::Timer(Timer::Election));
    assert_eq!(again.sent.len(), 2);
    again.hear(N2, 1, Body::PreVote { granted: true });
    assert_eq!(again.raft.hard.term, 1, "one of two: its own vote does not count");
    again.hear(N3, 1, Body::PreVote { granted: true });
    assert_eq!(again.raft.hard.term, 2);
}

#[test]
fn votes_of_strangers_do_not_count_and_strangers_get_votes() {
    let mut node = Node::new(Options::default());
    node.step(Input::Timer(Timer::Election));
    node.hear(N4, 0, Body::PreVote { granted: true });
    assert_eq!(node.raft.hard.term, 0);
    node.hear(N2, 0, Body::PreVote { granted: true });
    node.stored();
    node.hear(N4, 1, Body::Vote { granted: true });
    assert_eq!(node.raft.role(), Role::Candidate);
    node.hear(N4, 2, Body::RequestVote { last_index: 0, last_term: 0, transfer: false });
    assert_eq!(node.raft.hard, HardState { term: 2, vote: Some(N4) });
}

#[test]
fn who_is_no_member_waits_until_it_is_one() {
    let mut node = Node::of(&[N2, N3], Options::default(), BTreeMap::new());
    node.step(Input::Timer(Timer::Election));
    assert!(node.sent.is_empty());
    node.hear(N2, 1, append((0, 0), vec![members(1, 1, &[N1, N2, N3])], 0));
    node.step(Input::Timer(Timer::Election));
    assert_eq!(node.raft.role(), Role::Candidate);
}

#[test]
fn the_last_voter_stays() {
    let mut node = Node::of(&[N1], Options::default(), BTreeMap::new());
    node.step(Input::Timer(Timer::Election));
    node.stored();
    node.stored();
    node.order(1, remove(N1));
    assert!(matches!(node.replies[..], [(1, Err(Refusal::Inapplicable { .. }))]));
    node.order(2, remove(N4));
    assert_eq!(node.replies[1..], [(2, done())]);
}
