//! What the state machine reads and writes: typed rows behind a trait, so that the same rules
//! run over redb, in tests and in simulations.

/// Read and write access to the rows, within one transaction.
pub trait Rows {
    /// What a failed read or write gives; it is fatal for the node.
    type Error;
}
