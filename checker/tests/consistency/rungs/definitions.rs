//! The rungs as their authors define them, tried out on small histories: some order, or some order
//! for each process or operation, of all orders there are.
//!
//! A compare-and-set is a read and then a write, but one step of a sequential order. Crashed
//! operations happened or did not, failed ones did not.

use std::collections::HashSet;

use rashomon_checker::consistency::Promise;
use rashomon_checker::history::{EventType, Value};

use crate::scribe::Op;

/// A read, a write, or both in one step.
#[derive(Clone, Debug)]
struct Node {
    op: usize,
    process: u64,
    key: &'static str,
    read: Option<Value>,
    write: Option<Value>,
    call: u64,
    ret: u64,
}

/// Nodes, and for each the set of those that come before it.
#[derive(Clone, Debug)]
struct Frame {
    nodes: Vec<Node>,
    before: Vec<u32>,
}

/// Whether some choice of what crashed operations did makes the rung hold.
pub(crate) fn holds(ops: &[Op], rung: Promise) -> bool {
    let mut ops: Vec<Op> = ops.iter().filter(|op| op.kind != EventType::Fail).cloned().collect();
    ops.retain(|op| op.f != "read" || op.kind == EventType::Ok);
    ops.sort_by_key(|op| (op.process, op.call));
    let crashed: Vec<usize> =
        (0..ops.len()).filter(|at| ops[*at].kind == EventType::Info).collect();
    (0..1u32 << crashed.len()).any(|dropped| {
        let is_dropped = |at: &usize| {
            crashed.iter().position(|it| it == at).is_some_and(|bit| dropped & (1 << bit) != 0)
        };
        let kept = (0..ops.len()).filter(|at| !is_dropped(at)).map(|at| ops[at].clone());
        happened(&kept.collect::<Vec<_>>(), rung)
    })
}

/// The same of operations that all happened.
fn happened(ops: &[Op], rung: Promise) -> bool {
    let whole = Frame::of(ops, false);
    let split = Frame::of(ops, true);
    match rung {
        Promise::Sequential => whole.has_order(whole.all(), whole.all()),
        Promise::Pram => split.processes().into_iter().all(|process| {
            let own = split.those(|node| node.process == process);
            split.has_order(split.those(|node| node.write.is_some()) | own, own)
        }),
        Promise::Coherence => split.nodes.iter().all(|of| {
            let own = split.those(|node| node.key == of.key);
            split.has_order(own, own)
        }),
        Promise::Causal => split.causal_orders().iter().any(Frame::is_causal),
        Promise::CausalMemory => split.causal_orders().iter().any(Frame::is_causal_memory),
        Promise::CausalConvergence => split.causal_orders().iter().any(Frame::is_convergent),
        Promise::Regular => (0..split.nodes.len()).all(|read| split.is_regular(read, ops)),
        Promise::Safe => (0..split.nodes.len())
            .all(|read| split.is_disturbed(read) || split.is_regular(read, ops)),
        _ => panic!("{rung} is no rung"),
    }
}

