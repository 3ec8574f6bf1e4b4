//! What the tests of events share.

use std::time::Duration;

use recado_transport::{EventProxy, Publisher, Subscriber};
use tokio::sync::oneshot;

/// How long anything may take on a busy machine.
pub const LONG: Duration = Duration::from_secs(10);
/// Any free port.
pub const ANY: &str = "tcp://127.0.0.1:0";

/// A proxy: where publishers and subscribers connect, and what stops it.
pub async fn proxy() -> ([String; 2], oneshot::Sender<()>) {
    let proxy = EventProxy::bind(ANY, ANY).await.unwrap();
    let endpoints = proxy.endpoints().map(str::to_owned);
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(proxy.run(async {
        let _ = stopped.await;
    }));
    (endpoints, stop)
}

/// Publishes on a topic until the subscriber hears it; what it hears on other topics is passed over.
pub async fn heard(publisher: &Publisher, subscriber: &Subscriber, topic: &'static str) {
    let knock = async {
        loop {
            let _ = publisher.publish(topic.into(), "knock".into()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let listen = async { while subscriber.receive().await.unwrap().0 != topic {} };
    tokio::select! {
        () = knock => {}
        () = listen => {}
        () = tokio::time::sleep(LONG) => panic!("{topic} was not heard"),
    }
}
