//! Coherence: every key by itself is sequentially consistent ("cache consistency", Goodman 1989).
//!
//! What a session sees and writes of a key, one after the other, must not go back: if it had one
//! value before its eyes and then reads another one, the first is older. The history is coherent if
//! that, session order and reads-from leave an order of each key: O(n) (Gibbons & Korach 1997;
//! Cantin, Lipasti & Smith, TPDS 2005).

use rustc_hash::FxHashMap;

use super::Broken;
use super::order::{Forced, Order};
use super::trace::{Act, Source, Trace};

pub(super) fn judge(trace: &Trace) -> Option<Broken> {
    let mut forced = Vec::new();
    let mut follows = Vec::new();
    let mut gone: Option<(u32, u32, u32)> = None;
    for session in 0..trace.sessions() {
        // Of each object the last node, and what it left or saw.
        let mut last: FxHashMap<u32, (u32, Option<u32>)> = FxHashMap::default();
        for node in trace.session(session) {
            let own = trace.node(node);
            let seen = match own.act {
                Act::Write => Some(node),
                Act::Read(Source::Initial) => None,
                Act::Read(Source::Of(write)) => Some(write),
            };
            let before = last.insert(own.object, (node, seen));
            let Some((before, older)) = before else { continue };
            follows.push((before, node));
            match (older, own.act, seen) {
                (Some(older), Act::Read(Source::Of(_)), Some(newer)) if older != newer => {
                    forced.push(Forced::knew(older, newer, node, 1));
                }
                (Some(older), Act::Read(Source::Initial), _) => {
                    let found = (own.call, node, older);
                    gone = Some(gone.map_or(found, |gone| gone.min(found)));
                }
                _ => {}
            }
        }
    }
    let mut order = Order::without_sessions(trace, |_| true, &forced);
    follows.into_iter().for_each(|(before, node)| order.follow(before, node));
    if let Some((_, read, older)) = gone {
        let path = order.path(older, read, 1).unwrap_or_default();
        return Some(Broken::missed(&order, None, read, older, path, None));
    }
    if order.sorted().is_some() {
        return None;
    }
    let cycle = order.cycle()?;
    Some(Broken::cycle(&order, cycle, None))
}
