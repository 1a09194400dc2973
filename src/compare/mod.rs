//! Stores side by side: one plan against each, and what each promises, keeps and costs.
//!
//! Linearizable or not is one bit. Who chooses a store wants to know what it does promise, at what
//! cost, and what it does when the network breaks. So every store gets the same operations at the same
//! times and the same schedule of faults, and what is said of it is derived from what its clients
//! saw: the promises it kept, the requests it answered on each side of a partition, how old its
//! reads were. The words are those of Brewer's conjecture (Gilbert and Lynch 2002) and of Abadi's PACELC
//! (IEEE Computer 2012), but no store is called by them for its name.
//!
//! | module | what it is |
//! |---|---|
//! | `contestant` | a store with its settings, as it is named on the command line |
//! | `plan` | the same for all: seeds, operations, faults |
//! | `contest` | a contestant's runs, live or simulated, added up |
//! | `measure` | what a run cost: answers, latency and recovery in each phase and on each side |
//! | `ladder` | promises kept and broken, over all runs |
//! | `reading` | what that comes to, in words |

pub mod contest;
pub mod contestant;
pub mod ladder;
pub mod measure;
pub mod plan;
pub mod reading;

use serde::Serialize;

use contest::Standing;

/// What came of it all.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The version of this form.
    pub schema: u32,
    /// Live or simulated.
    pub manner: plan::Manner,
    /// What was done to every store.
    pub plan: plan::Common,
    /// A short name of all operations and faults.
    pub digest: String,
    /// The command that repeats it.
    pub reproduce: String,
    /// The stores, in the order in which they were named.
    pub standings: Vec<Standing>,
    /// What it comes to, a sentence each.
    pub sentences: Vec<String>,
}

impl Comparison {
    /// The current version of the form.
    pub const SCHEMA: u32 = 1;

    /// Puts it together.
    pub fn new(
        manner: plan::Manner,
        plan: plan::Common,
        reproduce: String,
        standings: Vec<Standing>,
    ) -> Self {
        let sentences = reading::sentences(&standings, manner);
        let (schema, digest) = (Self::SCHEMA, plan.digest());
        Comparison { schema, manner, plan, digest, reproduce, standings, sentences }
    }
}
