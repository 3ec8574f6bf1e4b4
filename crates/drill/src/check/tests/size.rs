//! How long a long drill takes to check. Ignored: it means something in a release build only.
//! `cargo test --release -p recado-drill --lib size -- --ignored --nocapture`

use std::time::Instant;

use super::model::{Fate, Model};
use crate::check::check;

const ACKS: u64 = 1_000_000;

#[test]
#[ignore = "a measurement"]
fn a_million_acknowledgements() {
    let mut model = Model::new();
    for number in 0..ACKS {
        model.write((number % 4) as usize, Fate::Acked, 30);
        if number % 100 == 0 {
            model.read((number % 4) as usize, None, 100, 30);
        }
    }
    let begin = Instant::now();
    let findings = check(&model.history);
    println!("{ACKS} acknowledgements in {} ms", begin.elapsed().as_millis());
    assert_eq!(findings.broken(), []);
}
