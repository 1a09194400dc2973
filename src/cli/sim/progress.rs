//! How far an exploration is: a bar on a terminal, silence otherwise.

use std::io::{self, IsTerminal};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, silence otherwise.
pub(super) struct Progress {
    bar: ProgressBar,
    over: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn begin(seeds: &RangeInclusive<u64>, done: Arc<AtomicU64>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        if !io::stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden(), over };
        }
        let style =
            ProgressStyle::with_template("{elapsed:>4} {wide_bar} {pos}/{len} seeds, {eta}");
        let bar = ProgressBar::new(seeds.end() - seeds.start() + 1)
            .with_style(style.expect("the template is well-formed"));
        let (own_bar, own_over) = (bar.clone(), over.clone());
        thread::spawn(move || {
            while !own_over.load(Ordering::Relaxed) {
                own_bar.set_position(done.load(Ordering::Relaxed));
                thread::sleep(Duration::from_millis(100));
            }
        });
        Progress { bar, over }
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }
}
