//! For each rule a history that breaks it and nothing more than it must.

use super::model::good;
use crate::check::{Promise, Verdict, check};
use crate::history::{
    Ack, Delivery, FinalRow, Folder, History, Led, Outcome, Ranked, Read, RequestId, Row, Source,
    Topic,
};

fn geral() -> Topic {
    Topic::channel("geral")
}

/// The final rows of a topic.
fn rows<'a>(history: &'a mut History, topic: &Topic) -> &'a mut Vec<FinalRow> {
    history.end.as_mut().unwrap().topics.get_mut(topic).unwrap()
}

fn ack(history: &mut History, write: usize) -> &mut Ack {
    match &mut history.writes[write].attempts.last_mut().unwrap().outcome {
        Outcome::Acked(ack) => ack,
        other => panic!("{other:?}"),
    }
}

/// Forgets everything but writes and the end.
fn unseen(history: &mut History) {
    history.reads.clear();
    history.deliveries.clear();
}

/// The good history, changed so that exactly these promises break. Gives the first one's excerpt.
fn broken(change: impl FnOnce(&mut History), expected: &[Promise]) -> String {
    let mut history = good();
    change(&mut history);
    let findings = check(&history);
    assert_eq!(findings.broken(), expected, "{findings:#?}");
    match findings.of(expected[0]) {
        Verdict::Broken { excerpt, .. } => {
            let lines = excerpt.lines.iter().map(|line| format!("\n{}", line.text));
            excerpt.what.clone() + &lines.collect::<String>()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_history_holds() {
    let findings = check(&good());
    for (promise, verdict) in &findings.0 {
        assert!(matches!(verdict, Verdict::Held { checked: 1.., .. }), "{promise}: {verdict:?}");
    }
}

#[test]
fn nothing_seen_is_nothing_held() {
    let findings = check(&History::default());
    assert_eq!(findings.not_checked(), Promise::ALL);
}

#[test]
fn without_an_end_only_what_needs_none_is_held() {
    let mut history = good();
    history.end = None;
    let findings = check(&history);
    assert_eq!(findings.broken(), []);
    let open = [Promise::P1, Promise::P2, Promise::P3, Promise::P5, Promise::P7];
    assert_eq!(findings.not_checked(), open);
}

#[test]
fn without_private_messages_p8_is_not_checked() {
    let mut history = good();
    history.writes.retain(|write| !write.topic.is_private());
    history.reads.retain(|read| !read.topic.is_private());
    history.deliveries.retain(|delivery| !delivery.topic.is_private());
    history.end.as_mut().unwrap().topics.retain(|topic, _| !topic.is_private());
    assert_eq!(check(&history).not_checked(), [Promise::P8]);
}

#[test]
fn p1_a_lost_last_message() {
    let excerpt = broken(
        |history| {
            unseen(history);
            rows(history, &geral()).pop();
        },
        &[Promise::P1],
    );
    assert!(excerpt.contains("was acknowledged as 4 of #geral, but is not there"), "{excerpt}");
    assert!(excerpt.contains("nowhere at the end"), "{excerpt}");
    assert!(excerpt.contains("fault: kill primary s1"), "{excerpt}");
}

#[test]
fn p1_another_message_in_its_place() {
    let change = |history: &mut History| {
        unseen(history);
        let seq = rows(history, &geral()).len() - 1;
        rows(history, &geral())[seq].message_id = [1; 16];
    };
    assert!(broken(change, &[Promise::P1]).contains("its id is another one"));
}

#[test]
fn p1_an_acknowledgement_that_did_not_wait_for_an_active_server() {
    let early = |history: &mut History| ack(history, 0).stored = 2;
    let excerpt = broken(early, &[Promise::P1]);
    assert!(excerpt.contains("on 2 disks, while 3 servers were active"), "{excerpt}");
    assert!(excerpt.contains("active were s1, s2, s3"), "{excerpt}");
}

#[test]
fn who_was_not_active_all_the_time_need_not_have_it() {
    let at_us = ack(&mut good(), 0).at_us;
    for (from_us, to_us) in [(at_us, u64::MAX), (0, at_us), (0, at_us + 100_000), (0, 1)] {
        let mut history = good();
        ack(&mut history, 0).stored = 2;
        let third = &mut history.active[2];
        (third.from_us, third.to_us) = (from_us, to_us);
        assert_eq!(check(&history).broken(), [], "active from {from_us} to {to_us}");
    }
    let mut untold = good();
    ack(&mut untold, 0).stored = 0;
    assert_eq!(check(&untold).broken(), [], "an answer that says nothing proves nothing");
}

#[test]
fn an_unknown_write_may_be_missing() {
    let mut history = good();
    unseen(&mut history);
    // The second round's answers were lost. Without it the numbers behind it go down by one.
    let lost = rows(&mut history, &geral()).remove(1).row.text;
    for row in &mut rows(&mut history, &geral())[1..] {
        row.row.seq -= 1;
    }
    for write in history.writes.iter_mut().filter(|write| write.topic == geral()) {
        for attempt in &mut write.attempts {
            if let Outcome::Acked(ack) = &mut attempt.outcome {
                ack.seq -= u64::from(ack.seq > 1);
            }
        }
    }
    assert!(history.writes.iter().any(|w| w.text == lost && w.first_ack().is_none()));
    assert_eq!(check(&history).broken(), []);
}

#[test]
fn p2_a_text_twice() {
    let change = |history: &mut History| {
        unseen(history);
        let mut again = rows(history, &geral())[0].clone();
        again.row.seq = 5;
        again.message_id = [9; 16];
        rows(history, &geral()).push(again);
    };
    assert!(broken(change, &[Promise::P2]).contains("took effect twice: as 1 of #geral and as 5"));
}

#[test]
fn p2_two_messages_with_one_public_id() {
    let change = |history: &mut History| {
        unseen(history);
        let id = rows(history, &geral())[0].message_id;
        let second = &mut rows(history, &geral())[1];
        second.message_id = id;
    };
    assert!(broken(change, &[Promise::P2]).contains("the same public id"));
}

#[test]
fn p2_two_messages_under_one_request_id() {
    let change = |history: &mut History| {
        let id = history.writes[0].id;
        history.writes[1].id = id;
        history.writes[1].attempts[0].outcome = history.writes[0].attempts[0].outcome.clone();
        ack(history, 1).message_id = None;
    };
    assert!(broken(change, &[Promise::P2]).contains("under request 1 of session 1"));
}

#[test]
fn p2_one_message_acknowledged_under_two_numbers() {
    let change = |history: &mut History| {
        let repeated = history.writes.iter_mut().rfind(|write| write.attempts.len() == 2).unwrap();
        let Outcome::Acked(mut second) = repeated.attempts[1].outcome.clone() else { panic!() };
        second.seq -= 1;
        second.at_us += 1;
        second.message_id = None;
        repeated.attempts[0].outcome = Outcome::Acked(second);
    };
    let excerpt = broken(change, &[Promise::P1, Promise::P2, Promise::P3]);
    assert!(excerpt.contains("is not there"), "{excerpt}");
}

#[test]
fn p2_a_refused_message_that_is_there() {
    let change = |history: &mut History| {
        unseen(history);
        let refused = history.writes.last().unwrap().clone();
        assert!(refused.is_refused());
        let row = Row { seq: 5, from: refused.from, text: refused.text };
        rows(history, &geral()).push(FinalRow { row, message_id: [9; 16], timestamp_ms: 0 });
    };
    let excerpt = broken(change, &[Promise::P2]);
    assert!(excerpt.contains("was refused, but stands as 5 in #geral"), "{excerpt}");
    assert!(excerpt.contains("is told unavailable"), "{excerpt}");
}

#[test]
fn a_refused_repeat_says_nothing_of_the_attempt_before_it() {
    let mut history = good();
    let lost = history.writes.iter().position(|write| write.first_ack().is_none()).unwrap();
    history.send_again(lost, LATE_US);
    let code = "id_expired".into();
    history.ended(lost, Outcome::Refused { at_us: LATE_US, code });
    assert_eq!(check(&history).broken(), []);
}

#[test]
fn p2_a_message_that_nobody_sent() {
    let change = |history: &mut History| {
        unseen(history);
        let row = Row { seq: 5, from: "eva".into(), text: "boo".into() };
        rows(history, &geral()).push(FinalRow { row, message_id: [9; 16], timestamp_ms: 0 });
    };
    assert!(broken(change, &[Promise::P2]).contains("nobody sent it"));
}

#[test]
fn p3_a_hole() {
    let change = |history: &mut History| {
        unseen(history);
        // Its answer was lost: only the hole is wrong.
        rows(history, &geral()).remove(1);
    };
    assert!(broken(change, &[Promise::P3]).contains("#geral has 3 where 2 should be"));
}

#[test]
fn p3_two_readers_two_texts() {
    let change = |history: &mut History| {
        let read = history.reads.iter_mut().find(|read| read.topic == geral()).unwrap();
        read.rows[0].text = "m2".into();
    };
    let excerpt = broken(change, &[Promise::P3, Promise::P5]);
    assert!(excerpt.contains("for one and \"m"), "{excerpt}");
}

/// The last read of all of `geral`.
fn whole_page(history: &mut History) -> &mut Read {
    let mut reads = history.reads.iter_mut();
    reads.rfind(|read| read.topic == geral() && read.rows.len() == 4).unwrap()
}

#[test]
fn p3_a_page_with_a_hole() {
    let change = |history: &mut History| {
        let read = whole_page(history);
        read.rows.remove(1);
    };
    assert!(broken(change, &[Promise::P3]).contains("a page of"));
}

#[test]
fn p3_a_page_that_begins_too_late_or_ends_too_early() {
    let late = |history: &mut History| {
        let read = history.reads.iter_mut().rfind(|read| read.after.is_some()).unwrap();
        read.rows.remove(0);
    };
    assert!(broken(late, &[Promise::P3]).contains("after 1 from s3 and gets 1 rows"));
    let early = |history: &mut History| {
        let read = whole_page(history);
        read.rows.pop();
    };
    broken(early, &[Promise::P3]);
    let empty = |history: &mut History| {
        let read = whole_page(history);
        read.rows.clear();
    };
    broken(empty, &[Promise::P3]);
}

#[test]
fn p3_a_subscriber_that_never_gets_a_message() {
    let lose = |history: &mut History| {
        history.deliveries.retain(|delivery| delivery.topic != geral() || delivery.row.seq != 2);
    };
    assert!(broken(lose, &[Promise::P3]).contains("subscriber 0 of #geral never got 2"));
    let mut history = good();
    lose(&mut history);
    for subscription in &mut history.subscriptions {
        subscription.settled = false;
    }
    assert_eq!(check(&history).broken(), [], "who had no time to fill gaps may have some");
}

#[test]
fn p4_a_later_message_with_a_smaller_number() {
    let change = |history: &mut History| {
        unseen(history);
        // The first and the third round: both acknowledged, one long after the other.
        let topic = rows(history, &geral());
        let (mut first, mut third) = (topic[0].clone(), topic[2].clone());
        (first.row.seq, third.row.seq) = (3, 1);
        (topic[0], topic[2]) = (third, first);
        let writes: Vec<usize> =
            (0..history.writes.len()).filter(|w| history.writes[*w].topic == geral()).collect();
        ack(history, writes[0]).seq = 3;
        ack(history, writes[2]).seq = 1;
    };
    let excerpt = broken(change, &[Promise::P4]);
    assert!(excerpt.contains("\"m1\" was acknowledged as 3 of #geral before"), "{excerpt}");
}

#[test]
fn p4_an_unanswered_message_that_comes_too_early() {
    let change = |history: &mut History| {
        unseen(history);
        let topic = rows(history, &geral());
        let (mut first, mut second) = (topic[0].clone(), topic[1].clone());
        (first.row.seq, second.row.seq) = (2, 1);
        (topic[0], topic[1]) = (second, first);
        ack(history, 0).seq = 2;
    };
    broken(change, &[Promise::P4]);
}

#[test]
fn messages_on_their_way_at_the_same_time_may_come_in_any_order() {
    let mut history = good();
    let change = |history: &mut History| {
        unseen(history);
        let topic = rows(history, &geral());
        let (mut first, mut second) = (topic[0].clone(), topic[1].clone());
        (first.row.seq, second.row.seq) = (2, 1);
        (topic[0], topic[1]) = (second, first);
        let second = history.writes.iter().filter(|w| w.topic == geral()).nth(1).unwrap();
        let sent_at_us = second.sent_at_us();
        ack(history, 0).seq = 2;
        ack(history, 0).at_us = sent_at_us;
    };
    change(&mut history);
    assert_eq!(check(&history).broken(), []);
}

fn read(history: &History, rows: &[u64], newest: u64, sent_at_us: u64) -> Read {
    let all = &history.end.as_ref().unwrap().topics[&geral()];
    Read {
        client: 7,
        server: Some("s2".into()),
        topic: geral(),
        with: None,
        after: None,
        before: None,
        sent_at_us,
        got_at_us: sent_at_us + 50,
        rows: rows.iter().map(|seq| all[*seq as usize - 1].row.clone()).collect(),
        newest,
    }
}

const LATE_US: u64 = 1_000_000;

#[test]
fn p5_a_read_behind_an_acknowledgement() {
    let change = |history: &mut History| {
        unseen(history);
        history.reads.push(read(history, &[1, 2, 3], 3, LATE_US));
    };
    let excerpt = broken(change, &[Promise::P5]);
    assert!(excerpt.contains("up to 3 only, though 4 was known"), "{excerpt}");
    assert!(excerpt.contains("from s2"), "{excerpt}");
}

#[test]
fn p5_a_read_behind_another_read_or_a_delivery() {
    let forget_acks = |history: &mut History| {
        unseen(history);
        for attempt in history.writes.iter_mut().flat_map(|write| &mut write.attempts) {
            attempt.outcome = Outcome::Unknown;
        }
    };
    let reads = |history: &mut History| {
        forget_acks(history);
        history.reads.push(read(history, &[1, 2, 3, 4], 4, LATE_US));
        history.reads.push(read(history, &[1, 2, 3], 3, LATE_US + 51));
    };
    let findings = broken(reads, &[Promise::P5]);
    assert!(findings.contains("the newest of #geral is 4"), "{findings}");
    let delivery = |history: &mut History| {
        forget_acks(history);
        let row = rows(history, &geral())[3].row.clone();
        let (at_us, frame) = (LATE_US, Some("geral".into()));
        let source = Source::Live;
        let got = Delivery { subscriber: 77, topic: geral(), frame, row, at_us, source };
        history.deliveries.push(got);
        history.reads.push(read(history, &[1, 2, 3], 3, LATE_US + 1));
    };
    broken(delivery, &[Promise::P5]);
}

#[test]
fn reads_at_the_same_time_may_see_more_or_less() {
    let mut history = good();
    let at_us = ack(&mut history, 0).at_us;
    unseen(&mut history);
    let second = history.writes.iter().filter(|w| w.topic == geral()).nth(1).unwrap();
    let sent_at_us = second.sent_at_us();
    history.reads.push(read(&history, &[], 0, at_us));
    history.reads.push(read(&history, &[1, 2], 2, sent_at_us));
    history.reads.push(read(&history, &[1], 1, sent_at_us + 50));
    assert_eq!(check(&history).broken(), []);
}

#[test]
fn p5_a_message_that_was_never_committed() {
    let seen = |history: &mut History| {
        let row = Row { seq: 5, from: "ana".into(), text: "m-never".into() };
        let (at_us, source, subscriber) = (LATE_US, Source::Live, 99);
        let topic = geral();
        history.deliveries.push(Delivery { subscriber, topic, frame: None, row, at_us, source });
    };
    let excerpt = broken(seen, &[Promise::P5]);
    assert!(excerpt.contains("as 5 of #geral, which is not there at the end"), "{excerpt}");
    let counted = |history: &mut History| {
        let mut more = read(history, &[1, 2, 3, 4], 5, LATE_US);
        more.before = Some(5);
        history.reads.push(more);
    };
    assert!(broken(counted, &[Promise::P5]).contains("has 5 messages, but it has 4"));
}

#[test]
fn p5_a_message_before_it_was_sent() {
    let change = |history: &mut History| history.deliveries[0].at_us = 1;
    assert!(broken(change, &[Promise::P5]).contains("before it was sent"));
}

#[test]
fn p6_two_primaries_in_a_term() {
    let change = |history: &mut History| {
        history.led.push(Led { server: "s3".into(), node: 102, term: 2, at_us: 950 });
    };
    let excerpt = broken(change, &[Promise::P6]);
    assert!(excerpt.contains("in term 2 both s2 and s3 led"), "{excerpt}");
    let rebuilt = |history: &mut History| {
        history.led.push(Led { server: "s2".into(), node: 555, term: 2, at_us: 950 });
    };
    broken(rebuilt, &[Promise::P6]);
}

#[test]
fn p6_a_rank_or_a_node_id_given_twice() {
    let rank = |history: &mut History| {
        history.ranks.push(Ranked { rank: 1, name: "s2".into(), boot: 11, at_us: 5 });
    };
    assert!(broken(rank, &[Promise::P6]).contains("rank 1 was given twice"));
    let boot = |history: &mut History| {
        history.ranks.push(Ranked { rank: 1, name: "s1".into(), boot: 99, at_us: 5 });
    };
    broken(boot, &[Promise::P6]);
    let folder = |history: &mut History| {
        history.folders.push(Folder { server: "s1".into(), node: 100, at_us: 5 });
    };
    assert!(broken(folder, &[Promise::P6]).contains("given to two data folders"));
}

#[test]
fn the_same_start_may_be_told_its_rank_again() {
    let mut history = good();
    history.ranks.extend(history.ranks.clone());
    history.led.extend(history.led.clone());
    assert_eq!(check(&history).broken(), []);
}

#[test]
fn p7_states_that_differ() {
    let hash = |history: &mut History| {
        history.end.as_mut().unwrap().states[1].hash[31] ^= 1;
    };
    let excerpt = broken(hash, &[Promise::P7]);
    assert!(excerpt.contains("s2 differs from s1"), "{excerpt}");
    let behind = |history: &mut History| {
        history.end.as_mut().unwrap().states[0].position -= 1;
    };
    assert!(broken(behind, &[Promise::P7]).contains("s1 did not get as far as s2"));
    let missing = |history: &mut History| {
        history.end.as_mut().unwrap().missing.push("s3".into());
    };
    broken(missing, &[Promise::P7]);
}

#[test]
fn p8_a_private_message_on_another_topic() {
    let frame = |history: &mut History| {
        let live =
            history.deliveries.iter_mut().find(|d| d.topic.is_private() && d.frame.is_some());
        live.unwrap().frame = Some("geral".into());
    };
    assert!(broken(frame, &[Promise::P8]).contains("on the topic geral"));
    let subscriber = |history: &mut History| {
        let mut other = history.deliveries.iter().find(|d| d.topic.is_private()).unwrap().clone();
        other.subscriber = 0;
        history.deliveries.push(other);
    };
    broken(subscriber, &[Promise::P8]);
}

#[test]
fn p8_a_private_message_in_somebody_elses_history() {
    let inbox = Topic::inbox("ana");
    let talk = |history: &mut History| {
        let row = rows(history, &inbox)[0].row.clone();
        let mut talk = read(history, &[], 0, LATE_US);
        (talk.topic, talk.with, talk.rows) = (Topic::inbox("eva"), Some("caio".into()), vec![row]);
        history.reads.push(talk);
    };
    broken(talk, &[Promise::P8]);
    let moved = |history: &mut History| {
        unseen(history);
        // Unanswered, so that nothing but the place is wrong.
        let mut row = rows(history, &inbox).remove(1);
        for later in &mut rows(history, &inbox)[1..] {
            later.row.seq -= 1;
        }
        for write in history.writes.iter_mut().filter(|write| write.topic == inbox) {
            for attempt in &mut write.attempts {
                if let Outcome::Acked(ack) = &mut attempt.outcome {
                    ack.seq -= u64::from(ack.seq > 1);
                }
            }
        }
        row.row.seq = 5;
        rows(history, &geral()).push(row);
    };
    assert!(broken(moved, &[Promise::P8]).contains("which is for @ana, stands in #geral"));
}

#[test]
fn the_earliest_break_is_told_and_all_are_counted() {
    let mut history = good();
    unseen(&mut history);
    rows(&mut history, &geral()).clear();
    let findings = check(&history);
    let Verdict::Broken { times, excerpt } = findings.of(Promise::P1) else { panic!() };
    assert_eq!(*times, 3);
    assert!(excerpt.what.starts_with("\"m1\""), "{excerpt:?}");
    let times: Vec<_> = excerpt.lines.iter().map(|line| line.at_us.unwrap_or(u64::MAX)).collect();
    assert!(times.is_sorted(), "{excerpt:?}");
}

#[test]
fn a_request_id_is_not_needed() {
    let mut history = good();
    for write in &mut history.writes {
        write.id = None::<RequestId>;
    }
    assert_eq!(check(&history).broken(), []);
}
