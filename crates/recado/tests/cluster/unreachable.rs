//! Who can't be reached is named, with the reason; and whoever comes later is found.

use crate::support::Cluster;

/// Lines of the log that complain of this role.
fn complaints(cluster: &Cluster, of: &str) -> Vec<String> {
    let start = format!("{of} can't be reached");
    let lines = cluster.log().lines().map(str::to_owned).collect::<Vec<_>>();
    lines.into_iter().filter(|line| line.contains("WARN") && line.contains(&start)).collect()
}

#[test]
fn a_server_says_whom_it_cannot_reach_and_why() {
    let mut cluster = Cluster::empty();
    let nobody = format!("127.0.0.1:{}", cluster.base);
    let flags = [
        "--broker=no-such-host.invalid",
        &format!("--proxy={nobody}"),
        "--reference=no-such-host.invalid:77",
    ];
    cluster.start_server_with(1, &flags);
    let whom = [
        ("the broker", "tcp://no-such-host.invalid"),
        ("the proxy", &nobody),
        ("the reference", "tcp://no-such-host.invalid:77"),
    ];
    for (role, address) in whom {
        let lines = cluster.eventually(&format!("two complaints of {role}"), || {
            let lines = complaints(&cluster, role);
            (lines.len() >= 2).then_some(lines)
        });
        assert!(lines.iter().all(|line| line.contains(address)), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("trying again")), "{lines:?}");
    }
    let refused = complaints(&cluster, "the proxy");
    assert!(refused[0].contains("nothing listens there"), "the reason stands there: {refused:?}");
}

#[test]
fn roles_that_come_later_are_found_and_the_end_of_the_complaint_is_told() {
    let mut cluster = Cluster::empty();
    cluster.start_server(1, &[]);
    for role in ["the broker", "the proxy", "the reference"] {
        cluster.eventually(role, || (!complaints(&cluster, role).is_empty()).then_some(()));
    }
    for role in ["reference", "broker", "proxy"] {
        cluster.start(role, &[role]);
    }
    cluster.wait_active(1);
    for role in ["the broker", "the proxy", "the reference"] {
        let line = format!("{role} is reached");
        cluster.eventually(&line, || cluster.log().contains(&line).then_some(()));
    }
}
