//! Whether another server of the same name is there: two of them would take name, rank and place
//! from each other.
//!
//! The reference knows who had the name last and where. That one may be dead, stopped or cut off
//! by now, or be this very server before it was started again. So what counts is whether it
//! answers, at its address, as another start than this one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use recado_protocol::codec;
use recado_protocol::reference::{Listed, ReferenceReply, ReferenceRequest};
use recado_replication::meet;
use recado_transport::Caller;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clocks::Clocks;

/// How long the reference's list, and then each step of asking, is waited for.
const STEP_TIMEOUT: Duration = Duration::from_millis(500);

/// A server of the same name that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namesake {
    /// Where.
    pub address: String,
    /// Whether it says that this server was removed from the cluster. Then it came in its place.
    pub removed: bool,
    /// Whether it says that this server's folder is of an earlier generation of the cluster.
    pub earlier: bool,
}

/// Looks for a namesake.
#[derive(Clone)]
pub struct Search {
    /// The way to the reference.
    pub reference: Caller,
    /// For the stamps of messages.
    pub clocks: Arc<Clocks>,
    /// The name.
    pub name: String,
    /// The number of this server's own start.
    pub boot: u64,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Other servers' addresses that are reached from here at another one.
    pub routes: BTreeMap<String, String>,
}

impl Search {
    /// The servers that the reference lists now; none when it does not answer.
    pub async fn list(&self) -> Option<Vec<Listed>> {
        let request = ReferenceRequest::List;
        let body = codec::encode_reference_request(&request, self.clocks.stamp_message());
        let answer = self.reference.call(vec![body], STEP_TIMEOUT).await.ok()?;
        let (reply, stamp) = codec::decode_reference_reply(answer.first()?).ok()?;
        self.clocks.observe(stamp.clock);
        let ReferenceReply::List(list) = reply else { return None };
        Some(list)
    }

    /// A namesake that answers now. An address that is `own` is passed over.
    pub async fn run(&self, own: Option<&str>) -> Option<Namesake> {
        let list = self.list().await?;
        let listed = list.into_iter().find(|listed| listed.name == self.name)?;
        let address = listed.address.filter(|address| Some(address.as_str()) != own)?;
        let who = self.look(&address).await?;
        let other = who.name == self.name && who.boot != self.boot;
        other.then_some(Namesake { address, removed: who.removed, earlier: who.earlier })
    }

    async fn look(&self, address: &str) -> Option<meet::Who> {
        let address = self.routes.get(address).map_or(address, String::as_str);
        // A caller would keep at it where nobody listens.
        let host = address.trim_start_matches("tcp://");
        timeout(STEP_TIMEOUT, TcpStream::connect(host)).await.ok()?.ok()?;
        let caller = Caller::connect(address).await.ok()?;
        if !caller.wait_connected(STEP_TIMEOUT).await {
            return None;
        }
        let (kind, body) = meet::question(&self.data_dir)?;
        let kind = Bytes::copy_from_slice(&[kind]);
        let answer = caller.call(vec![kind, body], STEP_TIMEOUT).await.ok()?;
        meet::read_answer(answer.first()?)
    }
}
