//! The client as people see it, without a terminal and without a network.

mod attention;
mod behaviour;
mod frames;
mod history;
mod kept;
mod keys;
mod leaving;
mod order;
mod screens;
mod stage;
mod writing;
