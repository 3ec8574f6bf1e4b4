//! How the cluster says it is, asked again and again.

use std::time::Duration;

use recado_protocol::codec::{Stamp, decode_reply, encode_request};
use recado_protocol::reply::{MemberStatus, Role};
use recado_protocol::{Incoming, Reply, Request};
use recado_transport::Caller;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How often the cluster is asked.
const ASK_EVERY: Duration = Duration::from_millis(150);
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_millis(1500);

/// What the cluster said last.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The servers; none when nobody answers.
    pub members: Vec<MemberStatus>,
    /// How many answers there were so far: a view of now has a higher number than one of before.
    pub number: u64,
}

impl View {
    /// The primary's place among the servers, counted from 0.
    pub fn primary(&self) -> Option<usize> {
        let primary = self.members.iter().find(|member| member.role == Role::Primary)?;
        index(&primary.name)
    }

    /// How many servers take part, the primary among them.
    pub fn active(&self) -> usize {
        let active = |member: &&MemberStatus| matches!(member.role, Role::Primary | Role::Backup);
        let active = self.members.iter().filter(active);
        if self.primary().is_none() {
            0
        } else {
            active.filter(|m| index(&m.name).is_some()).count()
        }
    }

    /// How many servers take part, whatever their names are; none without a primary.
    pub fn taking_part(&self) -> usize {
        let takes_part =
            |member: &&MemberStatus| matches!(member.role, Role::Primary | Role::Backup);
        let leads = self.members.iter().any(|member| member.role == Role::Primary);
        if leads { self.members.iter().filter(takes_part).count() } else { 0 }
    }

    /// Whether all servers take part.
    pub fn is_whole(&self) -> bool {
        self.taking_part() > 0 && self.taking_part() == self.members.len()
    }

    /// Which servers take part, in words.
    pub fn standing(&self) -> String {
        if self.members.is_empty() {
            return "no server answers".into();
        }
        let member = |member: &MemberStatus| format!("{} {}", member.name, member.role.as_str());
        self.members.iter().map(member).collect::<Vec<_>>().join(", ")
    }

    /// Whether a server is active.
    pub fn is_active(&self, server: usize) -> bool {
        self.members.iter().any(|member| {
            index(&member.name) == Some(server)
                && matches!(member.role, Role::Primary | Role::Backup)
        })
    }

    /// The last position that all servers hold that are there; none while they differ.
    pub fn level(&self) -> Option<u64> {
        let mut applied = self.members.iter().filter(|m| m.role != Role::Down).map(|m| m.applied);
        let first = applied.next()?;
        applied.all(|other| other == first).then_some(first)
    }
}

/// A server's place by its name, counted from 0.
fn index(name: &str) -> Option<usize> {
    name.strip_prefix("server-")?.parse::<usize>().ok()?.checked_sub(1)
}

/// Asks one of the brokers, and the next one when it does not answer, until it is dropped.
pub struct Watch {
    seen: watch::Receiver<View>,
    _task: JoinSet<()>,
}

impl Watch {
    /// Starts asking.
    ///
    /// # Errors
    /// When an address can't be used at all.
    pub async fn start(brokers: Vec<String>) -> Result<Watch, recado_transport::OpenError> {
        let caller = Caller::connect(brokers).await?;
        let (sender, seen) = watch::channel(View::default());
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let members = ask(&caller).await.unwrap_or_default();
                sender.send_modify(|view| {
                    view.members = members;
                    view.number += 1;
                });
                tokio::time::sleep(ASK_EVERY).await;
            }
        });
        Ok(Watch { seen, _task: task })
    }

    /// What was said last.
    pub fn now(&self) -> View {
        self.seen.borrow().clone()
    }

    /// The next answer, or what was said last when none comes until then.
    pub async fn next(&self, deadline: Instant) -> View {
        let mut seen = self.seen.clone();
        seen.mark_unchanged();
        _ = tokio::time::timeout_at(deadline, seen.changed()).await;
        self.now()
    }

    /// Waits until what was asked for holds in an answer from after this call; false when that
    /// did not come in time.
    pub async fn until(&self, patience: Duration, holds: impl Fn(&View) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut seen = self.seen.clone();
        // The answer that is on its way was asked for before.
        let from = seen.borrow().number + 2;
        let wait = seen.wait_for(|view| view.number >= from && holds(view));
        matches!(tokio::time::timeout_at(deadline, wait).await, Ok(Ok(_)))
    }
}

async fn ask(caller: &Caller) -> Option<Vec<MemberStatus>> {
    let incoming = Incoming { request: Request::Status, clock: 0, id: None };
    let body = encode_request(&incoming, Stamp { timestamp: recado_client::now_ms(), clock: 0 });
    let frames = caller.call(vec![body], ANSWER).await.ok()?;
    match decode_reply(frames.first()?) {
        Ok((_, Reply::Status(status), _)) => Some(status.members),
        _ => None,
    }
}
