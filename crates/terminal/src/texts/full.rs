//! What the full-screen client says beside what the line client says too.

use jiff::civil::Date;

use super::{Language, Texts, plurals, texts, worded};
use crate::full::{Action, Key, Line};

texts! {
    TEXTS;

    /// On an empty screen, before anybody is logged in.
    welcome()
"Welcome to Recado

{cmd}login <name>  log in, or become known
{cmd}help          every command and key
{cmd}quit          leave"
"Boas-vindas ao Recado

{cmd}login <nome>  entrar, ou se apresentar
{cmd}help          todos os comandos e teclas
{cmd}quit          sair";

    /// On an empty screen, before a conversation is open.
    nothing_open()
"No conversation is open

{cmd}channels              which channels there are
{cmd}join <channel>        open one
{cmd}create <channel>      make one
{cmd}users                 who there is
{cmd}msg <user> <message>  write to one
{cmd}help                  every command and key"
"Nenhuma conversa está aberta

{cmd}channels                 quais canais existem
{cmd}join <canal>             abrir um
{cmd}create <canal>           criar um
{cmd}users                    quem está por aqui
{cmd}msg <usuário> <mensagem>  escrever a alguém
{cmd}help                     todos os comandos e teclas";

    /// What is explained ends at the first two spaces.
    help_commands()
"{cmd}login <name>           log in, or become known
{cmd}create <channel>       create a channel and open it
{cmd}join <channel>         join a channel and open it
{cmd}leave [name]           leave it, or close the conversation
{cmd}msg <user> [message]   write to somebody privately
{cmd}pub <channel> <message>  write to a channel and open it
{cmd}users, {cmd}channels       who and what there is
{cmd}history [name] [n]     older messages
{cmd}search [text]          look through this conversation
{cmd}status                 how the cluster is
{cmd}help, {cmd}quit            this page; leave
Everything else is a message; two slashes begin one with a slash, ?? one with a question mark"
"{cmd}login <nome>             entrar, ou se apresentar
{cmd}create <canal>           criar um canal e abri-lo
{cmd}join <canal>             entrar em um canal e abri-lo
{cmd}leave [nome]             sair, ou fechar a conversa
{cmd}msg <usuário> [mensagem]  escrever a alguém em particular
{cmd}pub <canal> <mensagem>  escrever em um canal e abri-lo
{cmd}users, {cmd}channels         quem está por aqui e o que existe
{cmd}history [nome] [n]       mensagens mais antigas
{cmd}search [texto]           buscar nesta conversa
{cmd}status                   como está o cluster
{cmd}help, {cmd}quit              esta página; sair
Todo o resto é mensagem; duas barras começam uma com barra, ?? uma com interrogação";
    help_send() "send" "enviar";
    help_new_line() "a new line in the message" "nova linha na mensagem";
    help_complete()
        "complete a name, channel or command"
        "completar nome, canal ou comando";
    help_before() "what was written before" "o que foi escrito antes";
    help_failed() "send again what failed; take it back" "reenviar o que falhou; trazer de volta";
    help_pages() "read older messages" "ler mensagens mais antigas";
    help_newest() "back to the newest message" "voltar à mensagem mais nova";
    help_search() "search this conversation" "buscar nesta conversa";
    help_go_to()
        "go to a conversation, channel or user"
        "ir a uma conversa, um canal ou alguém";
    help_unread() "next unread conversation" "próxima conversa não lida";
    help_number() "a conversation by its number" "uma conversa pelo número";
    help_neighbours() "the one above, the one below" "a de cima, a de baixo";
    help_line_ends() "start and end of the line" "começo e fim da linha";
    help_words() "by words" "por palavras";
    help_delete()
        "delete a word, the next one, to the start"
        "apagar uma palavra, a seguinte, até o começo";
    help_put_back() "put back what was deleted" "pôr de volta o que foi apagado";
    help_redraw() "draw the screen anew" "redesenhar a tela";
    help_mouse()
        "the mouse selects text, or works here"
        "o mouse seleciona texto, ou funciona aqui";
    help_interrupt() "empty the line; twice: leave" "limpar a linha; duas vezes: sair";
    help_leave() "leave" "sair";
    help_this() "this page" "esta página";
    help_title() "Help · any other key closes" "Ajuda · qualquer outra tecla fecha";
    /// Behind the title of a text that does not fit.
    more_below() "Down: more" "Baixo: mais";
    status_title() "Cluster · any other key closes" "O cluster · qualquer outra tecla fecha";

    not_sent_but(why: &str, retry: &str, take_back: &str)
        "not sent: {why}; {retry} tries again, {take_back} takes it back"
        "não enviada: {why}; {retry} tenta de novo, {take_back} traz de volta";
    /// Behind a message.
    failed_mark() "✗ not sent" "✗ não enviada";
    /// In the status line.
    failed_press(retry: &str) "not sent: {retry}" "não enviada: {retry}";
    sent_somewhere() "sent" "enviada";
    stored_on(on: u32, of: u32) "stored on {on} of {of}" "guardada em {on} de {of}";

    closed(user: &str)
        "closed the conversation with {user}"
        "a conversa com {user} foi fechada";

    called_in(from: &str, channel: &str)
        "{from} calls you in {channel}"
        "{from} chama você em {channel}";
    spoke_in(from: &str, channel: &str) "{from} wrote in {channel}" "{from} escreveu em {channel}";
    wrote_to_you(from: &str) "{from} wrote to you" "{from} escreveu para você";

    open_one_with(go_to: &str)
        "open a conversation first: {cmd}join <channel>, {cmd}msg <user> <message>, or {go_to}"
        "abra uma conversa primeiro: {cmd}join <canal>, {cmd}msg <usuário> <mensagem>, ou {go_to}";
    slash_twice()
        "a message that begins with / needs two"
        "uma mensagem que começa com / precisa de duas";
    too_many_unsent()
        "too many messages wait to be sent; write on once some of them are"
        "há mensagens demais esperando envio; escreva mais quando algumas tiverem saído";
    too_long_to_write() "that is too long to be sent" "isso é longo demais para ser enviado";
    once_more_leaves() "Ctrl-C once more leaves" "Ctrl-C de novo para sair";
    nothing_unread() "nothing else is unread" "não há mais nada para ler";
    mouse_works(mouse: &str)
        "the mouse works here; {mouse} lets it select text"
        "o mouse funciona aqui; com {mouse}, volta a selecionar texto";
    mouse_selects(mouse: &str)
        "the mouse selects text; {mouse} lets it work here again"
        "o mouse seleciona texto; com {mouse}, volta a funcionar aqui";

    broker_away(address: &str)
        "the broker at {address} is not connected; what you write is kept, and sent once it is back"
        "o broker em {address} não está conectado; o que você escrever fica guardado e sai quando ele voltar";
    proxy_away()
        "the proxy is not connected; messages come in late until it is back"
        "o proxy não está conectado; as mensagens chegam atrasadas até ele voltar";
    servers_silent()
        "no server answers; nothing new comes until one does, and what you write is kept"
        "nenhum servidor responde; nada novo chega até um responder, e o que você escrever fica guardado";
    nobody_answers()
        "no server answers yet; what you wrote is kept, and is sent once"
        "nenhum servidor responde ainda; o que você escreveu fica guardado e sai uma vez só";
    link_unseen() "connecting…" "conectando…";
    link_up() "connected" "conectado";
    link_lost() "not connected" "desconectado";
    no_proxy() "no proxy" "sem proxy";
    primary_is(name: &str) "primary {name}" "primário {name}";

    older_shown() "older messages; Esc returns" "mensagens antigas; Esc volta";
    loading() "loading…" "carregando…";
    beginning() "this is the beginning" "a conversa começa aqui";
    /// On the line above the first message that was not read.
    unread_line() "new" "novas";

    search_for() "search: " "buscar: ";
    looking_back() "looking further back…" "buscando mais para trás…";
    no_more_found() "nothing more above" "nada mais acima";
    search_keys()
        "Enter: older · Down: newer · Tab: stay · Esc: back"
        "Enter: mais antiga · Baixo: mais nova · Tab: ficar · Esc: voltar";
    go_to() "go to: " "ir para: ";
    nothing_matches() "nothing matches" "nada encontrado";

    not_remembered(why: &str)
        "what you joined, read and wrote can't be remembered: {why}"
        "não dá para lembrar onde você entrou, o que leu e o que escreveu: {why}";
    not_recalled(why: &str)
        "what was remembered can't be read, so this is a start without it: {why}"
        "não dá para ler o que foi lembrado, então este começo é sem ele: {why}";
    kept_elsewhere()
        "another client of yours is open here; only that one remembers drafts and what is not sent"
        "outro cliente seu está aberto aqui; só ele lembra rascunhos e o que não saiu";
    memory_damaged(file: &str)
        "what was remembered is damaged; this is a start without it, and the file is kept as {file}"
        "o que foi lembrado está danificado; este começo é sem ele, e o arquivo fica guardado como {file}";
    left_with_texts(name: &str)
        "left {name}; Up brings back what was written there and not sent"
        "você saiu de {name}; Cima traz de volta o que foi escrito ali e não saiu";
    cant_use_terminal(why: &str)
        "can't use this terminal: {why}; --line chats line by line"
        "não dá para usar este terminal: {why}; com --line, a conversa é linha a linha";

    weekdays()
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
        "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo";
    months()
        "January February March April May June July August September October November December"
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro";
    day_of(weekday: &str, day: u32, month: &str, year: u32)
        "{weekday}, {day} {month} {year}"
        "{weekday}, {day} de {month} de {year}";
}

