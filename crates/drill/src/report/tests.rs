use super::{Report, Spread};
use crate::history::{
    Ack, Delivery, End, Fault, FinalRow, Gap, History, Led, Name, Outcome, Row, Skipped, Source,
    State, Topic,
};

fn geral() -> Topic {
    Topic::channel("geral")
}

/// A message every 10 ms, each acknowledged after 1 ms, but none between the given times.
fn history(messages: u64, silent: &[(u64, u64)]) -> History {
    let mut history = History::default();
    let mut end = End { at_us: messages * 10_000, ..End::default() };
    let mut rows = Vec::new();
    for number in 1..=messages {
        let sent_at_us = number * 10_000;
        let text: Name = format!("m{number}").into();
        let write = history.send(1, None, (geral(), "ana".into(), text.clone()), sent_at_us);
        if silent.iter().any(|(from, to)| (*from..*to).contains(&sent_at_us)) {
            continue;
        }
        let seq = rows.len() as u64 + 1;
        let ack = Ack { at_us: sent_at_us + 1000, seq, message_id: None, stored: 3, members: 3 };
        history.ended(write, Outcome::Acked(ack));
        rows.push(FinalRow {
            row: Row { seq, from: "ana".into(), text },
            message_id: [number.to_le_bytes(); 2].concat().try_into().unwrap(),
            timestamp_ms: 0,
        });
    }
    end.topics.insert(geral(), rows);
    for server in ["s1", "s2"] {
        end.states.push(State { server: server.into(), position: 9, hash: [1; 32], active: true });
    }
    history.end = Some(end);
    history.led.push(Led { server: "s1".into(), node: 1, term: 1, at_us: 0 });
    history
}

fn fault(kind: &str, from_us: u64) -> Fault {
    Fault { kind: kind.into(), target: "s1".into(), from_us, to_us: None }
}

#[test]
fn the_whole_text() {
    let mut history = history(2000, &[(1_000_000, 1_500_000)]);
    history.faults.push(fault("kill primary", 1_000_500));
    history.skipped.push(Skipped { kind: "fsync error".into(), why: "no strace".into() });
    history.ended(0, Outcome::Refused { at_us: 1, code: "unavailable".into() });
    history.end.as_mut().unwrap().topics.get_mut(&geral()).unwrap()[0].row.text = "boo".into();
    let text = Report::of(&history).to_string();
    let expected = "\
P1  held         every acknowledged write is in the final history (1,949 acknowledgements)
P2  BROKEN       each request id takes effect at most once; broken once
      \"boo\" stands as 1 in #geral, and nobody sent it
          at the end  \"boo\" stands in #geral under 1 at the end
P3  held         numbers are 1, 2, 3 … in each topic and the same for every reader (3,899 sightings of messages)
P4  held         what was acknowledged before another was sent has the smaller number (1,949 messages in order)
P5  not checked  nobody sees what was not committed, and reads never go backwards: nobody read or received anything
P6  held         at most one primary in a term, and no rank or node id given twice (1 terms)
P7  held         after healing all servers' states are identical (2 servers)
P8  not checked  a private message goes to its recipient's topic and nowhere else: no private message was seen

messages: 1,949 acknowledged, 50 unknown, 1 refused, 0 sent again
received: 0 delivered, 0 repeated, 0 filled from history; 0 of 0 gaps filled; 0 pages read
faults: kill primary 1
skipped: fsync error (no strace)
longest gap between acknowledgements: 510.0 ms, from 0.991 s on
gaps after kill primary (1): p50 510.0 ms, p99 510.0 ms, longest 510.0 ms

verdict: BROKEN: P2; not checked: P5, P8";
    assert_eq!(text, expected);
}

