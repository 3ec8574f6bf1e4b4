//! What the full-screen client says beside what the line client says too.

use jiff::civil::Date;

use super::{Texts, plurals, texts, worded};

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
{cmd}msg <usuário> <mensagem> escrever a alguém
{cmd}help                     todos os comandos e teclas";

    /// Every command and key.
    full_help()
"{cmd}login <name>           log in, or become known
{cmd}create <channel>       create a channel and open it
{cmd}join <channel>         join a channel and open it
{cmd}leave [channel]        receive it no more
{cmd}msg <user> <message>   write to somebody privately
{cmd}users, {cmd}channels       who and what there is
{cmd}history [name] [n]     older messages
{cmd}search [text]          look through this conversation
{cmd}status                 how the cluster is
{cmd}help, {cmd}quit            this page; leave
Everything else is a message; two slashes begin one with a slash

Enter                   send
Alt-Enter, Ctrl-J       a new line in the message
Tab, Shift-Tab          complete a name, channel or command
Up, Down                what was written before
Ctrl-R, Ctrl-T          send again what failed; take it back
PgUp, PgDn, Shift-Up    read older messages
Esc, Ctrl-End           back to the newest message
Ctrl-F                  search this conversation
Ctrl-K, Ctrl-P          go to a conversation, channel or user
Alt-A                   next unread conversation
Alt-1 … Alt-9           a conversation by its number
Alt-Up, Alt-Down        the one above, the one below
Ctrl-A, Ctrl-E          start and end of the line
Alt-B, Alt-F            by words
Ctrl-W, Alt-D, Ctrl-U   delete a word, the next one, to the start
Ctrl-Y                  put back what was deleted
Ctrl-L                  draw the screen anew
F2                      the mouse selects text, or works here
Ctrl-C                  empty the line; twice: leave
Ctrl-D, Ctrl-Q          leave"
"{cmd}login <nome>             entrar, ou se apresentar
{cmd}create <canal>           criar um canal e abri-lo
{cmd}join <canal>             entrar em um canal e abri-lo
{cmd}leave [canal]            deixar de recebê-lo
{cmd}msg <usuário> <mensagem> escrever a alguém em particular
{cmd}users, {cmd}channels         quem está e o que existe
{cmd}history [nome] [n]       mensagens mais antigas
{cmd}search [texto]           procurar nesta conversa
{cmd}status                   como está o cluster
{cmd}help, {cmd}quit              esta página; sair
Todo o resto é mensagem; duas barras começam uma com barra

