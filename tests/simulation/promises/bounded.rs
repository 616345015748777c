//! Memory is bounded: what is in flight and what waits to be written stay within what was allowed.

use duet::engine::apply::{Applier, Bounds};

/// The longest that a transaction gets here: the commands of a batch, a client's transaction behind them, the gate's refill.
const TRANSACTION_BYTES: usize = 64 * 1024;

/// Looks at the writing half of a link.
pub fn holds(applier: &mut Applier, bounds: Bounds) -> Result<(), String> {
    let (in_flight, unwritten) = (applier.in_flight(), applier.out().iter().map(|bytes| bytes.len()).sum::<usize>());
    if in_flight > bounds.in_flight || unwritten > (bounds.in_flight + 1) * TRANSACTION_BYTES {
        return Err(format!("{in_flight} transactions in flight, {unwritten} bytes unwritten, with {bounds:?}"));
    }
    Ok(())
}
