//! The reference.

mod file;

use std::future::Future;

use crate::config::ReferenceConfig;
use crate::error::{ReferenceError, prepare_folder};

pub async fn run_reference(
    config: ReferenceConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ReferenceError> {
    Ok(())
}
