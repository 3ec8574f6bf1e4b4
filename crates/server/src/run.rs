//! A server, from start to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use recado_replication::{
    Peer, PeerTransport, Replica, ReplicaConfig, StampSource, name_taken, of_an_earlier_generation,
    was_removed,
};
use recado_transport::{AnyOf, BackendLink, Caller, Publisher, Responder, Subscriber};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::berkeley::ClockRounds;
use crate::broker_link::BrokerLink;
use crate::clocks::Clocks;
use crate::cluster::{Cluster, Leadership, Node};
use crate::config::{LIST_INTERVAL_MS, NAMESAKE_WAIT_MS, ServerConfig};
use crate::error::{ServerError, prepare_folder};
use crate::facts::Facts;
use crate::links::{Links, WITNESS_ADDRESS};
use crate::namesake::{Namesake, Search};
use crate::peer_port::{ClockPort, PeerPort};
use crate::publisher::EventPublisher;
use crate::registration::{Registrar, peers};
use crate::service::Service;
use crate::watched::Watched;

/// Why a part of the server ended, in one sentence; parts run for ever.
type Parts = JoinSet<String>;

/// Runs a server until `shutdown` resolves. Meant for a current-thread runtime.
///
/// # Errors
/// One sentence, ready to be printed, when it can't start or has to stop. The caller ends the
/// process then: a node that is unsure of its disk does not go on.
pub async fn run_server(
    config: ServerConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let mut shutdown = std::pin::pin!(shutdown);
    match Server::start(config, shutdown.as_mut()).await? {
        Some(server) => server.run(shutdown).await,
        None => Ok(()),
    }
}

/// A started server.
struct Server {
    responder: Responder,
    replica: Replica,
    brokers: Vec<Arc<BrokerLink<Node>>>,
    parts: Parts,
}

/// The sockets, before anything uses them.
struct Sockets {
    responder: Responder,
    proxies: Vec<(Publisher, Subscriber)>,
    reference: Caller,
    brokers: Vec<BackendLink>,
}

impl Sockets {
    async fn open(config: &ServerConfig) -> Result<Sockets, ServerError> {
        // The own port first: a second start of the same server fails here.
        let responder = Responder::bind(&config.endpoint).await?;
        let mut proxies = Vec::new();
        for proxy in &config.proxies {
            let publishers = AnyOf::from(&proxy.publishers).called("the proxy");
            let publisher = Publisher::connect(publishers, &config.name).await?;
            let ear = AnyOf::from(&proxy.subscribers).called("the proxy's port for subscribers");
            proxies.push((publisher, Subscriber::connect(ear).await?));
        }
        let reference =
            Caller::connect(AnyOf::from(&config.reference).called("the reference")).await?;
        let mut brokers = Vec::new();
        for broker in &config.brokers {
            brokers.push(BackendLink::connect(AnyOf::from(broker).called("the broker")).await?);
        }
        Ok(Sockets { responder, proxies, reference, brokers })
    }
}

/// What most parts need.
struct Core {
    name: String,
    address: String,
    clocks: Arc<Clocks>,
    facts: Arc<Facts>,
    links: Links,
    replica: Replica,
    leadership: watch::Receiver<Leadership>,
}

impl Server {
    /// None when it was told to stop before it had started.
    async fn start(
        config: ServerConfig,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Option<Server>, ServerError> {
        prepare_folder(&config.data_dir)?;
        let sockets = Sockets::open(&config).await?;
        let bound = || sockets.responder.endpoint().to_owned();
        let address = config.advertise.clone().unwrap_or_else(bound);
        let boot: u64 = rand::random();
        let clocks = Arc::new(Clocks::new(config.clock_offset_ms));
        let proxies: Vec<_> = config.proxies.iter().map(|proxy| proxy.publishers.clone()).collect();
        let facts = Facts::new(&config.reference, &config.brokers, &proxies);
        let facts = Arc::new(facts.measured(config.metrics.clone()));
        let mut routes = config.routes.clone();
        routes.insert(WITNESS_ADDRESS.to_owned(), config.reference.clone());
        let search = Search {
            reference: sockets.reference.clone(),
            clocks: clocks.clone(),
            name: config.name.clone(),
            boot,
            data_dir: config.data_dir.clone(),
            routes: routes.clone(),
        };
        refuse_second(&search, &address).await?;
        let links = Links::start(routes);
        let (tell, listed) = watch::channel(Vec::new());
        let listening = tokio::spawn(hear_of_others(search.clone(), tell));
        let starting = start_replica(&config, &address, boot, &links, &clocks, listed);
        let started = tokio::select! {
            replica = starting => Some(replica),
            // A damaged one may ask the others for a while.
            () = shutdown => None,
        };
        listening.abort();
        let Some(replica) = started.transpose()? else { return Ok(None) };
        tracing::info!(name = %config.name, %address, node = replica.node(), "server started");

        let node = Node::new(replica.clone(), links.clone(), clocks.clone());
        let leadership = node.leadership().clone();
        let service = Service::new(node, clocks.clone(), facts.clone(), config.message_limit_bytes);
        let brokers: Vec<Arc<BrokerLink<Node>>> = sockets
            .brokers
            .into_iter()
            .enumerate()
            .map(|(number, link)| BrokerLink {
                link,
                number,
                facts: facts.clone(),
                service: service.clone(),
                clocks: clocks.clone(),
                name: config.name.clone(),
                boot,
                http: config.http.clone(),
            })
            .map(Arc::new)
            .collect();
        let core = Core { name: config.name, address, clocks, facts, links, replica, leadership };

        let mut parts = Parts::new();
        spawn(&mut parts, "the server's own port", core.port(&sockets.responder, service).run());
        spawn(&mut parts, "the clock rounds", core.rounds().run());
        parts.spawn(core.registrar(search).run());
        let events = core.events(sockets.proxies, boot);
        parts.spawn(async move {
            match events.run().await {
                Ok(()) => "the publisher ended".into(),
                Err(error) => error.to_string(),
            }
        });
        let watched = Watched {
            replica: core.replica.clone(),
            facts: core.facts.clone(),
            clocks: core.clocks.clone(),
            brokers: brokers.clone(),
            vitals: config.vitals,
        };
        spawn(&mut parts, "what is shown", watched.run());
        for broker in &brokers {
            spawn(&mut parts, "the link to the broker", broker.clone().run());
        }
        let replica = core.replica;
        Ok(Some(Server { responder: sockets.responder, replica, brokers, parts }))
    }

    async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let failure = tokio::select! {
            // In this order: what the replica says explains why another part ended.
            biased;
            () = shutdown => None,
            why = self.replica.failed() => Some(why),
            Some(ended) = self.parts.join_next() => {
                Some(ended.unwrap_or_else(|error| error.to_string()))
            }
        };
        if let Some(why) = &failure {
            // Whoever runs it says why, once.
            tracing::debug!(%why, "the server stops");
        } else {
            tracing::info!("the server stops as it was told");
        }
        futures::future::join_all(self.brokers.iter().map(|broker| broker.leave())).await;
        self.replica.shutdown().await;
        self.parts.shutdown().await;
        self.responder.close().await;
        // The last things that were written may be what failed.
        match failure.or_else(|| self.replica.failure()) {
            None => Ok(()),
            Some(why) if self.replica.was_removed() => Err(ServerError::Removed(why)),
            Some(why) => Err(ServerError::Stopped(why)),
        }
    }
}

