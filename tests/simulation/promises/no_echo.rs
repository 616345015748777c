//! No echo is forwarded: with no client writing, a link sends one transaction for a heartbeat, and no more.

/// Bytes that a heartbeat and the transaction that carries it may take in a stream.
const PER_BEAT: u64 = 800;
/// Transactions, and bytes, that are on their way or refill the gate.
const ASIDE: (u64, u64) = (4, 40_000);

/// What was seen while idle: heartbeats of a link's source, transactions at its target, bytes in the target's stream.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    pub beats: u64,
    pub transactions: u64,
    pub bytes: u64,
}

/// Judges one link.
pub fn holds(idle: Idle) -> Result<(), String> {
    let Idle { beats, transactions, bytes } = idle;
    if transactions > beats + ASIDE.0 || bytes > beats * 2 * PER_BEAT + ASIDE.1 {
        return Err(format!("{transactions} transactions and {bytes} bytes for {beats} heartbeats"));
    }
    Ok(())
}
