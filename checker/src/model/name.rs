//! The models that have a name, as users type them: `register`, `cas-register(0)`, `kv`, …

use std::fmt;
use std::str::FromStr;

use super::Priority;
use crate::history::{History, Outcome, Value};

/// What a read that returned `nil` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NilRead {
    /// There was no value: nothing was written yet. Our own recordings and etcd's mean this.
    Absent,
    /// Nothing: the answer is not known, and any state would do. Knossos means this.
    Unknown,
}

/// A model with its options.
///
/// Written and parsed as `name` or `name(options)`: `register`, `cas-register(0)`,
/// `cas-register(0, nil=absent)`, `multi-register(x=0, y=0)`, `kv`, `mutex`. The initial value is
/// `nil` unless given. A read that returned `nil` means *absent* where the initial value is `nil`
/// and *unknown* where it is not (nothing then ever makes the object absent), unless `nil=` says
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// One value per key: `read`, `write`.
    Register {
        /// The value before the first write.
        initial: Value,
        /// What a `nil` read says.
        nil: NilRead,
    },
    /// A register that also has `cas`, compare and set.
    CasRegister {
        /// The value before the first write.
        initial: Value,
        /// What a `nil` read says.
        nil: NilRead,
    },
    /// Several registers that a `txn` of reads and writes touches at one instant.
    MultiRegister {
        /// The registers that have a value before the first write; the others are `nil`.
        initial: Vec<(Value, Value)>,
        /// What a `nil` read says.
        nil: NilRead,
    },
    /// A key-value store: `get`, `put`, `append`.
    Kv,
    /// A lock that does not care who holds it: `acquire`, `release`.
    Mutex,
    /// A set, element by element: `add`, `remove`, `contains`.
    Set,
    /// A set read as a whole: `add`, `read`.
    GrowOnlySet,
    /// A number: `add`, `increment`, `decrement`, `read`.
    Counter,
    /// First in, first out: `enqueue`, `dequeue`.
    Queue,
    /// Last in, first out: `push`, `pop`.
    Stack,
    /// The most urgent integer comes out first: `insert`, `poll`.
    PriorityQueue {
        /// Which one that is.
        first: Priority,
    },
    /// A lock that only its holder can release, and a lease: `acquire`, `renew`, `release`.
    OwnerLock,
    /// Tokens that grow: `acquire`.
    FencingToken,
}

/// A model name that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseModelError {
    /// No model of this name.
    #[error("there is no model `{0}`; there are {list}", list = Model::NAMES.join(", "))]
    UnknownModel(String),
    /// An option that the model does not have.
    #[error("the model {model} has no option `{option}`; write {usage}")]
    UnknownOption {
        /// The model.
        model: String,
        /// The option.
        option: String,
        /// An example of what would be right.
        usage: &'static str,
    },
    /// Options without a closing parenthesis.
    #[error("`{0}` has no closing parenthesis")]
    Unclosed(String),
}

impl Model {
    /// The names of all models.
    pub const NAMES: [&'static str; 13] = [
        "register",
        "cas-register",
        "multi-register",
        "kv",
        "mutex",
        "set",
        "grow-only-set",
        "counter",
        "queue",
        "stack",
        "priority-queue",
        "owner-lock",
        "fencing-token",
    ];

