//! recado terminal
