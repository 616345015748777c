//! `[admin]`.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::super::{Admin, Listen};
use super::{ConfigError, Raw, Settings, address};

const AUDIT_BYTES: RangeInclusive<u64> = 65_536..=1_073_741_824;
/// The room in a socket's address, less its end.
const SOCKET_PATH: usize = 107;

/// Checks `[admin]`; the token file is looked at when an order comes.
///
/// # Errors
/// The first thing that is wrong.
pub fn admin(settings: &Settings, raw: &Raw) -> Result<Admin, ConfigError> {
    let admin = &raw.admin;
    let path = |key: &str, value: &Option<String>| match value.as_deref() {
        Some("") => Err(settings.error(&format!("admin.{key}"), "is empty", "Give a path, or remove the key")),
        value => Ok(value.map(PathBuf::from)),
    };
    let listen = admin.listen.as_deref().map(|text| listen(settings, text)).transpose()?;
    let token_file = path("token_file", &admin.token_file)?;
    if token_file.is_none() && listen.as_ref().is_some_and(|listen| !listen.is_local()) {
        let problem = "can be reached from other machines, and no token is asked for";
        let remedy = "Set `admin.token_file`, or listen on loopback or on \"unix:/run/duet/admin.sock\"";
        return Err(settings.error("admin.listen", problem, remedy));
    }
    if !AUDIT_BYTES.contains(&admin.audit_bytes) {
        let problem = format!("is {}, which is out of its bounds", admin.audit_bytes);
        let remedy = format!("It takes {} to {}", AUDIT_BYTES.start(), AUDIT_BYTES.end());
        return Err(settings.error("admin.audit_bytes", problem, remedy));
    }
    let host = admin.host.clone();
    if host.as_deref().is_some_and(|host| host.is_empty() || host.contains(['/', ':', ' '])) {
        return Err(settings.error(
            "admin.host",
            "is not a name",
            "Write it without scheme and port: \"duet.example\"",
        ));
    }
    Ok(Admin { listen, token_file, host, audit: path("audit", &admin.audit)?, audit_bytes: admin.audit_bytes })
}

fn listen(settings: &Settings, text: &str) -> Result<Listen, ConfigError> {
    let wrong = |problem: String| {
        let remedy = "Write \"unix:/run/duet/admin.sock\", or an IP address and a port, as \"127.0.0.1:8781\"";
        settings.error("admin.listen", problem, remedy)
    };
    match text.strip_prefix("unix:") {
        Some(path) if !path.starts_with('/') => Err(wrong("names a socket without its whole path".into())),
        Some(path) if path.len() > SOCKET_PATH => {
            Err(wrong(format!("names a socket by more than {SOCKET_PATH} bytes, the most that Linux takes")))
        }
        Some(path) => Ok(Listen::Unix(path.into())),
        None => address(text).map(Listen::Tcp).ok_or_else(|| wrong("is not an address to listen on".into())),
    }
}
