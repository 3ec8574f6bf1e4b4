//! etcd: putting values, by its gRPC interface.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};

use crate::{Failure, Options, Writer};

/// `etcdserverpb.PutRequest`, the fields that are used.
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `etcdserverpb.PutResponse`, of which only the arrival counts.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

#[derive(Clone)]
pub struct Putter {
    channel: Channel,
}

impl Writer for Putter {
    async fn write(&self, topic: usize, message: Bytes) -> Result<(), Failure> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await?;
        let request = PutRequest { key: format!("bench-{topic}").into(), value: message };
        let codec = tonic_prost::ProstCodec::<PutRequest, PutResponse>::default();
        let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
        grpc.unary(tonic::Request::new(request), path, codec).await?;
        Ok(())
    }
}

pub async fn connect(options: &Options, connections: usize) -> Result<Vec<Putter>, Failure> {
    let mut putters = Vec::with_capacity(connections);
    for number in 0..connections {
        let server = &options.servers[number % options.servers.len()];
        let endpoint = Endpoint::from_shared(format!("http://{server}"))?
            .tcp_nodelay(true)
            .timeout(Duration::from_millis(options.timeout_ms));
        putters.push(Putter { channel: endpoint.connect().await? });
    }
    Ok(putters)
}