Enter                   enviar
Alt-Enter, Ctrl-J       nova linha na mensagem
Tab, Shift-Tab          completar nome, canal ou comando
Cima, Baixo             o que foi escrito antes
Ctrl-R, Ctrl-T          reenviar o que falhou; pegar de volta
PgUp, PgDn, Shift-Cima  ler mensagens mais antigas
Esc, Ctrl-End           voltar à mensagem mais nova
Ctrl-F                  procurar nesta conversa
Ctrl-K, Ctrl-P          ir a uma conversa, um canal ou alguém
Alt-A                   próxima conversa não lida
Alt-1 … Alt-9           uma conversa pelo número
Alt-Cima, Alt-Baixo     a de cima, a de baixo
Ctrl-A, Ctrl-E          começo e fim da linha
Alt-B, Alt-F            por palavras
Ctrl-W, Alt-D, Ctrl-U   apagar uma palavra, a seguinte, até o começo
Ctrl-Y                  pôr de volta o que foi apagado
Ctrl-L                  desenhar a tela de novo
F2                      o mouse seleciona texto, ou funciona aqui
Ctrl-C                  esvaziar a linha; duas vezes: sair
Ctrl-D, Ctrl-Q          sair";
    help_title() "Help · any other key closes" "Ajuda · qualquer outra tecla fecha";
    status_title() "Cluster · any other key closes" "O cluster · qualquer outra tecla fecha";

    not_sent(why: &str)
        "not sent: {why}; Ctrl-R tries again, Ctrl-T takes it back"
        "não enviada: {why}; Ctrl-R tenta de novo, Ctrl-T pega de volta";
    /// Behind a message.
    failed_mark() "✗ not sent" "✗ não enviada";
    /// In the status line.
    failed_status() "not sent: Ctrl-R" "não enviada: Ctrl-R";
    sent_somewhere() "sent" "enviada";
    stored_on(on: u32, of: u32) "stored on {on} of {of}" "guardada em {on} de {of}";

    called_in(from: &str, channel: &str)
        "{from} calls you in {channel}"
        "{from} chama você em {channel}";
    spoke_in(from: &str, channel: &str) "{from} wrote in {channel}" "{from} escreveu em {channel}";
    wrote_to_you(from: &str) "{from} wrote to you" "{from} escreveu para você";

    open_one_first()
        "open a conversation first: {cmd}join <channel>, {cmd}msg <user> <message>, or Ctrl-K"
        "abra uma conversa primeiro: {cmd}join <canal>, {cmd}msg <usuário> <mensagem>, ou Ctrl-K";
    slash_twice()
        "a message that begins with / needs two"
        "uma mensagem que começa com / precisa de duas";
    too_many_unsent()
        "too many messages wait to be sent; write on once some of them are"
        "há mensagens demais à espera de envio; escreva mais quando algumas tiverem saído";
    too_long_to_write() "that is too long to be sent" "isso é longo demais para ser enviado";
    once_more_leaves() "Ctrl-C once more leaves" "Ctrl-C mais uma vez sai";
    nothing_unread() "nothing else is unread" "não há mais nada por ler";
    mouse_on()
        "the mouse works here; F2 lets it select text"
        "o mouse funciona aqui; F2 deixa-o selecionar texto";
    mouse_off()
        "the mouse selects text; F2 lets it work here again"
        "o mouse seleciona texto; F2 deixa-o funcionar aqui de novo";

    broker_away(address: &str)
        "the broker at {address} is not connected; what you write is kept, and sent once it is back"
        "o broker em {address} não está conectado; o que você escrever fica guardado e sai quando ele voltar";
    proxy_away()
        "the proxy is not connected; messages come in late until it is back"
        "o proxy não está conectado; as mensagens chegam atrasadas até ele voltar";
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
    beginning() "this is the beginning" "este é o começo";
    /// On the line above the first message that was not read.
    unread_line() "new" "novas";

    search_for() "search: " "procurar: ";
    looking_back() "looking further back…" "procurando mais atrás…";
    no_more_found() "nothing more above" "nada mais acima";
    search_keys()
        "Enter: older · Down: newer · Tab: stay · Esc: back"
        "Enter: mais antiga · Baixo: mais nova · Tab: ficar · Esc: voltar";
    go_to() "go to: " "ir para: ";
    nothing_matches() "nothing matches" "nada combina";

    not_remembered(why: &str)
        "what you joined and read can't be remembered: {why}"
        "não dá para lembrar onde você entrou e o que leu: {why}";
    cant_use_terminal(why: &str)
        "can't use this terminal: {why}; --line chats line by line"
        "não dá para usar este terminal: {why}; --line conversa linha a linha";

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

    sending(count: usize)
        ["sending…", "sending {count}…"]
        ["enviando…", "enviando {count}…"];
    unread_elsewhere(count: u32)
        ["{count} unread: Alt-A", "{count} unread: Alt-A"]
        ["{count} não lida: Alt-A", "{count} não lidas: Alt-A"];
    quit_unsent(count: usize)
        [
            "1 message is not sent yet and would be lost; once more leaves",
            "{count} messages are not sent yet and would be lost; once more leaves"
        ]
        [
            "{count} mensagem ainda não saiu e se perderia; mais uma vez sai",
            "{count} mensagens ainda não saíram e se perderiam; mais uma vez sai"
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

    #[test]
    fn the_help_fits_a_terminal() {
        for language in Language::ALL {
            for line in Texts::new(*language, "/").full_help().lines() {
                assert!(line.chars().count() <= 76, "{line}");
            }
        }
    }
}
