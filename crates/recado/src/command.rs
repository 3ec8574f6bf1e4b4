//! The commands, with what the help says of each.

macro_rules! commands {
    ($($name:ident $word:literal $about:literal $more:literal;)+) => {
        /// A subcommand.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Command { $(#[doc = $about] $name,)+ }

        impl Command {
            /// All commands, in the order of the help.
            pub const ALL: &[Command] = &[$(Command::$name,)+];

            /// Its name on the command line.
            pub const fn word(self) -> &'static str {
                match self { $(Command::$name => $word,)+ }
            }

            /// One line of help.
            pub const fn about(self) -> &'static str {
                match self { $(Command::$name => $about,)+ }
            }

            /// Whether it may have many connections or files open at a time.
            pub const fn takes_many_descriptors(self) -> bool {
                use Command::{Bench, Bot, Broker, Demo, Drill, Proxy, Reference, Server, Up};
                matches!(
                    self,
                    Broker | Proxy | Reference | Server | Bot | Up | Demo | Bench | Drill
                )
            }

            /// What else the long help says.
            pub const fn more(self) -> &'static str {
                match self { $(Command::$name => $more,)+ }
            }
        }
    };
}

commands! {
    Demo "demo" "Start a whole cluster with bots, and chat on it in this terminal"
        "Quitting the client stops everything. The logs go to a file in the data folder.";
    Up "up" "Start a whole cluster: broker, proxy, reference, servers and bots"
        "Each role is a process of its own, and is started again when it dies. Ctrl-C stops \
         everything. Other terminals then use `recado chat`, `recado status` and so on.";
    Chat "chat" "Chat in this terminal, on the full screen"
        "`?` on an empty line shows every key and command. With --line, or when it does not stand \
         at a terminal, it is `recado client`.";
    Client "client" "Chat in this terminal, line by line"
        "At a terminal with line editing, history and completion; in a pipe with plain lines, \
         and the exit code tells whether every command succeeded. Type `help` for the commands.";
    Config "config" "Show the options of the client, and where each value comes from"
        "Flags that stand here count as they would for `recado client`.";
    Status "status" "Show the servers, the broker, the proxy and the reference" "";
    Health "health" "Ask a role whether it is ready, at its --http address"
        "Prints `ready`, or what is missing, a sentence a line, and ends with exit code 0 or 1 \
         within two seconds: for health checks of containers.";
    Broker "broker" "Run the broker: takes requests from clients, deals them among servers" "";
    Proxy "proxy" "Run the proxy: carries publications from servers to subscribers" "";
    Reference "reference" "Run the reference: gives ranks, lists live servers" "";
    Server "server" "Run one of the replicated servers"
        "Stop it and start it again with the same --data-dir and --name, and it catches up with \
         the others by itself.";
    Remove "remove" "Take a server out of the cluster for good, by its name"
        "Its node id is never used again, and nothing waits for it any more. If it still runs, it \
         stops. The primary can't be removed: stop it first, and another takes over. A server \
         that is added needs no command: `recado server --name NEW` joins by itself.";
    Bot "bot" "Run a bot that chats by itself for ever"
        "It takes a random user name, picks a random channel (or creates one), sends ten \
         messages, and starts again.";
    Bench "bench" "Measure acknowledged messages per second, and more with --what"
        "--what writes: each client publishes, waits for the acknowledgement, and publishes again.\n\
         --what latency: messages are due at a fixed --rate; each latency counts from then on.\n\
         --what reads: pages of history, then lists of channels.\n\
         --what fan-out: --publishers publish through the cluster to --subscribers.\n\
         --what proxy: the same through nothing but a proxy, which may be any standard one.\n\
         --what fail-over: the longest time without an acknowledgement around the death of a \
         primary, which somebody kills meanwhile, or --kill-primary itself.";
    Drill "drill" "Break a cluster on purpose, and check that no acknowledged message is lost"
        "It starts a cluster of its own on free ports and leaves no other one touched. With \
         --attach it works on one that runs already and that somebody else breaks: it writes, \
         reads and listens under names of its own, waits in the end until all servers are active, \
         and checks what clients can see. The exit code is 0 when every promise that was checked \
         held. Ctrl-C ends it early.";
    Export "export" "Write users, channels and messages to four JSON files in a folder" "";
    Import "import" "Read the four JSON files of a folder into the cluster"
        "Importing the same files again changes nothing. Names that conflict are listed and left \
         out.";
    Rescue "rescue" "Read or check one server's data folder, or make a new cluster of it"
        "For the time after the worst, when too few servers are left to go on. No server may run in \
         FOLDER. --export and --check change nothing in it. --new-cluster makes it the only member \
         of a new generation of the cluster: what only other copies have is lost, and they must be \
         wiped. docs/rescue.md says when to use which.";
    Completions "completions" "Print completions for a shell"
        "The README says where they go.";
    Man "man" "Print the manual page, or write those of all commands into a folder"
        "`recado man | man -l -` shows it at once.";
}
