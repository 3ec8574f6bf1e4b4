//! `server remove`: asks the cluster to let go of a server.

use recado_protocol::{Code, Reply, Request};
use recado_transport::AnyOf;

use crate::address::Endpoints;
use crate::failure::Failure;
use crate::options::Settings;
use crate::status;

/// Asks once: a repeat of what was done already would be told that there is no such server.
///
/// # Errors
/// One sentence when it was refused, or nobody answers.
pub async fn ask(settings: &Settings, server: &str) -> Result<(), Failure> {
    let fronts = AnyOf::from(Endpoints::to_connect(settings)?.fronts);
    let request = Request::Remove { server: server.to_owned() };
    match status::ask_broker(&fronts, request).await? {
        Reply::Done => Ok(()),
        Reply::Refused(refusal) if refusal.code == Code::Unknown => Err(Failure::Failed(format!(
            "whether {server} was removed is not known; look at `recado status` before you try \
             again"
        ))),
        Reply::Refused(refusal) => Err(Failure::failed(refusal)),
        _ => Err(Failure::Failed(format!(
            "the broker at {fronts} gives an answer to another question"
        ))),
    }
}
