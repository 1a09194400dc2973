//! The definitions, tried out on small histories of one key.

use std::collections::BTreeSet;

use rashomon_checker::consistency::Clocks;
use rashomon_checker::history::{EventType, Value};

use crate::scribe::Op;

/// Where a value comes from: before all writes, or a place among them.
type Source = Option<usize>;

/// What the definitions need of a history.
pub(crate) struct Facts {
    /// Acknowledged and unsure, by invocation.
    pub(crate) writes: Vec<Op>,
    pub(crate) reads: Vec<Op>,
    /// Compare-and-sets that failed, and may have shown anything.
    failed: Vec<Op>,
    end: u64,
    clocks: Clocks,
}

fn brought(op: &Op) -> Value {
    match op.input.as_list() {
        Some([_, new]) if op.f == "cas" => new.clone(),
        _ => op.input.clone(),
    }
}

impl Facts {
    pub(crate) fn of(ops: &[Op], end: u64, clocks: Clocks) -> Self {
        let mut ops = ops.to_vec();
        ops.sort_by_key(|op| op.call);
        let is_write = |op: &&Op| op.f != "read" && op.kind != EventType::Fail;
        let is_read = |op: &&Op| op.f == "read" && op.kind == EventType::Ok;
        let is_failed = |op: &&Op| op.f == "cas" && op.kind == EventType::Fail;
        let failed = ops.iter().filter(is_failed).cloned().collect();
        let writes = ops.iter().filter(is_write).cloned().collect();
        let reads = ops.iter().filter(is_read).cloned().collect();
        Facts { writes, reads, failed, end, clocks }
    }

    fn is_acknowledged(&self, write: usize) -> bool {
        self.writes[write].kind == EventType::Ok
    }

    pub(crate) fn has_deletes(&self) -> bool {
        self.writes.iter().any(|write| write.f == "delete")
    }

    fn writers(&self, value: &Value) -> Vec<usize> {
        (0..self.writes.len()).filter(|at| brought(&self.writes[*at]) == *value).collect()
    }

    /// Every source that a read may have.
    fn sources(&self, read: &Op) -> Vec<Source> {
        let begun = |at: &usize| self.writes[*at].call < read.ret;
        let mut sources: Vec<Source> =
            self.writers(&read.output).into_iter().filter(begun).map(Some).collect();
        if read.output.is_nil() {
            sources.push(None);
        }
        sources
    }

