//! Witnesses: the order that explains a history, and the verifier that believes nothing else.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::history::{History, NEVER, OpId};
use crate::model::{Model, ModelError, Part, Specification, Visitor};

/// One legal order of the operations of a history.
///
/// It holds every operation that happened, those of unknown outcome that it needs, and no failed
/// one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The operations, first to last.
    pub order: Vec<OpId>,
}

impl Witness {
    /// The operations with the ranks at which they may take effect: each at the later of its own
    /// invocation and the instant of its predecessor, which is always before its completion.
    pub fn points(&self, history: &History) -> Vec<(OpId, u32)> {
        let mut now = 0;
        let point = |&id: &OpId| {
            now = now.max(history.operation(id).call());
            (id, now)
        };
        self.order.iter().map(point).collect()
    }

    /// Joins the orders of independent parts into one of the whole history: every part's operations
    /// take effect at their [points](Self::points), and by those the parts are merged.
    pub(super) fn merge(history: &History, mut parts: Vec<Vec<OpId>>) -> Witness {
        if parts.len() <= 1 {
            return Witness { order: parts.pop().unwrap_or_default() };
        }
        let each = |visit: &mut dyn FnMut(u32, OpId)| {
            for order in &parts {
                let mut now = 0;
                for &id in order {
                    now = now.max(history.operation(id).call());
                    visit(now, id);
                }
            }
        };
        // Counting sort, which keeps a part in its own order where several operations take effect
        // at one point.
        let mut places = vec![0; history.ranks() as usize + 1];
        each(&mut |point, _| places[point as usize + 1] += 1);
        let mut total = 0;
        for place in &mut places {
            total += *place;
            *place = total;
        }
        let mut order = vec![OpId(0); total as usize];
        each(&mut |point, id| {
            order[places[point as usize] as usize] = id;
            places[point as usize] += 1;
        });
        Witness { order }
    }
}

/// Why an order explains nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The model cannot read the history.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An operation that comes twice, certainly did not happen, or is not of this history.
    #[error("operation {} has no place in the order, or has it twice", .0.0)]
    NotToBePlaced(OpId),
    /// An operation that happened and is not in the order.
    #[error("operation {} happened, but it is not in the order", .0.0)]
    Missing(OpId),
    /// Two operations against real time.
    #[error("operation {} stands before {}, but was over before that began", second.0, first.0)]
    AgainstTime {
        /// The operation that stands first and began later.
        first: OpId,
        /// The operation that stands later and was over.
        second: OpId,
    },
    /// A result that is impossible where the operation stands.
    #[error("operation {} is impossible where it stands: the state is {state}", operation.0)]
    Illegal {
        /// The operation.
        operation: OpId,
        /// The state before it.
        state: String,
    },
}

/// Verifies a witness without trusting whoever made it: the order respects real time, leaves out
/// nothing that happened, and replays step by step.
///
/// # Errors
///
/// [`CertificateError`] saying what is wrong with the order.
pub fn certify(
    history: &History,
    model: &Model,
    witness: &Witness,
) -> Result<(), CertificateError> {
    model.decode(history, Replay { history, order: &witness.order })?
}

struct Replay<'a> {
    history: &'a History,
    order: &'a [OpId],
}

impl Visitor for Replay<'_> {
    type Output = Result<(), CertificateError>;

    fn visit<S: Specification>(self, parts: Vec<Part<S>>) -> Self::Output {
        let mut unplaced = FxHashMap::default();
        let mut states: Vec<S::State> = Vec::with_capacity(parts.len());
        for (number, part) in parts.iter().enumerate() {
            states.push(part.specification.init());
            unplaced.extend(part.calls.iter().map(|call| (call.id, (number, call))));
        }
        let mut latest: Option<(u32, OpId)> = None;
        for &id in self.order {
            let (number, call) = unplaced.remove(&id).ok_or(CertificateError::NotToBePlaced(id))?;
            if let Some((begun, first)) = latest
                && call.ret < begun
            {
                return Err(CertificateError::AgainstTime { first, second: id });
            }
            latest = latest.max(Some((call.call, id)));
            let specification = &parts[number].specification;
            states[number] =
                specification.step(&states[number], &call.operation).ok_or_else(|| {
                    let state = specification.describe(self.history, &states[number]);
                    CertificateError::Illegal { operation: id, state }
                })?;
        }
        let missing = unplaced.into_iter().filter(|(_, (_, call))| call.ret != NEVER);
        missing.map(|(id, _)| id).min().map_or(Ok(()), |id| Err(CertificateError::Missing(id)))
    }
}
