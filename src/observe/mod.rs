//! What a person sees: the board that the runtime writes and everybody may read without waiting, and the log.
//!
//! * [`Board`]: both links of a pair; [`LinkBoard`]: one of them.
//! * [`RegionBoard`]: one region, and whether clients belong to it ([`Duty`]).
//! * [`Rounds`]: whether a loop of the daemon goes round.
//! * [`ClockBoard`]: the clocks of both regions.
//! * [`Status`]: the board at one moment, as HTTP and `duet status` show it.
//! * [`log`]: the lines that are written.

mod audit;
mod board;
mod clocks;
mod conflicts;
mod counter;
mod drill;
mod history;
mod lags;
mod link;
pub mod log;
mod news;
mod precheck;
mod progress;
mod queues;
mod regions;
mod rounds;
mod server;
mod set_aside;
mod status;
mod verification;

pub use audit::{AUDIT_RECENT, AuditBoard, AuditEntry, AuditStatus};
pub use board::Board;
pub use clocks::{ClockBoard, ClockState, ClockStatus};
pub use conflicts::{
    ConflictCounts, ConflictStatus, Conflicts, HeldKey, JournalBoard, JournalState, JournalStatus, UnitCounts,
};
pub use counter::Counter;
pub use drill::DrillBoard;
pub use history::{History, LinkPoint, Point};
pub use lags::{LAG_METRIC, Lags, SeenLags};
pub use link::{Direction, LinkBoard, Reason, State};
pub use news::{Line, News};
pub use precheck::PrecheckBoard;
pub use progress::FullSyncProgress;
pub use queues::{Queue, Queues};
pub use regions::{Duty, DutyStatus, RegionBoard, RegionStatus};
pub use rounds::Rounds;
pub use server::ServerStatus;
pub use set_aside::{SET_ASIDE_RECENT, SetAside, escaped};
pub use status::{FullSyncStatus, LinkStatus, Readiness, ReadyLink, Status};
pub use verification::{FoundKey, RoundStatus, VerifyBoard, VerifyState, VerifyStatus};

#[cfg(test)]
pub(crate) mod tests;
