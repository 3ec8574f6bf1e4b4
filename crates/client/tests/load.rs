//! The bot and the load generator do what they say.
#![allow(clippy::unwrap_used, reason = "a test that can't be set up fails")]

mod fake;

use std::collections::BTreeSet;
use std::time::Duration;

use fake::{Fake, Fault};
use recado_client::{BenchConfig, BotConfig, run_bench, run_bot};
use recado_protocol::{Code, Request};

#[tokio::test]
async fn the_load_counts_what_was_acknowledged_and_what_was_not() {
    let fake = Fake::start().await;
    let config = BenchConfig {
        clients: 3,
        seconds: 1,
        warm_up_seconds: 0,
        connections: Some(2),
        size_bytes: 50,
        ..BenchConfig::new(&fake.broker)
    };
    // The first ids are those of the channels, the others of the load.
    fake.state().faults.extend([Fault::Refuse(Code::Unavailable); 6]);
    let report = run_bench(config).await.unwrap();
    let stored = fake.state().log.len() as u64;
    assert!(report.acks > 0 && report.acks <= stored && stored <= report.acks + 3, "{report:?}");
    assert!(report.p50_ms <= report.p99_ms && report.p99_ms <= report.max_ms);
    assert!(fake.state().log.iter().all(|row| row.message.len() == 50));
    let channels: BTreeSet<_> = fake.state().log.iter().map(|row| row.to.clone()).collect();
    assert_eq!(channels.len(), 3);
}

#[tokio::test]
async fn errors_of_the_load_are_counted_and_not_repeated() {
    let fake = Fake::start().await;
    let config = BenchConfig {
        clients: 1,
        seconds: 1,
        warm_up_seconds: 0,
        ..BenchConfig::new(&fake.broker)
    };
    let running = tokio::spawn(run_bench(config));
    tokio::time::sleep(Duration::from_millis(300)).await;
    fake.state().faults.extend([Fault::Refuse(Code::Unavailable); 5]);
    let report = running.await.unwrap().unwrap();
    assert_eq!(report.errors, 5);
    assert_eq!(report.first_error.as_deref(), Some("unavailable: unavailable"));
}

#[tokio::test]
async fn a_bot_makes_a_channel_joins_it_and_writes_ten_messages_a_round() {
    let fake = Fake::start().await;
    let config = BotConfig {
        seed: Some(7),
        pace: Duration::from_millis(1),
        ..BotConfig::new(&fake.broker, &fake.proxy)
    };
    fake.state().faults.extend([Fault::Refuse(Code::Unknown), Fault::Refuse(Code::Unavailable)]);
    let stop = tokio::time::sleep(Duration::from_secs(14));
    run_bot(config, async {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(Duration::from_millis(20)) => {
                    if fake.state().log.len() >= 25 {
                        break;
                    }
                }
            }
        }
    })
    .await
    .unwrap();
    let state = fake.state();
    assert_eq!((state.users.len(), state.channels.len()), (1, 1));
    let texts: Vec<_> = state.log.iter().map(|row| &row.message).collect();
    assert!(texts.len() >= 25, "{texts:?}");
    assert!(texts[0].starts_with("1/10") && texts[9].starts_with("10/10"), "{texts:?}");
    let history_was_read =
        state.arrived.iter().any(|(request, _)| matches!(request, Request::History(_)));
    assert!(history_was_read, "a joined channel is compared with the history");
}
