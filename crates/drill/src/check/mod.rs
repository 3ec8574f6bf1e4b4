//! The promises, one file each: from a [history](crate::history) to a verdict.
