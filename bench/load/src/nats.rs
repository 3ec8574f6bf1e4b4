//! NATS JetStream: publishing to a stream with three replicas in files.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use bytes::Bytes;

use crate::{Failure, Options, Writer};

const STREAM: &str = "bench";

/// How often a cluster that is just starting is asked to make the stream, half a second apart.
const MAX_ATTEMPTS: usize = 60;

#[derive(Clone)]
pub struct Publisher {
    context: jetstream::Context,
}

impl Writer for Publisher {
    async fn write(&self, topic: usize, message: Bytes) -> Result<(), Failure> {
        // The first future sends, the second one is the acknowledgement.
        self.context.publish(format!("{STREAM}.{topic}"), message).await?.await?;
        Ok(())
    }
}

pub async fn connect(options: &Options, connections: usize) -> Result<Vec<Publisher>, Failure> {
    let mut publishers = Vec::with_capacity(connections);
    for _ in 0..connections {
        let client = async_nats::connect(&options.servers).await?;
        let mut context = jetstream::new(client);
        context.set_timeout(Duration::from_millis(options.timeout_ms));
        publishers.push(Publisher { context });
    }
    make_stream(&publishers[0].context).await?;
    Ok(publishers)
}

/// The name of the server that leads the stream.
pub async fn leader(servers: &[String]) -> Result<String, Failure> {
    let client = async_nats::connect(servers).await?;
    let stream = jetstream::new(client).get_stream(STREAM).await?;
    let cluster = stream.get_info().await?.cluster;
    cluster.and_then(|cluster| cluster.leader).ok_or_else(|| "the stream has no leader".into())
}

async fn make_stream(context: &jetstream::Context) -> Result<(), Failure> {
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{STREAM}.>")],
        storage: stream::StorageType::File,
        num_replicas: 3,
        ..stream::Config::default()
    };
    let mut attempt = 1;
    loop {
        match context.get_or_create_stream(config.clone()).await {
            Ok(_) => return Ok(()),
            Err(why) if attempt == MAX_ATTEMPTS => return Err(why.into()),
            Err(_) => attempt += 1,
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
