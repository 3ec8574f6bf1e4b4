//! Colours, as far as the terminal has them.

use ratatui::style::{Color, Modifier, Style};

/// Which background the terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the terminal tells by `COLORFGBG`; dark when it does not.
    #[default]
    Auto,
    /// Dark.
    Dark,
    /// Light.
    Light,
    /// Whichever it is: no colours are used.
    None,
}

impl std::str::FromStr for Theme {
    type Err = String;

    fn from_str(word: &str) -> Result<Theme, String> {
        match word {
            "auto" => Ok(Theme::Auto),
            "dark" => Ok(Theme::Dark),
            "light" => Ok(Theme::Light),
            "none" => Ok(Theme::None),
            _ => Err("one of auto, dark, light and none is needed".to_owned()),
        }
    }
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// None, or none are wanted: weight, lines and inversion only.
    None,
    /// The sixteen named ones.
    Sixteen,
    /// 256 or more.
    Many,
}

/// Nicks on dark and light backgrounds, from the colours that every terminal has.
const DARK_SIXTEEN: &[Color] = &[
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::Green,
    Color::Yellow,
    Color::Magenta,
    Color::Cyan,
];
const LIGHT_SIXTEEN: &[Color] =
    &[Color::Blue, Color::Magenta, Color::Red, Color::Green, Color::Cyan, Color::LightBlue];

/// The same from the 256, each with enough contrast to its background.
const DARK_MANY: &[u8] =
    &[75, 80, 84, 108, 114, 141, 149, 173, 176, 179, 180, 183, 209, 211, 215, 222, 117, 150];
const LIGHT_MANY: &[u8] =
    &[18, 22, 24, 25, 28, 53, 54, 58, 88, 89, 90, 94, 97, 124, 125, 130, 131, 30];

/// How things look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) plain: Style,
    pub(crate) dim: Style,
    pub(crate) strong: Style,
    pub(crate) own: Style,
    pub(crate) unread: Style,
    pub(crate) mention: Style,
    pub(crate) open: Style,
    pub(crate) error: Style,
    pub(crate) banner: Style,
    pub(crate) good: Style,
    pub(crate) found: Style,
    nicks: Vec<Style>,
}

impl Look {
    /// For a terminal with so many colours on this background.
    pub(crate) fn new(colours: Colours, light: bool) -> Look {
        let plain = Style::new();
        let strong = plain.add_modifier(Modifier::BOLD);
        let reversed = plain.add_modifier(Modifier::REVERSED);
        let look = Look {
            plain,
            dim: plain.add_modifier(Modifier::DIM),
            strong,
            own: strong,
            unread: strong,
            mention: strong.add_modifier(Modifier::REVERSED),
            open: reversed,
            error: strong,
            banner: reversed,
            good: plain,
            found: reversed,
            nicks: vec![strong],
        };
        let nicks = match (colours, light) {
            (Colours::None, _) => return look,
            (Colours::Sixteen, false) => DARK_SIXTEEN.to_vec(),
            (Colours::Sixteen, true) => LIGHT_SIXTEEN.to_vec(),
            (Colours::Many, false) => DARK_MANY.iter().copied().map(Color::Indexed).collect(),
            (Colours::Many, true) => LIGHT_MANY.iter().copied().map(Color::Indexed).collect(),
        };
        let accent = if light { Color::Blue } else { Color::LightCyan };
        Look {
            dim: match colours {
                Colours::Many => plain.fg(Color::Indexed(if light { 242 } else { 246 })),
                // Each of the sixteen is plain text or the background in some terminal.
                _ => look.dim,
            },
            own: strong.fg(accent),
            unread: strong.fg(accent),
            mention: strong.fg(if light { Color::Magenta } else { Color::LightMagenta }),
            error: plain.fg(if light { Color::Red } else { Color::LightRed }),
            banner: plain.fg(Color::Black).bg(Color::Yellow),
            good: plain.fg(Color::Green),
            found: plain.fg(Color::Black).bg(Color::Yellow),
            nicks: nicks.into_iter().map(|colour| plain.fg(colour)).collect(),
            ..look
        }
    }

    /// A nick's colour: the same one at every start and on every machine.
    pub(crate) fn nick(&self, name: &str) -> Style {
        // FNV-1a, which is short and spreads names well.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let index = usize::try_from((hash >> 8) % self.nicks.len().max(1) as u64).unwrap_or(0);
        self.nicks.get(index).copied().unwrap_or(self.plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn styles(look: &Look) -> Vec<Style> {
        let Look {
            plain,
            dim,
            strong,
            own,
            unread,
            mention,
            open,
            error,
            banner,
            good,
            found,
            nicks,
        } = look;
        let fixed = [plain, dim, strong, own, unread, mention, open, error, banner, good, found];
        fixed.into_iter().chain(nicks).copied().collect()
    }

    #[test]
    fn no_colours_are_none_and_sixteen_are_the_named_ones() {
        for light in [false, true] {
            let used = |colours| {
                let styles = styles(&Look::new(colours, light));
                styles.into_iter().flat_map(|s| [s.fg, s.bg]).flatten().collect::<Vec<_>>()
            };
            assert!(used(Colours::None).is_empty());
            assert!(!used(Colours::Sixteen).iter().any(|c| matches!(c, Color::Indexed(_))));
            assert!(used(Colours::Many).iter().any(|c| matches!(c, Color::Indexed(_))));
        }
    }

    #[test]
    fn dim_is_told_from_plain_and_is_the_terminals_own_on_sixteen_colours() {
        for (colours, light) in [
            (Colours::None, false),
            (Colours::Sixteen, false),
            (Colours::Sixteen, true),
            (Colours::Many, false),
            (Colours::Many, true),
        ] {
            let look = Look::new(colours, light);
            assert_ne!(look.dim, look.plain, "{colours:?}");
            if colours == Colours::Sixteen {
                // Any of the sixteen may be the background, or what plain text has.
                assert_eq!(look.dim, Style::new().add_modifier(Modifier::DIM));
            }
        }
    }

    #[test]
    fn a_nick_keeps_its_colour_and_others_have_other_ones() {
        let look = Look::new(Colours::Many, false);
        let names = ["ana", "bob", "carla", "dora", "小明", "old fox", "eva", "fábio"];
        let mut seen: Vec<Style> = names.iter().map(|name| look.nick(name)).collect();
        assert_eq!(seen, names.map(|name| look.nick(name)));
        seen.dedup();
        assert!(seen.len() > names.len() / 2, "{seen:?}");
    }
}
