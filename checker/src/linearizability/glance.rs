//! The short way to a verdict: registers whose values are unique and whose history is
//! linearizable, decided in the columns of the history without decoding them first.
//!
//! That is what a test of a sound store ends with nearly always, and by far the longest histories
//! are of this kind. Whatever is not so simple goes the long way from the start.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rayon::prelude::*;

use super::zones::{Columns, order_columns};
use super::{Budget, Engine, Examined, Options, Verdict, Witness};
use crate::history::{History, OpId};
use crate::model::{CasRegister, Model, RegisterDecoder, Specification, by_key};

/// Decides a history this way, if it can be.
pub(super) fn examine(history: &History, model: &Model, options: &Options) -> Option<Examined> {
    if options.engine.is_some_and(|engine| engine != Engine::Zones) {
        return None;
    }
    let register = CasRegister::of(model, history)?;
    let decoder = RegisterDecoder::new(history, &register);
    let budget = Budget::new(options.time, options.memory);
    let mut keys: Vec<Vec<OpId>> = by_key(history).into_iter().map(|(_, ids)| ids).collect();
    keys.sort_by_key(|ids| Reverse(ids.len()));
    let order = |ids: Vec<OpId>| {
        let columns = Columns { history, decoder: &decoder, ids: &ids };
        let mut order = order_columns(columns, register.init(), &budget)?;
        order.iter_mut().for_each(|index| *index = ids[*index as usize].0);
        Some(order.into_iter().map(OpId).collect())
    };
    let parts = keys.len();
    let orders: Option<Vec<Vec<OpId>>> = keys.into_par_iter().with_max_len(1).map(order).collect();
    Some(Examined {
        verdict: Verdict::Valid(Witness::merge(history, orders?)),
        parts,
        engines: BTreeMap::from([(Engine::Zones, parts)]),
        memory: budget.peak(),
    })
}
