//! Every fault by name: what it does, what it needs, what it may not meet, and what health must say meanwhile.

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    DaemonKill,
    DaemonStop,
    DaemonTerm,
    DaemonStarve,
    DaemonReload,
    TwoDaemons,
    LinkPaused,
    ServerKill,
    ServerRestart,
    ServerEmpty,
    ServerOld,
    ServerStop,
    ServerPause,
    ServerBusy,
    Failover,
    FailoverLossy,
    NetReset,
    NetHalfOpen,
    NetLate,
    NetOneWay,
    NetSlow,
    NetJitter,
    NetCutFrame,
    LinkDown,
    LinkOneWay,
    BacklogSmall,
    BothBacklogsSmall,
    OutputLimit,
    DiskFull,
    OutOfMemory,
    CannotSave,
    NoPermission,
    WrongPassword,
    PasswordRotated,
    TooFewReplicas,
    ClockAhead,
    ClockBehind,
    CpuBurn,
    ClientKill,
    Administrator,
    MarkerDeleted,
    BigValues,
}

/// What a fault needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// Network namespaces with veth, which root may make where the kernel has them.
    Namespaces,
    /// Mounts, which root may make where it is not confined.
    Mounts,
    /// A C compiler, for the library that steps clocks.
    Compiler,
}

/// What a fault has for itself while it lasts. Two faults with the same one never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The daemon's process.
    Daemon,
    /// A region's server.
    Server,
    /// The way to a region.
    Way,
    /// What a region's server takes from Duet.
    Rights,
    /// The history of a region: of these there is one in a round, since with both histories lost it is for a person to say
    /// which region is right.
    History,
}

/// What must be seen while a fault lasts, once it has lasted for [`Kind::seen_after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Nothing in particular: it may go unnoticed.
    None,
    /// `/readyz` is not 200, nor is `/syncz` of the region.
    RegionOut,
    /// The same, and the link into the region says one of these codes, where nothing else goes wrong.
    Codes(&'static [&'static str]),
    /// `/status` says that the clocks are apart, where nothing else goes wrong.
    Skewed,
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub fault: Fault,
    pub name: &'static str,
    pub what: &'static str,
    pub needs: Needs,
    pub holds: &'static [Holds],
    /// How long it lasts at least and at most, in seconds.
    pub lasts: (u64, u64),
    /// The same in the long form.
    pub lasts_long: (u64, u64),
    pub sign: Sign,
}

impl Kind {
    /// By when the sign must be there, in seconds: within seconds, on a machine that has other work.
    pub const fn seen_after() -> u64 {
        4
    }
}

impl Fault {
    /// Its line.
    pub fn kind(self) -> &'static Kind {
        // The table has a line for each: a test holds it to that.
        TABLE.iter().find(|kind| kind.fault == self).unwrap_or(&TABLE[0])
    }

    /// The fault of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|kind| kind.name == name).map(|kind| kind.fault)
    }
}

use Holds::{Daemon, History, Rights, Server, Way};
use Needs::{Compiler, Mounts, Namespaces, Nothing};
use Sign::{Codes, None as Unnoticed, RegionOut, Skewed};

const fn line(fault: Fault, name: &'static str, what: &'static str, holds: &'static [Holds]) -> Kind {
    Kind { fault, name, what, needs: Nothing, holds, lasts: (2, 6), lasts_long: (2, 20), sign: Unnoticed }
}

const fn needing(kind: Kind, needs: Needs) -> Kind {
    Kind { needs, ..kind }
}

/// It lasts long enough to be seen.
const fn seen(kind: Kind, sign: Sign) -> Kind {
    Kind { sign, lasts: (7, 9), lasts_long: (7, 60), ..kind }
}

