//! The one table from a kind of fault to what the link does and what the operator can do.

use crate::error::Kind;

/// Which state a link shows while a fault lasts. In each of them it tries again by itself, except after [`Stance::Stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// It is about the connection: the link shows `connecting`.
    Connect,
    /// A server refuses the work: the link shows `halted` until it is accepted again.
    Halt,
    /// Going on could do harm: the link shows `held` until the operator decides or the cause is gone.
    Hold,
    /// Another daemon does the work: the link shows `stopped` and does not try again.
    Stop,
}

/// What to do about one kind of fault.
#[derive(Debug, Clone, Copy)]
pub struct Advice {
    /// The kind's name for programs: stable, in snake_case.
    pub code: &'static str,
    /// What the link does.
    pub stance: Stance,
    /// What the operator can do.
    pub remedy: &'static str,
}

/// What gets everything copied that the configuration says is not to be copied unasked.
const COPY_AGAIN: &str = "`duet resume LINK --accept` copies everything again (without `--accept` it says what would happen); or set forward.position_lost = \"full_sync\".";

/// The advice for `kind`.
pub fn advice(kind: Kind) -> Advice {
    use Stance::{Connect, Halt, Hold, Stop};
    let (code, stance, remedy) = match kind {
        Kind::Unreachable => (
            "unreachable",
            Connect,
            "Check that the server runs and that its address and the network are right; Duet keeps trying.",
        ),
        Kind::Disconnected => (
            "disconnected",
            Connect,
            "Nothing, if it passes: Duet reconnects and resumes. If it repeats, read the server's log (output buffer limits, restarts).",
        ),
        Kind::TimedOut => ("timed_out", Connect, "Check the network and the server's load; Duet keeps trying."),
        Kind::Certificate => (
            "certificate",
            Halt,
            "See that the server's certificate is valid today, signed by `ca_file` and issued for the host of the url or `server_name`; Duet tries again and reads the files each time.",
        ),
        Kind::Tls => (
            "tls",
            Halt,
            "See that the url's port speaks TLS, and that `certificate_file` and `key_file` are what the server asks for; Duet tries again and reads the files each time.",
        ),
        Kind::WrongPassword => (
            "wrong_password",
            Halt,
            "Set `username` and `password` or `password_file` of this region to a user that the server knows; a password_file is read again at each try.",
        ),
        Kind::NoPermission => (
            "no_permission",
            Halt,
            "Give the user the right named in the reason (ACL SETUSER); Duet goes on by itself.",
        ),
        Kind::Loading => ("loading", Connect, "Nothing: the server loads its data; Duet waits."),
        Kind::ReadOnly => {
            ("read_only", Halt, "The address leads to a replica: promote it or point the region's url at the primary.")
        }
        Kind::OutOfMemory => (
            "out_of_memory",
            Halt,
            "Raise `maxmemory` of the target or free memory there; Duet goes on by itself and loses nothing while the source's backlog lasts.",
        ),
        Kind::CannotSave => (
            "cannot_save",
            Halt,
            "The target can't write its snapshot (see its log: disk full?); mend that or set `stop-writes-on-bgsave-error no` there.",
        ),
        Kind::TooFewReplicas => {
            ("too_few_replicas", Halt, "Bring the target's replicas back, or lower its `min-replicas-to-write`.")
        }
        Kind::Busy => ("busy", Connect, "A script blocks the server: wait for it or end it (SCRIPT KILL)."),
        Kind::Cluster => {
            ("cluster", Halt, "This version serves standalone primaries, not clusters: point the region at one.")
        }
        Kind::Refused => ("refused", Halt, "Read the server's words in the reason; Duet tries again by itself."),
        Kind::GateShut => (
            "gate_shut",
            Connect,
            "Nothing: a transaction was refused and those behind it did not run; Duet resumes before it.",
        ),
        Kind::Protocol => (
            "protocol",
            Halt,
            "Check that the address leads to a Redis or Valkey primary and not to a proxy; report it with the reason if it repeats.",
        ),
        Kind::Dump => (
            "dump",
            Halt,
            "Nothing, if it passes: Duet copies again from the start. If it repeats, report it with the reason and the server's version; a key of an unknown type has to stay unwritten while its region is copied.",
        ),
        Kind::ExistingKeys => (
            "existing_keys",
            Hold,
            "Delete or move those keys at the target, or set forward.existing_keys to \"overwrite\" or \"keep\" and restart.",
        ),
        Kind::TooMuchMeanwhile => (
            "too_much_meanwhile",
            Halt,
            "Nothing, if it passes: Duet copies again. If it repeats, let the target's clients write less until the copy is done.",
        ),
        Kind::Waiting => ("waiting", Connect, "Look at the other link: its reason tells what it waits for."),
        Kind::PositionLost => ("position_lost", Hold, COPY_AGAIN),
        Kind::DatabasesDiffer => ("databases_differ", Hold, COPY_AGAIN),
        Kind::BothPositionsLost => (
            "both_positions_lost",
            Hold,
            "Decide which region is right: `duet resume forward --accept` copies the source over the target, `duet resume reverse --accept` the target over the source (without `--accept` it says what would happen).",
        ),
        Kind::SourceShrunk => (
            "source_shrunk",
            Hold,
            "If the larger region is right, restart with `duet run --full-sync OTHER-LINK`; if the smaller one is, `duet resume LINK --accept` (an empty one is never copied: flush the other by hand).",
        ),
        Kind::ClocksApart => {
            ("clocks_apart", Hold, "Set both with NTP; the links go on by themselves when they agree.")
        }
        Kind::FlushSeen => (
            "flush_seen",
            Hold,
            "Was it meant? `duet resume LINK` shows what would happen; `--accept` lets it happen. If it was a mistake: write the keys back from the other region, or copy from there (`--full-sync` in the other direction).",
        ),
        Kind::MassDelete => (
            "mass_delete",
            Hold,
            "Was it meant? `duet resume LINK` shows what would happen; `--accept` lets it happen. If it was a mistake: copy from the other region (`--full-sync` in the other direction).",
        ),
        Kind::EchoGrows => (
            "echo_grows",
            Hold,
            "Stop the other program that copies between the two servers; then `duet resume LINK --accept`.",
        ),
        Kind::MarkerBack => (
            "marker_back",
            Hold,
            "The target looks restored from a backup: what its clients wrote since then is gone there. `duet resume LINK --accept` sends it what it lacks, as far as the backlog reaches; or copy in full with `--full-sync`.",
        ),
        Kind::HoldOrdered => ("hold_ordered", Hold, "`duet resume LINK` when it may go on."),
        Kind::Precheck => (
            "precheck_failed",
            Hold,
            "Remove the cause that the reason names (`duet check` shows all); Duet looks again by itself. Or put the item into check.ignore and restart.",
        ),
        Kind::Superseded => {
            ("superseded", Stop, "Run one daemon per pair: stop this one, or stop the other and restart this one.")
        }
        Kind::NotFenced => (
            "not_fenced",
            Halt,
            "Allow the user CLIENT LIST and CLIENT KILL at this server (ACL SETUSER name +client|list +client|kill); if it may, see in CLIENT LIST which connections named duet/ stay.",
        ),
        Kind::SameServer => ("same_server", Hold, "Point the two regions at different servers."),
        Kind::TooOld => ("too_old", Halt, "Upgrade the server to Redis 5 or later."),
    };
    Advice { code, stance, remedy }
}
