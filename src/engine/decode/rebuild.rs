//! Rebuild.
use crate::wire::rdb::{Element, Key};
/// x
#[derive(Debug, Clone, Copy)]
pub struct TargetFeatures {}
impl TargetFeatures {
    /// x
    pub fn of_server(_d: crate::wire::rdb::Dialect, _v: (u32, u32, u32)) -> Self {
        Self {}
    }
}
/// x
pub struct Rebuilt {
    /// x
    pub requests: u32,
    /// x
    pub field_expiries_lost: u32,
}
/// x
pub fn requests(
    _key: &Key,
    _elements: &[Element],
    _first: bool,
    _features: TargetFeatures,
    _out: &mut Vec<u8>,
) -> Rebuilt {
    Rebuilt { requests: 0, field_expiries_lost: 0 }
}
