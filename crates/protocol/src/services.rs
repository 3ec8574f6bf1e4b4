//! The table of all messages, the twin of the tables in PROTOCOL.md; a test compares the two.

/// Who speaks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Clients, through the broker (5555), to any server.
    Clients,
    /// The primary, through the proxy (5557 in, 5558 out), to subscribers.
    Subscribers,
    /// Servers to the reference (5559).
    Reference,
    /// Servers to servers (5560 and above).
    Servers,
    /// Servers to the broker (5556).
    Broker,
    /// The broker to servers (5556).
    Backend,
}

impl Link {
    /// All links, in the order of PROTOCOL.md.
    pub const ALL: &[Link] = &[
        Link::Clients,
        Link::Subscribers,
        Link::Reference,
        Link::Servers,
        Link::Broker,
        Link::Backend,
    ];

    /// The heading in PROTOCOL.md under which the link's services stand.
    pub const fn heading(self) -> &'static str {
        match self {
            Link::Clients => "Services for clients (5555)",
            Link::Subscribers => "Events for subscribers (5557, 5558)",
            Link::Reference => "Services of the reference (5559)",
            Link::Servers => "Services between servers (5560 and above)",
            Link::Broker => "Headers from a server to the broker (5556)",
            Link::Backend => "Headers from the broker to a server (5556)",
        }
    }
}

/// What a map of `data` holds beside `timestamp` and `clock`. A field that is not always there
/// ends with a question mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Fields of the standard.
    pub standard: &'static [&'static str],
    /// Fields of ours, which a standard program may leave out and pass over.
    pub ours: &'static [&'static str],
}

/// A message, or a pair of request and reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name on the wire.
    pub name: &'static str,
    /// Who speaks to whom.
    pub link: Link,
    /// Whether it belongs to the standard; else it is an extension of ours.
    pub standard: bool,
    /// What is asked, or told.
    pub request: Shape,
    /// What is answered when all is well; none when nothing is.
    pub reply: Option<Shape>,
}

impl Service {
    /// A service of the standard.
    const fn standard(name: &'static str, link: Link, request: Shape, reply: Shape) -> Service {
        Service { name, link, standard: true, request, reply: Some(reply) }
    }

    /// A service of ours.
    const fn ours(name: &'static str, link: Link, request: Shape, reply: Shape) -> Service {
        Service { name, link, standard: false, request, reply: Some(reply) }
    }

    /// Something told, without an answer.
    const fn told(name: &'static str, link: Link, standard: bool, request: Shape) -> Service {
        Service { name, link, standard, request, reply: None }
    }
}

const NOTHING: Shape = of(&[]);

/// Fields of the standard alone, or all fields of a service of ours.
const fn of(fields: &'static [&'static str]) -> Shape {
    Shape { standard: fields, ours: &[] }
}

/// Fields of the standard with ours beside them.
const fn with(standard: &'static [&'static str], ours: &'static [&'static str]) -> Shape {
    Shape { standard, ours }
}

const STATUS: Shape = of(&["status"]);
const ACK: Shape = with(&["status"], &["id?", "seq", "stored", "members"]);
const PUBLISHED: &[&str] = &["id?", "seq", "pos"];
const REGISTRATION: Shape = with(&["user"], &["boot?", "address?", "node?", "cluster?"]);

/// All messages, by link, in the order of PROTOCOL.md.
pub const SERVICES: &[Service] = &[
    Service::standard("login", Link::Clients, with(&["user"], &["id?"]), STATUS),
    Service::standard("users", Link::Clients, NOTHING, of(&["users"])),
    Service::standard("channel", Link::Clients, with(&["channel"], &["id?"]), STATUS),
    Service::standard("channels", Link::Clients, NOTHING, of(&["channels", "users"])),
    Service::standard(
        "publish",
        Link::Clients,
        with(&["user", "channel", "message"], &["id?"]),
        ACK,
    ),
    Service::standard("message", Link::Clients, with(&["src", "dst", "message"], &["id?"]), ACK),
    Service::ours("session", Link::Clients, NOTHING, of(&["session", "window"])),
    Service::ours(
        "history",
        Link::Clients,
        of(&["channel?", "user?", "with?", "after?", "before?", "limit?"]),
        of(&["messages", "newest"]),
    ),
    Service::ours(
        "status",
        Link::Clients,
        NOTHING,
        of(&[
            "members",
            "min_copies",
            "broker",
            "proxy",
            "reference",
            "brokers",
            "proxies",
            "why?",
        ]),
    ),
    Service::ours(
        "export",
        Link::Clients,
        of(&["table", "after?", "limit?"]),
        of(&["rows", "next?"]),
    ),
    Service::ours("import", Link::Clients, of(&["rows", "id?"]), of(&["results"])),
    Service::ours("remove", Link::Clients, of(&["server"]), STATUS),
    Service::told(
        "publication",
        Link::Subscribers,
        true,
        with(&["user", "channel", "message"], PUBLISHED),
    ),
    Service::told(
        "private_message",
        Link::Subscribers,
        true,
        with(&["src", "dst", "message"], PUBLISHED),
    ),
    Service::told("election", Link::Subscribers, true, of(&["coordinator"])),
    Service::told("marker", Link::Subscribers, false, of(&["n"])),
    Service::told(
        "proxy",
        Link::Subscribers,
        false,
        of(&["pid", "http?", "uptime_ms", "publishers", "subscribers", "servers"]),
    ),
    Service::standard("rank", Link::Reference, REGISTRATION, with(&["rank"], &["form?", "list"])),
    Service::standard("list", Link::Reference, NOTHING, of(&["list"])),
    Service::standard(
        "heartbeat",
        Link::Reference,
        REGISTRATION,
        with(&[], &["rank", "form?", "list", "pid", "http?"]),
    ),
    Service::ours("status", Link::Reference, NOTHING, of(&["pid", "last_rank", "list", "http?"])),
    Service::standard("clock", Link::Servers, NOTHING, of(&["time"])),
    Service::ours("clock_adjust", Link::Servers, of(&["delta_ms"]), STATUS),
    Service::standard("election", Link::Servers, NOTHING, of(&["election"])),
    Service::standard("replicate_login", Link::Servers, of(&["user"]), STATUS),
    Service::standard("replicate_channel", Link::Servers, of(&["channel"]), STATUS),
    Service::standard(
        "replicate_publish",
        Link::Servers,
        of(&["user", "channel", "message"]),
        STATUS,
    ),
    Service::standard("replicate_message", Link::Servers, of(&["src", "dst", "message"]), STATUS),
    Service::told(
        "ready",
        Link::Broker,
        false,
        of(&[
            "name",
            "boot",
            "credit",
            "primary",
            "serving",
            "http?",
            "scrubbed?",
            "scrub_left?",
            "why?",
        ]),
    ),
    Service::told("done", Link::Broker, false, of(&["n"])),
    Service::told("again", Link::Broker, false, of(&["n", "uncertain"])),
    Service::told("bye", Link::Broker, false, NOTHING),
    Service::told("request", Link::Backend, false, of(&["n", "id?"])),
    Service::told(
        "broker",
        Link::Backend,
        false,
        of(&["address", "pid", "http?", "uptime_ms", "clients", "servers"]),
    ),
];

/// The names of all services on a link.
pub fn names(link: Link) -> impl Iterator<Item = &'static str> {
    SERVICES.iter().filter(move |service| service.link == link).map(|service| service.name)
}
