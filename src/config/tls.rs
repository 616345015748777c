//! TLS to a region: which files, and what is made of them. They are read again with each connection, so that what is renewed
//! counts from the next one on. While they cannot be read, as in the middle of a renewal, the last that could are used.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// How a region is reached by TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The name that the server's certificate must have.
    pub server_name: ServerName<'static>,
    /// Whose certificates are believed; those that the system believes when absent.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, with those that it needs, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
    /// What was made of the files last.
    last: Arc<Mutex<Option<Arc<ClientConfig>>>>,
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        (&self.server_name, &self.ca_file, &self.own) == (&other.server_name, &other.ca_file, &other.own)
    }
}

impl Tls {
    /// With these files, which are read when a connection is made.
    pub fn new(server_name: ServerName<'static>, ca_file: Option<PathBuf>, own: Option<(PathBuf, PathBuf)>) -> Self {
        Self { server_name, ca_file, own, last: Arc::default() }
    }

    /// What a connection needs, of the files as they are now; where they cannot be used, of those that could be last.
    ///
    /// # Errors
    /// Which file cannot be used, and why; never its content.
    pub fn client(&self) -> Result<Arc<ClientConfig>, String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.read(), &*last) {
            (Ok(client), _) => {
                *last = Some(Arc::clone(&client));
                Ok(client)
            }
            (Err(error), Some(before)) => {
                tracing::warn!(error, "new certificates cannot be used: the ones before are");
                Ok(Arc::clone(before))
            }
            (Err(error), None) => Err(error),
        }
    }

    fn read(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(self.roots()?);
        let client = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
                    pem::Error::Io(error) => format!("{} cannot be read: {error}", key.display()),
                    // Other words may quote the file.
                    _ => format!("{} holds no private key in PEM", key.display()),
                })?;
                let pair = || format!("{} and {} do not belong together", certificate.display(), key.display());
                builder.with_client_auth_cert(chain, secret).map_err(|error| format!("{}: {error}", pair()))?
            }
        };
        Ok(Arc::new(client))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
                }
            }
            None => {
                let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if added == 0 {
                    return Err(
                        "this machine believes no certificate (package ca-certificates), and no ca_file is set".into(),
                    );
                }
            }
        }
        Ok(roots)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{} holds no certificates in PEM: {error}", file.display());
    let found = CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    if found.is_empty() { Err(wrong(&"it is empty")) } else { Ok(found) }
}
