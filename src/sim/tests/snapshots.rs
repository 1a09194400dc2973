//! Tests of snapshots, by what the traces of the same runs say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rashomon_stores::clock::vector::Vector;
use rashomon_stores::eventual::message::Message;
use rashomon_stores::eventual::{Eventual, Options};
use rashomon_stores::observe::cut::Cut;
use rashomon_stores::observe::trace::{Kind, read};
use rashomon_stores::replica::NodeId;

use super::settings;
use crate::campaign::plan::WorkloadName;
use crate::sim::verdict::run_seed;
use crate::sim::witness::{Breach, NoWitness, Witness};
use crate::sim::{Recorded, Scenario, Settings, Snapshots, Subject, System, Telling};

const OFTEN: Snapshots = Snapshots { every: Duration::from_millis(300), bug: None };
const ALL: Telling = Telling { node_traces: true, snapshots: Some(OFTEN), ..Telling::NOTHING };

/// What is kept of a cut: of every node its incarnation and clock, and of every link what was recorded on
/// it, by the incarnations and numbers of messages, and how many were missing.
#[derive(Debug, Default)]
struct Kept {
    nodes: BTreeMap<NodeId, (u64, Vector)>,
    links: BTreeMap<(NodeId, NodeId), Recording>,
}

/// The messages that were recorded on a link, and how many were missing.
type Recording = (Vec<(u64, u64)>, u64);

/// Eventual stores, of which every cut is kept.
#[derive(Debug, Default)]
struct Keeper(Arc<Mutex<Vec<Kept>>>);

impl Witness<Eventual> for Keeper {
    fn noted(
        &mut self,
        node: NodeId,
        note: &<Eventual as rashomon_stores::replica::Replica>::Note,
        core: &Eventual,
    ) -> Result<(), Breach> {
        NoWitness.noted(node, note, core)
    }

    fn stepped(&mut self, _: NodeId, _: &Eventual) -> Result<(), Breach> {
        Ok(())
    }

    fn crashed(&mut self, _: NodeId) {}

    fn glanced(&mut self, _: &[(NodeId, &Eventual)], _: bool) -> Result<(), Breach> {
        Ok(())
    }

    fn cut(&mut self, cut: &Cut<Eventual, Message>) -> Result<(), Breach> {
        let mut kept = Kept::default();
        for (node, part) in &cut.parts {
            let clock = part.clock.clone().expect("nodes are traced");
            kept.nodes.insert(*node, (part.incarnation, clock));
            for (from, channel) in &part.channels {
                let names = channel.messages.iter().map(|it| (it.incarnation, it.number));
                kept.links.insert((*from, *node), (names.collect(), channel.missing));
            }
        }
        self.0.lock().expect("nobody panicked").push(kept);
        Ok(())
    }

