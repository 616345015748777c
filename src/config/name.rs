//! Names that are valid ever after.

use std::fmt;

/// Longest name of a pair or region, and longest reserved prefix, in bytes.
pub const NAME_BYTES: usize = 64;

/// What `is_name` asks for, for messages.
pub const NAME_RULE: &str = "1 to 64 of the letters a-z, A-Z, digits, `-` and `_`";

/// What `ReservedPrefix::parse` asks for, for messages.
pub const PREFIX_RULE: &str = "1 to 64 of the letters a-z, A-Z, digits and `:`, `.`, `-`, `_`";

/// The name of a pair: 1 to 64 ASCII letters, digits, `-` or `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairName(String);

impl PairName {
    /// `None` when `text` does not follow `NAME_RULE`.
    pub fn parse(text: &str) -> Option<Self> {
        is_name(text).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a region, of the same form as a pair's. Their order decides ties.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegionName(String);

impl RegionName {
    /// `None` when `text` does not follow `NAME_RULE`.
    pub fn parse(text: &str) -> Option<Self> {
        is_name(text).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What our own keys begin with: 1 to 64 ASCII letters, digits, `:`, `.`, `-` or `_`. Braces are out because they
/// would choose a cluster's slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservedPrefix(String);

impl ReservedPrefix {
    /// `None` when `text` does not follow `PREFIX_RULE`.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":.-_".contains(&byte);
        (is_long_enough(text) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PairName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ReservedPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name(text: &str) -> bool {
    is_long_enough(text) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_long_enough(text: &str) -> bool {
    (1..=NAME_BYTES).contains(&text.len())
}
