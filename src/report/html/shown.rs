//! The operations that a violation is shown with: those of its minimal history and of its proof.

use rashomon_checker::explain::{Explanation, Role};
use rashomon_checker::history::OpId;

use crate::campaign::FINAL_READERS;
use crate::report::{Finding, OperationLine};

/// An operation and its part in the violation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    /// The operation.
    pub(super) line: &'a OperationLine,
    /// What it contributes to the proof; `None` if it only belongs to the minimal history.
    pub(super) role: Option<Role>,
    /// Whether this is the operation that cannot be placed.
    pub(super) culprit: bool,
    /// The line of its completion in the history file, by which sentences name it.
    pub(super) completion: Option<u32>,
}

/// So many operations can be looked at; a minimal history rarely has ten, but a search for it that
/// ran out of time may have left thousands.
const MOST: usize = 60;

/// Everything to show for a finding, by invocation: the proof, and of the rest the latest.
pub(super) fn shown(finding: &Finding) -> Vec<Shown<'_>> {
    let explanation = &finding.explanation;
    let mut shown: Vec<Shown<'_>> = finding
        .shown()
        .into_iter()
        .map(|line| Shown {
            line,
            role: role(explanation, line.id),
            culprit: finding.is_stuck(line),
            completion: completion(explanation, line.id),
        })
        .collect();
    let mut too_many = shown.len().saturating_sub(MOST);
    shown.retain(|shown| {
        let proves = shown.culprit || shown.role.is_some();
        let keep = proves || too_many == 0;
        too_many -= usize::from(!keep);
        keep
    });
    shown
}

fn role(explanation: &Explanation, id: OpId) -> Option<Role> {
    let evidence = explanation.proof.iter().find(|evidence| evidence.operation == id);
    evidence.map(|evidence| evidence.role)
}

fn completion(explanation: &Explanation, id: OpId) -> Option<u32> {
    let record = explanation.operations.iter().find(|record| record.id == id)?;
    record.ret.map(|place| place.line)
}

impl Shown<'_> {
    /// A few words on its part, to stand below its bar.
    pub(super) fn caption(&self) -> &'static str {
        match self.role {
            _ if self.culprit => "cannot be placed",
            Some(Role::Made) => "made what was seen",
            Some(Role::Saw) => "saw the same",
            Some(Role::Newer) => "newer",
            Some(Role::Took) => "took the same value",
            Some(Role::Missed) => "not seen",
            Some(Role::Failed) => "failed",
            Some(Role::Later) => "began later",
            Some(Role::Same) => "did the same",
            Some(Role::Other) => "another value",
            Some(_) => "evidence",
            None => "",
        }
    }
}

/// Who performed an operation.
pub(super) fn process_name(process: u64) -> String {
    match process.checked_sub(FINAL_READERS) {
        None => format!("process {process}"),
        Some(reader) => format!("final read {}", reader + 1),
    }
}