plurals! {
    PLURALS;

    /// After a paste that is not all in sight.
    pasted(count: usize)
        [
            "1 line: Enter sends it as one message, Ctrl-C takes it away",
            "{count} lines: Enter sends them as one message, Ctrl-C takes them away"
        ]
        [
            "{count} linha: Enter envia como uma mensagem só, Ctrl-C a retira",
            "{count} linhas: Enter envia tudo como uma mensagem só, Ctrl-C as retira"
        ];

    sending(count: usize)
        ["sending…", "sending {count}…"]
        ["enviando…", "enviando {count}…"];
    unread_press(count: u32, key: &str)
        ["{count} unread: {key}", "{count} unread: {key}"]
        ["{count} não lida: {key}", "{count} não lidas: {key}"];
    new_below(count: u32)
        ["1 new below; Esc returns", "{count} new below; Esc returns"]
        ["{count} nova abaixo; Esc volta", "{count} novas abaixo; Esc volta"];
    new_below_calling(count: u32, mentions: u32)
        ["1 new below, @{mentions}; Esc returns", "{count} new below, @{mentions}; Esc returns"]
        [
            "{count} nova abaixo, @{mentions}; Esc volta",
            "{count} novas abaixo, @{mentions}; Esc volta"
        ];
    /// The same for a single line.
    pasted_letters(count: usize)
        [
            "1 letter: Enter sends it as one message, Ctrl-C takes it away",
            "{count} letters: Enter sends them as one message, Ctrl-C takes them away"
        ]
        [
            "{count} letra: Enter envia como uma mensagem só, Ctrl-C a retira",
            "{count} letras: Enter envia tudo como uma mensagem só, Ctrl-C as retira"
        ];
    quit_unsent(count: usize)
        [
            "1 message is not sent yet; it is kept for the next start; once more leaves",
            "{count} messages are not sent yet; they are kept for the next start; once more leaves"
        ]
        [
            "{count} mensagem ainda não saiu; fica guardada para o próximo começo; repita para sair",
            "{count} mensagens ainda não saíram; ficam guardadas para o próximo começo; repita para sair"
        ];
    /// Where nothing can be written down.
    quit_loses(count: usize)
        ["1 text would be lost; once more leaves", "{count} texts would be lost; once more leaves"]
        [
            "{count} texto se perderia; repita para sair",
            "{count} textos se perderiam; repita para sair"
        ];
    unsent_with_keys(count: usize, retry: &str, take_back: &str)
        [
            "1 message from before may not have been sent: {retry} sends it, {take_back} takes it back",
            "{count} messages from before may not have been sent: {retry} sends them, {take_back} takes them back"
        ]
        [
            "{count} mensagem de antes pode não ter saído: {retry} envia, {take_back} traz de volta",
            "{count} mensagens de antes podem não ter saído: {retry} envia, {take_back} traz de volta"
        ];
    unsent_before_login(count: usize, user: &str)
        [
            "1 message is not sent yet; log in as {user} once it is",
            "{count} messages are not sent yet; log in as {user} once they are"
        ]
        [
            "{count} mensagem ainda não saiu; entre como {user} quando ela tiver saído",
            "{count} mensagens ainda não saíram; entre como {user} quando elas tiverem saído"
        ];
    lost_before_login(count: usize, user: &str)
        [
            "1 text would be lost; send it or empty its line before you log in as {user}",
            "{count} texts would be lost; send them or empty their lines before you log in as {user}"
        ]
        [
            "{count} texto se perderia; envie-o ou apague-o antes de entrar como {user}",
            "{count} textos se perderiam; envie-os ou apague-os antes de entrar como {user}"
        ];
    unsent_here(count: usize, channel: &str)
        [
            "1 message to {channel} is still being sent",
            "{count} messages to {channel} are still being sent"
        ]
        [
            "{count} mensagem para {channel} ainda está saindo",
            "{count} mensagens para {channel} ainda estão saindo"
        ];
}

