//! A server, from start to stop.

use std::future::Future;
use std::sync::Arc;

use recado_replication::{PeerTransport, Replica, ReplicaConfig, Sizes, StampSource};
use recado_transport::{BackendLink, Caller, Publisher, Responder};
use tokio::task::JoinSet;

use crate::berkeley::ClockRounds;
use crate::broker_link::BrokerLink;
use crate::clocks::Clocks;
use crate::cluster::{Cluster, Node};
use crate::config::ServerConfig;
use crate::error::{ServerError, prepare_folder};
use crate::facts::Facts;
use crate::links::Links;
use crate::peer_port::{ClockPort, PeerPort};
use crate::publisher::EventPublisher;
use crate::registration::Registrar;
use crate::service::Service;

/// Why a part of the server ended, in one sentence; parts run for ever.
type Parts = JoinSet<String>;

/// Runs a server until `shutdown` resolves. Meant for a current-thread runtime of its own.
///
/// # Errors
/// One sentence, ready to be printed, when it can't start or has to stop. The caller ends the
/// process then: a node that is unsure of its disk does not go on.
pub async fn run_server(
    config: ServerConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let server = Server::start(config).await?;
    server.run(shutdown).await
}

/// A started server.
struct Server {
    responder: Responder,
    replica: Replica,
    brokers: Vec<BrokerLink<Node>>,
    parts: Parts,
}

impl Server {
    async fn start(config: ServerConfig) -> Result<Server, ServerError> {
        prepare_folder(&config.data_dir)?;
        // The port first: a second start of the same server fails here, before it touches data.
        let responder = Responder::bind(&config.endpoint).await?;
        let publisher = Publisher::connect(&config.proxy).await?;
        let reference = Caller::connect(&config.reference).await?;
        let mut backends = Vec::new();
        for broker in &config.brokers {
            backends.push(BackendLink::connect(broker).await?);
        }

        let address = config.advertise.clone().unwrap_or_else(|| responder.endpoint().to_owned());
        let boot: u64 = rand::random();
        let clocks = Arc::new(Clocks::new(config.clock_offset_ms));
        let facts = Arc::new(Facts::new(&config.reference, &config.proxy));
        let links = Links::start();
        let replica = start_replica(&config, &address, boot, &links, &clocks).await?;
        tracing::info!(name = %config.name, %address, node = replica.node(), "server started");

        let node = Node::new(replica.clone(), links.clone(), clocks.clone());
        let leadership = node.leadership().clone();
        let service = Service::new(node, clocks.clone(), facts.clone(), config.message_limit_bytes);
        let mut parts = Parts::new();

        let clock_port = ClockPort {
            clocks: clocks.clone(),
            facts: facts.clone(),
            leadership: leadership.clone(),
            node: replica.node(),
        };
        let port = PeerPort::new(responder.clone(), replica.clone(), service.clone(), clock_port);
        spawn(&mut parts, "the server's own port", port.run());

        let rounds = ClockRounds {
            links: links.clone(),
            replica: replica.clone(),
            leadership: leadership.clone(),
            clocks: clocks.clone(),
            facts: facts.clone(),
        };
        spawn(&mut parts, "the clock rounds", rounds.run());

        let registrar = Registrar {
            caller: reference,
            replica: replica.clone(),
            clocks: clocks.clone(),
            facts: facts.clone(),
            name: config.name.clone(),
            address,
        };
        spawn(&mut parts, "the registration", registrar.run());

        let events = EventPublisher {
            publisher,
            replica: replica.clone(),
            leadership,
            clocks: clocks.clone(),
            facts,
            name: config.name.clone(),
        };
        parts.spawn(async move {
            match events.run().await {
                Ok(()) => "the publisher ended".into(),
                Err(error) => error.to_string(),
            }
        });

        let brokers: Vec<BrokerLink<Node>> = backends
            .into_iter()
            .map(|link| BrokerLink {
                link,
                service: service.clone(),
                clocks: clocks.clone(),
                name: config.name.clone(),
                boot,
            })
            .collect();
        for broker in &brokers {
            spawn(&mut parts, "the link to the broker", broker.clone().run());
        }
        Ok(Server { responder, replica, brokers, parts })
    }

    async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let failure = tokio::select! {
            () = shutdown => None,
            why = self.replica.failed() => Some(why),
            Some(ended) = self.parts.join_next() => {
                Some(ended.unwrap_or_else(|error| error.to_string()))
            }
        };
        if let Some(why) = &failure {
            tracing::error!(%why, "the server stops");
        } else {
            tracing::info!("the server stops as it was told");
        }
        futures::future::join_all(self.brokers.iter().map(BrokerLink::leave)).await;
        self.replica.shutdown().await;
        self.parts.shutdown().await;
        self.responder.close().await;
        match failure {
            None => Ok(()),
            Some(why) => Err(ServerError::Stopped(why)),
        }
    }
}

fn spawn(parts: &mut Parts, what: &'static str, part: impl Future<Output = ()> + Send + 'static) {
    parts.spawn(async move {
        part.await;
        format!("{what} ended")
    });
}

async fn start_replica(
    config: &ServerConfig,
    address: &str,
    boot: u64,
    links: &Links,
    clocks: &Arc<Clocks>,
) -> Result<Replica, ServerError> {
    let replica = ReplicaConfig {
        dir: config.data_dir.clone(),
        name: config.name.clone(),
        address: address.to_owned(),
        boot,
        pid: std::process::id(),
        timing: config.timing,
        sizes: Sizes::default(),
    };
    let transport: Arc<dyn PeerTransport> = Arc::new(links.clone());
    let stamps: Arc<dyn StampSource> = clocks.clone();
    Ok(Replica::start(replica, transport, stamps).await?)
}
