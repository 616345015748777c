//! What all measurements of one call have in common.

use crate::aims::Aims;
use crate::copier::Copier;
use crate::table::{USED, head, many, median, row, used};
use crate::usage::Used;
use anyhow::Result;
use std::fmt::Display;

/// How to measure, and what is to be reached.
pub(crate) struct Suite {
    /// How often each case is run.
    pub(crate) rounds: usize,
    /// Small sizes.
    pub(crate) quick: bool,
    /// Native first, then Duet, then a peer where one was given.
    pub(crate) copiers: Vec<Copier>,
    pub(crate) aims: Aims,
}

/// One run of one case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Until the target has everything.
    pub(crate) seconds: f64,
    pub(crate) used: Used,
}

impl Suite {
    /// `whole`, or `small` where it is to be quick.
    pub(crate) fn size<N>(&self, whole: N, small: N) -> N {
        if self.quick { small } else { whole }
    }

    /// Runs each case once in each round, in turn, so that what else the machine does meets all of them.
    pub(crate) async fn in_turn<C: Display, R>(
        &self,
        what: &str,
        cases: &[C],
        run: impl AsyncFn(&C) -> Result<R>,
    ) -> Result<Vec<Vec<R>>> {
        let mut measured: Vec<Vec<R>> = cases.iter().map(|_| Vec::new()).collect();
        for number in 1..=self.rounds {
            for (case, runs) in cases.iter().zip(&mut measured) {
                eprintln!("{what}: round {number} of {}, {case}", self.rounds);
                runs.push(run(case).await?);
            }
        }
        Ok(measured)
    }

    /// Prints a table of one-way runs; the first case is what the others are measured by.
    pub(crate) fn print_runs<C: Display>(&self, title: &str, cases: &[C], measured: &[Vec<Run>], count: u32) {
        let columns = ["", "until the target has everything", "per second", "against native"];
        head(title, &[&columns[..], &USED].concat());
        for (case, runs) in cases.iter().zip(measured) {
            let total = seconds(runs);
            let mut cells = vec![case.to_string(), format!("{total:.2} s"), many(f64::from(count) / total)];
            cells.push(format!("{:.2}", ratio(runs, &measured[0])));
            cells.extend(used(&runs.iter().map(|run| run.used).collect::<Vec<_>>()));
            row(&cells);
        }
    }

    /// Keeps the highest memory of a copier.
    pub(crate) fn remember_memory<'a>(&mut self, runs: impl IntoIterator<Item = &'a Used>) {
        for used in runs.into_iter().filter_map(|used| used.copier) {
            self.aims.memory(used.peak_mb);
        }
    }
}

/// The median of the seconds.
pub(crate) fn seconds(runs: &[Run]) -> f64 {
    median(runs.iter().map(|run| run.seconds))
}

/// The median of each run's time against the one beside it in the same round.
pub(crate) fn ratio(runs: &[Run], natives: &[Run]) -> f64 {
    median(runs.iter().zip(natives).map(|(run, native)| run.seconds / native.seconds))
}
