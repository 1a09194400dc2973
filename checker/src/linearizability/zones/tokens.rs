//! What was put and appended to a key, and how to find it again in what a get returned.
//!
//! Text that was joined can be taken apart in one way only if none of its pieces begins another
//! one (a prefix code). Whatever does not fit that is left to other engines.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Flaw;
use super::slots::START;
use crate::history::ValueId;
use crate::model::{Call, Content, KvOperation};

/// Pieces of what a key held, each with the slot of whoever wrote it.
#[derive(Debug)]
pub(super) struct Tokens {
    pieces: Pieces,
    /// Whether slots are those of puts, or of what a key held at first: nothing comes before them.
    roots: Vec<bool>,
}

#[derive(Debug)]
enum Pieces {
    /// Text in order, so that what a text begins with comes right before it.
    Text(Vec<(Arc<str>, u32)>),
    /// The writers of items, and the whole lists of those who wrote several.
    List(FxHashMap<ValueId, u32>, FxHashMap<u32, Arc<[ValueId]>>),
}

/// Two operations wrote it.
const AMBIGUOUS: u32 = u32::MAX;

impl Tokens {
    /// The pieces that these operations wrote, after what the key held at first. Slots are
    /// numbered by operation that writes, from 1.
    pub(super) fn new(start: &Content, calls: &[Call<KvOperation>]) -> Result<Self, Flaw> {
        let mut written: Vec<(&Content, u32)> = Vec::new();
        let mut roots = vec![false];
        if length(start) > 0 {
            roots[START as usize] = true;
            written.push((start, START));
        }
        for call in calls {
            let (KvOperation::Put(content) | KvOperation::Append(content)) = &call.operation else {
                continue;
            };
            if length(content) == 0 {
                return Err(Flaw::Unsuitable);
            }
            written.push((content, roots.len() as u32));
            roots.push(matches!(call.operation, KvOperation::Put(_)));
        }
        let pieces = match start {
            Content::Text(_) => texts(&written)?,
            Content::List(_) => lists(&written),
            Content::Whole(_) | Content::Unseen => return Err(Flaw::Unsuitable),
        };
        Ok(Tokens { pieces, roots })
    }

    /// How many slots there are, with that of the start.
    pub(super) fn slots(&self) -> usize {
        self.roots.len()
    }

    /// The slot whose value everything in this content was appended to, and how much of the content
    /// that is; `None` if there can be no such slot.
    pub(super) fn root(&self, content: &Content) -> Result<Option<(u32, usize)>, Flaw> {
        let starts_empty = !self.roots[START as usize];
        match self.at(content, 0)? {
            Some((slot, end)) if self.roots[slot as usize] => Ok(Some((slot, end))),
            Some(_) if starts_empty => Ok(Some((START, 0))),
            None if starts_empty && length(content) == 0 => Ok(Some((START, 0))),
            Some(_) | None => Ok(None),
        }
    }

    /// Who appended what stands at a position, and where that ends; `None` if nobody can have.
    pub(super) fn appended(
        &self,
        content: &Content,
        position: usize,
    ) -> Result<Option<(u32, usize)>, Flaw> {
        let piece = self.at(content, position)?;
        Ok(piece.filter(|&(slot, _)| !self.roots[slot as usize]))
    }

    /// The piece at a position, and where it ends.
    fn at(&self, content: &Content, position: usize) -> Result<Option<(u32, usize)>, Flaw> {
        let found = match (&self.pieces, content) {
            (Pieces::Text(pieces), Content::Text(text)) => {
                let rest = &text.as_bytes()[position..];
                let after = pieces.partition_point(|(piece, _)| piece.as_bytes() <= rest);
                let begins = after.checked_sub(1).map(|before| &pieces[before]);
                let begins = begins.filter(|(piece, _)| rest.starts_with(piece.as_bytes()));
                begins.map(|(piece, slot)| (*slot, position + piece.len()))
            }
            (Pieces::List(writers, wholes), Content::List(items)) => {
                let rest = &items[position..];
                let slot = rest.first().and_then(|item| writers.get(item)).copied();
                let whole = slot.and_then(|slot| wholes.get(&slot));
                let len = whole.map_or(1, |whole| whole.len());
                let fits = whole.is_none_or(|whole| rest.starts_with(whole));
                slot.filter(|_| fits).map(|slot| (slot, position + len))
            }
            _ => None,
        };
        match found {
            Some((AMBIGUOUS, _)) => Err(Flaw::Unsuitable),
            _ => Ok(found),
        }
    }
}

/// How long a content is, in bytes or items.
pub(super) fn length(content: &Content) -> usize {
    match content {
        Content::Text(text) => text.len(),
        Content::List(items) => items.len(),
        Content::Whole(_) | Content::Unseen => 0,
    }
}

fn texts(written: &[(&Content, u32)]) -> Result<Pieces, Flaw> {
    let mut pieces: Vec<(Arc<str>, u32)> = Vec::with_capacity(written.len());
    for (content, slot) in written {
        let Content::Text(text) = content else { return Err(Flaw::Unsuitable) };
        pieces.push((Arc::clone(text), *slot));
    }
    pieces.sort_unstable();
    pieces.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            earlier.1 = AMBIGUOUS;
        }
        is_same
    });
    let is_prefix = |pair: &[(Arc<str>, u32)]| pair[1].0.starts_with(&*pair[0].0);
    match pieces.windows(2).any(is_prefix) {
        true => Err(Flaw::Unsuitable),
        false => Ok(Pieces::Text(pieces)),
    }
}

fn lists(written: &[(&Content, u32)]) -> Pieces {
    let mut writers = FxHashMap::default();
    let mut wholes = FxHashMap::default();
    for &(content, slot) in written {
        let Content::List(items) = content else { continue };
        for item in items.iter() {
            let writer = writers.entry(*item).or_insert(slot);
            if *writer != slot {
                *writer = AMBIGUOUS;
            }
        }
        if items.len() > 1 {
            wholes.insert(slot, Arc::clone(items));
        }
    }
    Pieces::List(writers, wholes)
}
