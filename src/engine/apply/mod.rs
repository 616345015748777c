//! Writing at the target: everything in marked transactions, many in flight, none behind one that was refused.
//!
//! Takes commands with the database they belong to, gives bytes for the target's connection; takes the replies, tells
//! what was applied and what was not. Never decides *whether* a write is to be applied.

mod applier;
mod batch;
mod gate;
mod piece;
mod replies;

pub use applier::{Applied, Applier, Bounds, Identity, Refusal};
pub use batch::is_joined;
pub use gate::MOST_IN_FLIGHT;
pub use piece::Piece;
