//! Figures for people: medians, and rows of a Markdown table.

use anyhow::Result;
use duet_chaos::flavor::Flavor;
use std::process::Command;

/// What it was measured on, in one line.
pub(crate) fn machine() -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let cores = std::thread::available_parallelism()?;
    let version = Command::new(Flavor::Redis70.program()?).arg("--version").output()?;
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.split(' ').nth(2).unwrap_or("?").trim_start_matches("v=").to_owned();
    Ok(format!(
        "{cores} cores,{}; Redis {version}; servers, load and Duet on one machine.",
        model.trim_start_matches([' ', '\t', ':'])
    ))
}

/// The middle one of some figures; 0 when there are none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The figure below which `share` (0 to 1) of all are; 0 when there are none.
pub(crate) fn percentile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

/// One row.
pub(crate) fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// A heading row with its rule.
pub(crate) fn head(title: &str, cells: &[&str]) {
    println!("\n### {title}\n\n| {} |\n|{}", cells.join(" | "), "---|".repeat(cells.len()));
}