    /// The name without options.
    pub fn name(&self) -> &'static str {
        match self {
            Model::Register { .. } => "register",
            Model::CasRegister { .. } => "cas-register",
            Model::MultiRegister { .. } => "multi-register",
            Model::Kv => "kv",
            Model::Mutex => "mutex",
            Model::Set => "set",
            Model::GrowOnlySet => "grow-only-set",
            Model::Counter => "counter",
            Model::Queue => "queue",
            Model::Stack => "stack",
            Model::PriorityQueue { .. } => "priority-queue",
            Model::OwnerLock => "owner-lock",
            Model::FencingToken => "fencing-token",
        }
    }

    /// The model whose operations these are, with its default options: `cas-register` where there
    /// is a `cas`, `kv` where there is a `put`, and so on. `None` if no operation gives a hint.
    pub fn suggest(history: &History) -> Option<Model> {
        let has = |names: &[&str]| history.functions().any(|f| names.contains(&f));
        let name = if has(&["txn"]) {
            "multi-register"
        } else if has(&["enqueue", "dequeue"]) {
            "queue"
        } else if has(&["push", "pop"]) {
            "stack"
        } else if has(&["insert", "poll"]) {
            "priority-queue"
        } else if has(&["renew"]) {
            "owner-lock"
        } else if has(&["acquire"]) && returns(history, "acquire", |token| token.as_int().is_some())
        {
            "fencing-token"
        } else if has(&["acquire", "release"]) {
            "mutex"
        } else if has(&["remove", "contains"]) {
            "set"
        } else if has(&["increment", "decrement"]) {
            "counter"
        } else if has(&["add"]) && returns(history, "read", |elements| elements.as_list().is_some())
        {
            "grow-only-set"
        } else if has(&["add"]) && has(&["read"]) {
            "counter"
        } else if has(&["add"]) {
            "set"
        } else if has(&["get", "put", "append"]) {
            "kv"
        } else if has(&["cas"]) {
            "cas-register"
        } else if has(&["read", "write"]) {
            "register"
        } else {
            return None;
        };
        name.parse().ok()
    }
}

impl FromStr for Model {
    type Err = ParseModelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, options) = match text.split_once('(') {
            None => (text.trim(), ""),
            Some((name, rest)) => {
                let rest = rest.trim_end().strip_suffix(')');
                (name.trim(), rest.ok_or_else(|| ParseModelError::Unclosed(text.to_owned()))?)
            }
        };
        let unexpected = |option: &str, usage| ParseModelError::UnknownOption {
            model: name.to_owned(),
            option: option.to_owned(),
            usage,
        };
        match name {
            "register" | "cas-register" => {
                let (mut initial, mut nil) = (Value::Nil, None);
                for option in options.split(',').map(str::trim).filter(|option| !option.is_empty())
                {
                    match nil_option(option) {
                        Some(meaning) => nil = Some(meaning),
                        None if !option.contains('=') => initial = scalar(option),
                        None => return Err(unexpected(option, "cas-register(0, nil=absent)")),
                    }
                }
                let nil = nil.unwrap_or(default_nil(initial.is_nil()));
                Ok(match name {
                    "register" => Model::Register { initial, nil },
                    _ => Model::CasRegister { initial, nil },
                })
            }
            "multi-register" => {
                let (initial, nil) = assignments(options)
                    .map_err(|option| unexpected(&option, "multi-register(x=0, y=0)"))?;
                let nil = nil.unwrap_or(default_nil(initial.is_empty()));
                Ok(Model::MultiRegister { initial, nil })
            }
            "priority-queue" => match options.trim() {
                "" | "min" => Ok(Model::PriorityQueue { first: Priority::Min }),
                "max" => Ok(Model::PriorityQueue { first: Priority::Max }),
                option => Err(unexpected(option, "priority-queue or priority-queue(max)")),
            },
            _ => {
                let model =
                    plain(name).ok_or_else(|| ParseModelError::UnknownModel(name.to_owned()))?;
                match options.trim().is_empty() {
                    true => Ok(model),
                    false => Err(unexpected(options, "it alone")),
                }
            }
        }
    }
}

/// The model of this name, if it is one without options.
fn plain(name: &str) -> Option<Model> {
    Some(match name {
        "kv" => Model::Kv,
        "mutex" => Model::Mutex,
        "set" => Model::Set,
        "grow-only-set" => Model::GrowOnlySet,
        "counter" => Model::Counter,
        "queue" | "fifo-queue" => Model::Queue,
        "stack" => Model::Stack,
        "owner-lock" | "lease" => Model::OwnerLock,
        "fencing-token" => Model::FencingToken,
        _ => return None,
    })
}

/// Whether some operation of this name returned such a value.
fn returns(history: &History, f: &str, such: impl Fn(&Value) -> bool) -> bool {
    let mut named = history.operations().filter(|operation| operation.f() == f);
    named.any(|operation| operation.outcome() == Outcome::Ok && such(&operation.output()))
}

