//! The benchmark as a program: it measures, compares and says what was reached. Needs `make setup`, and `duet` built.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::process::Command;

/// Stands in for the program of RedisShake: takes the configuration that it is given by its word, and copies by the servers'
/// own replication.
const STAND_IN: &str = r#"#!/bin/sh
address() { sed -n "/^\[$1\]/,/^\[/s/^address = \"\(.*\)\"/\1/p" "$2"; }
source=$(address sync_reader "$1") target=$(address redis_writer "$1")
redis-cli -h "${target%:*}" -p "${target#*:}" REPLICAOF "${source%:*}" "${source#*:}"
exec sleep 600
"#;

#[tokio::test]
async fn a_benchmark_measures_every_copier_and_says_what_is_reached() {
    let place = tempfile::tempdir().unwrap();
    let stand_in = place.path().join("redis-shake");
    std::fs::write(&stand_in, STAND_IN).unwrap();
    std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_bench")))
        .args(["--quick", "--only", "full-sync,far", "--redis-shake"])
        .arg(&stand_in)
        .output()
        .await
        .unwrap();
    let (table, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    for row in ["| native |", "| Duet |", "| RedisShake |", "| native, dump on the source's disk |"] {
        assert!(table.matches(row).count() >= 2, "no {row} in {table}");
    }
    for aim in ["full sync of 20,000 mixed keys", "80 ms of round trip", "peak memory of Duet"] {
        assert!(table.contains(&format!("| {aim}")), "no {aim} in {table}");
    }
    let far = table.split("### ").find(|part| part.starts_with("Write to visible")).unwrap();
    let lag = |row: &str| -> f64 {
        let cells: Vec<&str> = far.lines().find(|line| line.starts_with(row)).unwrap().split(" | ").collect();
        cells[2].trim_end_matches(" ms").parse().unwrap()
    };
    // The way is 40 ms long: nobody is there sooner.
    assert!(lag("| native |") >= 40.0 && lag("| Duet |") >= 40.0, "{far}");
}
