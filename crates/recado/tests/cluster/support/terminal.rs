//! A terminal without a person: the binary runs in it, keys go in, and the screen is looked at.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::{eventually, process};

/// How long something may take to appear on a busy machine.
const SHOWN_S: u64 = 60;

/// Runs a program as leader of a session of its own, whose terminal is its standard input. Part
/// of util-linux, which every Linux has.
const IN_A_SESSION: &[&str] = &["setsid", "--ctty"];

/// A program in a terminal; it is killed when this goes.
pub struct Terminal {
    child: Child,
    controller: File,
    /// Kept open, so that the terminal can be looked at when the program is gone.
    program_side: OwnedFd,
    shown: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    /// Starts the binary with these arguments and variables in a terminal of this size. What it
    /// remembers, it keeps in a folder.
    pub fn start(
        args: &[String],
        memory: &Path,
        (columns, rows): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Terminal {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let program_side = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        tcsetwinsize(&controller, size(columns, rows)).unwrap();
        let tool: Vec<String> = IN_A_SESSION.iter().map(|word| (*word).to_owned()).collect();
        let mut command = process::under(&tool, process::command(args));
        command.env_remove("NO_COLOR").env_remove("COLORTERM").env_remove("COLORFGBG");
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command.env("XDG_STATE_HOME", memory);
        command.envs(variables.iter().copied());
        let side = || Stdio::from(program_side.try_clone().unwrap());
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn();
        let child = child.expect("setsid (of util-linux) is needed");
        let parser = vt100::Parser::new(cells(rows), cells(columns), 0);
        let shown = Arc::new(Mutex::new(parser));
        let controller = File::from(controller);
        let (mut reading, looked_at) = (controller.try_clone().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 65536];
            while let Ok(count @ 1..) = reading.read(&mut bytes) {
                looked_at.lock().unwrap().process(&bytes[..count]);
            }
        });
        Terminal { child, controller, program_side, shown }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Presses these keys.
    pub fn keys(&mut self, keys: &str) {
        self.controller.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line and presses Enter.
    pub fn line(&mut self, text: &str) {
        self.keys(text);
        self.keys("\r");
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.shown.lock().unwrap().screen_mut().set_size(cells(rows), cells(columns));
        tcsetwinsize(&self.controller, size(columns, rows)).unwrap();
    }

    /// What is shown now.
    pub fn screen(&self) -> String {
        self.shown.lock().unwrap().screen().contents()
    }

    /// Looks at the screen cell by cell.
    pub fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.shown.lock().unwrap().screen())
    }

    /// Waits until this is shown.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("{text:?} is shown"), |screen| screen.contains(text));
    }

    /// Waits until this is shown no more.
    #[track_caller]
    pub fn wait_gone(&self, text: &str) {
        self.wait_until(&format!("{text:?} is gone"), |screen| !screen.contains(text));
    }

    /// Waits until the screen is right.
    #[track_caller]
    pub fn wait_until(&self, what: &str, right: impl Fn(&str) -> bool) {
        let attempt = std::panic::AssertUnwindSafe(|| {
            eventually(what, SHOWN_S, || right(&self.screen()).then_some(()));
        });
        if std::panic::catch_unwind(attempt).is_err() {
            panic!("not within {SHOWN_S} s: {what}; there is\n{}", self.screen());
        }
    }

    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Waits for its end; gives the exit code.
    pub fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(SHOWN_S);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end; there is\n{}", self.screen());
    }

    /// Panics unless the terminal is as a shell needs it.
    #[track_caller]
    pub fn check_left_as_found(&self) {
        let modes = tcgetattr(&self.program_side).unwrap().local_modes;
        assert!(
            modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG),
            "{modes:?}"
        );
        // What the client wrote last may still be on its way to this side.
        self.wait_for_mode("the usual screen is shown", |screen| !screen.alternate_screen());
        self.wait_for_mode("the cursor is shown", |screen| !screen.hide_cursor());
        self.wait_for_mode("pastes are plain", |screen| !screen.bracketed_paste());
        self.wait_for_mode("the mouse is the terminal's", |screen| {
            screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
    }

    #[track_caller]
    fn wait_for_mode(&self, what: &str, right: impl Fn(&vt100::Screen) -> bool) {
        eventually(what, SHOWN_S, || self.look(&right).then_some(()));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has rows and columns")
}
