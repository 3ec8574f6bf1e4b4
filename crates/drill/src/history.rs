//! What was done and what was seen during a drill, for the checkers.
