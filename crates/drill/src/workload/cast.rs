//! Who takes part in a workload: its users and channels.

use std::fmt::Write;

use recado_client::{Client, ClientError};
use recado_protocol::Code;

use crate::history::Topic;

/// The channels; one name is the beginning of another, since subscriptions go by beginnings.
const CHANNELS: [&str; 3] = ["sala", "sala-2", "porto"];
/// Who receives private messages.
const RECIPIENTS: [&str; 3] = ["rui", "rui-b", "eva"];
/// So many earlier drills with the same seed are looked for.
const MAX_EARLIER: u32 = 1000;

/// What stands before all names, so that they are nobody else's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cast {
    prefix: String,
}

impl Cast {
    /// Names that nobody on this cluster has, not even an earlier drill with the same seed: one of
    /// the channels is made to be sure of it.
    ///
    /// # Errors
    /// When the cluster makes no channel.
    pub async fn apart(client: &Client, seed: u64) -> Result<Cast, ClientError> {
        let mut earlier = 0;
        loop {
            let mut prefix = format!("drill-{seed}-");
            if earlier > 0 {
                // Writing to a string can't fail.
                _ = write!(prefix, "{}-", earlier + 1);
            }
            let cast = Cast { prefix };
            match client.create_channel(&cast.name(CHANNELS[0])).await {
                Ok(()) => return Ok(cast),
                Err(error)
                    if error.code() == Some(Code::ChannelExists) && earlier < MAX_EARLIER => {}
                Err(error) => return Err(error),
            }
            earlier += 1;
        }
    }

    /// A writer's user name.
    pub fn writer(&self, number: u32) -> String {
        self.name(&format!("w{number}"))
    }

    /// All topics of the workload.
    pub fn topics(&self) -> Vec<Topic> {
        let channels = CHANNELS.iter().map(|name| Topic::channel(&self.name(name)));
        channels.chain(RECIPIENTS.iter().map(|name| Topic::inbox(&self.name(name)))).collect()
    }

    /// Makes users and channels. Done again, it finds them there.
    ///
    /// # Errors
    /// When the cluster does not take them.
    pub async fn enter(&self, client: &Client, writers: u32) -> Result<(), ClientError> {
        for number in 0..writers {
            client.login(&self.writer(number)).await?;
        }
        for user in RECIPIENTS {
            client.login(&self.name(user)).await?;
        }
        for channel in CHANNELS {
            match client.create_channel(&self.name(channel)).await {
                Err(error) if error.code() != Some(Code::ChannelExists) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}