/// Every fault.
pub const TABLE: [Kind; 42] = [
    line(Fault::DaemonKill, "daemon-kill", "kill -9 of the daemon, started again", &[Daemon]),
    Kind {
        lasts_long: (20, 60),
        ..line(Fault::DaemonStop, "daemon-stop", "SIGSTOP of the daemon, a minute in the long form", &[Daemon])
    },
    line(Fault::DaemonTerm, "daemon-term", "SIGTERM of the daemon, started again, three times in a row", &[Daemon]),
    line(Fault::DaemonStarve, "daemon-starve", "the daemon gets a tenth of a processor", &[Daemon]),
    line(Fault::DaemonReload, "daemon-reload", "SIGHUP of the daemon, again and again", &[Daemon]),
    line(
        Fault::TwoDaemons,
        "two-daemons",
        "a second daemon on the pair takes over; then the first one again",
        &[Daemon],
    ),
    seen(line(Fault::LinkPaused, "link-paused", "the link into a region is paused by order", &[Daemon]), RegionOut),
    seen(
        line(
            Fault::ServerKill,
            "server-kill",
            "kill -9 of a server, restarted with its data (appendonly)",
            &[Server, Way, History],
        ),
        RegionOut,
    ),
    line(
        Fault::ServerRestart,
        "server-restart",
        "SHUTDOWN of a server in order, restarted at once",
        &[Server, Way, History],
    ),
    seen(
        line(
            Fault::ServerEmpty,
            "server-empty",
            "a server comes back without its data; its clients wait until it is filled",
            &[Server, Way, History],
        ),
        RegionOut,
    ),
    line(
        Fault::ServerOld,
        "server-old",
        "a server comes back with the data of some seconds ago",
        &[Server, Way, History],
    ),
    seen(line(Fault::ServerStop, "server-stop", "SIGSTOP of a server", &[Server, Way]), RegionOut),
    seen(line(Fault::ServerPause, "server-pause", "CLIENT PAUSE of a server", &[Server, Way]), RegionOut),
    line(Fault::ServerBusy, "server-busy", "a server sleeps in a command", &[Server, Way]),
    line(
        Fault::Failover,
        "failover",
        "a replica that has everything takes over; the old primary comes back as its replica",
        &[Server, Way, History],
    ),
    line(
        Fault::FailoverLossy,
        "failover-lossy",
        "a replica without the last writes takes over; the old primary comes back as its replica",
        &[Server, Way, History],
    ),
    line(Fault::NetReset, "net-reset", "all connections of the daemon to a region are reset, again and again", &[Way]),
    seen(
        line(
            Fault::NetHalfOpen,
            "net-half-open",
            "nothing passes between daemon and region, nothing is closed",
            &[Way],
        ),
        RegionOut,
    ),
    line(Fault::NetLate, "net-late", "connections freeze, new ones work; what was frozen arrives late", &[Way]),
    seen(line(Fault::NetOneWay, "net-one-way", "nothing passes in one direction", &[Way]), RegionOut),
    line(Fault::NetSlow, "net-slow", "1 KB a second towards a region or back", &[Way]),
    line(Fault::NetJitter, "net-jitter", "each piece is late by a random time up to 300 ms", &[Way]),
    line(
        Fault::NetCutFrame,
        "net-cut-frame",
        "connections are cut after a few bytes more, in the middle of a frame",
        &[Way],
    ),
    seen(
        needing(
            line(
                Fault::LinkDown,
                "link-down",
                "the interface between the daemon's host and a region goes down",
                &[Way],
            ),
            Namespaces,
        ),
        RegionOut,
    ),
    seen(
        needing(
            line(
                Fault::LinkOneWay,
                "link-one-way",
                "the kernel drops every packet to, or from, the daemon's host",
                &[Way],
            ),
            Namespaces,
        ),
        RegionOut,
    ),
    line(
        Fault::BacklogSmall,
        "backlog-small",
        "the daemon is away while a region writes more than its backlog holds",
        &[Daemon, Server, Way, History],
    ),
    seen(
        line(
            Fault::BothBacklogsSmall,
            "both-backlogs-small",
            "the same in both regions: both links are held until a person says which region is right",
            &[Daemon, Server, Way, History],
        ),
        Codes(&["both_positions_lost"]),
    ),
    line(
        Fault::OutputLimit,
        "output-limit",
        "the server cuts the daemon off by client-output-buffer-limit, while a region writes much",
        &[Server, Way, History],
    ),
    seen(
        needing(line(Fault::DiskFull, "disk-full", "a server's disk is full: MISCONF", &[Server, Way, Rights]), Mounts),
        Codes(&["cannot_save"]),
    ),
    seen(
        line(Fault::OutOfMemory, "oom", "maxmemory is reached at a server: OOM", &[Server, Rights]),
        Codes(&["out_of_memory"]),
    ),
    seen(
        line(Fault::CannotSave, "misconf", "a server can't write its snapshot: MISCONF", &[Server, Rights]),
        Codes(&["cannot_save"]),
    ),
    seen(
        line(Fault::NoPermission, "noperm", "the daemon's user loses the right to write", &[Server, Rights]),
        Codes(&["no_permission"]),
    ),
    seen(
        line(
            Fault::WrongPassword,
            "wrong-password",
            "a server does not take the daemon's password for a while",
            &[Server, Way, Rights],
        ),
        Codes(&["wrong_password"]),
    ),
    line(
        Fault::PasswordRotated,
        "password-rotated",
        "the password is changed at a server, then in the daemon's file",
        &[Server, Way, Rights],
    ),
    seen(
        line(
            Fault::TooFewReplicas,
            "too-few-replicas",
            "a server asks for more replicas than it has: NOREPLICAS",
            &[Server, Rights],
        ),
        Codes(&["too_few_replicas"]),
    ),
    seen(
        needing(
            line(Fault::ClockAhead, "clock-ahead", "a server's clock steps 20 seconds ahead, and back", &[Server]),
            Compiler,
        ),
        Skewed,
    ),
    seen(
        needing(
            line(
                Fault::ClockBehind,
                "clock-behind",
                "a server's clock steps 5 minutes back, and ahead again",
                &[Server],
            ),
            Compiler,
        ),
        Skewed,
    ),
    line(Fault::CpuBurn, "cpu-burn", "four busy loops beside everything", &[]),
    line(Fault::ClientKill, "client-kill", "CLIENT KILL of the daemon's connections, again and again", &[Way]),
    line(
        Fault::Administrator,
        "administrator",
        "CONFIG RESETSTAT, SCRIPT FLUSH, BGSAVE, BGREWRITEAOF, DEBUG RELOAD, REPLICAOF NO ONE ...",
        &[Server],
    ),
    line(
        Fault::MarkerDeleted,
        "marker-deleted",
        "a client deletes or overwrites the daemon's own keys",
        &[Server, History],
    ),
    line(
        Fault::BigValues,
        "big-values",
        "a client writes values of megabytes and thousands of elements, and deletes them",
        &[Server],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_fault_has_one_line_and_a_name_of_its_own() {
        let faults: BTreeSet<_> = TABLE.iter().map(|kind| kind.fault).collect();
        let names: BTreeSet<_> = TABLE.iter().map(|kind| kind.name).collect();
        assert_eq!((faults.len(), names.len()), (TABLE.len(), TABLE.len()));
        assert_eq!(Fault::BigValues as usize + 1, TABLE.len(), "the last fault ends the table");
        for kind in &TABLE {
            assert_eq!(Fault::by_name(kind.name), Some(kind.fault));
            assert!(kind.sign == Unnoticed || kind.lasts.0 > Kind::seen_after(), "{} is over too soon", kind.name);
        }
    }
}
