//! What a run cost its clients: answers, latency and recovery, in each phase and on each side.
//!
//! All of it is derived from the history: from what clients did, and from what was recorded of faults.

use std::collections::BTreeSet;

use rashomon_checker::consistency::{Atomicity, MISMATCH, Options, atomicity, staleness};
use rashomon_checker::history::{History, Operation, Outcome};
use rashomon_nemesis::{Action, Grudge, Node};

use crate::campaign::chronicle::FaultSpan;
use crate::campaign::{FINAL_READERS, Recovery};
use crate::workload::script::{Planned, Script};

/// Requests, and what became of them.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Requests that were due.
    pub due: u64,
    /// Those of them that were never made: their client still waited for the answer to another. To leave
    /// them out of account would be to measure a store only while it serves.
    pub left_out: u64,
    /// Requests that were answered; that a compare-and-set found another value is an answer too.
    pub answered: u64,
    /// How long the answers took, in nanoseconds.
    pub latencies: Vec<u64>,
}

impl Load {
    fn count(&mut self, answered: bool, latency: Option<u64>) {
        self.due += 1;
        self.answered += u64::from(answered);
        self.latencies.extend(latency.filter(|_| answered));
    }

    /// Adds what another run saw.
    pub fn add(&mut self, other: Load) {
        self.due += other.due;
        self.left_out += other.left_out;
        self.answered += other.answered;
        self.latencies.extend(other.latencies);
    }

    /// Answered of those that were due; `None` if none was.
    pub fn share(&self) -> Option<f64> {
        (self.due > 0).then(|| self.answered as f64 / self.due as f64)
    }
}

/// A stale read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// When it was asked for, in nanoseconds since the run began.
    pub at_ns: u64,
    /// How long what it returned had been overwritten by then, in nanoseconds.
    pub behind_ns: u64,
    /// By how many writes, at least.
    pub versions: u32,
    /// Whether a fault stood.
    pub in_fault: bool,
}

/// What a run cost.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    /// Requests before the first fault, while one stood, and after.
    pub phases: [Load; 3],
    /// Requests while links were closed, of clients beside nodes that still exchanged messages with a
    /// majority, and of the others.
    pub sides: [Load; 2],
    /// After each fault that bit and was undone: how long it was until a client beside a node that it
    /// had struck got an answer to what it then asked, in nanoseconds. `None` if none ever did.
    pub recoveries: Vec<Option<u64>>,
    /// How long it took in the end until all nodes served and agreed, in milliseconds.
    pub converged_ms: Option<u64>,
    /// Reads of which it is known how old their answer was.
    pub reads: u64,
    /// Those of which it is not.
    pub unjudged: u64,
    /// Those of them whose answer had been overwritten before they began.
    pub stale: Vec<Stale>,
    /// How far from atomic its registers were.
    pub atomicity: Option<Atomicity>,
    /// Every request: when it was due, and whether it was answered.
    pub beats: Vec<(u64, bool)>,
    /// The faults, as they struck.
    pub faults: Vec<FaultSpan>,
}

impl Measures {
    /// Measures a run of these operations on so many nodes.
    pub fn of(
        history: &History,
        faults: &[FaultSpan],
        (script, nodes, client_links): (&Script, u16, bool),
        recovery: &Recovery,
        options: &Options,
    ) -> Self {
        let faults: Vec<Fault> = faults.iter().map(|span| Fault::new(span, nodes)).collect();
        let mut measures = Measures {
            recoveries: vec![None; faults.iter().filter(|fault| fault.is_over_and_bit()).count()],
            converged_ms: recovery.took_ms,
            faults: faults.iter().map(|fault| fault.span.clone()).collect(),
            ..Measures::default()
        };
        let clients = u64::from(script.clients());
        for operation in history.operations() {
            if operation.process() < FINAL_READERS {
                let site = site(operation.process() % clients.max(1), nodes);
                measures.count_made(operation, (site, client_links), &faults);
            }
        }
        for planned in left_out(history, script) {
            let at = planned.at.as_nanos() as u64;
            let site = site(planned.client.into(), nodes);
            for load in measures.loads(at, client_links.then_some(site), &faults) {
                load.due += 1;
                load.left_out += 1;
            }
            measures.beats.push((at, false));
        }
        measures.atomicity = Some(atomicity::atomicity(history, options));
        let old = staleness(history, options);
        (measures.reads, measures.unjudged) = (old.reads, old.unjudged);
        for stale in old.stale {
            let operation = history.operation(stale.op);
            let at_ns = operation.call_time().unwrap_or(0);
            measures.stale.push(Stale {
                at_ns,
                behind_ns: stale.behind_ns,
                versions: stale.versions,
                in_fault: faults.iter().any(|fault| fault.stands(at_ns)),
            });
        }
        measures
    }

