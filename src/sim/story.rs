//! The story of a run: what happened, a line each, for people who want to know how it came to that.

use std::fmt::Write;

/// Lines in the order in which things happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Story(String);

impl Story {
    /// Adds a line for something that happened so many nanoseconds after the run began.
    pub(super) fn tell(&mut self, time: u64, line: &str) {
        let (seconds, rest) = (time / 1_000_000_000, time % 1_000_000_000);
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{seconds:4}.{rest:09}  {line}");
    }

    /// The whole story.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_aligned_and_exact() {
        let mut story = Story::default();
        story.tell(1_000_000_001, "n1 starts");
        assert_eq!(story.into_text(), "   1.000000001  n1 starts\n");
    }
}
