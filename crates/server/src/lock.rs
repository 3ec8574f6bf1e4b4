//! How this crate takes its mutexes.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a mutex. A panic while it was held ends the process anyway.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
