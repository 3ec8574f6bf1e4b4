//! The terminal: taken over, drawn on, and left as it was found.

use std::io::{self, Stdout, Write, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture,
};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode, size,
};
use ratatui::crossterm::{cursor, execute, queue};

use crate::full::draw::draw;
use crate::full::draw::theme::{Colours, Look, Theme};
use crate::full::model::State;

/// Whether the terminal is taken over, and has to be given back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken over until this is dropped or the process panics.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    look: Look,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn open(theme: Theme) -> io::Result<Screen> {
        give_back_on_panic();
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let taken = execute!(
            stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange,
            EnableMouseCapture
        );
        let terminal = taken.and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        match terminal {
            Ok(terminal) => {
                Ok(Screen { terminal, look: Look::new(colours(theme), is_light(theme)) })
            }
            Err(why) => {
                give_back();
                Err(why)
            }
        }
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (u16, u16) {
        size().unwrap_or((80, 24))
    }

    /// Shows the state; only what changed is written.
    pub(super) fn draw(&mut self, state: &State) -> io::Result<()> {
        queue!(stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| {
            let cursor = draw(state, &self.look, frame.buffer_mut());
            if let Some(cursor) = cursor {
                frame.set_cursor_position(cursor);
            }
        })?;
        execute!(stdout(), EndSynchronizedUpdate)
    }

    /// Draws everything anew the next time.
    pub(super) fn clear(&mut self) {
        // What can't be written now can't be drawn either, and that is told.
        drop(self.terminal.clear());
    }

    pub(super) fn mouse(&self, on: bool) {
        let mut out = stdout();
        drop(if on {
            execute!(out, EnableMouseCapture)
        } else {
            execute!(out, DisableMouseCapture)
        });
    }

    /// Rings, and shows a note where the terminal can (OSC 9).
    pub(super) fn alert(&self, text: &str) {
        let mut out = stdout();
        drop(write!(out, "\u{1b}]9;{text}\u{7}\u{7}").and_then(|()| out.flush()));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Puts the terminal back as it was, once.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Nothing can be done about a terminal that is gone.
    drop(execute!(
        stdout(),
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    ));
    drop(disable_raw_mode());
}

/// The message of a panic is to be read on the terminal as it was.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}

/// What the terminal says of its colours, unless none are wanted. An empty NO_COLOR counts as none.
fn colours(theme: Theme) -> Colours {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let terminal = set("TERM").unwrap_or_default();
    if theme == Theme::None
        || set("NO_COLOR").is_some()
        || terminal == "dumb"
        || terminal.ends_with("-m")
    {
        Colours::None
    } else if terminal.contains("256") || set("COLORTERM").is_some() {
        Colours::Many
    } else {
        Colours::Sixteen
    }
}

fn is_light(theme: Theme) -> bool {
    match theme {
        Theme::Dark | Theme::None => false,
        Theme::Light => true,
        // `foreground;background`, the latter a number of the sixteen colours.
        Theme::Auto => std::env::var("COLORFGBG").is_ok_and(|value| {
            matches!(
                value.rsplit(';').next(),
                Some("7" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::process::{Command, Stdio};

    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    const CHILD: &str = "full::driver::screen::tests::a_program_that_panics";

    /// Not a test of its own: it runs in the terminal of the next one.
    #[test]
    #[ignore = "needs a terminal; the next test gives it one"]
    fn a_program_that_panics() {
        // As the binary does it: nothing is dropped after a panic.
        std::panic::set_hook(Box::new(|_| {
            eprintln!("the reason");
            std::process::exit(7);
        }));
        let _screen = Screen::open(Theme::Auto).unwrap();
        panic!("on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let program = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let side = || Stdio::from(program.try_clone().unwrap());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--ignored", "--nocapture"])
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let mut written = Vec::new();
        let mut controller = File::from(controller);
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&written).contains("the reason") {
            let count = controller.read(&mut part).unwrap();
            written.extend_from_slice(&part[..count]);
        }
        assert_eq!(child.wait().unwrap().code(), Some(7));
        let written = String::from_utf8_lossy(&written);
        let at = |what: &str| written.find(what).unwrap_or_else(|| panic!("{what:?}: {written:?}"));
        let order = ["\u{1b}[?1049h", "\u{1b}[?1000l", "\u{1b}[?2004l", "\u{1b}[?1049l"];
        let places = order.map(at);
        assert!(places.is_sorted() && places[3] < at("the reason"), "{written:?}");
        let modes = tcgetattr(&program).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    }
}