    fn sightings(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

impl Subject for Keeper {
    type Core = Eventual;
    type Witness = Keeper;

    fn options(&self) -> Options {
        Options::default()
    }

    fn witness(&self) -> Keeper {
        Keeper(self.0.clone())
    }
}

fn eventual(seed: u64, nemesis: &str) -> Scenario {
    let settings = settings(WorkloadName::Register, nemesis, None);
    Scenario::generate(seed, &Settings { store: "eventual".into(), nodes: 3, ..settings })
}

/// Messages of one incarnation of a sender on a link.
type Link = (NodeId, u64, NodeId);

/// What the traces say: when each message was sent, by its number and the number of that event at its
/// sender, and when it was first received.
fn traffic(recorded: &Recorded) -> BTreeMap<Link, BTreeMap<u64, (u64, Option<u64>)>> {
    let events: Vec<_> = recorded
        .traces
        .iter()
        .flat_map(|(_, trace)| read(trace).expect("a trace").events)
        .collect();
    let mut traffic: BTreeMap<Link, BTreeMap<u64, (u64, Option<u64>)>> = BTreeMap::new();
    for event in &events {
        if let Kind::Send { to, number } = event.kind {
            let link = traffic.entry((event.node, event.incarnation, to)).or_default();
            link.insert(number, (event.number(), None));
        }
    }
    for event in &events {
        if let Kind::Receive { from, sent_in, number } = event.kind {
            let link = traffic.get_mut(&(from, sent_in, event.node)).expect("somebody sent it");
            let first = &mut link.get_mut(&number).expect("somebody sent it").1;
            *first = Some(first.map_or(event.number(), |known| known.min(event.number())));
        }
    }
    traffic
}

/// Mattern's criterion: a cut is consistent if no node knows more of another than what that had done by
/// its own cut. And what was recorded on the links is what was sent before the cut and not received
/// before it, but for what was counted as missing.
#[test]
fn every_cut_is_consistent_and_has_all_that_was_on_its_way() {
    let (mut cuts, mut exact, mut on_their_way) = (0, 0, 0);
    for seed in 1..=16 {
        let nemesis = if seed % 2 == 0 { "all" } else { "network,partition" };
        let keeper = Keeper::default();
        let recorded = keeper.simulate(&eventual(seed, nemesis), ALL).expect("it runs");
        let traffic = traffic(&recorded);
        for Kept { nodes, links } in keeper.0.lock().expect("nobody panicked").iter() {
            cuts += 1;
            for (node, (_, clock)) in nodes {
                for (other, (_, theirs)) in nodes {
                    let (known, done) = (theirs.get(*node), clock.get(*node));
                    assert!(
                        known <= done,
                        "seed {seed}: {other} knows {node} up to {known} of {done}"
                    );
                }
            }
            for ((from, to), (recorded, missing)) in links {
                let ((incarnation, sent_by), (own, seen_by)) = (&nodes[from], &nodes[to]);
                if (*incarnation, *own) != (1, 1) {
                    // Nobody counts what was sent to, or by, an incarnation that is gone.
                    continue;
                }
                let empty = BTreeMap::new();
                let link = traffic.get(&(*from, 1, *to)).unwrap_or(&empty);
                let on_its_way = |(sent, received): &(u64, Option<u64>)| {
                    *sent <= sent_by.get(*from) && received.is_none_or(|at| at > seen_by.get(*to))
                };
                let expected: BTreeSet<(u64, u64)> = link
                    .iter()
                    .filter(|(_, times)| on_its_way(times))
                    .map(|(number, _)| (1, *number))
                    .collect();
                let found: BTreeSet<(u64, u64)> = recorded.iter().copied().collect();
                assert_eq!(found.len(), recorded.len(), "seed {seed}: nothing is there twice");
                assert!(found.is_subset(&expected), "seed {seed}: {found:?} in {expected:?}");
                // What an earlier snapshot gave up as lost is not counted again.
                let unseen = (expected.len() - found.len()) as u64;
                assert!(*missing <= unseen, "seed {seed}: {missing} of {unseen}");
                let lost = link.values().filter(|(_, received)| received.is_none()).count() as u64;
                assert!(unseen <= lost + missing, "seed {seed}: {unseen}, {lost} lost");
                exact += u64::from(unseen == 0);
                on_their_way += found.len();
            }
        }
    }
    assert!(cuts > 60 && exact > 200 && on_their_way > 50, "{cuts} {exact} {on_their_way}");
}

#[test]
fn neither_snapshots_nor_traces_disturb_a_run() {
    for store in ["raft", "paxos", "eventual:siblings"] {
        let settings = settings(WorkloadName::Register, "all", None);
        let settings = Settings { store: store.into(), ..settings };
        for seed in 1..=3 {
            let [watched, alone] = [ALL, Telling::NOTHING]
                .map(|told| run_seed(&settings, seed, told).expect("it runs").recorded);
            assert!(watched.events == alone.events, "{store}, seed {seed}: another history");
            // After the last read an eventual store is watched until a snapshot shows it converged.
            let same = watched.traffic == alone.traffic || store.starts_with("eventual");
            assert!(same, "{store}, seed {seed}: other messages");
        }
    }
}
