//! What must hold of CASPaxos in every state it can reach, one file a property, each with its
//! source.

mod chosen_stays;
mod configurations;
mod kept_promises;
mod one_proposal;

use rashomon_stores::paxos::message::Message;
use rashomon_stores::paxos::{Note, Paxos};
use rashomon_stores::replica::NodeId;

use crate::sim::witness::{Breach, Promise, Records, Witness};
use chosen_stays::ChosenStays;
use configurations::Configurations;
use kept_promises::KeptPromises;
use one_proposal::OneProposal;

/// The witness of CASPaxos.
#[derive(Debug, Default)]
pub struct PaxosWitness {
    one_proposal: OneProposal,
    chosen_stays: ChosenStays,
    configurations: Configurations,
    kept_promises: KeptPromises,
    sightings: Sightings,
}

/// What a run should reach sometimes.
#[derive(Debug, Default)]
struct Sightings {
    prepared: u64,
    at_once: u64,
    batches: u64,
    chosen: u64,
    overtaken: u64,
    again_and_again: u64,
    given_up: u64,
    collected: u64,
    not_collected: u64,
    too_young: u64,
    configurations: u64,
    joined: u64,
    rescanned: u64,
    promises_kept: u64,
}

impl Witness<Paxos> for PaxosWitness {
    fn noted(&mut self, node: NodeId, note: &Note, _: &Paxos) -> Result<(), Breach> {
        let seen = &mut self.sightings;
        match note {
            Note::Prepared { .. } => seen.prepared += 1,
            Note::Proposed { key, ballot, parent, requests, at_once } => {
                seen.at_once += u64::from(*at_once);
                seen.batches += u64::from(*requests > 1);
                self.one_proposal.proposed(node, key, *ballot)?;
                self.chosen_stays.proposed(key, *ballot, *parent)?;
            }
            Note::Chosen { key, ballot } => {
                seen.chosen += 1;
                self.chosen_stays.chosen(key, *ballot)?;
            }
            Note::Overtaken { times, .. } => {
                seen.overtaken += 1;
                seen.again_and_again += u64::from(*times > 3);
            }
            Note::GaveUp { requests, .. } => seen.given_up += *requests as u64,
            Note::Collecting { key, tombstone } => {
                self.chosen_stays.collecting(key, *tombstone);
                self.kept_promises.collecting(key, *tombstone);
            }
            Note::Collected { .. } => seen.collected += 1,
            Note::NotCollected { .. } => seen.not_collected += 1,
            Note::TooYoung { .. } => seen.too_young += 1,
            Note::Configured { configuration, anew } => {
                seen.configurations = seen.configurations.max(configuration.epoch);
                if *anew {
                    seen.joined += 1;
                    self.kept_promises.forgotten(node, configuration.epoch);
                }
                self.configurations.adopted(node, configuration, self.chosen_stays.last())?;
            }
            Note::Rescans { keys } => seen.rescanned += *keys as u64,
            Note::Nonsense { from, why } => {
                return Err(Breach::new("sense", format!("{node} from {from}: {why}")));
            }
        }
        Ok(())
    }

    fn stepped(&mut self, _: NodeId, _: &Paxos) -> Result<(), Breach> {
        Ok(())
    }

    fn is_promise(message: &Message) -> bool {
        kept_promises::is_promise(message)
    }

    fn promised(
        &mut self,
        promise: &Promise<Message>,
        _: &Paxos,
        disk: &Records<Paxos>,
    ) -> Result<(), Breach> {
        self.kept_promises.made(promise.from, &promise.message, disk)
    }

    fn recovered(&mut self, node: NodeId, core: &Paxos) -> Result<(), Breach> {
        self.sightings.promises_kept += self.kept_promises.recovered(node, core)?;
        // The first one is adopted by nobody, and chosen before anything was.
        self.configurations.adopted(node, core.configuration(), std::iter::empty())
    }

    fn crashed(&mut self, _: NodeId) {}

    fn glanced(&mut self, _: &[(NodeId, &Paxos)], _: bool) -> Result<(), Breach> {
        Ok(())
    }

    fn sightings(&self) -> Vec<(&'static str, u64)> {
        let seen = &self.sightings;
        let mut all = vec![
            ("proposals prepared", seen.prepared),
            ("proposals at once", seen.at_once),
            ("proposals for several requests", seen.batches),
            ("proposals chosen", seen.chosen),
            ("proposals overtaken", seen.overtaken),
            ("proposals overtaken again and again", seen.again_and_again),
            ("requests given up", seen.given_up),
            ("tombstones collected", seen.collected),
            ("tombstones not collected", seen.not_collected),
            ("proposals from before a collection", seen.too_young),
            ("promises kept over a crash", seen.promises_kept),
        ];
        // Only where members come and go.
        if seen.configurations > 0 {
            all.push(("configurations", seen.configurations));
            all.push(("nodes that joined", seen.joined));
            all.push(("keys proposed again for new members", seen.rescanned));
        }
        all
    }
}
