//! Every order that there is, and what is answered.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::drill;
use crate::observe::Direction;

/// What can be ordered of a running daemon. Its name, in snake_case, is that of the action in `/actions/NAME`, in the
/// record and at the command line; its fields are the arguments. `runtime::orders` does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Bring what is on its way to the target, then read no more until resumed. The position stays.
    Pause {
        /// Which.
        link: Links,
    },
    /// Make keys equal by the value of one region.
    Mend {
        /// Whose value stays.
        winner: String,
        /// Which.
        keys: Vec<MendKey>,
    },
    /// Go on where the link was paused or held.
    Resume {
        /// Which.
        link: Links,
        /// What the link was held for may happen. Without it the answer to a held link tells what would.
        #[serde(default)]
        accept: bool,
    },
    /// A step of a failover drill.
    Drill {
        /// Which.
        step: drill::Action,
        /// The region that is left; that of the drill under way, or forward.source, when absent.
        #[serde(default)]
        region: Option<String>,
        /// The region is lost: it can't be asked anything.
        #[serde(default)]
        lost: bool,
        /// Go on without a proof, or with differences.
        #[serde(default)]
        accept: bool,
        /// Tell what would be done, and do nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// As a pause, and the link shows that it waits for somebody's decision.
    Hold {
        /// Which.
        link: Links,
    },
    /// Read the configuration again, and take over what can change while the daemon runs.
    Reload {},
}

/// A key that is to be made equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MendKey {
    /// Its database.
    #[serde(default)]
    pub database: u32,
    /// Its name, in base64.
    pub key_base64: String,
}

impl MendKey {
    /// Database and name.
    ///
    /// # Errors
    /// The name is no base64: a sentence.
    pub fn name(&self) -> Result<(u32, Vec<u8>), String> {
        let name = STANDARD.decode(&self.key_base64);
        name.map(|name| (self.database, name)).map_err(|error| format!("`key_base64` is no base64: {error}"))
    }
}

/// One link or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// From forward.source to forward.target
    Forward,
    /// From forward.target to forward.source
    Reverse,
    /// Both links
    Both,
}

impl Links {
    /// The directions that are meant.
    pub fn directions(self) -> &'static [Direction] {
        match self {
            Self::Forward => &[Direction::Forward],
            Self::Reverse => &[Direction::Reverse],
            Self::Both => &[Direction::Forward, Direction::Reverse],
        }
    }
}

/// An order was obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was done, for a person.
    pub text: String,
    /// The same and more, for programs.
    #[serde(default)]
    pub details: Value,
}

/// An order was not obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// A stable name for programs.
    pub error_code: String,
    /// Why, for a person.
    pub error: String,
    /// What to do.
    pub remedy: String,
}

impl Order {
    /// The order `action` with `arguments`, a JSON object or nothing.
    ///
    /// # Errors
    /// There is no such order, or it does not take these arguments: a sentence.
    pub fn parse(action: &str, arguments: &[u8]) -> Result<Self, String> {
        let arguments = if arguments.is_empty() { b"{}" } else { arguments };
        let mut tree: serde_json::Map<String, Value> =
            serde_json::from_slice(arguments).map_err(|error| format!("the arguments are no JSON object: {error}"))?;
        if tree.insert("action".into(), action.into()).is_some() {
            return Err("the arguments name an action, which is named by the path".into());
        }
        serde_json::from_value(tree.into()).map_err(|error| format!("{action}: {error}"))
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.tree().get("action").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The arguments alone, as [`Self::parse`] takes them.
    pub fn arguments(&self) -> Value {
        let mut tree = self.tree();
        tree.shift_remove("action");
        tree.into()
    }

    fn tree(&self) -> serde_json::Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(tree)) => tree,
            Ok(_) | Err(_) => serde_json::Map::new(),
        }
    }
}

impl Done {
    /// With nothing beside the words.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), details: Value::Null }
    }
}

impl Refused {
    /// With a stable code, why, and what to do.
    pub fn new(error_code: &str, error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { error_code: error_code.to_owned(), error: error.into(), remedy: remedy.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_its_name_and_its_arguments() {
        let pause = Order::Pause { link: Links::Forward };
        assert_eq!(Order::parse("pause", br#"{"link":"forward"}"#), Ok(pause.clone()));
        assert_eq!((pause.name().as_str(), pause.arguments().to_string()), ("pause", r#"{"link":"forward"}"#.into()));
    }

    #[test]
    fn what_is_no_order_is_told() {
        for (action, arguments, part) in [
            ("pase", "{}", "unknown variant `pase`, expected"),
            ("pause", "", "missing field `link`"),
            ("pause", r#"{"link":"east"}"#, "unknown variant `east`, expected one of `forward`, `reverse`, `both`"),
            ("pause", r#"{"link":"both","now":1}"#, "unknown field `now`"),
            ("pause", "[]", "no JSON object"),
            ("pause", r#"{"action":"resume"}"#, "named by the path"),
        ] {
            let error = Order::parse(action, arguments.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{action} {arguments}: {error}");
        }
    }
}