/// Texts with the keys that hold.
impl Texts {
    /// Every command and key.
    pub(crate) fn full_help(self) -> Vec<Line> {
        let key = |action| self.key(action);
        let fixed = |key: &str| self.key_name(key);
        let pair = |one: String, other: String| format!("{one}, {other}");
        let go_to: Vec<String> = self.keys.keys(Action::GoTo).map(|key| self.named(key)).collect();
        let rows = [
            (fixed("Enter"), self.help_send()),
            (fixed("Alt-Enter, Ctrl-J"), self.help_new_line()),
            (fixed("Tab, Shift-Tab"), self.help_complete()),
            (fixed("Up, Down"), self.help_before()),
            (pair(key(Action::Retry), key(Action::TakeBack)), self.help_failed()),
            (
                pair(pair(key(Action::PageUp), key(Action::PageDown)), fixed("Shift-Up")),
                self.help_pages(),
            ),
            (pair(fixed("Esc"), key(Action::Newest)), self.help_newest()),
            (key(Action::Search), self.help_search()),
            (go_to.join(", "), self.help_go_to()),
            (key(Action::NextUnread), self.help_unread()),
            (fixed("Alt-1 … Alt-9"), self.help_number()),
            (pair(key(Action::Previous), key(Action::Next)), self.help_neighbours()),
            (fixed("Ctrl-A, Ctrl-E"), self.help_line_ends()),
            (fixed("Alt-B, Alt-F"), self.help_words()),
            (fixed("Ctrl-W, Alt-D, Ctrl-U"), self.help_delete()),
            (fixed("Ctrl-Y"), self.help_put_back()),
            (key(Action::Redraw), self.help_redraw()),
            (key(Action::Mouse), self.help_mouse()),
            (fixed("Ctrl-C"), self.help_interrupt()),
            (pair(fixed("Ctrl-D"), key(Action::Quit)), self.help_leave()),
            (pair(fixed("?"), key(Action::Help)), self.help_this()),
        ];
        let commands = self.help_commands();
        let mut lines = Line::split(commands.lines());
        lines.push(Line::default());
        lines.extend(Line::pairs(rows));
        lines
    }

