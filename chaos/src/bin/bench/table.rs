//! Figures for people: medians, and rows of a Markdown table.

use crate::copier::duet_binary;
use crate::usage::{Usage, Used};
use anyhow::{Context, Result};
use duet_chaos::flavor::Flavor;
use num_format::{Locale, ToFormattedString};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// When, what and on what it was measured, in one line.
pub(crate) fn machine(rounds: usize) -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let cores = std::thread::available_parallelism()?;
    let redis = told(Command::new(Flavor::Redis70.program()?).arg("--version"))?;
    let redis = redis.split(' ').nth(2).unwrap_or("?").trim_start_matches("v=").to_owned();
    let (date, duet) =
        (told(Command::new("date").args(["-u", "+%F"]))?, told(Command::new(duet_binary()?).arg("--version"))?);
    let args: Vec<String> = std::env::args().skip(1).collect();
    Ok(format!(
        "{date}, `bench {}`, medians of {rounds} rounds: {duet}, {cores} cores, {}, Redis {redis}; servers, load and Duet on one machine.",
        args.join(" "),
        model.trim_start_matches([' ', '\t', ':'])
    ))
}

/// The first line that a program writes.
fn told(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// The middle one of some figures; 0 when there are none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&figures.into_iter().collect::<Vec<_>>(), 0.5)
}

/// The figure below which `share` (0 to 1) of all are; 0 when there are none.
pub(crate) fn percentile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

/// A number of things, in groups of three digits.
pub(crate) fn many(number: impl Into<f64>) -> String {
    (number.into().round() as i64).to_formatted_string(&Locale::en)
}

/// Everything that was printed.
static PRINTED: Mutex<String> = Mutex::new(String::new());

/// One line of Markdown.
pub(crate) fn line(text: &str) {
    println!("{text}");
    *PRINTED.lock().unwrap_or_else(PoisonError::into_inner) += &format!("{text}\n");
}

/// Everything that was printed so far.
pub(crate) fn printed() -> String {
    PRINTED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// One row.
pub(crate) fn row(cells: &[String]) {
    line(&format!("| {} |", cells.join(" | ")));
}

/// A heading row with its rule.
pub(crate) fn head(title: &str, cells: &[&str]) {
    line(&format!("\n### {title}\n\n| {} |\n|{}", cells.join(" | "), "---|".repeat(cells.len())));
}

/// What the cells of [`used`] are called.
pub(crate) const USED: [&str; 6] =
    ["CPU of the copier", "of the source", "of the target", "memory of the copier", "of the source", "of the target"];

/// CPU (medians) and memory (the highest peak) of copier, source and target in some runs.
pub(crate) fn used(runs: &[Used]) -> Vec<String> {
    let copiers: Vec<Usage> = runs.iter().filter_map(|run| run.copier).collect();
    let processes = [copiers, runs.iter().map(|run| run.source).collect(), runs.iter().map(|run| run.target).collect()];
    let cells = |figure: fn(&[Usage]) -> String| {
        processes.iter().map(move |usages| if usages.is_empty() { "-".to_owned() } else { figure(usages) })
    };
    cells(cpu).chain(cells(peak)).collect()
}

/// The median of the CPU seconds.
pub(crate) fn cpu(usages: &[Usage]) -> String {
    format!("{:.2} s", median(usages.iter().map(|usage| usage.cpu_s)))
}

/// The highest peak.
pub(crate) fn peak(usages: &[Usage]) -> String {
    format!("{:.0} MB", usages.iter().map(|usage| usage.peak_mb).fold(0.0, f64::max))
}
