//! TLS: to a region as its client, and for HTTP as its server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier, crypto};

use super::certificate::{Certificate, Renewed, certificates};

/// How long a server goes on with what it has read: it may be asked a thousand times a second.
const SERVED_FOR: Duration = Duration::from_secs(1);

/// How a region is reached by TLS. Its files are read with each connection.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The name that the server's certificate must have.
    pub server_name: ServerName<'static>,
    /// Whose certificates are believed; those that the system believes when absent.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub own: Option<Certificate>,
    last: Arc<Renewed<ClientConfig>>,
}

impl Tls {
    /// With these files.
    pub fn new(server_name: ServerName<'static>, ca_file: Option<PathBuf>, own: Option<Certificate>) -> Self {
        Self { server_name, ca_file, own, last: Arc::default() }
    }

    /// What a connection needs, of the files as they are now; where they cannot be used, of those that could be last.
    ///
    /// # Errors
    /// Which file cannot be used, and why; never its content.
    pub fn client(&self) -> Result<Arc<ClientConfig>, String> {
        self.last.get(Duration::ZERO, || {
            let builder = client_builder()?.with_root_certificates(roots(self.ca_file.as_ref())?);
            match &self.own {
                None => Ok(builder.with_no_client_auth()),
                Some(own) => {
                    let (chain, key) = own.read()?;
                    builder.with_client_auth_cert(chain, key).map_err(|error| own.mismatch(&error))
                }
            }
        })
    }
}

/// What every client of ours begins with: the versions and ciphers that are safe.
///
/// # Errors
/// There are none.
pub fn client_builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.map_err(|error| error.to_string())
}

/// Who is believed: who signed with what is in `ca_file`, else whom this machine believes.
///
/// # Errors
/// Why nobody is.
pub fn roots(ca_file: Option<&PathBuf>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        None => {
            let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if added == 0 {
                return Err("this machine believes no certificate: install ca-certificates, or name a file".into());
            }
        }
    }
    Ok(roots)
}

/// The certificate of an HTTP listener. Its files are read once a second, while somebody connects.
#[derive(Debug, Clone)]
pub struct Served {
    /// The files.
    pub certificate: Certificate,
    last: Arc<Renewed<ServerConfig>>,
}

impl Served {
    /// With these files.
    pub fn new(certificate: Certificate) -> Self {
        Self { certificate, last: Arc::default() }
    }

    /// What a connection needs.
    ///
    /// # Errors
    /// As [`Tls::client`].
    pub fn server(&self) -> Result<Arc<ServerConfig>, String> {
        self.last.get(SERVED_FOR, || {
            let (chain, key) = self.certificate.read()?;
            let provider = Arc::new(crypto::ring::default_provider());
            let mut server = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .map_err(|error| self.certificate.mismatch(&error))?;
            server.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(server)
        })
    }
}
