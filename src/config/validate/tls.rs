//! What TLS to a region needs.

use std::path::PathBuf;

use tokio_rustls::rustls::pki_types::ServerName;

use super::super::raw::{Raw, RawRegion};
use super::super::secret::path_of;
use super::super::{Certificate, ConfigError, Served, Shard, Tls};
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
    let own = certificate(settings, key, &raw.certificate_file, &raw.key_file)?;
    let (place, name) = match &raw.server_name {
        Some(name) => ("server_name", name.clone()),
        None => ("url", shard.host.clone()),
    };
    let name = ServerName::try_from(name).map_err(|_| {
        settings.error(&key(place), "is not a name that a certificate can have", "Write a host name or an address")
    })?;
    let tls = Tls::new(name, raw.ca_file.as_deref().map(path), own);
    tls.client().map(|_| Some(tls)).map_err(|problem| {
        let remedy = "Give files in PEM that Duet may read: ca_file, and certificate_file with its key_file";
        settings.error(&key("url"), format!("asks for TLS, but {problem}"), remedy)
    })
}

/// The certificate of what listens, where there is one. Its files are not looked at: the commands need not be able to.
///
/// # Errors
/// One of both keys is missing.
pub fn served(settings: &Settings, raw: &Raw) -> Result<Option<Served>, ConfigError> {
    let key = |key: &str| format!("http.{key}");
    Ok(certificate(settings, &key, &raw.http.certificate_file, &raw.http.key_file)?.map(Served::new))
}

fn certificate(
    settings: &Settings,
    key: &dyn Fn(&str) -> String,
    file: &Option<String>,
    secret: &Option<String>,
) -> Result<Option<Certificate>, ConfigError> {
    let alone = |is: &str, other: &str| {
        let remedy = format!("Set `{other}` as well: one is nothing without the other");
        Err(settings.error(&key(is), format!("is set, but no `{other}`"), remedy))
    };
    match (file.as_deref(), secret.as_deref()) {
        (None, None) => Ok(None),
        (Some(file), Some(key)) => Ok(Some(Certificate { file: path(file), key: path(key) })),
        (Some(_), None) => alone("certificate_file", "key_file"),
        (None, Some(_)) => alone("key_file", "certificate_file"),
    }
}

fn path(path: &str) -> PathBuf {
    path_of(path).into()
}
