//! Memory, descriptors and threads of the daemon's process, when it rests.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt;

/// By how much each may grow between two rests of one process.
const MEMORY_KB: u64 = 96 * 1024;
const DESCRIPTORS: u64 = 16;
const THREADS: u64 = 8;

/// What a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub pid: u32,
    pub memory_kb: u64,
    pub peak_kb: u64,
    pub descriptors: u64,
    pub threads: u64,
}

impl Usage {
    /// Of a process that runs.
    ///
    /// # Errors
    /// When it does not.
    pub fn of(pid: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a field is missing")?;
            Ok(line.trim().trim_end_matches(" kB").parse()?)
        };
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
        let (memory_kb, peak_kb) = (field("VmRSS:")?, field("VmHWM:")?);
        Ok(Self { pid, memory_kb, peak_kb, descriptors, threads: field("Threads:")? })
    }

    /// Of no process.
    pub const fn none() -> Self {
        Self { pid: 0, memory_kb: 0, peak_kb: 0, descriptors: 0, threads: 0 }
    }

    /// What has grown beyond its margin since the same process rested first.
    pub fn grown_since(&self, first: &Self) -> Vec<String> {
        let all = [
            ("memory in KB", first.memory_kb, self.memory_kb, MEMORY_KB),
            ("descriptors", first.descriptors, self.descriptors, DESCRIPTORS),
            ("threads", first.threads, self.threads, THREADS),
        ];
        let grown = all.into_iter().filter(|(_, before, now, margin)| now.saturating_sub(*before) > *margin);
        grown.map(|(what, before, now, _)| format!("{what}: {before} at the first rest, {now} now")).collect()
    }

    /// For the report.
    pub fn json(&self) -> Value {
        json!({"pid": self.pid, "memory_kb": self.memory_kb, "peak_kb": self.peak_kb, "descriptors": self.descriptors,
               "threads": self.threads})
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory_kb, peak_kb, descriptors, threads, .. } = self;
        write!(out, "{} MB, {} at most, {descriptors} descriptors, {threads} threads", memory_kb / 1024, peak_kb / 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_beyond_its_margin_is_named() {
        let first = Usage { pid: 1, memory_kb: 20_000, peak_kb: 0, descriptors: 20, threads: 4 };
        assert!(first.grown_since(&first).is_empty());
        let later = Usage { descriptors: 37, memory_kb: 120_000, ..first };
        let grown = later.grown_since(&first);
        assert!(grown.len() == 2 && grown[1].contains("20 at the first rest, 37 now"), "{grown:?}");
    }
}
