//! The ways in which a command is made unconditional and absolute, one for each form of arguments.

/// How a command becomes one that may be executed later, at another server. [`replay`](crate::command::replay()) holds
/// what each does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It has neither condition nor relative time.
    AsIs,
    /// The same arguments under another name: SETNX is SET once it took effect.
    Renamed(&'static str),
    /// Another command with nothing but the key: GETDEL and DELIFEQ are DEL once they took effect.
    KeyOnly(&'static str),
    /// The same without the last argument, a timeout, under another name: BRPOPLPUSH.
    WithoutTimeout(&'static str),
    /// SET with its options.
    Set,
    /// SETEX and PSETEX: the time before the value, in this many milliseconds.
    SetExpiring {
        /// Milliseconds in one unit of time.
        scale: i64,
    },
    /// MSETEX with its options.
    SetManyExpiring,
    /// INCREX with its options.
    IncrementExpiring,
    /// GETEX: nothing but its change of the time to live.
    GetExpiring,
    /// EXPIRE and its relatives.
    Expire {
        /// Milliseconds in one unit of time.
        scale: i64,
        /// Whether the time counts from now.
        relative: bool,
    },
    /// BITOP, whose operations differ by version.
    BitOperation,
    /// HSETEX.
    HashSetExpiring,
    /// HGETEX: nothing but its change of the fields' times to live.
    HashGetExpiring,
    /// HGETDEL: HDEL.
    HashGetDelete,
    /// HEXPIRE and its relatives.
    HashExpire {
        /// Milliseconds in one unit of time.
        scale: i64,
        /// Whether the time counts from now.
        relative: bool,
    },
    /// LPOP and RPOP, which take a count since 6.2.
    Pop {
        /// Whether at the head.
        head: bool,
    },
    /// LMOVE.
    ListMove,
    /// ZADD and GEOADD: conditions, then groups of this many arguments.
    AddScored {
        /// Arguments of one member: 2 for ZADD, 3 for GEOADD.
        group: usize,
    },
    /// ZUNIONSTORE and ZINTERSTORE, whose aggregates differ by version.
    StoreScored,
    /// XADD.
    StreamAdd,
    /// XTRIM.
    StreamTrim,
    /// XGROUP.
    StreamGroup,
    /// XSETID.
    StreamSetId,
    /// XCLAIM.
    StreamClaim,
    /// XDELEX.
    StreamDelete,
    /// XACKDEL.
    StreamAcknowledgeDelete,
    /// COPY.
    Copy,
    /// RESTORE and RESTORE-ASKING.
    Restore,
    /// FLUSHDB and FLUSHALL, whose word SYNC came with 6.2.
    Flush,
    /// FUNCTION LOAD and RESTORE.
    Function,
    /// What it does depends on the server that executes it, so a stream holds its effect and never itself.
    NeverSent,
}
