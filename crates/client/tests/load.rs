//! The bot and the load generator do what they say.
#![allow(clippy::unwrap_used, reason = "a test that can't be set up fails")]

mod fake;

use std::collections::BTreeSet;
use std::time::Duration;

use fake::{Fake, Fault};
use recado_client::bench::{
    BenchConfig, run_fan_out, run_latency, run_proxy, run_reads, run_writes,
};
use recado_client::{BotConfig, run_bot};
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
    let reports = run_writes(&config).await.unwrap();
    let [report] = &reports[..] else { panic!("{reports:?}") };
    let stored = fake.state().log.len() as u64;
    assert!(
        report.answers > 0 && report.answers <= stored && stored <= report.answers + 3,
        "{report:?}"
    );
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
    let running = tokio::spawn(async move { run_writes(&config).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    fake.state().faults.extend([Fault::Refuse(Code::Unavailable); 5]);
    let report = running.await.unwrap().unwrap().remove(0);
    assert_eq!(report.errors, 5);
    assert_eq!(report.first_error.as_deref(), Some("unavailable: unavailable"));
}

/// A load of so many clients, for a second.
fn load(fake: &Fake, clients: usize) -> BenchConfig {
    BenchConfig { clients, seconds: 1, warm_up_seconds: 0, ..BenchConfig::new(&fake.broker) }
}

#[tokio::test]
async fn every_round_is_measured_by_itself() {
    let fake = Fake::start().await;
    let reports = run_writes(&BenchConfig { rounds: 2, ..load(&fake, 2) }).await.unwrap();
    let stored = fake.state().log.len() as u64;
    let [first, second] = &reports[..] else { panic!("{reports:?}") };
    assert!(first.answers > 0 && second.answers > 0, "{reports:?}");
    let counted = first.answers + second.answers;
    assert!(counted <= stored && stored <= counted + 4, "{stored} stored, {reports:?}");
}

#[tokio::test]
async fn a_standstill_counts_for_every_message_that_was_due_meanwhile() {
    let fake = Fake::start().await;
    let config = load(&fake, 1);
    let running = tokio::spawn(async move { run_latency(&config, 100).await });
    while fake.state().log.len() < 20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The one thread of cluster and client stands still.
    std::thread::sleep(Duration::from_millis(400));
    let report = running.await.unwrap().unwrap().remove(0);
    assert_eq!(report.due, 100, "a hundred a second for a second");
    assert_eq!(report.answers.answers, 100, "{report:?}");
    assert_eq!((report.unanswered, report.answers.errors), (0, 0));
    assert!(report.behind >= 30, "forty were due while one was under way: {report:?}");
    // A closed loop would have one latency of 400 ms; here every tenth is above 300.
    assert!(report.answers.p90_ms > 250.0, "{report:?}");
}

#[tokio::test]
async fn reads_are_full_pages_and_lists() {
    let fake = Fake::start().await;
    let report = run_reads(&load(&fake, 2)).await.unwrap();
    assert!(report.history[0].answers > 0 && report.channels[0].answers > 0, "{report:?}");
    assert_eq!((report.history[0].errors, report.channels[0].errors), (0, 0));
    assert_eq!(fake.state().log.len(), 200, "two channels with a page each");
}

#[tokio::test]
async fn what_comes_during_the_warm_up_does_not_count() {
    let fake = Fake::start().await;
    let config = BenchConfig { warm_up_seconds: 2, ..load(&fake, 1) };
    let running = tokio::spawn(async move { run_writes(&config).await });
    while fake.state().log.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fake.state().faults.extend([Fault::Refuse(Code::Unavailable); 5]);
    let report = running.await.unwrap().unwrap().remove(0);
    assert_eq!(report.errors, 0, "they came at the beginning");
    assert!(report.answers > 0, "{report:?}");
    assert!(fake.state().faults.is_empty());
}

#[tokio::test]
async fn a_fan_out_counts_what_arrives_and_what_does_not() {
    let fake = Fake::start().await;
    fake.state().lose_events = (1..100_000).filter(|seq| seq % 10 == 0).collect();
    let report =
        run_fan_out(&load(&fake, 2), &fake.proxy.as_str().into(), 3).await.unwrap().remove(0);
    let lost: u64 = {
        let state = fake.state();
        state.log.iter().filter(|row| row.seq % 10 == 0).count() as u64
    };
    assert!(report.published > 0 && report.deliveries > 0, "{report:?}");
    // Three subscribers lose each of them; not counted are those before the first that they
    // heard, and after the last that was acknowledged.
    assert!(lost >= 8, "too few messages for this test: {report:?}");
    assert!(report.lost <= 3 * lost && report.lost >= 3 * (lost - 6), "{lost}, {report:?}");
    assert_eq!(report.repeated, 0);
}

#[tokio::test]
async fn what_a_proxy_passes_on_is_counted() {
    let any = "tcp://127.0.0.1:0";
    let proxy = recado_transport::EventProxy::bind(any, any).await.unwrap();
    let [publishers, subscribers] = proxy.endpoints().map(str::to_owned);
    let passing = tokio::spawn(proxy.run(std::future::pending()));
    let config = BenchConfig {
        clients: 2,
        seconds: 1,
        warm_up_seconds: 0,
        rounds: 2,
        ..BenchConfig::new("tcp://127.0.0.1:1")
    };
    let reports = run_proxy(&config, &publishers, &subscribers, 3).await.unwrap();
    for report in &reports {
        assert!(report.published > 0 && report.deliveries > 0, "{report:?}");
        assert_eq!((report.lost, report.repeated), (0, 0), "{report:?}");
    }
    passing.abort();
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
