use proptest::prelude::*;

use super::*;

const FRESH: u64 = 77;

fn server(name: &str, boot: u64, node: u64) -> Registration {
    Registration {
        name: name.into(),
        boot: Some(boot),
        address: Some(format!("tcp://{name}:1")),
        node: Some(node),
        cluster: None,
    }
}

fn holding(cluster: u64, registration: Registration) -> Registration {
    Registration { cluster: Some(cluster), ..registration }
}

fn standard(name: &str) -> Registration {
    Registration { name: name.into(), ..Registration::default() }
}

fn empty_at(now_ms: u64) -> Registry {
    Registry::new(Persistent::default(), Limits::default(), now_ms)
}

/// Ticks every 100 ms, as a healthy reference does.
fn run(registry: &mut Registry, from_ms: u64, to_ms: u64) -> Vec<String> {
    (from_ms..=to_ms).step_by(100).flat_map(|now| registry.expire(now)).collect()
}

#[test]
fn ranks_start_at_one_and_stay_for_the_same_boot() {
    let mut registry = empty_at(0);
    assert_eq!(registry.register(server("a", 1, 10), FRESH, 0).rank, 1);
    assert_eq!(registry.register(server("b", 1, 20), FRESH, 0).rank, 2);
    assert_eq!(registry.register(server("a", 1, 10), FRESH, 1).rank, 1);
    assert_eq!(registry.heartbeat(server("b", 1, 20), FRESH, 2).rank, 2);
    assert_eq!(registry.register(server("a", 2, 10), FRESH, 3).rank, 3);
    let names: Vec<_> = registry.list().into_iter().map(|l| (l.name, l.rank)).collect();
    assert_eq!(names, [("b".to_owned(), 2), ("a".to_owned(), 3)]);
}

#[test]
fn a_standard_server_is_known_by_its_name() {
    let mut registry = empty_at(0);
    assert_eq!(registry.register(standard("a"), FRESH, 0).rank, 1);
    assert_eq!(registry.register(standard("a"), FRESH, 1000).rank, 1);
    assert_eq!(registry.heartbeat(standard("b"), FRESH, 1000).rank, 2);
    assert_eq!(registry.persistent().granted_to, None, "it can't form our cluster");
}

#[test]
fn a_new_rank_is_to_be_persisted_before_it_is_said() {
    let mut registry = empty_at(0);
    let answer = registry.register(server("a", 1, 10), FRESH, 0);
    assert_eq!(answer.persist.map(|p| p.last_rank), Some(1));
    assert_eq!(registry.register(server("a", 1, 10), FRESH, 1).persist, None);
}

#[test]
fn ranks_are_never_given_twice_across_restarts() {
    let mut registry = empty_at(0);
    registry.register(server("a", 1, 10), FRESH, 0);
    let kept = registry.persistent().clone();
    let mut registry = Registry::new(kept, Limits::default(), 0);
    assert_eq!(registry.register(server("a", 2, 10), FRESH, 0).rank, 2);
}

#[test]
fn who_ran_on_while_the_reference_was_away_keeps_its_rank() {
    let mut registry = empty_at(0);
    registry.register(server("a", 1, 10), FRESH, 0);
    registry.register(server("b", 1, 20), FRESH, 0);
    let kept = registry.persistent().clone();
    let mut registry = Registry::new(kept, Limits::default(), 0);
    assert_eq!(registry.heartbeat(server("b", 1, 20), FRESH, 0).rank, 2);
    let answer = registry.heartbeat(server("a", 1, 10), FRESH, 0);
    assert_eq!((answer.rank, answer.persist), (1, None));
    // Unless it was taken off the list in between.
    run(&mut registry, 100, 1600);
    assert_eq!(registry.heartbeat(server("a", 1, 10), FRESH, 1700).rank, 3);
}

#[test]
fn the_silent_are_delisted_and_come_back_higher() {
    let mut registry = empty_at(0);
    registry.register(server("a", 1, 10), FRESH, 0);
    registry.register(server("b", 1, 20), FRESH, 0);
    for now in (100..=3000).step_by(100) {
        registry.heartbeat(server("b", 1, 20), FRESH, now);
        let gone = registry.expire(now);
        assert_eq!(gone, if now == 1600 { vec!["a"] } else { vec![] }, "at {now}");
    }
    assert_eq!(registry.list().len(), 1);
    assert_eq!(registry.heartbeat(server("a", 1, 10), FRESH, 3000).rank, 3);
}

#[test]
fn after_its_own_pause_it_waits_a_full_limit() {
    let mut registry = empty_at(0);
    registry.register(server("a", 1, 10), FRESH, 0);
    assert!(run(&mut registry, 100, 1000).is_empty());
    // Stopped for ten seconds: it heard nobody, which says nothing of them.
    assert!(run(&mut registry, 11_000, 12_400).is_empty());
    assert_eq!(run(&mut registry, 12_500, 12_500), ["a"]);
}

