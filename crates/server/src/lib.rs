//! recado server
