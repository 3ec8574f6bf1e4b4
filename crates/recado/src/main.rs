//! recado
fn main() {}
