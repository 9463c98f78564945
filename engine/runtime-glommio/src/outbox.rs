//! What a core's tasks let out, held back until the end-of-loop hooks have run.
//!
//! The first output after a flush starts a task that yields once, so that all tasks ready by then
//! add theirs; then the hooks run and everything leaves in the order it came.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

type Output = Box<dyn FnOnce()>;

/// One core's outbox.
#[derive(Default)]
pub(crate) struct Outbox {
    hooks: RefCell<Vec<Box<dyn FnMut()>>>,
    outputs: RefCell<Vec<Output>>,
    scheduled: Cell<bool>,
}

impl Outbox {
    pub(crate) fn add_hook(&self, hook: Box<dyn FnMut()>) {
        self.hooks.borrow_mut().push(hook);
    }

    pub(crate) fn push(self: &Rc<Self>, output: impl FnOnce() + 'static) {
        self.outputs.borrow_mut().push(Box::new(output));
        if !self.scheduled.replace(true) {
            let outbox = self.clone();
            glommio::spawn_local(async move {
                platform::yield_now().await;
                outbox.flush();
            })
            .detach();
        }
    }

    pub(crate) fn flush(&self) {
        self.scheduled.set(false);
        let mut hooks = self.hooks.take();
        for hook in &mut hooks {
            hook();
        }
        let mut added = self.hooks.replace(hooks);
        self.hooks.borrow_mut().append(&mut added);
        for output in self.outputs.take() {
            output();
        }
    }

    /// Forgets hooks, which may hold handles to this very core.
    pub(crate) fn clear(&self) {
        self.hooks.take();
    }
}
