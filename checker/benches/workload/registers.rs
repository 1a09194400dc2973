//! Registers that clients read, write, and compare and set.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rashomon_checker::history::Value;

use crate::simulation::{Object, Request};

/// Registers that hold 0 at first.
#[derive(Clone, Debug)]
pub(crate) struct Registers {
    held: Vec<i64>,
    /// How many different values are written; `None` if each write has a new one.
    values: Option<i64>,
    /// How many of a hundred operations compare and set.
    cas: u32,
}

impl Registers {
    /// So many registers, each of whose writes has a new value, or one of so many. So many of a
    /// hundred operations compare and set; of the others half are reads.
    pub(crate) fn new(keys: usize, values: Option<i64>, cas: u32) -> Self {
        Registers { held: vec![0; keys], values, cas }
    }
}

impl Object for Registers {
    fn request(&mut self, _: usize, fresh: i64, rng: &mut ChaCha8Rng) -> Request {
        let key = match self.held.len() {
            1 => Value::text("x"),
            keys => Value::Int(rng.random_range(0..keys) as i64),
        };
        let mut value =
            || Value::Int(self.values.map_or(fresh, |values| rng.random_range(0..values)));
        let (old, new) = (value(), value());
        let (f, value) = match rng.random_range(0..100) {
            chance if chance < self.cas => ("cas", Value::list([old, new])),
            chance if (chance - self.cas).is_multiple_of(2) => ("read", Value::Nil),
            _ => ("write", new),
        };
        Request { f, key: Some(key), value }
    }

    fn carry_out(&mut self, _: usize, request: &Request) -> Option<Value> {
        let key = request.key.as_ref().and_then(Value::as_int).unwrap_or_default();
        let held = &mut self.held[key as usize];
        Some(match (&request.value, request.value.as_list()) {
            (_, Some([old, new])) => {
                let is_expected = old.as_int() == Some(*held);
                *held = new.as_int().filter(|_| is_expected).unwrap_or(*held);
                Value::Bool(is_expected)
            }
            (Value::Int(new), _) => {
                *held = *new;
                Value::Int(*new)
            }
            _ => Value::Int(*held),
        })
    }
}
