//! The short way to a verdict: one register whose values are unique and whose history is
//! linearizable, decided in the columns of the history without decoding it first.
//!
//! The longest histories are of this kind. Whatever is not so simple goes the long way from the
//! start.

use std::collections::BTreeMap;

use super::zones::{Columns, order_columns};
use super::{Budget, Engine, Examined, Options, Verdict, Witness};
use crate::history::{History, OpId};
use crate::model::{CasRegister, Model, RegisterDecoder, Specification};

/// Decides a history this way, if it can be.
pub(super) fn examine(history: &History, model: &Model, options: &Options) -> Option<Examined> {
    let register = CasRegister::of(model, history)?;
    let mut keys = history.operations().map(|operation| operation.key_id());
    let key = keys.next()?;
    if options.engine.is_some_and(|engine| engine != Engine::Zones) || keys.any(|k| k != key) {
        return None;
    }
    let decoder = &RegisterDecoder::new(history, &register);
    let budget = Budget::new(options.time, options.memory);
    let order = order_columns(Columns { history, decoder }, register.init(), &budget)?;
    Some(Examined {
        verdict: Verdict::Valid(Witness { order: order.into_iter().map(OpId).collect() }),
        parts: 1,
        engines: BTreeMap::from([(Engine::Zones, 1)]),
        memory: budget.peak(),
    })
}
