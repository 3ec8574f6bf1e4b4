//! Tests that start the real binary: clusters of processes on free ports, killed and restarted
//! as a person or a power cut would.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod addresses;
mod attach;
mod bad_input;
mod clocks;
mod damage;
mod descriptors;
mod failover;
mod fsync;
mod full_disk;
mod hostile;
mod http;
mod in_use;
mod last_server;
mod logs;
mod namesakes;
mod remove;
mod rescue;
mod restart;
mod screenshots;
mod services;
mod slow_disk;
mod slow_subscribers;
mod startup;
mod status;
mod supervision;
mod support;
mod systemd;
mod terminal;
mod transfer;
mod two_of_each;
mod unplugged;
mod unreachable;
