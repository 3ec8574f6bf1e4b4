//! Where to connect to: one end point, or several equals of which one is used at a time.

use std::fmt;
use std::sync::Arc;

use crate::{OpenError, options};

/// End points of equals (all brokers of a cluster, or all proxies), of which one is used at a
/// time: when it dies or falls silent, the next one is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyOf {
    endpoints: Arc<[String]>,
    called: Option<&'static str>,
}

impl AnyOf {
    /// All of them, in the order in which they are tried.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Whether there is another one to move on to.
    pub fn has_others(&self) -> bool {
        self.endpoints.len() > 1
    }

    /// The same ones, tried from another one on: clients that each start at a random one spread
    /// over all of them.
    pub fn starting_at(&self, number: usize) -> AnyOf {
        let mut endpoints = self.endpoints.to_vec();
        let count = endpoints.len().max(1);
        endpoints.rotate_left(number % count);
        AnyOf { endpoints: endpoints.into(), called: self.called }
    }

    /// Gives them the name that people know them by, such as `the broker`. Whoever can't be
    /// reached is then complained of in the log.
    pub fn called(self, name: &'static str) -> AnyOf {
        AnyOf { called: Some(name), ..self }
    }

    /// The name for complaints, if there shall be any.
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.called
    }

    /// Checks that there is at least one and that each is one that we use.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        if self.endpoints.is_empty() {
            let why = "an address is missing".into();
            return Err(OpenError::Unusable { endpoint: String::new(), why });
        }
        self.endpoints.iter().try_for_each(|endpoint| options::check(endpoint).map(drop))
    }
}

impl fmt::Display for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.endpoints.join(","))
    }
}

impl From<Vec<String>> for AnyOf {
    fn from(endpoints: Vec<String>) -> AnyOf {
        AnyOf { endpoints: endpoints.into(), called: None }
    }
}

impl From<&str> for AnyOf {
    fn from(endpoint: &str) -> AnyOf {
        AnyOf::from(vec![endpoint.to_owned()])
    }
}

impl From<String> for AnyOf {
    fn from(endpoint: String) -> AnyOf {
        AnyOf::from(vec![endpoint])
    }
}

impl From<&String> for AnyOf {
    fn from(endpoint: &String) -> AnyOf {
        AnyOf::from(endpoint.as_str())
    }
}

impl From<&AnyOf> for AnyOf {
    fn from(other: &AnyOf) -> AnyOf {
        other.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_elsewhere_keeps_the_circle() {
        let all = AnyOf::from(["a", "b", "c"].map(|host| format!("tcp://{host}:1")).to_vec());
        assert_eq!(all.starting_at(4).to_string(), "tcp://b:1,tcp://c:1,tcp://a:1");
        assert_eq!(AnyOf::from("tcp://a:1").starting_at(7).to_string(), "tcp://a:1");
    }

    #[test]
    fn nothing_and_nonsense_are_refused() {
        assert!(AnyOf::from(Vec::new()).check().is_err());
        assert!(AnyOf::from(Vec::new()).starting_at(3).check().is_err());
        assert!(AnyOf::from(vec!["tcp://a:1".into(), "ipc://b".into()]).check().is_err());
        assert!(AnyOf::from("tcp://a:1").check().is_ok());
    }
}
