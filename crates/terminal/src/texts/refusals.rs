//! Why something was not done: a refusal by its code, or no answer.

use recado_client::ClientError;
use recado_protocol::{Code, Refusal};

use super::{Texts, texts, worded};
use crate::line::command::quote;

/// What a request was about, so that a refusal can say what to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    User(&'a str),
    Channel(&'a str),
    Nothing,
}

texts! {
    TEXTS;

    channel_exists()
        "the channel exists already; join it with: {cmd}join <channel>"
        "o canal já existe; entre com: {cmd}join <canal>";
    this_channel_exists(channel: &str, typed: &str)
        "the channel {channel} exists already; join it with: {cmd}join {typed}"
        "o canal {channel} já existe; entre com: {cmd}join {typed}";
    unknown_channel()
        "there is no such channel; create it with: {cmd}create <channel>"
        "esse canal não existe; crie-o com: {cmd}create <canal>";
    this_channel_unknown(channel: &str, typed: &str)
        "there is no channel {channel}; create it with: {cmd}create {typed}"
        "o canal {channel} não existe; crie-o com: {cmd}create {typed}";
    unknown_user()
        "there is no such user; {cmd}users lists who there is"
        "esse usuário não existe; {cmd}users mostra quem está por aqui";
    this_user_unknown(user: &str)
        "there is no user {user}; {cmd}users lists who there is"
        "o usuário {user} não existe; {cmd}users mostra quem está por aqui";
    invalid_name()
        "that is no valid name: 1 to 64 characters are needed, single spaces only inside, no control characters, and not \"servers\""
        "esse nome não vale: são de 1 a 64 caracteres, espaços só no meio e um por vez, sem caracteres de controle, e \"servers\" é reservado";
    name_taken()
        "a user and a channel can't share a name; choose another one"
        "um usuário e um canal não podem ter o mesmo nome; escolha outro";
    name_of_channel(name: &str)
        "{name} is the name of a channel; choose another one"
        "{name} é o nome de um canal; escolha outro";
    name_of_user(name: &str)
        "{name} is the name of a user; choose another one"
        "{name} é o nome de um usuário; escolha outro";
    too_large(words: &str)
        "that is too long for the servers; send it in parts ({words})"
        "isso é longo demais para os servidores; envie em partes ({words})";
    malformed(words: &str)
        "the servers don't understand the request; use a client of their version ({words})"
        "os servidores não entendem o pedido; use um cliente da mesma versão ({words})";
    unknown_service(words: &str)
        "the servers don't offer this ({words})"
        "os servidores não oferecem isso ({words})";
    id_conflict()
        "not done: another request came under the same number; try it again"
        "não foi feito: outro pedido chegou com o mesmo número; tente de novo";
    id_expired()
        "not done now: the servers no longer know this session; look into the history, then try it again"
        "não foi feito agora: os servidores não conhecem mais esta sessão; olhe o histórico e depois tente de novo";
    unknown_server()
        "no server of this name belongs to the cluster; {cmd}status lists them"
        "nenhum servidor com esse nome faz parte do cluster; {cmd}status mostra quais são";
    server_needed()
        "the primary can't be removed; stop it first, and another server takes over"
        "o primário não pode ser removido; pare-o antes, e outro servidor assume";
    unavailable()
        "no server can take this now; nothing was done, try it again"
        "nenhum servidor pode atender agora; nada foi feito, tente de novo";
    outcome_unknown()
        "the answer was lost, so it may be done or not; look into the history before you repeat it"
        "a resposta se perdeu: pode ter sido feito ou não; olhe o histórico antes de repetir";
}

texts! {
    FAILURES;

    no_answer_not_done(seconds: u64)
        "no answer from the cluster within {seconds} s; it was not done, try again later"
        "o cluster não respondeu em {seconds} s; nada foi feito, tente de novo mais tarde";
    /// The reason is the servers' word.
    no_answer_because(seconds: u64, why: &str)
        "no answer from the cluster within {seconds} s; it was not done: {why}"
        "o cluster não respondeu em {seconds} s; nada foi feito: {why}";
    no_answer_unknown(seconds: u64)
        "no answer within {seconds} s, so it may be done or not; look into the history before you repeat it"
        "sem resposta em {seconds} s: pode ter sido feito ou não; olhe o histórico antes de repetir";
    bad_reply(why: &str)
        "the answer can't be understood: {why}"
        "não deu para entender a resposta: {why}";
    cant_open(why: &str) "can't connect: {why}" "não deu para conectar: {why}";
}

impl Texts {
    /// Why a request was not done.
    pub(crate) fn failed(self, error: &ClientError, about: About<'_>) -> String {
        let seconds = |ms: u64| (ms.saturating_add(500) / 1000).max(1);
        match error {
            ClientError::Refused(refusal) => self.refused(refusal, about),
            ClientError::Unavailable { waited_ms, why: None } => {
                self.no_answer_not_done(seconds(*waited_ms))
            }
            ClientError::Unavailable { waited_ms, why: Some(why) } => {
                self.no_answer_because(seconds(*waited_ms), &crate::render::escape(why))
            }
            ClientError::Unknown { waited_ms } => self.no_answer_unknown(seconds(*waited_ms)),
            ClientError::BadReply(why) => self.bad_reply(why),
            ClientError::Open(why) => self.cant_open(&why.to_string()),
        }
    }

