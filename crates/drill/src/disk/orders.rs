//! What the drill tells the process that keeps its disks, a line each, and what that one answers.

use std::fmt;
use std::path::PathBuf;

use super::content::Lost;
use super::device::{Look, Mishap, Power};

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Mount a new, empty disk of so many bytes at a folder; its choices come from a seed. Disks
    /// are numbered in their order from 0.
    Mount {
        /// Room on it, bytes.
        room_bytes: u64,
        /// Where its choices come from.
        seed: u64,
        /// Where.
        folder: PathBuf,
    },
    /// Something about the disk of this number.
    Disk(usize, Change),
}

/// A change of one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The power goes.
    Off,
    /// The power is back.
    On,
    /// Syncs wait.
    Hang,
    /// Syncs wait no more.
    GoOn,
    /// Syncs take so much longer, ms.
    Slow(u64),
    /// Something happens in the n-th sync from now.
    Plan(u64, Mishap),
    /// It does not.
    PlanNothing,
    /// Syncs are answered and not done.
    Ignore(bool),
    /// The disk holds so many bytes.
    Room(u64),
    /// Tell how it is.
    Look,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// The power is off, and this is lost.
    Lost(Lost),
    /// How the disk is.
    Look(Look),
    /// It can't be done.
    Failed(String),
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Mount { room_bytes, seed, folder } => {
                write!(f, "mount {room_bytes} {seed} {}", folder.display())
            }
            Order::Disk(disk, change) => match change {
                Change::Off => write!(f, "off {disk}"),
                Change::On => write!(f, "on {disk}"),
                Change::Hang => write!(f, "hang {disk}"),
                Change::GoOn => write!(f, "go-on {disk}"),
                Change::Slow(ms) => write!(f, "slow {disk} {ms}"),
                Change::Plan(number, mishap) => {
                    write!(f, "plan {disk} {number} {}", mishap_word(*mishap))
                }
                Change::PlanNothing => write!(f, "plan-nothing {disk}"),
                Change::Ignore(ignore) => write!(f, "ignore {disk} {ignore}"),
                Change::Room(bytes) => write!(f, "room {disk} {bytes}"),
                Change::Look => write!(f, "look {disk}"),
            },
        }
    }
}

impl Order {
    /// Reads what was written.
    pub fn parse(line: &str) -> Option<Order> {
        let mut words = line.splitn(4, ' ');
        let word = words.next()?;
        let first = words.next()?;
        if word == "mount" {
            let seed = words.next()?.parse().ok()?;
            let folder = PathBuf::from(words.next()?);
            return Some(Order::Mount { room_bytes: first.parse().ok()?, seed, folder });
        }
        let disk = first.parse().ok()?;
        let mut number = || words.next()?.parse::<u64>().ok();
        let change = match word {
            "off" => Change::Off,
            "on" => Change::On,
            "hang" => Change::Hang,
            "go-on" => Change::GoOn,
            "slow" => Change::Slow(number()?),
            "plan" => Change::Plan(number()?, mishap(words.next()?)?),
            "plan-nothing" => Change::PlanNothing,
            "ignore" => Change::Ignore(words.next()?.parse().ok()?),
            "room" => Change::Room(number()?),
            "look" => Change::Look,
            _ => return None,
        };
        Some(Order::Disk(disk, change))
    }
}

const MISHAPS: [(Mishap, &str); 3] = [
    (Mishap::Fails, "fails"),
    (Mishap::StillBefore, "still-before"),
    (Mishap::StillBehind, "still-behind"),
];

fn mishap_word(mishap: Mishap) -> &'static str {
    MISHAPS.iter().find(|(known, _)| *known == mishap).map_or("", |(_, word)| word)
}

fn mishap(word: &str) -> Option<Mishap> {
    MISHAPS.iter().find(|(_, known)| *known == word).map(|(mishap, _)| *mishap)
}

const POWERS: [(Power, &str); 3] =
    [(Power::On, "on"), (Power::Off, "off"), (Power::Still, "still")];

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Done => write!(f, "done"),
            Reply::Lost(lost) => write!(f, "lost {} {}", lost.forgotten, lost.survived),
            Reply::Look(look) => {
                let power = POWERS.iter().find(|(power, _)| *power == look.power);
                let power = power.map_or("", |(_, word)| word);
                let Look { syncs, waiting, failed, used_bytes, .. } = look;
                write!(f, "look {power} {syncs} {waiting} {failed} {used_bytes}")
            }
            Reply::Failed(why) => write!(f, "failed {}", why.replace('\n', " ")),
        }
    }
}

impl Reply {
    /// Reads what was written.
    pub fn parse(line: &str) -> Option<Reply> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        Some(match word {
            "done" => Reply::Done,
            "lost" => Reply::Lost(Lost { forgotten: number()?, survived: number()? }),
            "look" => {
                let (word, rest) = rest.split_once(' ')?;
                let mut words = rest.split(' ');
                let mut number = || words.next()?.parse::<u64>().ok();
                Reply::Look(Look {
                    power: POWERS.iter().find(|(_, known)| *known == word)?.0,
                    syncs: number()?,
                    waiting: number()?,
                    failed: number()?,
                    used_bytes: number()?,
                })
            }
            "failed" => Reply::Failed(rest.to_owned()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mount =
            Order::Mount { room_bytes: 5, seed: u64::MAX, folder: "/tmp/with a space/x".into() };
        let changes = [
            Change::Off,
            Change::On,
            Change::Hang,
            Change::GoOn,
            Change::Slow(150),
            Change::Plan(7, Mishap::Fails),
            Change::Plan(1, Mishap::StillBefore),
            Change::Plan(2, Mishap::StillBehind),
            Change::PlanNothing,
            Change::Ignore(true),
            Change::Room(1 << 40),
            Change::Look,
        ];
        let orders = changes.into_iter().map(|change| Order::Disk(3, change));
        for order in orders.chain([mount]) {
            assert_eq!(Order::parse(&order.to_string()), Some(order.clone()), "{order}");
        }
        let look =
            Look { syncs: 1, power: Power::Still, waiting: 2, failed: 3, used_bytes: 1 << 50 };
        for reply in [
            Reply::Done,
            Reply::Lost(Lost { forgotten: 4, survived: 5 }),
            Reply::Look(look),
            Reply::Failed("no room for it".into()),
        ] {
            assert_eq!(Reply::parse(&reply.to_string()), Some(reply.clone()), "{reply}");
        }
    }

    #[test]
    fn nonsense_is_no_order() {
        for line in ["", "off", "off x", "slow 1", "plan 1 2 never", "mount 1 2", "dance 1"] {
            assert_eq!(Order::parse(line), None, "{line}");
        }
        assert_eq!(Reply::parse("look on 1"), None);
    }
}