impl Core {
    fn port(&self, responder: &Responder, service: Service<Node>) -> PeerPort<Node> {
        let clock_port = ClockPort {
            clocks: self.clocks.clone(),
            facts: self.facts.clone(),
            leadership: self.leadership.clone(),
            node: self.replica.node(),
        };
        PeerPort::new(responder.clone(), self.replica.clone(), service, clock_port)
    }

    fn rounds(&self) -> ClockRounds {
        ClockRounds {
            links: self.links.clone(),
            replica: self.replica.clone(),
            leadership: self.leadership.clone(),
            clocks: self.clocks.clone(),
            facts: self.facts.clone(),
        }
    }

    fn registrar(&self, search: Search) -> Registrar {
        Registrar {
            caller: search.reference.clone(),
            search,
            replica: self.replica.clone(),
            clocks: self.clocks.clone(),
            facts: self.facts.clone(),
            name: self.name.clone(),
            address: self.address.clone(),
        }
    }

    fn events(&self, proxies: Vec<(Publisher, Subscriber)>, boot: u64) -> EventPublisher {
        #[cfg(feature = "planted")]
        for (publisher, _) in proxies.iter().take(1) {
            tokio::spawn(crate::planted::publish_early(publisher.clone(), self.replica.clone()));
        }
        EventPublisher {
            proxies,
            replica: self.replica.clone(),
            leadership: self.leadership.clone(),
            clocks: self.clocks.clone(),
            facts: self.facts.clone(),
            name: self.name.clone(),
            boot,
        }
    }
}

/// Two servers of one name would take it from each other for ever, so the second one does not
/// even begin. Where the reference is away, the primary sees to it.
async fn refuse_second(search: &Search, address: &str) -> Result<(), ServerError> {
    if !search.reference.wait_connected(Duration::from_millis(NAMESAKE_WAIT_MS)).await {
        return Ok(());
    }
    match search.run(Some(address)).await {
        Some(Namesake { earlier: true, .. }) => {
            Err(ServerError::Removed(of_an_earlier_generation(&search.data_dir)))
        }
        Some(Namesake { removed: true, .. }) => {
            Err(ServerError::Removed(was_removed(&search.data_dir)))
        }
        Some(taken) => Err(ServerError::NameTaken(name_taken(&search.name, &taken.address))),
        None => Ok(()),
    }
}

/// Keeps the reference's list, as long as the replica is only starting: a damaged one asks them.
async fn hear_of_others(search: Search, tell: watch::Sender<Vec<Peer>>) {
    loop {
        if let Some(list) = search.list().await {
            tell.send_replace(peers(&list, 0));
        }
        tokio::time::sleep(Duration::from_millis(LIST_INTERVAL_MS)).await;
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
    listed: watch::Receiver<Vec<Peer>>,
) -> Result<Replica, ServerError> {
    let replica = ReplicaConfig {
        dir: config.data_dir.clone(),
        name: config.name.clone(),
        address: address.to_owned(),
        boot,
        pid: std::process::id(),
        timing: config.timing,
        sizes: config.sizes,
        min_copies: config.min_copies,
        metrics: config.metrics.replica.clone(),
        witness: false,
    };
    let transport: Arc<dyn PeerTransport> = Arc::new(links.clone());
    let stamps: Arc<dyn StampSource> = clocks.clone();
    Ok(Replica::start(replica, transport, stamps, listed).await?)
}
