//! RedisShake version 4 as it is configured by its documentation: its defaults, as a replica of the source.
//! <https://tair-opensource.github.io/RedisShake/en/guide/config>

use anyhow::{Context, Result};
use duet_chaos::pair::Regions;
use duet_chaos::process::Process;
use std::net::SocketAddr;
use std::path::Path;

/// Starts it from west to east, through the proxies that there are.
pub(crate) fn start(program: &Path, regions: &Regions) -> Result<Process> {
    let program = program.to_str().context("a path of other than UTF-8")?;
    let address = |proxy: Option<SocketAddr>, direct: String| proxy.map_or(direct, |proxy| proxy.to_string());
    let source = address(regions.west_proxy.as_ref().map(|proxy| proxy.address()), regions.west.address());
    let target = address(regions.east_proxy.as_ref().map(|proxy| proxy.address()), regions.east.address());
    Process::start(program, |dir| {
        let config = dir.join("shake.toml");
        std::fs::write(&config, toml(&source, &target, dir))?;
        Ok(vec![config.display().to_string()])
    })
}

fn toml(source: &str, target: &str, dir: &Path) -> String {
    format!(
        "[sync_reader]\naddress = \"{source}\"\nsync_rdb = true\nsync_aof = true\n\n\
         [redis_writer]\naddress = \"{target}\"\n\n[advanced]\ndir = \"{}\"\n",
        dir.join("data").display()
    )
}
