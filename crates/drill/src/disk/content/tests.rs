use proptest::prelude::*;
use rand::SeedableRng;

use super::*;

const NOTHING: Luck = Luck { survives: 0.0 };
const ALL: Luck = Luck { survives: 1.0 };

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn synced(content: &mut Content) {
    let begun = content.begin_sync();
    content.end_sync(begun);
}

fn all(content: &Content) -> Vec<u8> {
    content.read(0, usize::try_from(content.length()).unwrap())
}

#[test]
fn what_was_synced_stays_and_what_was_not_is_gone() {
    let mut content = Content::default();
    content.write(0, b"on disk");
    synced(&mut content);
    content.write(7, b", and not");
    assert_eq!(all(&content), b"on disk, and not");
    let lost = content.crash(NOTHING, &mut rng());
    assert_eq!(lost, Lost { forgotten: 1, survived: 0 });
    assert_eq!(all(&content), b"on disk");
    assert!(!content.is_unsynced());
}

#[test]
fn with_all_the_luck_everything_is_there() {
    let mut content = Content::default();
    content.write(3 * PAGE_BYTES - 2, b"over an edge");
    content.crash(ALL, &mut rng());
    assert_eq!(content.length(), 3 * PAGE_BYTES + 10);
    assert_eq!(content.read(3 * PAGE_BYTES - 2, 100), b"over an edge");
    assert_eq!(content.read(0, 4), [0; 4]);
}

#[test]
fn a_sync_covers_what_was_written_before_it_began() {
    let mut content = Content::default();
    content.write(0, b"before");
    let begun = content.begin_sync();
    content.write(0, b"behind");
    content.end_sync(begun);
    assert_eq!(all(&content), b"behind");
    content.crash(NOTHING, &mut rng());
    assert_eq!(all(&content), b"before");
}

#[test]
fn what_was_cut_off_and_not_synced_comes_back() {
    let mut content = Content::default();
    content.write(0, &[7; 10_000]);
    synced(&mut content);
    content.cut(5);
    content.cut(9000);
    assert_eq!(content.read(4, 3), [7, 0, 0]);
    content.crash(NOTHING, &mut rng());
    assert_eq!(all(&content), [7; 10_000]);
    content.cut(5);
    synced(&mut content);
    content.cut(20);
    content.crash(ALL, &mut rng());
    assert_eq!(all(&content), [[7; 5].as_slice(), &[0; 15]].concat());
}

#[test]
fn after_a_failed_sync_no_later_one_helps() {
    let mut content = Content::default();
    content.write(0, b"old");
    synced(&mut content);
    content.write(0, b"new and longer");
    content.fail_sync(NOTHING, &mut rng());
    assert_eq!(content.length(), 14, "the length is the kernel's");
    assert_eq!(content.read(0, 3), b"old");
    synced(&mut content);
    content.crash(ALL, &mut rng());
    assert_eq!(content.read(0, 4), b"old\0");
}

#[test]
fn the_last_write_is_torn_at_times() {
    let old = [1; PAGE];
    let new = [2; PAGE];
    let mut torn = 0;
    let mut rng = rng();
    for _ in 0..100 {
        let mut content = Content::default();
        content.write(0, &old);
        synced(&mut content);
        content.write(0, &new);
        content.crash(Luck { survives: 0.5 }, &mut rng);
        let bytes = all(&content);
        let whole = bytes.iter().take_while(|byte| **byte == 2).count();
        assert!(bytes[whole..].iter().all(|byte| *byte == 1) && whole.is_multiple_of(SECTOR));
        torn += u32::from(whole > 0 && whole < PAGE);
    }
    assert!(torn > 5, "{torn} of 100");
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64, Vec<u8>),
    Cut(u64),
    Sync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop::collection::vec(any::<u8>(), 1..6000);
    let step = prop_oneof![
        4 => (0u64..20_000, bytes).prop_map(|(at, bytes)| Step::Write(at, bytes)),
        1 => (0u64..20_000).prop_map(Step::Cut),
        1 => Just(Step::Sync),
    ];
    prop::collection::vec(step, 0..30)
}

/// The same on a plain vector.
fn plainly(bytes: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write(at, piece) => {
            let at = usize::try_from(*at).unwrap();
            bytes.resize(bytes.len().max(at + piece.len()), 0);
            bytes[at..at + piece.len()].copy_from_slice(piece);
        }
        Step::Cut(length) => bytes.resize(usize::try_from(*length).unwrap(), 0),
        Step::Sync => {}
    }
}

proptest! {
    #[test]
    fn it_is_a_file(steps in steps(), seed in any::<u64>(), survives in 0.0..=1.0) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut content = Content::default();
        let mut bytes = Vec::new();
        let mut durable = Vec::new();
        // Every byte that some state had at a place since the last sync.
        let mut since: Vec<Vec<u8>> = vec![Vec::new()];
        for step in &steps {
            match step {
                Step::Write(at, piece) => content.write(*at, piece),
                Step::Cut(length) => content.cut(*length),
                Step::Sync => synced(&mut content),
            }
            plainly(&mut bytes, step);
            if matches!(step, Step::Sync) {
                durable.clone_from(&bytes);
                since.clear();
            }
            since.push(bytes.clone());
            prop_assert_eq!(&all(&content), &bytes);
        }
        content.crash(Luck { survives }, &mut rng);
        let after = all(&content);
        if survives == 0.0 {
            prop_assert_eq!(&after, &durable);
        }
        since.push(durable);
        prop_assert!(since.iter().any(|state| state.len() == after.len()));
        for (at, byte) in after.iter().enumerate() {
            let known = since.iter().any(|state| state.get(at).copied().unwrap_or(0) == *byte);
            prop_assert!(known, "byte {} was never {}", at, byte);
        }
    }
}
