"""A person's terminal: what is typed goes in, what is shown comes out."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

COLUMNS, ROWS = 100, 30
# Sequences that move the cursor and change colours.
ESCAPES = re.compile(r"\x1b(\[[0-9;?>=]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|.)")


class Terminal:
    """A command that stands at a terminal of its own."""

    def __init__(self, *command):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(slave)
        self.shown = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the command, wherever it is."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, within_s):
        """Takes what comes; false when nothing does, or when the command is gone."""
        if not select.select([self.master], [], [], within_s)[0]:
            return False
        try:
            raw = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += ESCAPES.sub("", raw.decode(errors="replace"))
        return bool(raw)

    def until(self, *wanted, within_s=15):
        """Reads until all of it is shown, in whatever order, and forgets it and what came before."""
        deadline = time.monotonic() + within_s
        while not all(text in self.shown for text in wanted):
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted!r} is not shown within {within_s} s, but {self.shown!r}"
            self.read(min(left, 0.2))
        self.shown = self.shown[max(self.shown.index(text) + len(text) for text in wanted) :]

    def answers(self, command, wanted):
        """Types a command for the line client, and waits for what it says and its next prompt."""
        self.type(f"{command}\r")
        self.until(wanted)
        self.until("> ")

    def shows(self, wanted, after):
        """Types something and says whether this is shown soon."""
        self.type(after)
        while wanted not in self.shown and self.read(0.5):
            pass
        return wanted in self.shown

    def until_quiet(self):
        """Reads and forgets until nothing more comes."""
        while self.read(0.5):
            pass
        self.shown = ""

    def end(self, within_s=15):
        """Waits for the command's own end; its exit code."""
        deadline = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end; shown: {self.shown!r}"
            self.read(0.1)
        return self.process.returncode