    /// What is certain whatever is promised: pairs of an older and a newer write.
    fn certain(&self, by_clock: bool) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for (new, write) in self.writes.iter().enumerate() {
            for (old, other) in self.writes.iter().enumerate() {
                let clock = match self.clocks {
                    Clocks::Within(apart) => {
                        self.is_acknowledged(old)
                            && other.ret + (apart.as_nanos() as u64) < write.call
                    }
                    Clocks::Hybrid => self.node_knew(old, new),
                    Clocks::Unknown => false,
                };
                let found = match write.input.as_list() {
                    Some([expected, _]) if write.f == "cas" && !expected.is_nil() => {
                        *expected == brought(other)
                    }
                    _ => false,
                };
                let found = found && self.is_acknowledged(new) && other.call < write.ret;
                if old != new && (found || (by_clock && clock)) {
                    pairs.push((old, new));
                }
            }
        }
        pairs
    }

    /// Whether the node of a write had written or read another one before.
    fn node_knew(&self, old: usize, new: usize) -> bool {
        let write = &self.writes[new];
        let before = |op: &Op| op.node == write.node && op.ret < write.call;
        let read_it =
            |read: &Op| before(read) && self.sources(read) == [Some(old)] && !read.output.is_nil();
        let wrote_it = self.is_acknowledged(old) && before(&self.writes[old]);
        self.is_acknowledged(new) && (wrote_it || self.reads.iter().any(read_it))
    }

    /// Whether some order of the writes agrees with what is certain and with `holds`, which is told
    /// the place of every write in that order, from 1.
    fn some_order(&self, certain: &[(usize, usize)], holds: &dyn Fn(&[usize]) -> bool) -> bool {
        let mut places = vec![0; self.writes.len()];
        self.place(1, &mut places, certain, holds)
    }

    fn place(
        &self,
        next: usize,
        places: &mut Vec<usize>,
        certain: &[(usize, usize)],
        holds: &dyn Fn(&[usize]) -> bool,
    ) -> bool {
        if next > places.len() {
            return holds(places);
        }
        for write in 0..places.len() {
            let is_free = places[write] == 0;
            let is_next = certain.iter().all(|(old, new)| *new != write || places[*old] != 0);
            if is_free && is_next {
                places[write] = next;
                let found = self.place(next + 1, places, certain, holds);
                places[write] = 0;
                if found {
                    return true;
                }
            }
        }
        false
    }

    /// Whether what is certain leaves an order at all.
    pub(crate) fn is_sane(&self) -> bool {
        self.some_order(&self.certain(true), &|_| true)
            && self.some_order(&self.certain(false), &|_| true)
    }

    pub(crate) fn read_your_writes(&self) -> bool {
        self.some_order(&self.certain(true), &|places| {
            self.reads.iter().all(|read| {
                let own = (0..places.len()).filter(|at| {
                    let write = &self.writes[*at];
                    write.process == read.process
                        && write.ret < read.call
                        && self.is_acknowledged(*at)
                });
                let least = own.map(|at| places[at]).max().unwrap_or(0);
                let sources = self.sources(read);
                sources.is_empty() || sources.iter().any(|it| place(places, *it) >= least)
            })
        })
    }

    pub(crate) fn monotonic_reads(&self) -> bool {
        self.some_order(&self.certain(true), &|places| {
            let processes: BTreeSet<u64> = self.reads.iter().map(|read| read.process).collect();
            processes.into_iter().all(|process| {
                // The least place that each read can have, one after the other, is the best choice.
                let mut least = 0;
                self.reads.iter().filter(|read| read.process == process).all(|read| {
                    let sources = self.sources(read);
                    let mut fit: Vec<usize> = sources.iter().map(|it| place(places, *it)).collect();
                    fit.retain(|place| *place >= least);
                    least = fit.iter().copied().min().unwrap_or(least);
                    sources.is_empty() || !fit.is_empty()
                })
            })
        })
    }

    /// Monotonic writes, or writes that follow reads.
    pub(crate) fn writes_in_order(&self, of_reads: bool) -> bool {
        let finals: Vec<&Op> = self.reads.iter().filter(|read| read.call > self.end).collect();
        let agreed = finals.windows(2).all(|pair| pair[0].output == pair[1].output);
        let left = finals.first().filter(|_| agreed).map(|read| (self.sources(read), read.call));
        let ends = |places: &[usize]| match &left {
            Some((sources, since)) if sources.len() == 1 && sources[0].is_some() => {
                let newest = place(places, sources[0]);
                (0..places.len()).all(|at| {
                    let counts = self.is_acknowledged(at) && self.writes[at].ret < *since;
                    !counts || places[at] <= newest
                })
            }
            _ => true,
        };
        // What is left may be impossible whatever sessions did: that is a lost write.
        let certain = self.certain(false);
        if !self.some_order(&certain, &ends) {
            return true;
        }
        self.some_order(&certain, &|places| {
            ends(places)
                && (0..places.len()).all(|at| {
                    let write = &self.writes[at];
                    let earlier = |op: &&Op| op.process == write.process && op.ret < write.call;
                    match of_reads {
                        true => self.reads.iter().filter(earlier).all(|read| {
                            let sources = self.sources(read);
                            sources.is_empty()
                                || sources.iter().any(|it| place(places, *it) <= places[at])
                        }),
                        false => (0..at).all(|old| {
                            let is_earlier =
                                earlier(&&self.writes[old]) && self.is_acknowledged(old);
                            !is_earlier || places[old] <= places[at]
                        }),
                    }
                })
        })
    }

    /// Whether no acknowledged write, or delete, is lost from a register.
    pub(crate) fn nothing_lost(&self, deletes: bool) -> bool {
        let finals: Vec<&Op> = self.last();
        if finals.iter().any(|read| self.sources_ever(read).is_empty()) {
            return true;
        }
        let certain = self.certain(true);
        (0..self.writes.len()).filter(|at| self.counts(*at, deletes)).all(|write| {
            finals.is_empty()
                || finals.iter().flat_map(|read| self.sources_ever(read)).any(|source| {
                    self.some_order(&certain, &|places| place(places, source) >= places[write])
                })
        })
    }

    fn counts(&self, write: usize, deletes: bool) -> bool {
        let op = &self.writes[write];
        self.is_acknowledged(write)
            && (op.f == "delete") == deletes
            && self.last().iter().all(|read| op.ret < read.call)
    }

    fn sources_ever(&self, read: &Op) -> Vec<Source> {
        let mut sources: Vec<Source> = self.writers(&read.output).into_iter().map(Some).collect();
        if read.output.is_nil() {
            sources.push(None);
        }
        sources
    }

    /// The last final read of every node.
    fn last(&self) -> Vec<&Op> {
        let finals = self.reads.iter().filter(|read| read.call > self.end);
        let is_last = |read: &&Op| {
            let later = self.reads.iter().filter(|it| it.call > read.call && it.node == read.node);
            later.count() == 0
        };
        finals.filter(is_last).collect()
    }

    pub(crate) fn converged(&self) -> bool {
        self.last().windows(2).all(|pair| pair[0].output == pair[1].output)
    }

    pub(crate) fn nothing_from_nowhere(&self) -> bool {
        self.reads.iter().all(|read| match read.output.as_list() {
            Some(items) => items.iter().all(|item| {
                self.writers(item).iter().any(|write| self.writes[*write].call < read.ret)
            }),
            None => !self.sources(read).is_empty(),
        })
    }
}

fn place(places: &[usize], source: Source) -> usize {
    source.map_or(0, |write| places[write])
}

