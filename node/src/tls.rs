//! TLS for the HTTP API: reading a certificate and its key, and making both for a node that has none.

use crate::keys;
use anyhow::{Context as _, Result, anyhow, ensure};
use rcgen::{CertificateParams, KeyPair};
use std::{fs, path::Path, sync::Arc};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use zeroize::Zeroizing;

/// The file of the certificate that `allod init --tls` makes, in the data directory.
pub const CERTIFICATE_FILE: &str = "tls.crt";
/// The file of its key.
pub const KEY_FILE: &str = "tls.key";
/// How long a certificate lasts that is made here. Its clients trust it by itself, so only its owner could shorten that.
const LIFETIME: Duration = Duration::days(3_650);

/// Chooses the implementation of the cryptography for the whole process.
pub fn install() {
    // An error means that it was chosen before.
    let _ = CryptoProvider::install_default(ring::default_provider());
}

/// Reads a certificate chain and its key, both PEM.
///
/// # Errors
/// When a file cannot be read or is not PEM, when others can read the key, or when the key is not the certificate's.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    install();
    let unreadable = || format!("cannot use the certificate {}", certificate.display());
    let chain = CertificateDer::pem_file_iter(certificate).with_context(unreadable)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().with_context(unreadable)?;
    ensure!(!chain.is_empty(), "{} holds no certificate in PEM", certificate.display());
    let unreadable = || format!("cannot use the key {}", key.display());
    keys::require_private(key, &fs::metadata(key).with_context(unreadable)?)?;
    let secret = PrivateKeyDer::from_pem_file(key).with_context(unreadable)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, secret);
    let config = config.with_context(|| {
        format!("the key {} is not that of the certificate {}", key.display(), certificate.display())
    })?;
    Ok(Arc::new(config))
}

/// A certificate and its key, in PEM.
pub struct Made {
    /// The certificate, signed by its own key. Clients are given it to trust.
    pub certificate: String,
    /// The key.
    pub key: Zeroizing<String>,
}

/// Makes a certificate for names and IP addresses.
///
/// # Errors
/// When a name is not one, or the system has no randomness.
pub fn make(names: &[String]) -> Result<Made> {
    let failed = |error: rcgen::Error| anyhow!("cannot make a certificate for {}: {error}", names.join(", "));
    let mut parameters = CertificateParams::new(names).map_err(failed)?;
    let now = OffsetDateTime::now_utc();
    // Clocks differ.
    (parameters.not_before, parameters.not_after) = (now - Duration::days(1), now + LIFETIME);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = parameters.self_signed(&key).map_err(failed)?.pem();
    Ok(Made { certificate, key: Zeroizing::new(key.serialize_pem()) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_certificate_loads_with_its_own_key_only_and_a_public_key_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let [certificate, key, other] = ["a.crt", "a.key", "b.key"].map(|name| directory.path().join(name));
        let made = make(&["node.example".into(), "192.0.2.7".into()]).unwrap();
        fs::write(&certificate, &made.certificate).unwrap();
        keys::write_private(&key, made.key.as_bytes()).unwrap();
        keys::write_private(&other, make(&["node.example".into()]).unwrap().key.as_bytes()).unwrap();
        assert!(load(&certificate, &key).is_ok());
        let error = format!("{:#}", load(&certificate, &other).unwrap_err());
        assert!(error.contains("b.key") && error.contains("a.crt"), "{error}");
        let error = format!("{:#}", load(&key, &key).unwrap_err());
        assert!(error.contains("holds no certificate"), "{error}");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let error = format!("{:#}", load(&certificate, &key).unwrap_err());
        assert!(error.contains("chmod 600"), "{error}");
        assert!(make(&["not a name\u{e4}".into()]).is_err());
    }
}
