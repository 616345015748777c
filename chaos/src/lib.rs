//! Real servers, real faults: what Duet's tests, its demo and its benchmarks run on.
//!
//! - [`flavor`]: which server programs there are and where they are found
//! - [`servers`]: one Redis or Valkey process in a directory of its own
//! - [`port`]: ports that nobody else takes
//! - [`client`]: an ordinary client of such a server
//! - [`proxy`]: a TCP proxy that delays, cuts, freezes and throttles
//! - [`liar`]: a stand-in before a server, which lies
//! - [`daemon`]: one `duet` process and what it says about itself
//! - [`browser`]: a real browser without a screen
//! - [`notices`]: what it tells its service manager
//! - [`threads`]: stopping some of its threads
//! - [`process`]: any other program, for the length of a test
//! - [`pair`]: two servers, the daemon between them, and the proxies on the way
//! - [`compare`]: the oracle: what two servers hold, and where it differs
//! - [`hammer`]: every write command on few keys, from a seed
//! - [`load`]: writers with exact totals
//! - [`paced`]: a load at a steady pace, of whatever a test wants to write
//! - [`children`]: what holds for every process that is started
//! - [`wait`]: waiting for a condition, with a deadline

pub mod browser;
pub mod children;
pub mod client;
pub mod compare;
pub mod daemon;
pub mod flavor;
pub mod hammer;
pub mod liar;
pub mod load;
pub mod notices;
pub mod paced;
pub mod pair;
pub mod port;
pub mod process;
pub mod proxy;
pub mod servers;
pub mod threads;
pub mod wait;

pub use redis;
