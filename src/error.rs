//! What can go wrong with a link: a kind from a closed list, and what was seen.
//!
//! [`crate::remedy`] says for each kind what the link does and what the operator can do.

use std::fmt;

/// Every kind of fault that a link can have. A link may halt for it; the process never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No connection can be made.
    Unreachable,
    /// A connection ended.
    Disconnected,
    /// A server did not answer in time.
    TimedOut,
    /// The server's certificate is not to be believed.
    Certificate,
    /// TLS does not come about for another reason, as when the server asks for a certificate that it does not get.
    Tls,
    /// The password or the user is wrong, or missing.
    WrongPassword,
    /// The user lacks a right (`NOPERM`).
    NoPermission,
    /// The server is still loading its data set (`LOADING`).
    Loading,
    /// The server is a replica, or has lost its primary (`READONLY`, `MASTERDOWN`).
    ReadOnly,
    /// The target is at its `maxmemory` (`OOM`).
    OutOfMemory,
    /// The target refuses writes because it can't save (`MISCONF`).
    CannotSave,
    /// The target has too few replicas (`NOREPLICAS`).
    TooFewReplicas,
    /// The server runs a slow script (`BUSY`).
    Busy,
    /// The server is part of a cluster, which this version does not serve (`MOVED`, `ASK`, `CLUSTERDOWN`, `CROSSSLOT`).
    Cluster,
    /// The target refused a transaction for another reason.
    Refused,
    /// The gate stayed shut: an earlier transaction of the same connection was not executed.
    GateShut,
    /// A server sent what the protocol does not allow.
    Protocol,
    /// The dump can't be read.
    Dump,
    /// The target holds keys of the same names as the source, and was told to fail then.
    ExistingKeys,
    /// The target's clients wrote more during a copy than is kept.
    TooMuchMeanwhile,
    /// The link waits for the other one.
    Waiting,
    /// The link's position is gone, and it was told to hold then.
    PositionLost,
    /// Whole databases were moved in different orders in both regions, or may have been, and the link was told to hold then.
    DatabasesDiffer,
    /// The positions of both links are gone, and both regions hold data.
    BothPositionsLost,
    /// The source is empty or far smaller than the target, where a copy would be needed.
    SourceShrunk,
    /// The clocks of both regions are too far apart, and the links were told to hold then.
    ClocksApart,
    /// Clients of the source have emptied it, or a database of it.
    FlushSeen,
    /// Clients of the source have deleted very many keys.
    MassDelete,
    /// What a link writes comes back to its source as somebody else's.
    EchoGrows,
    /// The target's marker is older than a failover explains.
    MarkerBack,
    /// The operator has ordered the link to hold.
    HoldOrdered,
    /// The precheck found what would do harm.
    Precheck,
    /// Another daemon has taken over the pair.
    Superseded,
    /// Connections of an earlier run can't be ended at the target.
    NotFenced,
    /// Both regions are one server.
    SameServer,
    /// The server is older than anything that this version serves.
    TooOld,
}

impl Kind {
    /// Whether the link holds until the operator lets it go on: the cause lies in the past and does not go away.
    pub fn waits_for_word(self) -> bool {
        matches!(self, Self::FlushSeen | Self::MassDelete | Self::EchoGrows | Self::MarkerBack | Self::HoldOrdered)
    }
}

/// One fault: its kind and what was seen, without secrets and values.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which.
    pub kind: Kind,
    /// What was seen, where.
    pub text: String,
}

impl Fault {
    /// A fault of `kind`, with what was seen.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// The fault that an error reply of a server stands for; `place` tells which server and what it was asked.
    pub fn of_reply(error: &str, place: &str) -> Self {
        let word = error.split([' ', ':']).next().unwrap_or_default();
        let kind = match word {
            "NOAUTH" | "WRONGPASS" => Kind::WrongPassword,
            "NOPERM" => Kind::NoPermission,
            "LOADING" => Kind::Loading,
            "READONLY" | "MASTERDOWN" => Kind::ReadOnly,
            "OOM" => Kind::OutOfMemory,
            "MISCONF" => Kind::CannotSave,
            "NOREPLICAS" => Kind::TooFewReplicas,
            "BUSY" => Kind::Busy,
            "MOVED" | "ASK" | "CLUSTERDOWN" | "TRYAGAIN" | "CROSSSLOT" => Kind::Cluster,
            _ if error.contains("invalid password") || error.contains("without any password configured") => {
                Kind::WrongPassword
            }
            _ => Kind::Refused,
        };
        Self::new(kind, format!("{place}: {error}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl From<crate::wire::resp::FrameError> for Fault {
    fn from(error: crate::wire::resp::FrameError) -> Self {
        Self::new(Kind::Protocol, format!("the stream holds something that is not a command: {error}"))
    }
}

impl From<crate::wire::resp::TokenError> for Fault {
    fn from(error: crate::wire::resp::TokenError) -> Self {
        Self::new(Kind::Protocol, error.to_string())
    }
}
