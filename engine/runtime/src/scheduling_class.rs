//! Which ready task runs next: classes share the core by weight (stride scheduling), tasks within a
//! class take turns.
//!
//! Each class has a pass value; the non-empty class with the lowest runs, and its pass grows by
//! what the poll cost over the class's shares. A class that was idle starts at the current pass, so
//! it cannot save up time and then hold the core. Units of cost are nanoseconds in production and
//! polls in the simulator, which also draws the order from a seed instead.

use std::collections::VecDeque;

use platform::{Prng, SchedulingClass, TaskKey};

const CLASSES: usize = 3;

/// The order in which ready tasks run.
#[derive(Clone, Debug)]
pub enum TaskOrder {
    /// By class shares, first come first served within a class.
    Shares(Shares),
    /// Any ready task, drawn from a seed; for tests.
    Seeded(Prng),
}

/// Relative weights of the classes; none is zero.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// Of [`SchedulingClass::Foreground`].
    pub foreground: u32,
    /// Of [`SchedulingClass::Journal`].
    pub journal: u32,
    /// Of [`SchedulingClass::Maintenance`].
    pub maintenance: u32,
}

impl Default for Shares {
    /// The commit log is short work that many wait for; maintenance yields to both, but never
    /// starves.
    fn default() -> Shares {
        Shares { foreground: 400, journal: 1000, maintenance: 60 }
    }
}

impl Shares {
    fn of(&self, class: usize) -> u64 {
        u64::from([self.foreground, self.journal, self.maintenance][class].max(1))
    }
}

/// The index of a class in arrays by class.
pub(crate) fn class_index(class: SchedulingClass) -> usize {
    match class {
        SchedulingClass::Foreground => 0,
        SchedulingClass::Journal => 1,
        SchedulingClass::Maintenance => 2,
    }
}

/// The ready tasks of one executor.
pub(crate) struct ReadyQueues {
    queues: [VecDeque<TaskKey>; CLASSES],
    passes: [u64; CLASSES],
    current_pass: u64,
    order: TaskOrder,
}

/// One unit of cost at one share.
const STRIDE: u64 = 1000;

impl ReadyQueues {
    pub(crate) fn new(order: TaskOrder) -> ReadyQueues {
        ReadyQueues { queues: Default::default(), passes: [0; CLASSES], current_pass: 0, order }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    pub(crate) fn push(&mut self, class: SchedulingClass, task: TaskKey) {
        let index = class_index(class);
        if self.queues[index].is_empty() {
            self.passes[index] = self.passes[index].max(self.current_pass);
        }
        self.queues[index].push_back(task);
    }

    pub(crate) fn pop(&mut self) -> Option<TaskKey> {
        if let TaskOrder::Seeded(prng) = &mut self.order {
            let ready: usize = self.queues.iter().map(VecDeque::len).sum();
            if ready == 0 {
                return None;
            }
            let mut chosen = prng.index(ready);
            let queue =
                self.queues.iter_mut().find(|queue| match chosen.checked_sub(queue.len()) {
                    Some(rest) => {
                        chosen = rest;
                        false
                    }
                    None => true,
                })?;
            return queue.remove(chosen);
        }
        let index = (0..CLASSES)
            .filter(|index| !self.queues[*index].is_empty())
            .min_by_key(|index| self.passes[*index])?;
        self.current_pass = self.passes[index];
        self.queues[index].pop_front()
    }

    /// Adds the cost of a poll to the class's account.
    pub(crate) fn charge(&mut self, class: SchedulingClass, cost: u64) {
        let index = class_index(class);
        if let TaskOrder::Shares(shares) = &self.order {
            let step = cost.saturating_mul(STRIDE) / shares.of(index);
            self.passes[index] = self.passes[index].saturating_add(step.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_share_by_weight_and_none_starves() {
        let shares = Shares { foreground: 30, journal: 60, maintenance: 10 };
        let mut ready = ReadyQueues::new(TaskOrder::Shares(shares));
        let classes =
            [SchedulingClass::Foreground, SchedulingClass::Journal, SchedulingClass::Maintenance];
        let mut runs = [0_u32; CLASSES];
        for (number, class) in classes.iter().enumerate() {
            ready.push(*class, TaskKey(number as u64));
        }
        for _ in 0..10_000 {
            let task = ready.pop().expect("all three are always ready");
            let class = classes[task.0 as usize];
            runs[class_index(class)] += 1;
            ready.charge(class, 100);
            ready.push(class, task);
        }
        assert!((2900..3100).contains(&runs[0]), "{runs:?}");
        assert!((5900..6100).contains(&runs[1]), "{runs:?}");
        assert!((900..1100).contains(&runs[2]), "{runs:?}");
    }

    #[test]
    fn a_seed_draws_every_task_and_replays() {
        let draw = |seed| {
            let mut ready = ReadyQueues::new(TaskOrder::Seeded(Prng::new(seed)));
            for number in 0..20 {
                ready.push(SchedulingClass::Foreground, TaskKey(number));
                ready.push(SchedulingClass::Journal, TaskKey(100 + number));
            }
            std::iter::from_fn(|| ready.pop()).collect::<Vec<_>>()
        };
        let first = draw(1);
        assert_eq!(first.len(), 40);
        assert_eq!(first, draw(1));
        assert_ne!(first, draw(2));
    }
}