#[test]
fn the_last_line_is_the_verdict() {
    let last = |history: &History| {
        let text = Report::of(history).to_string();
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(last(&History::default()), "verdict: nothing was checked");
    let open = history(10, &[]);
    assert_eq!(last(&open), "verdict: all that was checked held; not checked: P5, P8");
    let mut broken = history(10, &[]);
    broken.end.as_mut().unwrap().states[0].hash = [2; 32];
    assert_eq!(last(&broken), "verdict: BROKEN: P7; not checked: P5, P8");
    assert!(Report::of(&open).is_unbroken() && !Report::of(&broken).is_unbroken());
}

#[test]
fn all_promises_held() {
    let mut history = history(10, &[]);
    let private: Name = "psst".into();
    history.send(2, None, (Topic::inbox("bia"), "ana".into(), private.clone()), 5);
    let row = Row { seq: 1, from: "ana".into(), text: private };
    let topics = &mut history.end.as_mut().unwrap().topics;
    topics.insert(
        Topic::inbox("bia"),
        vec![FinalRow { row: row.clone(), message_id: [0; 16], timestamp_ms: 0 }],
    );
    let delivery = |source| Delivery {
        subscriber: 4,
        topic: Topic::inbox("bia"),
        frame: None,
        row: row.clone(),
        at_us: 10,
        source,
    };
    history.deliveries = vec![delivery(Source::Live), delivery(Source::Filled)];
    history.gaps.push(Gap {
        subscriber: 4,
        topic: Topic::inbox("bia"),
        messages: 1,
        seen_at_us: 9,
        filled_at_us: Some(10),
    });
    let report = Report::of(&history);
    assert!(report.to_string().ends_with("\nverdict: all promises held"), "{report}");
    assert!(
        report.to_string().contains(
            "received: 1 delivered, 1 repeated, 1 filled from history; 1 of 1 gaps filled;"
        )
    );
}

#[test]
fn each_fault_has_the_gap_behind_it() {
    let mut history = history(
        5000,
        &[(10_000_000, 10_300_000), (20_000_000, 20_900_000), (49_000_000, 60_000_000)],
    );
    for at_us in [10_000_500, 20_000_500, 40_000_500] {
        history.faults.push(fault("kill primary", at_us));
    }
    // The gap that is open when the next fault begins is not this one's.
    history.faults.push(fault("kill backup", 18_000_500));
    history.faults.push(fault("kill backup", 30_000_500));
    history.faults.push(fault("kill backup", 70_000_000));
    // Both this one and the kill before it may be the cause.
    history.faults.push(fault("cut link", 20_500_000));
    let gaps = Report::of(&history).gaps;
    assert_eq!(gaps.after[&Name::from("cut link")].max_us, 910_000);
    let primary = Spread { faults: 3, p50_us: 910_000, p99_us: 1_009_000, max_us: 1_009_000 };
    let backup = Spread { faults: 2, p50_us: 10_000, p99_us: 10_000, max_us: 10_000 };
    assert_eq!(gaps.after[&Name::from("kill primary")], primary);
    assert_eq!(gaps.after[&Name::from("kill backup")], backup, "the third came after the end");
    assert_eq!(gaps.longest.unwrap().us(), 1_009_000, "until the last message was sent");
}

#[test]
fn percentiles_take_the_nearest_rank() {
    let times: Vec<u64> = (1..=100).collect();
    assert_eq!(super::gaps::spread_of(times), (50, 99, 100));
    assert_eq!(super::gaps::spread_of(vec![7]), (7, 7, 7));
    assert_eq!(super::gaps::spread_of(vec![3, 1, 2]), (2, 3, 3));
}

#[test]
fn json_says_the_same() {
    let mut history = history(10, &[]);
    history.faults.push(fault("kill primary", 1));
    history.end.as_mut().unwrap().states[0].hash = [2; 32];
    let json = Report::of(&history).to_json();
    assert_eq!(json["unbroken"], false);
    assert_eq!(json["acks"], 10);
    assert_eq!(json["promises"]["P1"]["verdict"], "held");
    assert_eq!(json["promises"]["P1"]["checked"], 10);
    assert_eq!(json["promises"]["P7"]["verdict"], "broken");
    assert_eq!(json["promises"]["P7"]["times"], 1);
    assert_eq!(json["promises"]["P8"]["verdict"], "not checked");
    assert_eq!(json["faults"]["kill primary"], 1);
    assert_eq!(json["longest_gap_us"], 10_000);
    assert_eq!(json["gaps_after"]["kill primary"]["p99_us"], 10_000);
}