    fn count_made(
        &mut self,
        operation: Operation<'_>,
        (site, has_side): (Node, bool),
        faults: &[Fault<'_>],
    ) {
        let at = operation.call_time().unwrap_or(0);
        let answered = is_answered(operation);
        let end = operation.return_time();
        let latency = end.map(|end| end.saturating_sub(at));
        self.loads(at, has_side.then_some(site), faults)
            .for_each(|load| load.count(answered, latency));
        self.beats.push((at, answered));
        let over = faults.iter().filter(|fault| fault.is_over_and_bit());
        for (fault, recovery) in over.zip(&mut self.recoveries) {
            let healed = fault.span.to_ns.unwrap_or(u64::MAX);
            let beside = fault.struck.is_empty() || fault.struck.contains(&site);
            if answered && beside && at >= healed {
                let took = end.unwrap_or(at).saturating_sub(healed);
                *recovery = Some(recovery.map_or(took, |known| known.min(took)));
            }
        }
    }

    /// Where a request of this time by a client beside this node counts: in a phase, and on a side
    /// where clients have one.
    fn loads(
        &mut self,
        at: u64,
        site: Option<Node>,
        faults: &[Fault<'_>],
    ) -> impl Iterator<Item = &mut Load> {
        let phase = match () {
            () if faults.iter().any(|fault| fault.stands(at)) => 1,
            () if faults.iter().all(|fault| at < fault.span.from_ns) => 0,
            () => 2,
        };
        let mut closed = faults.iter().filter(|it| it.closes_links() && it.stands(at)).peekable();
        let parted = closed.peek().is_some();
        let side = site
            .filter(|_| parted)
            .map(|site| usize::from(closed.any(|fault| fault.struck.contains(&site))));
        let sides = &mut self.sides;
        [&mut self.phases[phase]].into_iter().chain(side.map(|side| &mut sides[side]))
    }
}

/// The node that a client stands beside.
fn site(client: u64, nodes: u16) -> Node {
    Node((client % u64::from(nodes.max(1))) as u16 + 1)
}

/// The operations that their clients never began. Process numbers of a client differ by how many
/// clients there are, and what it begins is what was due last.
fn left_out<'a>(history: &History, script: &'a Script) -> Vec<&'a Planned> {
    let clients = script.clients();
    let mut begun: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); usize::from(clients)];
    for operation in history.operations().filter(|it| it.process() < FINAL_READERS) {
        let client = (operation.process() % u64::from(clients.max(1))) as usize;
        begun[client].extend(operation.call_time());
    }
    let mut left_out = Vec::new();
    for client in 0..clients {
        let mut planned = script.of(client).peekable();
        while let Some(this) = planned.next() {
            let at = |planned: &Planned| planned.at.as_nanos() as u64;
            let until = planned.peek().map_or(u64::MAX, |next| at(next));
            if begun[usize::from(client)].range(at(this)..until).next().is_none() {
                left_out.push(this);
            }
        }
    }
    left_out
}

/// Whether the store said what became of it.
fn is_answered(operation: Operation<'_>) -> bool {
    match operation.outcome() {
        Outcome::Ok => true,
        Outcome::Info => false,
        Outcome::Fail => {
            let error = operation.error();
            error.as_ref().and_then(|it| it.as_text()).is_some_and(|it| it.starts_with(MISMATCH))
        }
    }
}

/// A fault, and whom it struck: those that no longer exchanged messages with a majority, or were down.
struct Fault<'a> {
    span: &'a FaultSpan,
    action: Option<Action>,
    struck: BTreeSet<Node>,
}

impl<'a> Fault<'a> {
    fn new(span: &'a FaultSpan, nodes: u16) -> Self {
        let action = span.done.parse().ok();
        let struck = match &action {
            Some(Action::Link(trouble, grudge)) if trouble.closes() => minority(grudge, nodes),
            Some(Action::End(_, nodes) | Action::Ail(_, nodes)) => nodes.clone(),
            _ => BTreeSet::new(),
        };
        Fault { span, action, struck }
    }

    fn stands(&self, at: u64) -> bool {
        self.span.from_ns <= at && self.span.to_ns.is_none_or(|to| at < to)
    }

    fn closes_links(&self) -> bool {
        matches!(&self.action, Some(Action::Link(trouble, _)) if trouble.closes())
    }

    fn is_over_and_bit(&self) -> bool {
        self.span.bit && self.span.to_ns.is_some()
    }
}

/// The nodes that exchange messages with less than a majority, themselves included.
fn minority(grudge: &Grudge, nodes: u16) -> BTreeSet<Node> {
    let closed: BTreeSet<(Node, Node)> = grudge.links().collect();
    let meets = |a: Node, b: Node| !closed.contains(&(a, b)) && !closed.contains(&(b, a));
    let company = |node: Node| Node::first(nodes).filter(|other| meets(node, *other)).count();
    Node::first(nodes).filter(|node| company(*node) <= usize::from(nodes) / 2).collect()
}

