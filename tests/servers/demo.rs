//! The demo itself, as `make demo` runs it.

use crate::duet;
use anyhow::{Context, Result, ensure};
use std::process::Command;

#[test]
fn the_demo_ends_by_itself_and_both_sides_are_equal() -> Result<()> {
    let demo = duet().with_file_name("demo");
    let output = Command::new(&demo).env("DEMO_SECONDS", "8").output();
    let output = output.with_context(|| format!("no {}: `make test` builds it", demo.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    for word in ["/status", "redis-cli", "duet status", "lag", "EQUAL"] {
        ensure!(said.contains(word), "no {word} in:\n{said}");
    }
    Ok(())
}
