//! The client as people see it, without a terminal and without a network.

mod behaviour;
mod history;
mod keys;
mod screens;
mod stage;
