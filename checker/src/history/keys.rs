//! What Jepsen's formats leave to the reader: which values are errors, and which are keyed.
//!
//! Jepsen's `independent` tests run many objects at once and write every value as `[key value]`.
//! Once printed, that cannot be told from a list of two, such as the `[old new]` of a
//! compare-and-set; so it is lifted into [`Event::key`] only when told, or when evident.

use rustc_hash::FxHashMap;

use super::event::{Event, EventType, Process};
use super::value::Value;

/// The functions whose invocations take no argument, so that a value there must be a key.
const READS: [&str; 3] = ["read", "get", "r"];

/// What each client's pending invocation asked for.
type Pending<T> = FxHashMap<u64, T>;

/// Moves errors out of the values of failed and unsure completions.
///
/// Knossos repeats the argument there, old Jepsens say why (`:info :write :timed-out`). Neither is
/// a result, so any text that differs from the argument is taken as the reason.
pub(super) fn settle_errors(events: &mut [Event]) {
    let mut arguments = Pending::default();
    for event in events {
        let Process::Client(client) = event.process else { continue };
        match event.kind {
            EventType::Invoke => {
                arguments.insert(client, event.value.clone());
            }
            EventType::Ok => {
                arguments.remove(&client);
            }
            EventType::Fail | EventType::Info => {
                let argument = arguments.remove(&client);
                let is_reason =
                    event.value.as_text().is_some() && argument.as_ref() != Some(&event.value);
                if is_reason && event.error.is_none() {
                    event.error = Some(std::mem::take(&mut event.value));
                }
            }
        }
    }
}

/// Lifts the keys of independent objects out of all client values; the error is the line and what
/// is wrong with it.
///
/// Every invocation must be a `[key value]`; a completion without a value has its invocation's key.
pub(super) fn lift(events: &mut [Event]) -> Result<(), (u32, String)> {
    let keys = keys(events)?;
    for (event, key) in events.iter_mut().zip(keys) {
        let Some(key) = key else { continue };
        if let Some((_, value)) = pair(&event.value) {
            event.value = value.clone();
        }
        event.key = Some(key);
    }
    Ok(())
}

/// Whether the values are evidently `[key value]`.
///
/// They are if that is possible throughout (every invocation is a pair, every completion's key its
/// invocation's), if each compare-and-set has its `[old new]` inside the pair, and if some read was
/// invoked with `[key nil]`: a read of a single object takes no argument.
pub(super) fn are_evident(events: &[Event]) -> bool {
    let mut invocations = events.iter().filter(|event| {
        event.kind == EventType::Invoke && matches!(event.process, Process::Client(_))
    });
    let mut has_keyed_read = false;
    let are_possible = invocations.all(|event| {
        let Some((key, value)) = pair(&event.value) else { return false };
        let is_read = READS.contains(&&*event.f);
        has_keyed_read |= is_read && !key.is_nil() && value.is_nil();
        event.key.is_none() && (&*event.f != "cas" || pair(value).is_some())
    });
    are_possible && has_keyed_read && keys(events).is_ok()
}

/// The key in each event's value; none where there is nothing to lift.
fn keys(events: &[Event]) -> Result<Vec<Option<Value>>, (u32, String)> {
    let mut pending = Pending::default();
    let mut key_of = |event: &Event| {
        let Process::Client(client) = event.process else { return Ok(None) };
        if event.key.is_some() {
            return Ok(None);
        }
        let own = pair(&event.value).map(|(key, _)| key.clone());
        if event.kind == EventType::Invoke {
            let Some(key) = own else {
                let message = format!("{} {} is no [key value]", event.f, event.value);
                return Err((event.line, message));
            };
            pending.insert(client, key.clone());
            return Ok(Some(key));
        }
        match (own, pending.remove(&client)) {
            (Some(own), Some(asked)) if own != asked => {
                let message = format!("key {own} completes an operation on key {asked}");
                Err((event.line, message))
            }
            (own, asked) => Ok(own.or(asked)),
        }
    };
    events.iter().map(&mut key_of).collect()
}

fn pair(value: &Value) -> Option<(&Value, &Value)> {
    match value.as_list() {
        Some([key, value]) => Some((key, value)),
        _ => None,
    }
}
