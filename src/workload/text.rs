//! Requests as text, for scenarios: `read x0`, `write x0 5`, `cas x0 5 6`, `get x1`, `append x1 7`,
//! `elements x2`, `add x2 8`, `count x3`, `increment x3 -1`, `delete x0`.

use std::fmt;
use std::str::FromStr;

use super::{Action, Request};

/// A text that is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no operation; write `read KEY`, `write KEY INT`, `cas KEY INT INT`, `get KEY`, \
     `append KEY INT`, `elements KEY`, `add KEY INT`, `count KEY`, `increment KEY INT` or \
     `delete KEY`"
)]
pub struct RequestError(String);

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Histories call every read of a value a read; here it is to be known what is read.
        let name = match self.action {
            Action::Elements => "elements",
            Action::Count => "count",
            Action::Delete => "delete",
            ref action => action.f(),
        };
        write!(f, "{name} {}", self.key)?;
        match self.action {
            Action::Read | Action::Get | Action::Elements | Action::Count | Action::Delete => {
                Ok(())
            }
            Action::Write(value)
            | Action::Append(value)
            | Action::Add(value)
            | Action::Increment(value) => write!(f, " {value}"),
            Action::Cas { expected, new } => write!(f, " {expected} {new}"),
        }
    }
}

impl FromStr for Request {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        read(&words).ok_or_else(|| RequestError(text.trim().to_owned()))
    }
}

fn read(words: &[&str]) -> Option<Request> {
    let (key, action) = match *words {
        ["read", key] => (key, Action::Read),
        ["delete", key] => (key, Action::Delete),
        ["get", key] => (key, Action::Get),
        ["write", key, value] => (key, Action::Write(value.parse().ok()?)),
        ["append", key, value] => (key, Action::Append(value.parse().ok()?)),
        ["elements", key] => (key, Action::Elements),
        ["add", key, value] => (key, Action::Add(value.parse().ok()?)),
        ["count", key] => (key, Action::Count),
        ["increment", key, value] => (key, Action::Increment(value.parse().ok()?)),
        ["cas", key, expected, new] => {
            let (expected, new) = (expected.parse().ok()?, new.parse().ok()?);
            (key, Action::Cas { expected, new })
        }
        _ => return None,
    };
    Some(Request { key: key.to_owned(), action })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::campaign::plan::WorkloadName;
    use crate::workload::Outcome;

    #[test]
    fn what_any_workload_asks_for_is_read_back() {
        use clap::ValueEnum;
        for name in WorkloadName::value_variants() {
            let mut workload = name.build();
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            for _ in 0..300 {
                let request = workload.next(&mut rng);
                assert_eq!(request.to_string().parse(), Ok(request.clone()));
                workload.observe(&request, &Outcome::Ok(request.action.argument()));
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "read", "read x0 5", "write x0", "write x0 five", "cas x0 1", "drop x0"] {
            let error = text.parse::<Request>().unwrap_err().to_string();
            assert!(error.contains("write KEY INT"), "{error}");
        }
    }
}
