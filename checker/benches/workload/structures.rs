//! Data structures that clients put things into and take them out of.

use std::collections::{BTreeSet, VecDeque};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::Value;

use crate::simulation::{Object, Request};

/// Any of the data structures, by the name of its model. What is put in is new each time.
#[derive(Clone, Debug)]
pub(crate) struct Structure {
    model: &'static str,
    items: VecDeque<i64>,
    elements: BTreeSet<i64>,
    number: i64,
    holder: Option<usize>,
}

impl Structure {
    /// What the model with this name promises; it has nothing in it.
    pub(crate) fn new(model: &'static str) -> Self {
        Structure {
            model,
            items: VecDeque::new(),
            elements: BTreeSet::new(),
            number: 0,
            holder: None,
        }
    }
}

impl Object for Structure {
    fn request(&mut self, client: usize, fresh: i64, rng: &mut ChaCha8Rng) -> Request {
        let (number, first) = (Value::Int(fresh), rng.random_bool(0.5));
        let (f, value) = match self.model {
            "queue" if first => ("enqueue", number),
            "queue" => ("dequeue", Value::Nil),
            "stack" if first => ("push", number),
            "stack" => ("pop", Value::Nil),
            // The fresh number in its low digits keeps a random priority unique.
            "priority-queue" if first => {
                ("insert", Value::Int((i64::from(rng.random::<u32>()) << 24) + fresh))
            }
            "priority-queue" => ("poll", Value::Nil),
            "set" => {
                let f = ["add", "remove", "contains"][rng.random_range(0..3)];
                (f, Value::Int(rng.random_range(0..1_000)))
            }
            "grow-only-set" if rng.random_ratio(1, 5_000) => ("read", Value::Nil),
            "grow-only-set" => ("add", number),
            "counter" if first => ("add", Value::Int(1)),
            "counter" => ("read", Value::Nil),
            _ if self.holder == Some(client) => ("release", Value::Nil),
            _ => ("acquire", Value::Nil),
        };
        Request { f, key: None, value }
    }

    fn carry_out(&mut self, client: usize, request: &Request) -> Option<Value> {
        let argument = request.value.as_int().unwrap_or_default();
        let taken = |item: Option<i64>| item.map_or(Value::Nil, Value::Int);
        Some(match (request.f, self.model) {
            ("enqueue" | "push", _) => {
                self.items.push_back(argument);
                request.value.clone()
            }
            ("dequeue", _) => taken(self.items.pop_front()),
            ("pop", _) => taken(self.items.pop_back()),
            ("poll", _) => taken(self.elements.pop_first()),
            ("remove", _) => Value::Bool(self.elements.remove(&argument)),
            ("contains", _) => Value::Bool(self.elements.contains(&argument)),
            ("read", "counter") => Value::Int(self.number),
            ("read", _) => Value::list(self.elements.iter().copied().map(Value::Int)),
            ("add", "counter") | ("acquire", "fencing-token") => {
                self.number += 1;
                Value::Int(self.number)
            }
            ("insert" | "add", _) => Value::Bool(self.elements.insert(argument)),
            ("acquire", _) if self.holder.is_none() => {
                self.holder = Some(client);
                Value::Nil
            }
            ("release", _) => {
                self.holder = None;
                Value::Nil
            }
            _ => return None,
        })
    }
}
