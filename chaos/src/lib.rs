//! Real servers, a delaying proxy, loads and benchmarks for Duet.