impl Frame {
    /// Operations by process, with the order of each.
    fn of(ops: &[Op], splits: bool) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            let (process, key, call) = (op.process, op.key, op.call);
            let ret = if op.kind == EventType::Ok { op.ret } else { u64::MAX };
            let node = |read, write| Node { op: at, process, key, read, write, call, ret };
            match (op.f, op.input.as_list()) {
                ("read", _) => nodes.push(node(Some(op.output.clone()), None)),
                ("cas", Some([found, new])) if splits => {
                    nodes.push(node(Some(found.clone()), None));
                    nodes.push(node(None, Some(new.clone())));
                }
                ("cas", Some([found, new])) => {
                    nodes.push(node(Some(found.clone()), Some(new.clone())));
                }
                _ => nodes.push(node(None, Some(op.input.clone()))),
            }
        }
        let earlier = |at: usize| {
            let is_own = |other: &usize| nodes[*other].process == nodes[at].process;
            (0..at).filter(is_own).map(|other| 1 << other).sum()
        };
        let before = (0..nodes.len()).map(earlier).collect();
        Frame { nodes, before }
    }

    fn all(&self) -> u32 {
        (1 << self.nodes.len()) - 1
    }

    fn those(&self, of: impl Fn(&Node) -> bool) -> u32 {
        let is_one = |at: &usize| of(&self.nodes[*at]);
        (0..self.nodes.len()).filter(is_one).map(|at| 1 << at).sum()
    }

    fn processes(&self) -> Vec<u64> {
        let mut processes: Vec<u64> = self.nodes.iter().map(|node| node.process).collect();
        processes.dedup();
        processes
    }

    /// Whether there is an order of these nodes in which each of the visible reads sees the last
    /// write of its key.
    fn has_order(&self, nodes: u32, visible: u32) -> bool {
        self.extend(nodes, visible, 0, &mut Vec::new(), &mut HashSet::new())
    }

    /// `held` are the last writes of each key so far.
    fn extend(
        &self,
        nodes: u32,
        visible: u32,
        done: u32,
        held: &mut Vec<(&'static str, usize)>,
        seen: &mut HashSet<(u32, Vec<(&'static str, usize)>)>,
    ) -> bool {
        if done == nodes {
            return true;
        }
        if !seen.insert((done, held.clone())) {
            return false;
        }
        for (at, node) in self.nodes.iter().enumerate() {
            let bit = 1 << at;
            if nodes & bit == 0 || done & bit != 0 || self.before[at] & nodes & !done != 0 {
                continue;
            }
            let last = held.iter().find(|(key, _)| *key == node.key).map(|(_, last)| *last);
            let value = last.and_then(|last| self.nodes[last].write.clone());
            let fits = |read: &Value| *read == value.unwrap_or(Value::Nil);
            if visible & bit != 0 && !node.read.as_ref().is_none_or(fits) {
                continue;
            }
            let mut next = held.clone();
            if node.write.is_some() {
                next.retain(|(key, _)| *key != node.key);
                next.push((node.key, at));
                next.sort_unstable();
            }
            if self.extend(nodes, visible, done | bit, &mut next, seen) {
                return true;
            }
        }
        false
    }

    /// The least causal orders: one for each way to say which write a read saw. Whatever explains a
    /// history has one of them in it, and if that does, so does the least one.
    fn causal_orders(&self) -> Vec<Frame> {
        let mut orders = vec![self.clone()];
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(value) = &node.read else { continue };
            let writes =
                self.nodes.iter().enumerate().filter(|(_, write)| {
                    write.write.as_ref() == Some(value) && write.key == node.key
                });
            let mut sources: Vec<u32> = writes.map(|(write, _)| 1 << write).collect();
            if value.is_nil() {
                sources.push(0);
            }
            let with = |order: &Frame, source: &u32| {
                let mut order = order.clone();
                order.before[at] |= source;
                order
            };
            orders = orders
                .iter()
                .flat_map(|order| sources.iter().map(move |source| with(order, source)))
                .collect();
        }
        orders.iter_mut().for_each(Frame::close);
        orders.retain(|order| (0..order.nodes.len()).all(|at| order.before[at] & (1 << at) == 0));
        orders
    }

    fn close(&mut self) {
        for via in 0..self.nodes.len() {
            for at in 0..self.nodes.len() {
                if self.before[at] & (1 << via) != 0 {
                    self.before[at] |= self.before[via];
                }
            }
        }
    }

    /// CC: of each operation there is an order of its causal past that explains what it saw.
    fn is_causal(&self) -> bool {
        (0..self.nodes.len()).all(|at| self.has_order(self.before[at] | 1 << at, 1 << at))
    }

    /// CM: one that explains also what the process saw before.
    fn is_causal_memory(&self) -> bool {
        (0..self.nodes.len()).all(|at| {
            let own = self.those(|node| node.process == self.nodes[at].process);
            self.has_order(self.before[at] | 1 << at, own & ((2 << at) - 1))
        })
    }

    /// CCv: one order of all that explains what each operation saw, as to its causal past.
    fn is_convergent(&self) -> bool {
        let writes: Vec<usize> =
            (0..self.nodes.len()).filter(|at| self.nodes[*at].write.is_some()).collect();
        self.arbitrate(&writes, &mut Vec::new())
    }

    fn arbitrate(&self, writes: &[usize], order: &mut Vec<usize>) -> bool {
        if order.len() == writes.len() {
            return (0..self.nodes.len()).all(|at| self.is_explained(at, order));
        }
        writes.iter().any(|&next| {
            let done: u32 = order.iter().map(|at| 1 << at).sum();
            let all: u32 = writes.iter().map(|at| 1 << at).sum();
            let is_free = done & (1 << next) == 0 && self.before[next] & all & !done == 0;
            if !is_free {
                return false;
            }
            order.push(next);
            let found = self.arbitrate(writes, order);
            order.pop();
            found
        })
    }

    fn is_explained(&self, read: usize, order: &[usize]) -> bool {
        let node = &self.nodes[read];
        let Some(value) = &node.read else { return true };
        let is_known = |at: &&usize| self.before[read] & (1 << **at) != 0;
        let mut known = order.iter().filter(is_known);
        let last = known.rfind(|at| self.nodes[**at].key == node.key);
        *value == last.and_then(|last| self.nodes[*last].write.clone()).unwrap_or(Value::Nil)
    }

    /// Whether some order of all writes that agrees with real time explains what a read saw that was
    /// answered.
    fn is_regular(&self, read: usize, ops: &[Op]) -> bool {
        let node = &self.nodes[read];
        if node.read.is_none() || ops[node.op].kind != EventType::Ok {
            return true;
        }
        let mut frame = self.clone();
        for (at, later) in self.nodes.iter().enumerate() {
            let is_over = |other: &usize| self.nodes[*other].ret < later.call;
            frame.before[at] = (0..self.nodes.len()).filter(is_over).map(|it| 1 << it).sum();
            if later.op == node.op && at > read {
                frame.before[at] |= 1 << read;
            }
        }
        let writes = frame.those(|other| other.write.is_some() && other.key == node.key);
        frame.has_order(writes | 1 << read, 1 << read)
    }

    fn is_disturbed(&self, read: usize) -> bool {
        let node = &self.nodes[read];
        self.nodes.iter().any(|other| {
            let is_other = other.write.is_some() && other.op != node.op && other.key == node.key;
            is_other && other.call < node.ret && node.call < other.ret
        })
    }
}

/// The least k for which some order that agrees with real time lets every read return one of the last
/// k writes of its key, what was there at first being one; `None` if there is none.
pub(crate) fn least_k(ops: &[Op]) -> Option<u32> {
    let frame = Frame::in_time(ops);
    let most = frame.nodes.len() as u32 + 1;
    (1..=most).find(|k| frame.has_stale_order(*k, 0, &mut Vec::new(), &mut HashSet::new()))
}

/// The least time by which all reads must have begun earlier to be linearizable; `None` if none is
/// enough.
pub(crate) fn least_delta(ops: &[Op]) -> Option<u64> {
    let ends = ops.iter().map(|op| op.ret);
    let reads = || ops.iter().filter(|op| op.f == "read");
    // What touches is concurrent, so a read need not begin before the end of anything.
    let gaps = ends.flat_map(|end| reads().map(move |read| read.call.saturating_sub(end)));
    let mut candidates: Vec<u64> = gaps.chain([0]).collect();
    candidates.sort_unstable();
    candidates.dedup();
    candidates.into_iter().find(|delta| {
        let earlier = |op: &Op| {
            let by = if op.f == "read" { *delta } else { 0 };
            Op { call: op.call.saturating_sub(by), ..op.clone() }
        };
        let ops: Vec<Op> = ops.iter().map(earlier).collect();
        let frame = Frame::in_time(&ops);
        frame.has_stale_order(1, 0, &mut Vec::new(), &mut HashSet::new())
    })
}

impl Frame {
    /// Operations that were all answered, with real time.
    fn in_time(ops: &[Op]) -> Self {
        let mut frame = Frame::of(ops, false);
        for at in 0..frame.nodes.len() {
            let call = frame.nodes[at].call;
            frame.before[at] = frame.those(|other| other.ret < call);
        }
        frame
    }

    /// Whether an order lets every read return one of the last k writes; `held` are the writes so far.
    fn has_stale_order(
        &self,
        k: u32,
        done: u32,
        held: &mut Vec<usize>,
        seen: &mut HashSet<(u32, Vec<usize>)>,
    ) -> bool {
        if done == self.all() {
            return true;
        }
        if !seen.insert((done, held.clone())) {
            return false;
        }
        (0..self.nodes.len()).any(|at| {
            let (node, bit) = (&self.nodes[at], 1 << at);
            if done & bit != 0 || self.before[at] & !done != 0 {
                return false;
            }
            if let Some(value) = &node.read {
                let own = held.iter().filter(|write| self.nodes[**write].key == node.key);
                let values =
                    own.map(|write| self.nodes[*write].write.clone().unwrap_or(Value::Nil));
                let all: Vec<Value> = [Value::Nil].into_iter().chain(values).collect();
                return all.iter().rev().take(k as usize).any(|it| it == value)
                    && self.has_stale_order(k, done | bit, held, seen);
            }
            held.push(at);
            let found = self.has_stale_order(k, done | bit, held, seen);
            held.pop();
            found
        })
    }
}