    pub(crate) fn not_sent(self, why: &str) -> String {
        self.not_sent_but(why, &self.key(Action::Retry), &self.key(Action::TakeBack))
    }

    pub(crate) fn unsent_from_before(self, count: usize) -> String {
        self.unsent_with_keys(count, &self.key(Action::Retry), &self.key(Action::TakeBack))
    }

    pub(crate) fn failed_status(self) -> String {
        self.failed_press(&self.key(Action::Retry))
    }

    pub(crate) fn open_one_first(self) -> String {
        self.open_one_with(&self.key(Action::GoTo))
    }

    pub(crate) fn mouse_on(self) -> String {
        self.mouse_works(&self.key(Action::Mouse))
    }

    pub(crate) fn mouse_off(self) -> String {
        self.mouse_selects(&self.key(Action::Mouse))
    }

    pub(crate) fn unread_elsewhere(self, count: u32) -> String {
        self.unread_press(count, &self.key(Action::NextUnread))
    }

    /// What a person is told to press.
    fn key(self, action: Action) -> String {
        self.keys.keys(action).next().map_or_else(|| "–".to_owned(), |key| self.named(key))
    }

    fn named(self, key: Key) -> String {
        self.key_name(&key.to_string())
    }

    /// Arrows have names of their own in each language; other keys are called as they are marked.
    fn key_name(self, keys: &str) -> String {
        let one = |key: &str| match key {
            "Up" => "Cima".to_owned(),
            "Down" => "Baixo".to_owned(),
            _ => key.replace("-Up", "-Cima").replace("-Down", "-Baixo"),
        };
        match self.language {
            Language::English => keys.to_owned(),
            Language::Portuguese => keys.split(", ").map(one).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Texts {
    /// A date in words.
    pub(crate) fn day(self, date: Date) -> String {
        let word = |words: String, index: i8| {
            let index = usize::try_from(index).unwrap_or(0);
            words.split(' ').nth(index).unwrap_or_default().to_owned()
        };
        let weekday = word(self.weekdays(), date.weekday().to_monday_zero_offset());
        let month = word(self.months(), date.month() - 1);
        let (day, year) = (date.day().unsigned_abs(), date.year().unsigned_abs());
        self.day_of(&weekday, u32::from(day), &month, u32::from(year))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use crate::full::{Action, Key, Keymap};
    use crate::texts::{Language, Texts};

    #[test]
    fn days_in_words() {
        let (first, last) = (date(2024, 1, 1), date(2026, 12, 6));
        let english = Texts::new(Language::English, "/");
        assert_eq!(english.day(first), "Monday, 1 January 2024");
        assert_eq!(english.day(last), "Sunday, 6 December 2026");
        let portuguese = Texts::new(Language::Portuguese, "/");
        assert_eq!(portuguese.day(first), "segunda-feira, 1 de janeiro de 2024");
        assert_eq!(portuguese.day(last), "domingo, 6 de dezembro de 2026");
    }

    fn rows(texts: Texts) -> Vec<String> {
        texts.full_help().iter().flat_map(|line| line.rows(76)).collect()
    }

    #[test]
    fn chosen_keys_are_told() {
        let mut keys = Keymap::default();
        keys.choose(Action::Retry, Key::parse("F5").unwrap()).unwrap();
        keys.choose(Action::Previous, Key::parse("Ctrl-Up").unwrap()).unwrap();
        keys.choose(Action::Search, Key::parse("Ctrl-K").unwrap()).unwrap();
        let english = Texts::new(Language::English, "/").with_keys(keys);
        assert_eq!(english.failed_status(), "not sent: F5");
        assert!(english.open_one_first().ends_with("or Ctrl-P"));
        let portuguese = Texts::new(Language::Portuguese, "/").with_keys(keys);
        let help = rows(portuguese);
        for row in [
            "F5, Ctrl-T              reenviar",
            "Ctrl-Cima, Alt-Baixo    a de cima",
            "PgUp, PgDn, Shift-Cima  ler",
            "Ctrl-K                  buscar",
            "Ctrl-P                  ir a",
        ] {
            assert!(help.iter().any(|line| line.starts_with(row)), "{row} is not in {help:#?}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal() {
        for language in Language::ALL {
            let texts = Texts::new(*language, "/");
            assert_eq!(rows(texts).len(), texts.full_help().len() + 1, "one line is a sentence");
        }
    }
}
