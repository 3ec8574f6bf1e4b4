//! What the line client says.

use recado_protocol::Ack;

use super::{Texts, plurals, texts, worded};
use crate::line::command::{Fault, Usage};

texts! {
    TEXTS;

    /// What `help` prints.
    help()
"login <name>              log in, or become known
users                     who there is
channels                  which channels there are
create <channel>          create a channel and join it
join <channel>            receive a channel's messages
leave <channel>           receive them no more
pub <channel> <message>   publish, and join the channel
msg <user> <message>      send a private message
history [name] [n]        last n messages of a channel, with a user, or to you
status                    how the cluster is
help                      this list
quit                      leave
A name with a space goes into double quotes: join \"coffee break\""
"login <nome>              entrar, ou se apresentar
users                     quem está por aqui
channels                  quais canais existem
create <canal>            criar um canal e entrar nele
join <canal>              receber as mensagens de um canal
leave <canal>             deixar de recebê-las
pub <canal> <mensagem>    publicar, e entrar no canal
msg <usuário> <mensagem>  enviar uma mensagem privada
history [nome] [n]        últimas n mensagens de um canal, com alguém ou a você
status                    como está o cluster
help                      esta lista
quit                      sair
Um nome com espaço vai entre aspas: join \"pão de queijo\"";

    usage_login() "{cmd}login <name>" "{cmd}login <nome>";
    usage_create() "{cmd}create <channel>" "{cmd}create <canal>";
    usage_publish() "{cmd}pub <channel> <message>" "{cmd}pub <canal> <mensagem>";
    usage_message() "{cmd}msg <user> <message>" "{cmd}msg <usuário> <mensagem>";
    usage_join() "{cmd}join <channel>" "{cmd}join <canal>";
    usage_leave() "{cmd}leave <channel>" "{cmd}leave <canal>";
    usage_history() "{cmd}history [channel or user] [n]" "{cmd}history [canal ou usuário] [n]";

    unknown_command(word: &str)
        "no command \"{word}\"; {cmd}help lists all"
        "o comando \"{word}\" não existe; {cmd}help mostra todos";
    unknown_command_near(word: &str, nearest: &str)
        "no command \"{word}\"; did you mean {cmd}{nearest}? {cmd}help lists all"
        "o comando \"{word}\" não existe; você quis dizer {cmd}{nearest}? {cmd}help mostra todos";
    open_quote() "a double quote is not closed" "falta fechar as aspas";
    missing(usage: &str) "something is missing: {usage}" "falta alguma coisa: {usage}";
    too_much(usage: &str)
        "too many words: {usage} (a name with a space goes into double quotes)"
        "palavras demais: {usage} (um nome com espaço vai entre aspas)";
    takes_nothing(command: &str)
        "{command} takes nothing behind it"
        "{command} não leva nada atrás";
    not_a_number(word: &str)
        "\"{word}\" is not a number of messages"
        "\"{word}\" não é um número de mensagens";

    /// What stands in front of every error.
    error() "error: " "erro: ";

    no_users()
        "no users yet; log in with: {cmd}login <name>"
        "ainda não há usuários; entre com: {cmd}login <nome>";
    no_channels()
        "no channels yet; create one with: {cmd}create <channel>"
        "ainda não há canais; crie um com: {cmd}create <canal>";
    no_messages() "no messages yet" "ainda não há mensagens";
    log_in_first() "log in first: {cmd}login <name>" "entre primeiro: {cmd}login <nome>";
    which_history()
        "say whose history: {cmd}history <channel or user> [n]"
        "diga de quem é o histórico: {cmd}history <canal ou usuário> [n]";
    no_such_name(name: &str)
        "there is no channel or user called {name}"
        "não há canal nem usuário chamado {name}";
    gave_up()
        "gave up waiting; it may be done or not"
        "a espera foi interrompida; pode ter sido feito ou não";
    not_text()
        "a line is not UTF-8 text; it was skipped"
        "uma linha não é texto UTF-8 e foi ignorada";
    too_long(limit_bytes: usize)
        "a line is longer than {limit_bytes} bytes; it was skipped"
        "uma linha passa de {limit_bytes} bytes e foi ignorada";
    cant_edit_lines(why: &str)
        "can't edit lines here: {why}"
        "não dá para editar linhas aqui: {why}";
    cant_read_commands(why: &str)
        "can't read commands: {why}"
        "não dá para ler comandos: {why}";

    connected()
        "connected; {cmd}help lists the commands"
        "conectado; {cmd}help mostra os comandos";
    connected_nobody()
        "connected; begin with: {cmd}login <name> ({cmd}help lists the commands)"
        "conectado; comece com: {cmd}login <nome> ({cmd}help mostra os comandos)";
    cant_connect(endpoint: &str)
        "can't reach the broker at {endpoint} (still trying); start it with `recado up`, or say where it is with --broker or --port-base"
        "o broker em {endpoint} não responde (as tentativas continuam); inicie-o com `recado up`, ou diga onde ele está com --broker ou --port-base";
    broker_lost(endpoint: &str)
        "the broker at {endpoint} is not connected; commands wait for it (Ctrl-C gives up)"
        "o broker em {endpoint} não está conectado; os comandos esperam por ele (Ctrl-C desiste)";
    broker_back() "the broker is back" "o broker voltou";
    proxy_lost(endpoint: &str)
        "the proxy at {endpoint} is not connected; messages come in when it is back"
        "o proxy em {endpoint} não está conectado; as mensagens chegam quando ele voltar";
    proxy_back()
        "the proxy is back; missed messages follow"
        "o proxy voltou; as mensagens que faltaram vêm a seguir";
    elected(coordinator: &str) "new primary: {coordinator}" "novo primário: {coordinator}";

    logged_in(user: &str) "logged in as {user}" "você entrou como {user}";
    created(channel: &str)
        "created and joined {channel}"
        "canal {channel} criado; você está nele";
    joined(channel: &str) "joined {channel}" "você entrou em {channel}";
    left(channel: &str) "left {channel}" "você saiu de {channel}";
    not_joined(channel: &str, typed: &str)
        "you are not in {channel}; join it with: {cmd}join {typed}"
        "você não está em {channel}; entre com: {cmd}join {typed}";

    /// By a standard server, which tells nothing.
    sent(to: &str) "sent to {to}" "enviada para {to}";
    /// By a server that tells no more.
    sent_numbered(to: &str, seq: u64) "sent to {to} as #{seq}" "enviada para {to} como #{seq}";
    sent_stored(to: &str, seq: u64, stored: u32, members: u32)
        "sent to {to} as #{seq}, stored on {stored} of {members} servers"
        "enviada para {to} como #{seq}, guardada em {stored} de {members} servidores";

    /// In front of a private message, where a channel's name would stand.
    private() "private" "privado";
    /// In front of one's own private message.
    private_to(user: &str) "private to {user}" "privado para {user}";
}

