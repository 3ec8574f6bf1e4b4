//! What servers ask of the reference, and what it answers.

/// A request to the reference. Fields after `user` are ours; a standard server sends none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceRequest {
    /// Register: get a rank.
    Rank(Registration),
    /// Who is alive.
    List,
    /// I am alive.
    Heartbeat(Registration),
    /// How the reference is (ours).
    Status,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Registration {
    /// The server's name.
    pub user: String,
    /// A random number of this start.
    pub boot: Option<u64>,
    /// Where other servers reach it (`tcp://host:port`).
    pub address: Option<String>,
    /// The node id of its data folder.
    pub node: Option<u64>,
    /// The id of the cluster whose data it holds; none when its data folder is empty.
    pub cluster: Option<u64>,
}

/// A listed server.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its rank, from 1.
    pub rank: u64,
    /// Where other servers reach it.
    pub address: Option<String>,
    /// Its node id.
    pub node: Option<u64>,
}

/// What the reference answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceReply {
    /// To `rank`.
    Rank {
        /// The rank, from 1; never given twice.
        rank: u64,
        /// The id of the new cluster, when this server is the one that shall form it.
        form: Option<u64>,
        /// All listed servers.
        list: Vec<Listed>,
    },
    /// To `list`, by rank.
    List(Vec<Listed>),
    /// To `heartbeat`: the rank (a heartbeat of an unlisted server registers it anew), and the
    /// list when it changed.
    Heartbeat {
        /// The rank that the server has now.
        rank: u64,
        /// As in `Rank`.
        form: Option<u64>,
        /// All listed servers.
        list: Vec<Listed>,
        /// The reference's process id.
        pid: u32,
        /// Where the reference serves HTTP (`host:port`), if it does.
        http: Option<String>,
    },
    /// To `status`.
    Status {
        /// The reference's process id.
        pid: u32,
        /// The last rank that was given.
        last_rank: u64,
        /// All listed servers.
        list: Vec<Listed>,
        /// As in `Heartbeat`.
        http: Option<String>,
    },
    /// Not understood.
    Refused(crate::code::Refusal),
}

impl ReferenceRequest {
    /// The service's name on the wire.
    pub const fn service(&self) -> &'static str {
        match self {
            ReferenceRequest::Rank(_) => "rank",
            ReferenceRequest::List => "list",
            ReferenceRequest::Heartbeat(_) => "heartbeat",
            ReferenceRequest::Status => "status",
        }
    }
}
