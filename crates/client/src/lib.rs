//! recado client
