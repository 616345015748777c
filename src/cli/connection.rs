//! Connections of commands to the daemon, plain or by TLS.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::ask::Address;
use crate::config::{Served, certificates, client_builder, roots};

/// Whose certificate a command believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// Whomever this machine believes, for the name that is asked for.
    System,
    /// The one in this file, whatever its name, signer and time: the configuration names it.
    File(PathBuf),
}

impl From<Served> for Trust {
    fn from(served: Served) -> Self {
        Self::File(served.certificate.file)
    }
}

/// What bytes go to and come from.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Connects to what the daemon listens on by the setting `key`.
///
/// # Errors
/// Nobody there, or its certificate is not believed.
pub(super) async fn connect(address: &Address, key: &str) -> anyhow::Result<Box<dyn Stream>> {
    let stream = match TcpStream::connect(address.socket()).await {
        Ok(stream) => stream,
        Err(error) => bail!("{error}. Is `duet run` running there, with this {key}?"),
    };
    let Some(trust) = address.trust() else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(address.socket().0.to_owned())?;
    let client = trust.client().map_err(|problem| anyhow!(problem))?;
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await;
    Ok(Box::new(stream.context("TLS does not come about")?))
}

impl Trust {
    fn client(&self) -> Result<ClientConfig, String> {
        let builder = client_builder()?;
        Ok(match self {
            Self::System => builder.with_root_certificates(roots(None)?).with_no_client_auth(),
            Self::File(file) => {
                let certificate = certificates(file)?.swap_remove(0);
                let only = Arc::new(Only { certificate, provider: Arc::clone(builder.crypto_provider()) });
                builder.dangerous().with_custom_certificate_verifier(only).with_no_client_auth()
            }
        })
    }
}

/// Believes one certificate. That the other side has its key is checked as always.
#[derive(Debug)]
struct Only {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