#[test]
fn the_right_to_form_is_granted_once_to_one_node() {
    let mut registry = empty_at(0);
    assert_eq!(registry.register(server("a", 1, 10), FRESH, 0).form, None, "grace");
    assert_eq!(registry.heartbeat(server("a", 1, 10), FRESH, 499).form, None, "grace");
    assert_eq!(registry.register(server("b", 1, 20), FRESH, 499).form, None, "grace");
    assert_eq!(registry.heartbeat(server("b", 1, 20), FRESH, 500).form, None, "not the lowest");
    let granted = registry.heartbeat(server("a", 1, 10), FRESH, 501);
    assert_eq!(granted.form, Some(FRESH));
    assert_eq!(granted.persist.map(|p| (p.cluster, p.granted_to)), Some((Some(FRESH), Some(10))));
    assert_eq!(registry.heartbeat(server("b", 1, 20), 78, 502).form, None);
    assert_eq!(registry.heartbeat(server("a", 1, 10), 79, 503).form, Some(FRESH), "the same grant");
    // Not in another life either, and for another start of the same folder it is the same.
    let mut registry = Registry::new(registry.persistent().clone(), Limits::default(), 0);
    assert_eq!(registry.register(server("b", 2, 20), 80, 9000).form, None);
    assert_eq!(registry.register(server("a", 2, 10), 81, 9000).form, Some(FRESH));
    // Once it holds data there is nothing to form.
    assert_eq!(registry.register(holding(FRESH, server("a", 2, 10)), 82, 9001).form, None);
}

#[test]
fn an_empty_reference_adopts_a_running_cluster() {
    let mut registry = empty_at(0);
    assert_eq!(registry.register(server("new", 1, 30), FRESH, 10).form, None);
    let answer = registry.register(holding(5, server("a", 1, 10)), FRESH, 20);
    assert_eq!(answer.persist.and_then(|p| p.cluster), Some(5));
    assert_eq!(registry.heartbeat(server("new", 1, 30), FRESH, 9000).form, None);
    assert_eq!(registry.persistent().granted_to, None);
}

/// A server that was rebuilt after damage is empty, and a new node under its name.
#[test]
fn who_comes_back_empty_forms_no_second_cluster() {
    let mut registry = empty_at(0);
    assert!(registry.register(server("a", 1, 10), FRESH, 1000).form.is_some());
    registry.register(holding(FRESH, server("a", 1, 10)), FRESH, 1100);
    // Everybody else is gone for good, and the reference starts anew with what it kept.
    let mut registry = Registry::new(registry.persistent().clone(), Limits::default(), 0);
    for boot in 2..5 {
        let answer = registry.register(server("a", boot, 10 + boot), FRESH + boot, 9000 * boot);
        assert_eq!(answer.form, None);
    }
    // Not even from a reference that lost what it kept: the server says whose it is.
    let mut registry = empty_at(0);
    let rebuilt = holding(FRESH, server("a", 6, 20));
    assert_eq!(registry.register(rebuilt, FRESH + 1, 9000).form, None);
    assert_eq!(registry.persistent().granted_to, None);
}

#[test]
fn the_list_tells_when_it_changed() {
    let mut registry = empty_at(0);
    let mut last = registry.changes();
    let mut changed = |registry: &Registry| {
        let now = registry.changes();
        std::mem::replace(&mut last, now) != now
    };
    registry.register(server("a", 1, 10), FRESH, 0);
    assert!(changed(&registry));
    registry.heartbeat(server("a", 1, 10), FRESH, 10);
    registry.heartbeat(standard("a"), FRESH, 20);
    assert!(!changed(&registry));
    let moved = Registration { address: Some("tcp://a:2".into()), ..server("a", 1, 10) };
    registry.heartbeat(moved, FRESH, 30);
    assert!(changed(&registry));
}

proptest! {
    /// Whatever happens, with restarts of the reference that keep what was to be persisted.
    #[test]
    fn no_rank_and_no_grant_is_given_twice(
        steps in proptest::collection::vec((0u8..6, 0u64..4, 0u64..2, 0u64..2000), 1..80),
    ) {
        let mut registry = empty_at(0);
        let mut kept = Persistent::default();
        let mut now = 0;
        let mut owners = BTreeMap::new();
        let mut granted = None;
        for (step, (kind, node, boot, later)) in steps.into_iter().enumerate() {
            now += later;
            match kind {
                0 => registry = Registry::new(kept.clone(), Limits::default(), now),
                1 => { registry.expire(now); }
                _ => {
                    let said = server(&format!("s{node}"), boot, node);
                    let answer = registry.register(said, 1000 + step as u64, now);
                    kept = answer.persist.unwrap_or(kept);
                    prop_assert_eq!(owners.entry(answer.rank).or_insert((node, boot)), &(node, boot));
                    if let Some(cluster) = answer.form {
                        prop_assert_eq!(*granted.get_or_insert((cluster, node)), (cluster, node));
                    }
                }
            }
            let ranks: Vec<u64> = registry.list().iter().map(|listed| listed.rank).collect();
            prop_assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
