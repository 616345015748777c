//! The checksum of dumps and of `RESTORE` payloads: CRC-64 with the polynomial of Jones (Redis `crc64.c`).

use crc::{CRC_64_REDIS, Crc, Digest, Table};
use std::fmt;

static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The checksum of the bytes so far.
#[derive(Clone)]
pub(super) struct Checksum(Digest<'static, u64, Table<16>>);

impl Checksum {
    /// The checksum of no bytes.
    pub(super) fn new() -> Self {
        Self(CRC.digest())
    }

    /// Goes on with `bytes`.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum as a number, which dumps hold in little-endian order.
    pub(super) fn value(&self) -> u64 {
        self.0.clone().finalize()
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({:016x})", self.value())
    }
}
