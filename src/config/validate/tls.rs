//! What TLS to a region needs.

use tokio_rustls::rustls::pki_types::ServerName;

use super::super::raw::RawRegion;
use super::super::secret::path_of;
use super::super::{ConfigError, Shard, Tls};
use super::Settings;

/// Checks the keys about TLS, and reads the files once.
///
/// # Errors
/// The first thing that is wrong.
pub fn tls(
    settings: &Settings,
    key: &dyn Fn(&str) -> String,
    wanted: bool,
    shard: &Shard,
    raw: &RawRegion,
) -> Result<Option<Tls>, ConfigError> {
    let keys = [
        ("ca_file", &raw.ca_file),
        ("certificate_file", &raw.certificate_file),
        ("key_file", &raw.key_file),
        ("server_name", &raw.server_name),
    ];
    if !wanted {
        return match keys.iter().find(|(_, value)| value.is_some()) {
            None => Ok(None),
            Some((name, _)) => {
                let remedy = "Write the url as \"rediss://host:port\", or remove the key";
                Err(settings.error(&key(name), "is set, but the url does not ask for TLS", remedy))
            }
        };
    }
    let path = |value: &Option<String>| value.as_deref().map(|path| path_of(path).into());
    let own = match (path(&raw.certificate_file), path(&raw.key_file)) {
        (None, None) => None,
        (Some(certificate), Some(secret)) => Some((certificate, secret)),
        (Some(_), None) => {
            let remedy = "Set `key_file` as well: one is nothing without the other";
            return Err(settings.error(&key("certificate_file"), "is set, but no `key_file`", remedy));
        }
        (None, Some(_)) => {
            let remedy = "Set `certificate_file` as well: one is nothing without the other";
            return Err(settings.error(&key("key_file"), "is set, but no `certificate_file`", remedy));
        }
    };
    let (place, name) = match &raw.server_name {
        Some(name) => ("server_name", name.clone()),
        None => ("url", shard.host.clone()),
    };
    let name = ServerName::try_from(name).map_err(|_| {
        settings.error(&key(place), "is not a name that a certificate can have", "Write a host name or an address")
    })?;
    let tls = Tls::new(name, path(&raw.ca_file), own);
    tls.client().map(|_| Some(tls)).map_err(|problem| {
        let remedy = "Give files in PEM that Duet may read: ca_file, and certificate_file with its key_file";
        settings.error(&key("url"), format!("asks for TLS, but {problem}"), remedy)
    })
}
