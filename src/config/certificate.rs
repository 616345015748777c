//! Certificates and keys in files, and what was made of them last. Files are read again, so that what is renewed counts by
//! itself; while they cannot be read, as in the middle of a renewal, what was made of them last is used.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate of our own, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, and those that it needs.
    pub file: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Certificate {
    /// Both, as they are now.
    ///
    /// # Errors
    /// Which file cannot be used, and why; never its content.
    pub fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| match error {
            pem::Error::Io(error) => format!("{} cannot be read: {error}", self.key.display()),
            // Other words may quote the file.
            _ => format!("{} holds no private key in PEM", self.key.display()),
        })?;
        Ok((certificates(&self.file)?, key))
    }

    /// That the two do not fit.
    pub fn mismatch(&self, error: &dyn std::fmt::Display) -> String {
        format!("{} and {} do not belong together: {error}", self.file.display(), self.key.display())
    }
}

/// The certificates in a file: at least one.
///
/// # Errors
/// Why it cannot be used.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found: Vec<_> = read.map_err(|error| match error {
        pem::Error::Io(error) => format!("{} cannot be read: {error}", file.display()),
        _ => format!("{} holds no certificates in PEM", file.display()),
    })?;
    if found.is_empty() { Err(format!("{} holds no certificate", file.display())) } else { Ok(found) }
}

/// What was made of files. It may hold a private key, so it isn't shown.
pub struct Renewed<T>(Mutex<Option<Made<T>>>);

struct Made<T> {
    thing: Arc<T>,
    at: Instant,
    /// Why it could not be made again.
    problem: Option<String>,
}

impl<T> fmt::Debug for Renewed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewed")
    }
}

impl<T> Default for Renewed<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Renewed<T> {
    /// The last one where it is younger than `age`, else another, by `make`; where that fails, the last one again.
    ///
    /// # Errors
    /// There is no last one, and `make` fails.
    pub fn get(&self, age: Duration, make: impl FnOnce() -> Result<T, String>) -> Result<Arc<T>, String> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = last.as_ref().filter(|made| made.at.elapsed() < age) {
            return Ok(Arc::clone(&made.thing));
        }
        match (make(), &mut *last) {
            (Ok(thing), last) => {
                let thing = Arc::new(thing);
                *last = Some(Made { thing: Arc::clone(&thing), at: Instant::now(), problem: None });
                Ok(thing)
            }
            (Err(problem), Some(made)) => {
                made.at = Instant::now();
                if made.problem.as_ref() != Some(&problem) {
                    tracing::warn!(problem, "new certificates cannot be used: the ones before are");
                    made.problem = Some(problem);
                }
                Ok(Arc::clone(&made.thing))
            }
            (Err(problem), None) => Err(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_made_again_takes_nothing_away() {
        let renewed = Renewed::default();
        assert_eq!(renewed.get(Duration::ZERO, || Err("no file".into())).unwrap_err(), "no file");
        assert_eq!(*renewed.get(Duration::ZERO, || Ok(1)).unwrap(), 1);
        assert_eq!(*renewed.get(Duration::ZERO, || Err("half a file".into())).unwrap(), 1);
        assert_eq!(*renewed.get(Duration::ZERO, || Ok(2)).unwrap(), 2);
        assert_eq!(*renewed.get(Duration::from_secs(60), || Ok(3)).unwrap(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_never_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let certificate = Certificate { file: dir.path().join("it.pem"), key: dir.path().join("it.key") };
        assert!(certificate.read().unwrap_err().contains("it.key cannot be read"));
        std::fs::write(&certificate.key, "-----BEGIN PRIVATE KEY-----\nhunter2").unwrap();
        let said = certificate.read().unwrap_err();
        assert!(said.contains("it.key holds no private key") && !said.contains("hunter2"), "{said}");
        std::fs::write(&certificate.file, "").unwrap();
        assert!(certificates(&certificate.file).unwrap_err().contains("it.pem holds no certificate"));
    }
}
