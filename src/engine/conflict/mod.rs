//! Concurrent writes: found from the order of the streams, resolved by the later update.
//!
//! Every client's write is sent to the other region at once. The link that reads a region keeps what was executed there
//! of late in a [`Window`]. An echo with an earlier [`Stamp`] on top of a client's write with a later one was written
//! without having seen it: the two are concurrent, and the region executed them in the wrong order. `judge` says what is to be
//! executed again there so that the region has what the order of the stamps gives; or, where order can't be had that way
//! (two pushes to one list), that the value is to be taken from the other region. [`Exchange`] carries this to the link
//! that writes the region.

mod claim;
pub mod departed;
mod exchange;
mod fleeting;
mod judge;
mod kept;
mod lingering;
mod lives;
mod log;
mod note;
mod order;
mod pins;
mod policy;
mod puts;
mod record;
mod settles;
mod stamp;
mod window;
mod writes;

pub use claim::{replaces, sets_lifetime};
pub use exchange::{Errand, Exchange, Look, MOST_HELD, Made, Mail, Name, ReadAgain, SharedExchange, Value, hold};
pub use fleeting::{Fleeting, Touch};
pub use kept::{Change, field, parse as parse_held, value as held_value};
pub use lives::Life;
pub use log::Redo;
pub use note::{Again, Note};
pub use order::Order;
pub use policy::{Policies, Policy};
pub use puts::Put;
pub use record::{Done, MOST_KEPT, Record, Side, Unit};
pub use settles::Wanted;
pub use stamp::{Stamp, StampClock};
pub use window::{Found, Key, Ours, Part, What, Window, key_of, shown, shown_as, spec_of};
pub use writes::{Facts, MOST_WRITES};
