//! What each write command means.
//!
//! Takes one command of a replication stream and says which keys it reads and writes ([`Spec::keys`]), what it decides
//! about them ([`Unit`]), and in which form it may be executed at the peer ([`replay`]): without conditions, because
//! at its origin it took effect, and with absolute times, because it arrives later than it was executed. Never asks who
//! wrote the command, nor whether it should be sent.
//!
//! * [`Spec`], [`lookup`]: the table of all commands that a stream of Redis 5 to 8 or Valkey 7.2 to 9 can hold.
//! * [`KeyUse`]: the keys of a command, as places among its arguments.
//! * [`Unit`]: what of a key the command decides.
//! * [`Capabilities`]: what the server knows that the command is for.
//! * [`replay()`]: the command, made unconditional and absolute; its module holds the table of rewritings.
//! * [`without_reserved`]: what remains of a command when the keys of Duet itself are taken out.

mod capabilities;
mod keys;
mod replay;
mod reserved;
mod table;
mod unit;

pub use capabilities::{Capabilities, Version};
pub use keys::{Access, KeyUse, KeyUses, Place, guess_key};
pub use replay::{Context, Replay, Why, replay};
pub use reserved::{Unreserved, without_reserved};
pub use table::{Class, Rule, Spec, lookup, specs};
pub use unit::{Elements, ElementsOf, Unit};

#[cfg(test)]
mod tests;