    /// A refusal by its code, and by what was asked for. A sender that gives no code that we know
    /// speaks for itself, and what only it can tell is given in its own words.
    fn refused(self, refusal: &Refusal, about: About<'_>) -> String {
        let words = refusal.text.as_str();
        match (refusal.code, about) {
            (Code::ChannelExists, About::Channel(name)) => {
                self.this_channel_exists(name, &quote(name))
            }
            (Code::ChannelExists, _) => self.channel_exists(),
            (Code::UnknownChannel, About::Channel(name)) => {
                self.this_channel_unknown(name, &quote(name))
            }
            (Code::UnknownChannel, _) => self.unknown_channel(),
            (Code::UnknownUser, About::User(name)) => self.this_user_unknown(name),
            (Code::UnknownUser, _) => self.unknown_user(),
            (Code::InvalidName, _) => self.invalid_name(),
            (Code::NameTaken, About::User(name)) => self.name_of_channel(name),
            (Code::NameTaken, About::Channel(name)) => self.name_of_user(name),
            (Code::NameTaken, About::Nothing) => self.name_taken(),
            (Code::TooLarge, _) => self.too_large(words),
            (Code::Malformed, _) => self.malformed(words),
            (Code::UnknownService, _) => self.unknown_service(words),
            (Code::IdConflict, _) => self.id_conflict(),
            (Code::IdExpired, _) => self.id_expired(),
            (Code::UnknownServer, _) => self.unknown_server(),
            (Code::ServerNeeded, _) => self.server_needed(),
            (Code::Unavailable, _) => self.unavailable(),
            (Code::Unknown, _) => self.outcome_unknown(),
            (Code::Refused, _) => crate::render::escape(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use recado_client::ClientError;
    use recado_protocol::{Code, Refusal};

    use super::About;
    use crate::texts::{Language, Texts};

    const WORDS: &str = "in the server's words";

    fn refused(language: Language, code: Code, about: About<'_>) -> String {
        let error = ClientError::Refused(Refusal::new(code, WORDS));
        Texts::new(language, "").failed(&error, about)
    }

    #[test]
    fn every_code_has_a_text_of_its_own_in_both_languages() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL.iter().filter(|code| **code != Code::Refused) {
            for language in Language::ALL {
                for about in [About::Nothing, About::User("ana"), About::Channel("tea")] {
                    let text = refused(*language, *code, about);
                    assert!(text != WORDS && !text.starts_with(code.as_str()), "{code}: {text}");
                }
                let text = refused(*language, *code, About::Nothing);
                assert!(seen.insert(text.clone()), "{code} says what another code says: {text}");
            }
        }
        assert_eq!(seen.len(), (Code::ALL.len() - 1) * Language::ALL.len());
    }

    #[test]
    fn without_a_code_the_servers_words_are_shown_harmless() {
        for language in Language::ALL {
            assert_eq!(refused(*language, Code::Refused, About::Channel("tea")), WORDS);
            let error = ClientError::Refused(Refusal::new(Code::Refused, "no\u{1b}[2J"));
            let text = Texts::new(*language, "").failed(&error, About::Nothing);
            assert_eq!(text, r"no\u{1b}[2J");
        }
    }

    #[test]
    fn a_refusal_says_what_to_type() {
        let unknown = |language| refused(language, Code::UnknownChannel, About::Channel("old tea"));
        assert_eq!(
            unknown(Language::English),
            "there is no channel old tea; create it with: create \"old tea\""
        );
        assert_eq!(
            unknown(Language::Portuguese),
            "o canal old tea não existe; crie-o com: create \"old tea\""
        );
        let error = ClientError::Refused(Refusal::new(Code::UnknownUser, ""));
        let text = Texts::new(Language::Portuguese, "/").failed(&error, About::User("bia"));
        assert_eq!(text, "o usuário bia não existe; /users mostra quem está por aqui");
    }

    #[test]
    fn a_time_is_given_in_whole_seconds() {
        for (waited_ms, seconds) in [(0, "1 s"), (2_400, "2 s"), (2_500, "3 s")] {
            let because = Some("server-2 is missing".to_owned());
            for error in [
                ClientError::Unavailable { waited_ms, why: None },
                ClientError::Unavailable { waited_ms, why: because },
                ClientError::Unknown { waited_ms },
            ] {
                let english = Texts::new(Language::English, "").failed(&error, About::Nothing);
                assert!(english.contains(seconds), "{english}");
                assert_eq!(english, error.to_string());
                let other = Texts::new(Language::Portuguese, "").failed(&error, About::Nothing);
                assert!(other.contains(seconds), "{other}");
            }
        }
    }
}