#[cfg(test)]
mod tests {
    use rashomon_checker::history::read_bytes;

    use super::*;

    fn span(done: &str, from: u64, to: u64) -> FaultSpan {
        FaultSpan {
            id: 1,
            kind: "cut".into(),
            asked: String::new(),
            done: done.into(),
            sentence: String::new(),
            from_ns: from,
            to_ns: Some(to),
            bit: true,
            bit_ns: None,
            observed: String::new(),
        }
    }

    fn names(nodes: &BTreeSet<Node>) -> String {
        nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_lacks_a_majority_is_in_the_minority() {
        for (done, nodes, words) in [
            ("cut n1, n2 | n3, n4, n5", 5, "n1 n2"),
            ("cut n1, n2 | n3, n4", 4, "n1 n2 n3 n4"),
            // The bridge sees everybody.
            ("cut n1, n2 | n4, n5", 5, ""),
            ("cut n1 -> n2, n3", 3, "n1"),
        ] {
            let span = span(done, 0, 1);
            assert_eq!(names(&Fault::new(&span, nodes).struck), words, "{done}");
        }
    }

    /// A line of a history: process, type, function, value, time in ms, node, and an error.
    fn line(
        index: u64,
        process: u64,
        kind: &str,
        f: &str,
        value: &str,
        ms: u64,
        node: u16,
    ) -> String {
        let error = if kind == "fail" { ",\"error\":\"mismatch: the value was 3\"" } else { "" };
        format!(
            "{{\"index\":{index},\"time\":{},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\
             \"key\":\"x\",\"value\":{value},\"node\":\"n{node}\"{error}}}\n",
            ms * 1_000_000
        )
    }

    #[test]
    fn requests_are_counted_by_phase_and_side() {
        let lines = [
            (0, "invoke", "write", "1", 1, 1),
            (0, "ok", "write", "1", 2, 1),
            // While n1 is alone, from 10 to 20 ms. Clients 0 and 3 stand beside it.
            (0, "invoke", "write", "2", 11, 1),
            (1, "invoke", "write", "3", 11, 2),
            (1, "ok", "write", "3", 13, 2),
            (0, "info", "write", "2", 19, 1),
            (2, "invoke", "read", "null", 14, 3),
            (2, "ok", "read", "1", 15, 3),
            // Then.
            (1, "invoke", "cas", "[2,4]", 21, 2),
            (1, "fail", "cas", "[2,4]", 22, 2),
            (3, "invoke", "read", "null", 23, 1),
            (3, "ok", "read", "3", 25, 1),
            (FINAL_READERS, "invoke", "read", "null", 30, 1),
            (FINAL_READERS, "ok", "read", "3", 31, 1),
        ];
        let mut lines: Vec<_> = lines.into_iter().collect();
        lines.sort_by_key(|(_, _, _, _, ms, _)| *ms);
        let text: String = lines
            .iter()
            .enumerate()
            .map(|(index, (process, kind, f, value, ms, node))| {
                line(index as u64, *process, kind, f, value, *ms, *node)
            })
            .collect();
        let recording = read_bytes(text.as_bytes(), "a test", None).expect("it is a history");
        let history = History::from_events(&recording.events).expect("it makes sense");
        let faults = [span("cut n1 | n2, n3", 10_000_000, 20_000_000)];
        let recovery = Recovery { took_ms: Some(7), missing: None };
        let script: Script = "at 1ms client 0 write x 1\nat 11ms client 0 write x 2\n\
             at 11ms client 1 write x 3\nat 14ms client 2 read x\nat 16ms client 0 read x\n\
             at 21ms client 1 cas x 2 4\nat 23ms client 3 read x"
            .parse()
            .expect("it is a script");
        let of = (&script, 3, true);
        let measures = Measures::of(&history, &faults, of, &recovery, &Options::default());
        let counts = |load: &Load| (load.due, load.left_out, load.answered);
        assert_eq!(measures.phases.each_ref().map(counts), [(1, 0, 1), (4, 1, 2), (2, 0, 2)]);
        assert_eq!(measures.sides.each_ref().map(counts), [(2, 0, 2), (2, 1, 0)]);
        assert_eq!(measures.phases[0].latencies, [1_000_000]);
        assert_eq!(measures.recoveries, [Some(5_000_000)], "by a client of n1, not of n2");
        assert_eq!(measures.converged_ms, Some(7));
        let atomicity = measures.atomicity.expect("it was measured");
        assert_eq!((atomicity.k.at_least, atomicity.delta_ns), (2, Some(1_000_000)));
        assert_eq!(measures.beats.len(), 7, "without the last reads, with what was not begun");
        let [stale] = measures.stale.as_slice() else { panic!("{:?}", measures.stale) };
        assert_eq!((stale.behind_ns, stale.versions, stale.in_fault), (1_000_000, 1, true));
    }
}
