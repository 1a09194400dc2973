//! Where zones take the operations of a register from.

use std::borrow::Cow;

use super::Flaw;
use crate::history::{History, OpId, Outcome};
use crate::model::{Call, RegisterDecoder, RegisterOperation};

/// Operations by index. In most histories this is all that takes time, so every kind of rows is
/// read by code of its own.
pub(super) trait Rows {
    /// How many there are.
    fn len(&self) -> usize;

    /// The operation at an index; `None` if it certainly did not happen, or says nothing.
    fn get(&self, index: usize) -> Result<Option<Call<RegisterOperation>>, Flaw>;
}

/// Operations that are decoded.
impl Rows for Cow<'_, [Call<RegisterOperation>]> {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    #[inline]
    fn get(&self, index: usize) -> Result<Option<Call<RegisterOperation>>, Flaw> {
        Ok(Some(self[index]))
    }
}

/// Operations as they stand in the columns of a history.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    /// The history.
    pub(crate) history: &'a History,
    /// What its operations mean.
    pub(crate) decoder: &'a RegisterDecoder<'a>,
    /// The operations of one register.
    pub(crate) ids: &'a [OpId],
}

impl Rows for Columns<'_> {
    fn len(&self) -> usize {
        self.ids.len()
    }

    #[inline]
    fn get(&self, index: usize) -> Result<Option<Call<RegisterOperation>>, Flaw> {
        let row = self.history.operation(self.ids[index]);
        let decoded = self.decoder.decode(row).map_err(|_| Flaw::Unsuitable)?;
        let happened = row.outcome() != Outcome::Fail;
        let call = |operation| Call { id: row.id(), operation, call: row.call(), ret: row.ret() };
        Ok(decoded.filter(|_| happened).map(call))
    }
}
