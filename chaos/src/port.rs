//! Ports of 127.0.0.1 that nobody else takes between the look and the use.

use anyhow::{Result, bail};
use std::net::{TcpListener, UdpSocket};

/// Ports are taken from below the range that the kernel gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port on which nobody listened, and which no other holder of a `Port` is given, in this process or another, until
/// it is dropped. What tells them is a socket of UDP on the same number: the port itself stays free for its user.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: UdpSocket,
}

impl Port {
    /// Any free port.
    ///
    /// # Errors
    /// When none was found.
    pub fn free() -> Result<Self> {
        for _ in 0..1_000 {
            if let Some(port) = Self::claim(fastrand::u16(PORTS)) {
                return Ok(port);
            }
        }
        bail!("no free port between {} and {}", PORTS.start, PORTS.end)
    }

    /// This port where it is free, any other one where not.
    ///
    /// # Errors
    /// As [`Self::free`].
    pub fn free_at_best(number: u16) -> Result<Self> {
        Self::claim(number).map_or_else(Self::free, Ok)
    }

    /// Its number.
    pub const fn number(&self) -> u16 {
        self.number
    }

    fn claim(number: u16) -> Option<Self> {
        let claim = UdpSocket::bind(("127.0.0.1", number)).ok()?;
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Self { number, _claim: claim })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_until_it_is_dropped_and_is_free_for_its_user() {
        let port = Port::free().unwrap();
        assert!(Port::claim(port.number()).is_none());
        assert_ne!(Port::free_at_best(port.number()).unwrap().number(), port.number());
        let user = TcpListener::bind(("127.0.0.1", port.number())).unwrap();
        let number = port.number();
        drop(port);
        assert!(Port::claim(number).is_none(), "its user is still there");
        drop(user);
    }
}
