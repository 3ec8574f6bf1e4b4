//! Logical clock, and the arithmetic of Berkeley's algorithm.
