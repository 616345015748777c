//! A host of its own for the daemon: a network namespace with one cable to each region, and one for us.
//!
//! Each cable is a pair of veth. Taken down, or with a queue that drops every packet, it is a network that is cut: nothing is
//! closed, nothing is reset, and new connections get no answer.

use crate::side::Side;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::Host;
use std::process::{Command, Stdio};

/// Cables: to the west, to the east, to us.
const CABLES: u8 = 3;

/// The namespace; gone when it is dropped.
#[derive(Debug)]
pub struct Network {
    name: String,
    /// Names of interfaces: at most 15 letters.
    prefix: String,
    /// The second byte of its addresses.
    number: u8,
}

impl Network {
    /// Whether this machine lets us make one, with a queue that drops.
    pub fn can_be_made() -> bool {
        Self::make().is_ok_and(|network| network.drop_packets(Side::West, true).is_ok())
    }

    /// Makes one.
    ///
    /// # Errors
    /// When `ip` is missing, or the kernel or our rights do not allow it.
    pub fn make() -> Result<Self> {
        let number = fastrand::u8(1..=254);
        let word = format!("{:x}", fastrand::u32(..0x00ff_ffff));
        let network = Self { name: format!("duet-{word}"), prefix: format!("dc{word}"), number };
        ip(&["netns", "add", &network.name])?;
        for cable in 0..CABLES {
            let (outside, inside) = (network.outside(cable), network.inside(cable));
            ip(&["link", "add", &outside, "type", "veth", "peer", "name", &inside, "netns", &network.name])?;
            ip(&["addr", "add", &format!("{}/30", network.address(cable, 1)), "dev", &outside])?;
            ip(&["link", "set", &outside, "up"])?;
            network.within(&["addr", "add", &format!("{}/30", network.address(cable, 2)), "dev", &inside])?;
            network.within(&["link", "set", &inside, "up"])?;
        }
        network.within(&["link", "set", "lo", "up"])?;
        Ok(network)
    }

    /// The daemon's host, reached by our own cable.
    pub fn host(&self) -> Host {
        Host::Namespace { name: self.name.clone(), address: self.address(CABLES - 1, 2) }
    }

    /// The address at which the daemon's host finds a region.
    pub fn region(&self, side: Side) -> String {
        self.address(cable(side), 1)
    }

    /// Takes the cable to a region down, or up again.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn down(&self, side: Side, down: bool) -> Result<()> {
        ip(&["link", "set", &self.outside(cable(side)), if down { "down" } else { "up" }])
    }

    /// Drops every packet from a region to the daemon's host, or lets them pass again. What the host sends arrives.
    ///
    /// # Errors
    /// When `tc` fails.
    pub fn drop_packets(&self, side: Side, drop: bool) -> Result<()> {
        let dev = self.outside(cable(side));
        // No packet fits into a bucket of 10 bytes.
        let bucket = ["tbf", "rate", "1kbit", "burst", "10", "latency", "1ms"];
        if drop {
            run("tc", &[&["qdisc", "add", "dev", &dev, "root"], bucket.as_slice()].concat())
        } else {
            run("tc", &["qdisc", "del", "dev", &dev, "root"])
        }
    }

    /// The same for packets from the daemon's host to a region.
    ///
    /// # Errors
    /// As [`Self::drop_packets`].
    pub fn drop_packets_there(&self, side: Side, drop: bool) -> Result<()> {
        let dev = self.inside(cable(side));
        let tc = ["netns", "exec", &self.name, "tc", "qdisc"];
        if drop {
            let add = ["add", "dev", &dev, "root", "tbf", "rate", "1kbit", "burst", "10", "latency", "1ms"];
            ip(&[tc.as_slice(), add.as_slice()].concat())
        } else {
            ip(&[tc.as_slice(), ["del", "dev", &dev, "root"].as_slice()].concat())
        }
    }

    fn within(&self, words: &[&str]) -> Result<()> {
        ip(&[["-n", &self.name].as_slice(), words].concat())
    }

    fn address(&self, cable: u8, end: u8) -> String {
        format!("10.{}.{}.{}", self.number, cable * 4, end)
    }

    fn outside(&self, cable: u8) -> String {
        format!("{}o{cable}", self.prefix)
    }

    fn inside(&self, cable: u8) -> String {
        format!("{}i{cable}", self.prefix)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The cables' outer ends go with their inner ones, at the latest when the last process has left. Nothing can be
        // done about a failure here.
        for cable in 0..CABLES {
            drop(ip(&["link", "del", &self.outside(cable)]));
        }
        drop(ip(&["netns", "del", &self.name]));
    }
}

const fn cable(side: Side) -> u8 {
    match side {
        Side::West => 0,
        Side::East => 1,
    }
}

fn ip(words: &[&str]) -> Result<()> {
    run("ip", words)
}

/// Runs a program to its end.
///
/// # Errors
/// With its words, when it fails.
pub fn run(program: &str, words: &[&str]) -> Result<()> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", words.join(" "), said.trim());
    Ok(())
}
