//! recado broker
