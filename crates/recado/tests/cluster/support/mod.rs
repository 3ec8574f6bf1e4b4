//! A cluster in a test: started, asked, killed, and stopped for sure.

pub mod chat;
pub mod cluster;
pub mod disk;
pub mod hosts;
pub mod http;
pub mod ports;
pub mod process;
pub mod relay;
pub mod slots;
pub mod terminal;
pub mod wait;

pub use cluster::Cluster;
pub use process::{Output, signal};
pub use terminal::Terminal;
pub use wait::{eventually, eventually_async};