fn default_nil(initially_nil: bool) -> NilRead {
    if initially_nil { NilRead::Absent } else { NilRead::Unknown }
}

fn nil_option(option: &str) -> Option<NilRead> {
    match option.split_once('=').map(|(name, meaning)| (name.trim(), meaning.trim())) {
        Some(("nil", "absent")) => Some(NilRead::Absent),
        Some(("nil", "unknown")) => Some(NilRead::Unknown),
        _ => None,
    }
}

/// `0`, `nil`, `true`, `"text"`, or text without quotes.
fn scalar(word: &str) -> Value {
    match word {
        "nil" | "null" => Value::Nil,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match word.parse() {
            Ok(int) => Value::Int(int),
            Err(_) => Value::text(word.trim_matches('"')),
        },
    }
}

type Assignments = (Vec<(Value, Value)>, Option<NilRead>);

/// `x=0, y=0`, or the same as a map: `{:x 0 :y 0}`, `{"x": 0, "y": 0}`.
fn assignments(options: &str) -> Result<Assignments, String> {
    let (mut initial, mut nil) = (Vec::new(), None);
    let mut rest = Vec::new();
    for option in options.split(',').map(str::trim) {
        match nil_option(option) {
            Some(meaning) => nil = Some(meaning),
            None => rest.push(option),
        }
    }
    let separators = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | '=' | ':' | ',');
    let rest = rest.join(",");
    let mut words = rest.split(separators).filter(|word| !word.is_empty());
    while let Some(key) = words.next() {
        let value = words.next().ok_or_else(|| key.to_owned())?;
        initial.push((scalar(key), scalar(value)));
    }
    Ok((initial, nil))
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        let (initially_nil, nil) = match self {
            Model::Register { initial, nil } | Model::CasRegister { initial, nil } => {
                options.extend((!initial.is_nil()).then(|| initial.to_string()));
                (initial.is_nil(), *nil)
            }
            Model::MultiRegister { initial, nil } => {
                options.extend(initial.iter().map(|(key, value)| format!("{key}={value}")));
                (initial.is_empty(), *nil)
            }
            Model::PriorityQueue { first: Priority::Max } => {
                return f.write_str("priority-queue(max)");
            }
            _ => return f.write_str(self.name()),
        };
        if nil != default_nil(initially_nil) {
            options.push(match nil {
                NilRead::Absent => "nil=absent".to_owned(),
                NilRead::Unknown => "nil=unknown".to_owned(),
            });
        }
        match options.is_empty() {
            true => f.write_str(self.name()),
            false => write!(f, "{}({})", self.name(), options.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_options_come_back_as_they_were() {
        for text in [
            "register",
            "register(nil=unknown)",
            "cas-register(0)",
            "cas-register(0, nil=absent)",
            "cas-register(\"none\")",
            "multi-register",
            "multi-register(\"x\"=0, \"y\"=0, nil=absent)",
            "kv",
            "mutex",
            "priority-queue",
            "priority-queue(max)",
        ] {
            let model: Model = text.parse().expect(text);
            assert_eq!(model.to_string(), text);
        }
        let names = Model::NAMES.map(|name| name.parse::<Model>().expect(name).name());
        assert_eq!(names, Model::NAMES);
    }

    #[test]
    fn a_multi_register_takes_maps_and_assignments() {
        let expected = Model::MultiRegister {
            initial: vec![(Value::from("x"), Value::Int(0)), (Value::from("y"), Value::Int(1))],
            nil: NilRead::Unknown,
        };
        for text in ["({:x 0 :y 1})", "({\"x\": 0, \"y\": 1})", "(x=0,y=1)"] {
            assert_eq!(format!("multi-register{text}").parse(), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn a_wrong_name_says_what_would_be_right() {
        let error = |text: &str| text.parse::<Model>().expect_err(text).to_string();
        assert!(error("regster").contains("cas-register"));
        assert!(error("cas-register(0").contains("parenthesis"));
        assert!(error("cas-register(init=0)").contains("cas-register(0, nil=absent)"));
        assert!(error("kv(3)").contains("kv"));
        assert!(error("multi-register(x)").contains("x=0"));
    }
}
