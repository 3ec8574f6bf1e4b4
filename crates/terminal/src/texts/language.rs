//! Which language the client speaks.

/// A language that the client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English, also for everybody whose own language is not here.
    #[default]
    English,
    /// Brazilian Portuguese, for every kind of Portuguese.
    Portuguese,
}

impl Language {
    /// All of them.
    pub const ALL: &[Language] = &[Language::English, Language::Portuguese];

    /// The language of the process's locale.
    pub fn of_environment() -> Language {
        Language::of_locale(|name| std::env::var(name).ok())
    }

    /// The language by the variables that name a locale's messages.
    pub fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Language {
        let locale = Language::locale(variable);
        locale.and_then(|(_, value)| Language::from_tag(&value)).unwrap_or_default()
    }

    /// The variable that decides, and what it says: the first one that is set and not empty.
    pub fn locale(variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
        let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
        let mut set = names.into_iter().filter_map(|name| Some((name, variable(name)?)));
        set.find(|(_, value)| !value.is_empty())
    }

    /// The language that a tag or a locale names: `en`, `pt-BR`, `pt_PT.UTF-8`; none for
    /// another one.
    pub fn from_tag(tag: &str) -> Option<Language> {
        let language = tag.split(['-', '_', '.', '@']).next().unwrap_or_default();
        match language.to_ascii_lowercase().as_str() {
            "en" => Some(Language::English),
            "pt" => Some(Language::Portuguese),
            _ => None,
        }
    }

    /// Its tag: `en` or `pt-BR`.
    pub const fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Portuguese => "pt-BR",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let cases: [(&[(&str, &str)], Language); 11] = [
            (&[], Language::English),
            (&[("LANG", "pt_BR.UTF-8")], Language::Portuguese),
            (&[("LANG", "pt")], Language::Portuguese),
            (&[("LANG", "PT-PT")], Language::Portuguese),
            (&[("LANG", "pt@euro")], Language::Portuguese),
            (&[("LANG", "de_DE.UTF-8")], Language::English),
            (&[("LANG", "ptolemaic")], Language::English),
            (&[("LC_MESSAGES", "pt_BR"), ("LANG", "en_US")], Language::Portuguese),
            (&[("LC_ALL", "C"), ("LC_MESSAGES", "pt_BR"), ("LANG", "pt_BR")], Language::English),
            (&[("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", "pt_BR")], Language::Portuguese),
            (&[("LC_CTYPE", "pt_BR"), ("LANG", "C.UTF-8")], Language::English),
        ];
        for (set, language) in cases {
            let found = Language::of_locale(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            });
            assert_eq!(found, language, "{set:?}");
        }
    }

    #[test]
    fn every_language_is_found_by_its_tag() {
        for language in Language::ALL {
            assert_eq!(Language::from_tag(language.tag()), Some(*language));
        }
        for unknown in ["", "fr", "english", "p", "-pt"] {
            assert_eq!(Language::from_tag(unknown), None, "{unknown}");
        }
    }
}
