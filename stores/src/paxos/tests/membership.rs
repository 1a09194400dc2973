//! Tests of changes of members.

use super::*;
use crate::replica::Admin;

fn add(node: u16) -> Request {
    Request::Admin(Admin::AddServer { node: NodeId(node), address: None })
}

fn remove(node: u16) -> Request {
    Request::Admin(Admin::RemoveServer { node: NodeId(node) })
}

/// Orders that are given up in time for a test.
fn options() -> Options {
    Options { change_limit: Duration::from_millis(600), ..quiet() }
}

impl Cluster {
    fn cut(&mut self, nodes: &[u16]) {
        self.cut_off = nodes.iter().map(|node| NodeId(*node)).collect();
    }

    /// The members as a node knows them, and those who join.
    fn members_at(&mut self, node: u16) -> (Vec<u16>, Vec<u16>) {
        let status = self.node(node).core.status();
        let numbers = |nodes: Vec<NodeId>| nodes.into_iter().map(|node| node.0).collect();
        (numbers(status.voters), numbers(status.learners))
    }

    /// Orders a change and lets everything happen until it is between: registered, and not done.
    fn begin_change(&mut self, at: u16, request: Request) -> RequestId {
        let asked = self.ask(at, request);
        while self.node(at).core.configuration().next.is_none() {
            let (from, to, message) = self.network.pop_front().expect("more is on its way");
            if !self.cut_off.contains(&from) && !self.cut_off.contains(&to) {
                self.step(to.0, Input::Message { from, message });
            }
        }
        asked
    }
}

#[test]
fn what_few_have_accepted_is_found_by_all_who_join() {
    let mut cluster = Cluster::with_others(3, 2, options());
    cluster.cut(&[3]);
    assert_eq!(cluster.get(1, plain(put(7))), Ok(Output::Done));
    cluster.cut(&[]);
    assert_eq!(cluster.get(1, add(4)), Ok(Output::Done));
    assert_eq!(cluster.get(2, add(5)), Ok(Output::Done));
    cluster.run();
    assert_eq!(cluster.members_at(5), (vec![1, 2, 3, 4, 5], vec![]));
    // Of these three none had it before.
    cluster.cut(&[1, 2]);
    assert_eq!(cluster.get(5, Request::Read(key())), value(7));
    assert_eq!(cluster.get(4, plain(cas(7, 8))), applied(7));
    cluster.cut(&[]);
    for node in [4, 1, 2] {
        assert_eq!(cluster.get(3, remove(node)), Ok(Output::Done));
    }
    assert_eq!(cluster.get(5, Request::Read(key())), value(8));
    assert_eq!(cluster.members_at(3), (vec![3, 5], vec![]));
    for id in [3, 5] {
        cluster.restart(id);
        assert_eq!(cluster.members_at(id), (vec![3, 5], vec![]), "it is on the disk");
    }
    assert_eq!(cluster.get(3, Request::Read(key())), value(8));
}

#[test]
fn who_is_removed_and_does_not_know_it_gets_nothing_done() {
    let mut cluster = Cluster::new(3, options());
    assert_eq!(cluster.get(1, plain(put(1))), Ok(Output::Done));
    cluster.cut(&[1]);
    assert_eq!(cluster.get(2, remove(1)), Ok(Output::Done));
    assert_eq!(cluster.get(2, plain(put(2))), Ok(Output::Done));
    cluster.cut(&[]);
    assert_eq!(cluster.members_at(1), (vec![1, 2, 3], vec![]), "it has not heard");
    // It goes on from what it has cached, which nobody takes any more.
    let unsure = Err(Refusal::NotChosen { proposed: true });
    assert_eq!(cluster.get(1, of_client("a", 1, put(3))), unsure);
    let refusal = cluster.get(1, of_client("a", 2, put(3)));
    assert!(matches!(refusal, Err(Refusal::NotMember { member: Some(_) })), "{refusal:?}");
    assert_eq!(cluster.get(3, Request::Read(key())), value(2));
    assert!(matches!(cluster.get(1, add(1)), Err(Refusal::NotMember { .. })));
}

#[test]
fn the_last_member_stays_and_quorums_must_fit() {
    let mut cluster = Cluster::new(1, options());
    assert!(matches!(cluster.get(1, remove(1)), Err(Refusal::Inapplicable { .. })));
    assert_eq!(cluster.get(1, plain(put(1))), Ok(Output::Done));
    let uneven = Options { accept_quorum: Some(3), ..options() };
    let mut cluster = Cluster::new(3, uneven);
    assert!(matches!(cluster.get(1, remove(2)), Err(Refusal::Inapplicable { .. })), "three accept");
    assert_eq!(cluster.get(1, plain(put(1))), Ok(Output::Done));
}

