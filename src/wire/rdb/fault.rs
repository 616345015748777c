//! What can be wrong with a dump.

use bytes::Bytes;

/// The longest key name that an error shows, in bytes.
const SHOWN_NAME: usize = 128;

/// A fault, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of {}: {fault}", place(.key))]
pub struct DumpError {
    /// Where the part with the fault starts, in bytes: from the start of the dump, or of the value for a `Record`.
    pub at: u64,
    /// The name of the key whose value has the fault, where it is a value.
    pub key: Option<Bytes>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first bytes are not those of a dump.
    #[error("this is not a dump: it starts with neither REDIS nor VALKEY and a version")]
    NotADump,
    /// An opcode that is not known; what follows can't be found, because its length is not known either.
    #[error("opcode {0} is not known, so that the rest of the dump can't be read")]
    UnknownOpcode(u8),
    /// The value of a key that has a type that is not known is no longer the one in the dump, so that what follows
    /// can't be found.
    #[error(
        "type {0} is not known, and the key was written or deleted since the dump was begun, so that its server can't tell where the old value ends"
    )]
    Changed(u8),
    /// Bytes that the format doesn't allow.
    #[error("{0}")]
    Malformed(&'static str),
    /// A length over its limit.
    #[error("{what} of {length} bytes is longer than {limit}")]
    TooLong {
        /// What has the length.
        what: &'static str,
        /// Its length in bytes.
        length: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// The value ends before its encoding is complete.
    #[error("the value ends too early")]
    Truncated,
    /// The value is of a type that can only be restored as a whole.
    #[error("values of type {0} can't be taken apart")]
    Opaque(u8),
    /// The checksum at the end differs from that of the bytes that came.
    #[error("the checksum of the dump is {stored:016x}, that of the bytes received {computed:016x}")]
    Checksum {
        /// What the dump says.
        stored: u64,
        /// What was computed.
        computed: u64,
    },
}

fn place(key: &Option<Bytes>) -> String {
    match key {
        None => "the dump".to_owned(),
        Some(name) => {
            let shown = name.get(..SHOWN_NAME).unwrap_or(name);
            format!("the dump, in key '{}'", shown.escape_ascii())
        }
    }
}
