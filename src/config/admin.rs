//! Who may give the daemon orders, and where: `[admin]`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// No orders are taken when absent.
    pub listen: Option<Listen>,
    /// The file with the token that orders must show; read with each order.
    pub token_file: Option<PathBuf>,
    /// The name by which the listener is reached, beside its numbers and `localhost`.
    pub host: Option<String>,
    /// The directory of the record of orders; absent where none is configured.
    pub audit: Option<PathBuf>,
    /// Most bytes of the record in that directory.
    pub audit_bytes: u64,
}

/// `admin.listen`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A socket in the file system, for the daemon's user and group.
    Unix(PathBuf),
    /// An address and a port.
    Tcp(SocketAddr),
}

impl Listen {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(address) => address.ip().is_loopback(),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}
