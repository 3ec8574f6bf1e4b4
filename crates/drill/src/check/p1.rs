//! P1: every acknowledged write is in the final history.
//!
//! In its topic, under the number that was acknowledged, with the same text, sender and public id.

use super::evidence::Evidence;
use super::verdict::{Breaks, Found, Verdict, held};

pub(super) fn check(evidence: &Evidence<'_>) -> Verdict {
    if evidence.end().is_none() {
        return Verdict::NotChecked(Evidence::NO_END);
    }
    let mut breaks = Breaks::new();
    let mut checked = 0;
    for write in &evidence.history.writes {
        for ack in write.acks() {
            checked += 1;
            let kept = evidence.row(&write.topic, ack.seq).is_some_and(|kept| {
                kept.row.text == write.text
                    && kept.row.from == write.from
                    && ack.message_id.is_none_or(|id| id == kept.message_id)
            });
            if kept {
                continue;
            }
            breaks.add(ack.at_us, || {
                let (seq, topic) = (ack.seq, &write.topic);
                let mut messages = vec![&*write.text];
                let instead = match evidence.row(topic, seq) {
                    Some(other) if other.row.text == write.text => {
                        "its sender or its id is another one".to_owned()
                    }
                    Some(other) => {
                        messages.push(&*other.row.text);
                        format!("{:?} stands there", other.row.text)
                    }
                    None => format!("the topic ends with {}", evidence.newest(topic)),
                };
                let text = &write.text;
                let what = format!(
                    "{text:?} was acknowledged as {seq} of {topic}, but is not there: {instead}"
                );
                Found::new(what, messages)
            });
        }
    }
    breaks.verdict(evidence, || held(checked, "acknowledgements", "nothing was acknowledged"))
}