#[test]
fn what_a_crashed_node_has_begun_another_finishes_or_takes_back() {
    for reverse in [false, true] {
        let mut cluster = Cluster::with_others(3, 2, options());
        assert_eq!(cluster.get(1, plain(put(1))), Ok(Output::Done));
        cluster.begin_change(1, add(4));
        cluster.cut(&[1]);
        let (order, members) = match reverse {
            true => (remove(4), vec![1, 2, 3]),
            false => (add(5), vec![1, 2, 3, 4, 5]),
        };
        assert_eq!(cluster.get(2, order), Ok(Output::Done));
        cluster.run();
        assert_eq!(cluster.members_at(3), (members, vec![]));
        cluster.cut(&[]);
        assert_eq!(cluster.get(1, Request::Read(key())), value(1), "it learns what has happened");
    }
}

#[test]
fn one_who_joins_and_is_not_there_is_in_nobody_s_way() {
    let mut cluster = Cluster::with_others(3, 2, options());
    cluster.cut(&[4]);
    assert!(matches!(cluster.get(1, add(4)), Err(Refusal::Unfinished { .. })));
    assert_eq!(cluster.get(2, add(5)), Ok(Output::Done));
    cluster.run();
    assert_eq!(cluster.members_at(1), (vec![1, 2, 3, 5], vec![]));
}

#[test]
fn of_two_orders_at_a_time_each_is_done_or_not() {
    let mut cluster = Cluster::with_others(3, 2, options());
    assert_eq!(cluster.get(1, plain(put(1))), Ok(Output::Done));
    let orders = [(1, add(4)), (2, add(5)), (3, remove(1))];
    let asked = orders.map(|(at, order)| cluster.ask(at, order));
    cluster.pass(Duration::from_secs(2));
    let replies = asked.map(|id| cluster.replies.remove(&id).expect("each is answered"));
    let (members, joining) = cluster.members_at(3);
    assert_eq!(joining, [0_u16; 0], "nothing is left half done");
    let expected = [members.contains(&4), members.contains(&5), !members.contains(&1)];
    for (reply, done) in replies.iter().zip(expected) {
        assert!(!matches!(reply, Ok(Output::Done)) || done, "{replies:?} {members:?}");
    }
    assert_eq!(cluster.get(2, Request::Read(key())), value(1));
}

/// An order is carried out on what it has read: one that comes to nothing in between fences it off.
#[test]
fn an_order_that_is_late_does_not_undo_a_later_one() {
    let mut cluster = Cluster::new(3, options());
    let late = cluster.ask(1, remove(3));
    // It has read the members, and its proposal is on its way.
    while !cluster.network.iter().any(|(_, _, it)| matches!(&it.body, Body::Accept { state, .. } if *state.value() != Value::Null)) {
        let (from, to, message) = cluster.network.pop_front().expect("more is on its way");
        cluster.step(to.0, Input::Message { from, message });
    }
    let on_its_way = std::mem::take(&mut cluster.network);
    cluster.cut(&[1]);
    assert_eq!(cluster.get(2, add(3)), Ok(Output::Done), "a member it is");
    cluster.cut(&[]);
    cluster.network.extend(on_its_way);
    cluster.pass(Duration::from_secs(1));
    assert!(matches!(cluster.replies.remove(&late), Some(Err(Refusal::Unfinished { .. }))));
    assert_eq!(cluster.members_at(2), (vec![1, 2, 3], vec![]));
}

/// A node that was away while a key was deleted and collected would bring it back.
#[test]
fn who_becomes_a_member_again_begins_with_nothing() {
    let collecting = Options { collect_after: Duration::from_millis(200), ..options() };
    let mut cluster = Cluster::new(4, collecting);
    assert_eq!(cluster.get(1, of_client("a", 1, put(1))), Ok(Output::Done));
    cluster.run();
    cluster.cut(&[4]);
    assert_eq!(cluster.get(1, remove(4)), Ok(Output::Done));
    assert_eq!(cluster.get(2, plain(Op::Delete { key: key() })), Ok(Output::Done));
    cluster.pass(Duration::from_secs(10));
    for id in 1..=3 {
        assert_eq!(cluster.node(id).core.acceptor().cell(&key()), None, "n{id} has collected it");
    }
    assert!(cluster.node(4).core.acceptor().cell(&key()).is_some());
    cluster.cut(&[]);
    assert_eq!(cluster.get(1, add(4)), Ok(Output::Done));
    cluster.run();
    assert_eq!(cluster.node(4).core.acceptor().cell(&key()), None);
    assert_eq!(cluster.get(4, Request::Read(key())), Ok(Output::Value(Value::Null)));
    // It knows what was done to the key, too.
    assert_eq!(cluster.get(4, of_client("a", 1, put(1))), Ok(Output::Done), "a repetition");
    assert_eq!(cluster.get(4, Request::Read(key())), Ok(Output::Value(Value::Null)));
}

#[test]
fn the_register_of_members_is_nobody_s_key() {
    let mut cluster = Cluster::new(3, options());
    let read = Request::Read(crate::paxos::membership::REGISTER.into());
    assert!(matches!(cluster.get(1, read), Err(Refusal::Inapplicable { .. })));
}
