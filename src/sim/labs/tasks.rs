//! Scripts that run in virtual time: a tester's steps one after the other, some of them side by
//! side, as futures that wait for nothing but the simulated clock and each other.
//!
//! There is one thread and no outside world, so a waker has nothing to wake: a future that waits
//! leaves word with the bench which task to poll again, and when. Tasks are polled in the order
//! in which they became ready, so the order is a function of the seed like everything else.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::lab::Lab;
use super::{Failure, MILLISECOND};

/// The number of a task; the script itself is the first.
pub(super) type TaskId = u64;

/// What a task does.
type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The longest that a script may take, in nanoseconds of the world's time: the tests' own limit.
const LIMIT: u64 = 120_000 * MILLISECOND;

/// A task that was spawned, for whoever wants what comes out of it.
pub(super) struct Spawned<T> {
    slot: Rc<RefCell<Slot<T>>>,
    lab: Lab,
}

#[derive(Debug)]
struct Slot<T> {
    result: Option<T>,
    waits: Option<TaskId>,
}

impl Lab {
    /// Lets the world go on for so many milliseconds.
    pub(super) async fn sleep(&self, milliseconds: u64) {
        self.sleep_nanoseconds(milliseconds * MILLISECOND).await;
    }

    /// Lets the world go on for so many nanoseconds.
    pub(super) async fn sleep_nanoseconds(&self, nanoseconds: u64) {
        let until = self.now() + nanoseconds;
        let mut ordered = false;
        poll_fn(|_| {
            let mut bench = self.bench();
            if bench.now() >= until {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut ordered, true) {
                bench.wake_at(until);
            }
            Poll::Pending
        })
        .await;
    }

    /// Begins something beside the script.
    pub(super) fn spawn<T: 'static>(
        &self,
        future: impl Future<Output = T> + 'static,
    ) -> Spawned<T> {
        let slot = Rc::new(RefCell::new(Slot { result: None, waits: None }));
        let (inner, lab) = (slot.clone(), self.clone());
        self.bench().ready.spawn(Box::pin(async move {
            let result = future.await;
            let mut slot = inner.borrow_mut();
            slot.result = Some(result);
            if let Some(task) = slot.waits {
                lab.bench().ready.wake(task);
            }
        }));
        Spawned { slot, lab: self.clone() }
    }

    /// Runs a script, and what it spawns, to the script's end.
    ///
    /// # Errors
    /// What the script finds wrong, what the oracles do, and that it takes too long.
    pub(super) fn run(
        &self,
        script: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let mut script = std::pin::pin!(script);
        let mut context = Context::from_waker(Waker::noop());
        self.bench().ready.wake(SCRIPT);
        loop {
            while let Some(task) = self.next_ready() {
                let Some(mut future) = task else {
                    match script.as_mut().poll(&mut context) {
                        Poll::Ready(result) => return result,
                        Poll::Pending => continue,
                    }
                };
                if future.as_mut().poll(&mut context).is_pending() {
                    self.bench().ready.put_back(future);
                }
            }
            self.bench().advance(LIMIT)?;
        }
    }

    fn next_ready(&self) -> Option<Option<Task>> {
        self.bench().ready.next()
    }
}

impl<T> Spawned<T> {
    /// What comes out of the task, once it does.
    pub(super) async fn join(self) -> T {
        poll_fn(|_| {
            let mut slot = self.slot.borrow_mut();
            match slot.result.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    slot.waits = Some(self.lab.bench().ready.current());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether something has come out of the task.
    pub(super) fn is_over(&self) -> bool {
        self.slot.borrow().result.is_some()
    }
}

/// The number of the script.
const SCRIPT: TaskId = 0;

/// The tasks, and which of them are ready; a part of the bench.
#[derive(Default)]
pub(super) struct Ready {
    /// Those that were spawned; the place of one that is over or being polled is empty.
    tasks: Vec<Option<Task>>,
    queue: VecDeque<TaskId>,
    current: TaskId,
}

impl Ready {
    /// A task may go on.
    pub(super) fn wake(&mut self, task: TaskId) {
        self.queue.push_back(task);
    }

    /// The task that is being polled.
    pub(super) fn current(&self) -> TaskId {
        self.current
    }

    fn spawn(&mut self, task: Task) {
        self.tasks.push(Some(task));
        self.wake(self.tasks.len() as TaskId);
    }

    /// Takes the task that goes on next; the script has no future here.
    fn next(&mut self) -> Option<Option<Task>> {
        loop {
            self.current = self.queue.pop_front()?;
            if self.current == SCRIPT {
                return Some(None);
            }
            let task = self.tasks[self.current as usize - 1].take();
            // A task that is over may still be woken.
            if task.is_some() {
                return Some(task);
            }
        }
    }

    fn put_back(&mut self, task: Task) {
        self.tasks[self.current as usize - 1] = Some(task);
    }
}
