//! Where zones take the operations of a register from.

use std::borrow::Cow;

use super::Flaw;
use crate::history::{History, OpId, Operation, Outcome};
use crate::model::{Call, RegisterDecoder, RegisterOperation};

/// Operations by index. To read them is most of the work, so every kind of rows is read by code of
/// its own.
pub(super) trait Rows {
    /// How many there are, with those that are not visited.
    fn len(&self) -> usize;

    /// Visits the operations with their indices, but for those that certainly did not happen or
    /// say nothing.
    fn each(
        &self,
        visit: impl FnMut(u32, Call<RegisterOperation>) -> Result<(), Flaw>,
    ) -> Result<(), Flaw>;

    /// The rank of an invocation.
    fn call(&self, index: u32) -> u32;
}

/// Operations that are decoded.
impl Rows for Cow<'_, [Call<RegisterOperation>]> {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    #[inline(always)]
    fn each(
        &self,
        mut visit: impl FnMut(u32, Call<RegisterOperation>) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        for (index, call) in (0..).zip(self.iter()) {
            visit(index, *call)?;
        }
        Ok(())
    }

    fn call(&self, index: u32) -> u32 {
        self[index as usize].call
    }
}

/// Operations as they stand in the columns of a history of one register.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    /// The history.
    pub(crate) history: &'a History,
    /// What its operations mean.
    pub(crate) decoder: &'a RegisterDecoder<'a>,
}

impl Columns<'_> {
    /// What an operation did, whatever it was.
    #[inline(never)]
    fn decode(&self, row: Operation<'_>) -> Result<Option<RegisterOperation>, Flaw> {
        let decoded = self.decoder.decode(row).map_err(|_| Flaw::Unsuitable)?;
        Ok(decoded.filter(|_| row.outcome() != Outcome::Fail))
    }
}

impl Rows for Columns<'_> {
    fn len(&self) -> usize {
        self.history.len()
    }

    #[inline(always)]
    fn each(
        &self,
        mut visit: impl FnMut(u32, Call<RegisterOperation>) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        for index in 0..self.len() as u32 {
            let row = self.history.operation(OpId(index));
            let operation = match self.decoder.decode_plain(row) {
                None => self.decode(row)?,
                plain => plain,
            };
            if let Some(operation) = operation {
                visit(index, Call { id: row.id(), operation, call: row.call(), ret: row.ret() })?;
            }
        }
        Ok(())
    }

    fn call(&self, index: u32) -> u32 {
        self.history.operation(OpId(index)).call()
    }
}
