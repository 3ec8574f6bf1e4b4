//! At most two clusters at a time: more would measure the machine rather than the program.

use std::sync::{Condvar, Mutex, PoisonError};

const SLOTS: usize = 2;

static FREE: Mutex<usize> = Mutex::new(SLOTS);
static CHANGED: Condvar = Condvar::new();

/// The right to run so many clusters; given back at the end.
pub struct Slots(usize);

impl Slots {
    /// Waits for so many at once, so that two tests can't each hold half of what they need.
    pub fn take(count: usize) -> Slots {
        assert!(count <= SLOTS);
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = CHANGED.wait_while(free, |free| *free < count);
        *waited.unwrap_or_else(PoisonError::into_inner) -= count;
        Slots(count)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
        CHANGED.notify_all();
    }
}
