//! Regular and safe registers (Lamport, "On interprocess communication", 1986), with many writers.
//!
//! Regular: a read returns what some write brought that was not certainly overwritten when the read
//! began and had itself begun before the read was over; each read by itself, whatever others saw
//! ("weak" multi-writer regularity, Shao, Welch, Pierce & Lee, "Multi-writer consistency conditions
//! for shared memory registers", SIAM J. Comput. 2011). Safe: that of reads during which nobody
//! wrote; others may return anything. The only order is real time, so values may repeat: a read is
//! right if any of its sources is. O(n log n).

use rustc_hash::FxHashMap;

use super::super::objects::{Kind, Object, Objects, Span};
use super::super::{Edge, Finding, Gathering, Violation};
use super::telling::Teller;
use super::{Anomaly, Reason};
use crate::history::ValueId;

/// Which reads must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consistency) enum Of {
    /// All.
    Regular,
    /// Those beside which nobody writes.
    Safe,
}

/// Judges all registers.
pub(in crate::consistency) fn judge(
    objects: &Objects<'_>,
    initial: Option<ValueId>,
    of: Of,
) -> Finding {
    let mut gathering = Gathering::default();
    for object in &objects.all {
        if object.kind != Kind::Register {
            gathering.doubt(|| object.no_register(objects));
            continue;
        }
        let register = Register::of(object, initial);
        for look in looks(object) {
            if of == Of::Safe && register.is_disturbed(&look) {
                continue;
            }
            gathering.tested += 1;
            if let Some(flaw) = register.flaw(&look) {
                return Finding::Violated(tell(objects, object, &look, flaw));
            }
        }
    }
    gathering.finish()
}

/// A look at a register: by a read, or by a compare-and-set.
struct Look {
    span: Span,
    value: ValueId,
    /// The write that comes with it.
    own: Option<usize>,
}

fn looks(object: &Object<'_>) -> Vec<Look> {
    let read = object.reads.iter().map(|it| Look { span: it.span, value: it.value(), own: None });
    let mut looks: Vec<Look> = read.collect();
    for (at, write) in object.writes.iter().enumerate() {
        // What nobody knows of may not have found anything.
        if let Some(value) = write.found.filter(|_| write.span.is_acknowledged) {
            looks.push(Look { span: write.span, value, own: Some(at) });
        }
    }
    looks.sort_by_key(|look| look.span.call);
    looks
}

/// What is wrong with a look: writes by their places.
#[derive(Clone, Copy)]
enum Flaw {
    Overwritten { by: usize },
    Future { write: usize },
    ThinAir,
}

struct Register<'a, 'h> {
    object: &'a Object<'h>,
    initial: Option<ValueId>,
    /// Of each write the latest end among those of its value that had begun by then.
    latest: Vec<u32>,
    /// When each acknowledged write had ended, and which of all until then was begun last.
    ended: Vec<(u32, usize)>,
}

impl<'a, 'h> Register<'a, 'h> {
    fn of(object: &'a Object<'h>, initial: Option<ValueId>) -> Self {
        let mut ends: FxHashMap<ValueId, u32> = FxHashMap::default();
        let latest = object.writes.iter().map(|write| {
            let end = ends.entry(write.value).or_default();
            *end = write.span.ret.max(*end);
            *end
        });
        let latest = latest.collect();
        let acknowledged = object.writes.iter().enumerate().filter(|it| it.1.span.is_acknowledged);
        let mut ended: Vec<(u32, usize)> =
            acknowledged.map(|(at, write)| (write.span.ret, at)).collect();
        ended.sort_unstable();
        let mut last = 0;
        for (_, at) in &mut ended {
            // Writes are sorted by invocation.
            last = last.max(*at);
            *at = last;
        }
        Register { object, initial, latest, ended }
    }

    /// Whether somebody else writes meanwhile.
    fn is_disturbed(&self, look: &Look) -> bool {
        let begun = self.object.writes.partition_point(|it| it.span.call < look.span.ret);
        let over = self.ended.partition_point(|(end, _)| *end < look.span.call);
        begun > over + usize::from(look.own.is_some())
    }

    fn flaw(&self, look: &Look) -> Option<Flaw> {
        let over = self.ended.partition_point(|(end, _)| *end < look.span.call);
        let newest = over.checked_sub(1).map(|last| self.ended[last].1);
        let Some(newest) = newest else {
            return self.latest_end(look).err();
        };
        match self.latest_end(look) {
            Ok(end) if end < Some(self.object.writes[newest].span.call) => {
                Some(Flaw::Overwritten { by: newest })
            }
            Ok(_) => None,
            Err(flaw) => Some(flaw),
        }
    }

    /// When what was seen had been written at the latest; `None` for what was there at first.
    fn latest_end(&self, look: &Look) -> Result<Option<u32>, Flaw> {
        let all = self.object.writers(look.value);
        let begun = all.partition_point(|it| self.object.writes[*it].span.call < look.span.ret);
        // Nobody sees what he is about to write.
        let is_own = look.own.is_some_and(|own| all[..begun].contains(&own));
        let end = match is_own {
            false => begun.checked_sub(1).map(|last| self.latest[all[last]]),
            true => {
                let others = all[..begun].iter().filter(|it| Some(**it) != look.own);
                others.map(|it| self.object.writes[*it].span.ret).max()
            }
        };
        let is_initial = look.value == ValueId::NIL || Some(look.value) == self.initial;
        let future = || all.iter().copied().find(|it| Some(*it) != look.own);
        match (end, is_initial, future()) {
            (Some(end), ..) => Ok(Some(end)),
            (None, true, _) => Ok(None),
            (None, false, Some(write)) => Err(Flaw::Future { write }),
            (None, false, None) => Err(Flaw::ThinAir),
        }
    }
}

fn tell(objects: &Objects<'_>, object: &Object<'_>, look: &Look, flaw: Flaw) -> Violation {
    let teller = Teller::new(objects);
    let read = look.span.id;
    let edge = |from, to, reason| Edge { from, to, reason, by: None };
    match flaw {
        Flaw::Overwritten { by } => {
            let newer = object.writes[by].span.id;
            let sentence = format!(
                "{}, but {} before that read was begun, and after what it saw had been written",
                teller.tell(read),
                teller.tell(newer),
            );
            let older = object.writers(look.value).iter().map(|it| object.writes[*it].span.id);
            let proof = older.filter(|id| *id != read).chain([read, newer]).collect();
            let cycle =
                vec![edge(read, newer, Reason::OverwrittenBy), edge(newer, read, Reason::RealTime)];
            Violation { cycle, ..Violation::new(sentence, proof) }
        }
        Flaw::Future { write } => {
            let write = object.writes[write].span.id;
            let sentence =
                format!("{}, but only after that {}", teller.tell(read), teller.tell(write));
            let cycle =
                vec![edge(write, read, Reason::ReadFrom), edge(read, write, Reason::RealTime)];
            Violation { cycle, ..Violation::new(sentence, vec![read, write]) }
        }
        Flaw::ThinAir => {
            let sentence = teller.thin_air(read);
            let anomaly = Some(Anomaly::ThinAirRead);
            Violation { anomaly, ..Violation::new(sentence, vec![read]) }
        }
    }
}