plurals! {
    PLURALS;

    gap_filled(count: usize, topic: &str)
        [
            "1 message of {topic} came late, from the history",
            "{count} messages of {topic} came late, from the history"
        ]
        [
            "{count} mensagem de {topic} chegou atrasada, pelo histórico",
            "{count} mensagens de {topic} chegaram atrasadas, pelo histórico"
        ];
    left_out(count: u64)
        [
            "1 line came faster than it could be shown; {cmd}history has the messages",
            "{count} lines came faster than they could be shown; {cmd}history has the messages"
        ]
        [
            "{count} linha chegou mais rápido do que dava para mostrar; {cmd}history tem as mensagens",
            "{count} linhas chegaram mais rápido do que dava para mostrar; {cmd}history tem as mensagens"
        ];
}

impl Texts {
    /// How a command is typed.
    pub(crate) fn usage(self, usage: Usage) -> String {
        let alone = |word: &str| format!("{}{word}", self.command);
        match usage {
            Usage::Login => self.usage_login(),
            Usage::Users => alone("users"),
            Usage::Channels => alone("channels"),
            Usage::Create => self.usage_create(),
            Usage::Publish => self.usage_publish(),
            Usage::Message => self.usage_message(),
            Usage::Join => self.usage_join(),
            Usage::Leave => self.usage_leave(),
            Usage::History => self.usage_history(),
            Usage::Status => alone("status"),
            Usage::Help => alone("help"),
            Usage::Quit => alone("quit"),
        }
    }

    /// What is wrong with a line that is not a command.
    pub(crate) fn fault(self, fault: &Fault) -> String {
        match fault {
            Fault::Unknown { word, nearest: Some(nearest) } => {
                self.unknown_command_near(word, nearest)
            }
            Fault::Unknown { word, nearest: None } => self.unknown_command(word),
            Fault::OpenQuote => self.open_quote(),
            Fault::Missing(usage) => self.missing(&self.usage(*usage)),
            Fault::TooMuch(
                usage
                @ (Usage::Users | Usage::Channels | Usage::Status | Usage::Help | Usage::Quit),
            ) => self.takes_nothing(&self.usage(*usage)),
            Fault::TooMuch(usage) => self.too_much(&self.usage(*usage)),
            Fault::NotANumber(word) => self.not_a_number(word),
        }
    }

    /// Where an acknowledged message is.
    pub(crate) fn acknowledged(self, to: &str, ack: &Ack) -> String {
        match *ack {
            Ack { seq: 0, .. } => self.sent(to),
            Ack { seq, members: 0, .. } => self.sent_numbered(to, seq),
            Ack { seq, stored, members, .. } => self.sent_stored(to, seq, stored, members),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::texts::{Language, Texts};

    #[test]
    fn the_help_fits_a_terminal() {
        for language in Language::ALL {
            for line in Texts::new(*language, "").help().lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }
}
