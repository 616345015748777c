//! What processes have used, as the kernel counts it.

use crate::copier::Running;
use anyhow::{Context, Result};
use duet_chaos::pair::Regions;
use std::iter::Sum;

/// Clock ticks per second: 100 on every Linux that we know (sysconf(3), `_SC_CLK_TCK`).
const TICKS: f64 = 100.0;

/// What a process has used since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Seconds of CPU, user and system, with those of children that have ended (a server's dump is a child).
    pub(crate) cpu_s: f64,
    /// The most memory that it held at once, in MB.
    pub(crate) peak_mb: f64,
}

impl Usage {
    /// Reads `/proc/<pid>/stat` and `status` (proc(5)).
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, after_name) = stat.rsplit_once(") ").context("a stat without a name")?;
        let fields: Vec<&str> = after_name.split(' ').collect();
        // utime, stime, cutime, cstime.
        let ticks = fields.get(11..15).context("a short stat")?;
        let ticks = ticks.iter().map(|ticks| ticks.parse::<f64>()).sum::<Result<f64, _>>()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kilobytes: f64 = peak.trim().trim_end_matches(" kB").parse()?;
        Ok(Self { cpu_s: ticks / TICKS, peak_mb: kilobytes / 1024.0 })
    }

    /// The CPU since an earlier look; the peak is the process's.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { cpu_s: self.cpu_s - before.cpu_s, ..self }
    }
}

impl Sum for Usage {
    /// Of processes that run side by side.
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self { cpu_s: sum.cpu_s + one.cpu_s, peak_mb: sum.peak_mb + one.peak_mb })
    }
}

/// What the three processes of a one-way run have used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// The copier; nothing where it is a part of the servers.
    pub(crate) copier: Option<Usage>,
    pub(crate) source: Usage,
    pub(crate) target: Usage,
}

impl Used {
    /// Until now.
    pub(crate) fn now(running: &Running, regions: &Regions) -> Result<Self> {
        Ok(Self { copier: running.usage()?, ..Self::before(regions)? })
    }

    /// Until now, before there is a copier.
    pub(crate) fn before(regions: &Regions) -> Result<Self> {
        let of = |pid: Option<u32>| Usage::of(pid.context("a server has ended")?);
        let copier = Some(Usage::default());
        Ok(Self { copier, source: of(regions.west.pid())?, target: of(regions.east.pid())? })
    }

    /// The CPU since an earlier look; peaks are those of the processes.
    pub(crate) fn since(self, before: Self) -> Self {
        let copier = self.copier.zip(before.copier).map(|(now, before)| now.since(before));
        Self { copier, source: self.source.since(before.source), target: self.target.since(before.target) }
    }
}

impl Sum for Used {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let all: Vec<Self> = all.collect();
        let copiers: Vec<Usage> = all.iter().filter_map(|one| one.copier).collect();
        Self {
            copier: (!copiers.is_empty()).then(|| copiers.into_iter().sum()),
            source: all.iter().map(|one| one.source).sum(),
            target: all.iter().map(|one| one.target).sum(),
        }
    }
}
