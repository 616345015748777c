//! Orders to the running daemon. Takes an order from whoever may give one (`http`, a signal), has it done by the runtime,
//! and keeps a record of each: who, when, what, and with what result. It never touches a server itself.
//!
//! * `order`: every order that there is, and what is answered.
//! * `desk`: the bounded way of an order to the runtime, and of the answer back.
//! * `audit`: the record.

mod audit;
mod desk;
mod order;

pub use audit::{Audit, place};
pub use desk::{Desk, Orders, Task};
pub use order::{Done, Links, MendKey, Order, Refused};