/// The definitions for values side by side.
impl Facts {
    /// Which operation may have seen which: `[from][to]`, writes first, then reads.
    fn causes(&self) -> Vec<Vec<bool>> {
        let ops: Vec<&Op> = self.writes.iter().chain(&self.reads).chain(&self.failed).collect();
        let is_cause = |from: usize, to: usize| {
            let session = ops[from].process == ops[to].process && ops[from].ret < ops[to].call;
            let seen = from < self.writes.len()
                && to >= self.writes.len()
                && ops[from].call < ops[to].ret
                && (ops[to].f == "cas" || seen(ops[to]).contains(&brought(ops[from])));
            session || seen
        };
        closed(
            (0..ops.len())
                .map(|from| (0..ops.len()).map(|to| is_cause(from, to)).collect())
                .collect(),
        )
    }

    fn covers(&self, causes: &[Vec<bool>], read: &Op, write: usize) -> bool {
        let shown = seen(read).into_iter().flat_map(|value| self.writers(&value));
        let begun = || self.writes.iter().enumerate().filter(|(_, op)| op.call < read.ret);
        let deletes = begun().filter(|(_, op)| op.f == "delete").map(|(at, _)| at);
        let found = begun().filter_map(|(_, op)| expected(op)).flat_map(|it| self.writers(&it));
        let deletes = deletes.chain(found);
        let mut causes = shown.chain(deletes).map(|by| by == write || causes[write][by]);
        causes.any(|covers| covers)
    }

    pub(crate) fn no_value_lost(&self) -> bool {
        let (causes, last) = (self.causes(), self.last());
        (0..self.writes.len())
            .filter(|write| self.counts(*write, false))
            .all(|write| last.is_empty() || last.iter().any(|it| self.covers(&causes, it, write)))
    }

    pub(crate) fn own_values_in_sight(&self) -> bool {
        let causes = self.causes();
        self.reads.iter().all(|read| {
            (0..self.writes.len()).all(|at| {
                let write = &self.writes[at];
                let is_own = write.process == read.process && write.ret < read.call;
                let is_own = is_own && self.is_acknowledged(at) && write.f != "delete";
                !is_own || self.covers(&causes, read, at)
            })
        })
    }

    pub(crate) fn seen_values_in_sight(&self) -> bool {
        let causes = self.causes();
        self.reads.iter().all(|read| {
            let is_earlier = |it: &&Op| it.process == read.process && it.ret < read.call;
            self.reads.iter().filter(is_earlier).all(|earlier| {
                let values = seen(earlier);
                let mut writes = values.iter().flat_map(|value| self.writers(value));
                writes.all(|write| self.covers(&causes, read, write))
            })
        })
    }

    /// Which write certainly replaced which: `[old][new]`.
    fn replaced(&self) -> Vec<Vec<bool>> {
        let count = self.writes.len();
        let mut replaced = vec![vec![false; count]; count];
        for (new, write) in self.writes.iter().enumerate() {
            if write.f == "cas" {
                let found = expected(write).into_iter().flat_map(|value| self.writers(&value));
                found.filter(|old| *old != new).for_each(|old| replaced[old][new] = true);
                continue;
            }
            let mut own =
                self.reads.iter().filter(|it| it.process == write.process && it.ret < write.call);
            let Some(last) = own.next_back() else { continue };
            for old in seen(last).iter().flat_map(|value| self.writers(value)) {
                replaced[old][new] |= self.writes[old].call < last.ret;
            }
        }
        closed(replaced)
    }

    pub(crate) fn no_false_concurrency(&self) -> bool {
        let replaced = self.replaced();
        self.reads.iter().all(|read| {
            let shown: Vec<usize> =
                seen(read).iter().flat_map(|value| self.writers(value)).collect();
            shown.iter().all(|old| shown.iter().all(|new| old == new || !replaced[*old][*new]))
        })
    }

    pub(crate) fn nothing_back(&self) -> bool {
        let replaced = self.replaced();
        (0..self.writes.len()).filter(|at| self.counts(*at, true)).all(|delete| {
            self.last().iter().all(|read| {
                let values = seen(read);
                let mut shown = values.iter().flat_map(|value| self.writers(value));
                shown.all(|old| !replaced[old][delete])
            })
        })
    }
}

/// What a compare-and-set found.
fn expected(op: &Op) -> Option<Value> {
    let pair = op.input.as_list().filter(|_| op.f == "cas")?;
    pair.first().filter(|expected| !expected.is_nil()).cloned()
}

fn seen(read: &Op) -> Vec<Value> {
    read.output.as_list().map(<[Value]>::to_vec).unwrap_or_default()
}

fn closed(mut relation: Vec<Vec<bool>>) -> Vec<Vec<bool>> {
    for via in 0..relation.len() {
        for from in 0..relation.len() {
            for to in 0..relation.len() {
                relation[from][to] |= relation[from][via] && relation[via][to];
            }
        }
    }
    relation
}
