//! P8: a private message goes to its recipient's topic and nowhere else.
//!
//! Who gets it subscribed to the recipient's topic, and it came in a frame of this name. In a
//! history it stands in its recipient's inbox only; of talks between two, in that of its sender
//! and its recipient. Its sender sees it nowhere else.

use std::collections::HashMap;

use super::evidence::Evidence;
use super::verdict::{Breaks, Found, Verdict, held};
use crate::history::{Name, Topic};

pub(super) fn check(evidence: &Evidence<'_>) -> Verdict {
    let history = evidence.history;
    let mut breaks = Breaks::new();
    let mut checked = 0;
    let topics: HashMap<u32, &Topic> =
        history.subscriptions.iter().map(|s| (s.subscriber, &s.topic)).collect();
    for delivery in &history.deliveries {
        let text = &*delivery.row.text;
        let Some(inbox) = private(evidence, text, &delivery.topic) else { continue };
        checked += 1;
        let framed = delivery.frame.as_ref().is_none_or(|frame| frame == inbox.name());
        let wanted = topics.get(&delivery.subscriber).is_none_or(|topic| **topic == *inbox);
        if framed && wanted && delivery.topic == *inbox {
            continue;
        }
        breaks.add(delivery.at_us, || {
            let on = match (&delivery.frame, topics.get(&delivery.subscriber)) {
                (Some(frame), _) => format!("the topic {frame}"),
                (None, Some(topic)) => topic.to_string(),
                (None, None) => delivery.topic.to_string(),
            };
            let number = delivery.subscriber;
            let what = format!("subscriber {number} got {text:?}, which is for {inbox}, on {on}");
            Found::new(what, vec![text])
        });
    }
    for read in &history.reads {
        for row in &read.rows {
            let Some(inbox) = private(evidence, &row.text, &read.topic) else { continue };
            checked += 1;
            let may = match &read.with {
                None => read.topic == *inbox,
                Some(with) => {
                    let (a, b): (&Name, &Name) = (read.topic.name(), with);
                    let from = evidence.write(&row.text).map_or(&row.from, |write| &write.from);
                    let to = inbox.name();
                    (a, b) == (from, to) || (a, b) == (to, from)
                }
            };
            if !may {
                breaks.add(read.got_at_us, || {
                    let (client, topic) = (read.client, &read.topic);
                    let text = &*row.text;
                    let what =
                        format!("client {client} read {text:?}, which is for {inbox}, in {topic}");
                    Found::new(what, vec![text])
                });
            }
        }
    }
    for (topic, rows) in history.end.iter().flat_map(|end| &end.topics) {
        for row in rows {
            let text = &*row.row.text;
            let Some(inbox) = private(evidence, text, topic) else { continue };
            checked += 1;
            if inbox != topic {
                let at_us = history.end.as_ref().map_or(0, |end| end.at_us);
                breaks.add(at_us, || {
                    let what = format!("{text:?}, which is for {inbox}, stands in {topic}");
                    Found::new(what, vec![text])
                });
            }
        }
    }
    breaks.verdict(evidence, || {
        held(checked, "sightings of private messages", "no private message was seen")
    })
}

/// The inbox for which a message is, if it is private: as its sender has it, else as it says.
fn private<'a>(evidence: &Evidence<'a>, text: &str, says: &'a Topic) -> Option<&'a Topic> {
    let topic = evidence.write(text).map_or(says, |write| &write.topic);
    topic.is_private().then_some(topic)
}
