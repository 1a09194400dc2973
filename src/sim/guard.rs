//! A core that panics is a finding of the run, not the end of the simulator.
//!
//! What it says is kept for the verdict instead of being printed; panics elsewhere are printed and
//! end the process, as ever: they are bugs of ours.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// What the guarded call of this thread said when it panicked; none outside of such a call.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes the call; if it panics, says where and why.
///
/// What it was working on is in no known state then, and must not be used again.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let kept = SAID.with_borrow_mut(|said| match said {
                Some(said) => {
                    *said = info.to_string();
                    true
                }
                None => false,
            });
            if !kept {
                usual(info);
            }
        }));
    });
    SAID.set(Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    let said = SAID.take().unwrap_or_default();
    result.map_err(|_| said.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_where_and_why() {
        assert_eq!(guarded(|| 5), Ok(5));
        let said = guarded(|| -> u8 { panic!("no room in {}", "the log") }).unwrap_err();
        assert!(said.contains("guard.rs") && said.contains("no room in the log"), "{said}");
        assert_eq!(guarded(|| 6), Ok(6), "the next call is no worse for it");
    }
}
