//! Passwords from files. What goes wrong names the path, never the content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

/// Longest password, in bytes.
pub const PASSWORD_BYTES: u64 = 4096;
/// Shortest token, in bytes: it may be tried from outside as often as one likes.
const TOKEN_BYTES: usize = 16;
/// Where systemd keeps the credentials of `duet.service`.
const SERVICE_CREDENTIALS: &str = "/run/credentials/duet.service";

/// Where a file is of which the configuration gives this path. `credential:NAME` is one that systemd hands over
/// (`LoadCredential=NAME:...`): in `$CREDENTIALS_DIRECTORY`, or, for a command beside the service, where the service has it.
pub fn path_of(path: &str) -> String {
    path_in(path, std::env::var("CREDENTIALS_DIRECTORY").ok())
}

fn path_in(path: &str, credentials: Option<String>) -> String {
    let Some(name) = path.strip_prefix("credential:") else { return path.to_owned() };
    let directory = credentials.filter(|directory| !directory.is_empty());
    format!("{}/{name}", directory.as_deref().unwrap_or(SERVICE_CREDENTIALS))
}

/// Reads a password; the newline that editors leave at the end is not part of it.
///
/// # Errors
/// What is wrong with the file, to follow the words "the file PATH".
pub fn password_from(path: &str) -> Result<SecretString, String> {
    let file = File::open(path_of(path)).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    file.take(PASSWORD_BYTES + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    let read = password_in(&bytes);
    bytes.zeroize();
    read
}

/// Reads a token: a password that is hard to guess.
///
/// # Errors
/// What is wrong with the file, to follow the words "the token file"; with its path.
pub fn token(path: &Path) -> Result<SecretString, String> {
    let path = path.display().to_string();
    let token = password_from(&path).map_err(|problem| format!("{path} {problem}"))?;
    match token.expose_secret().len() {
        0..TOKEN_BYTES => Err(format!("{path} holds less than {TOKEN_BYTES} characters")),
        _ => Ok(token),
    }
}

fn password_in(bytes: &[u8]) -> Result<SecretString, String> {
    if bytes.len() as u64 > PASSWORD_BYTES {
        return Err(format!("is longer than {PASSWORD_BYTES} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty".into()),
        password => Ok(SecretString::from(password)),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_credential_is_where_systemd_puts_it() {
        assert_eq!(path_in("/etc/duet/it", Some("/run/own".into())), "/etc/duet/it");
        assert_eq!(path_in("credential:it", Some("/run/own".into())), "/run/own/it");
        assert_eq!(path_in("credential:it", None), "/run/credentials/duet.service/it");
    }

    #[test]
    fn the_newline_at_the_end_is_not_part_of_the_password() {
        assert_eq!(password_in(b"hunter2\n").unwrap().expose_secret(), "hunter2");
        assert_eq!(password_in(b" hunter2 \r\n").unwrap().expose_secret(), " hunter2 ");
        assert_eq!(password_in(b"\n").unwrap_err(), "is empty");
        assert!(password_in(&[b'x'; 5000]).unwrap_err().contains("4096"));
        assert_eq!(password_in(b"hunter2\xff").unwrap_err(), "is not UTF-8");
    }
}
