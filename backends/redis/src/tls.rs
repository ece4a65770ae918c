//! TLS towards the server.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, Error};
use rustls_platform_verifier::Verifier;

/// Trusts what the operating system trusts, and `roots` besides.
pub(crate) fn config(roots: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, Error> {
    // Handed over and not installed: the process-wide one is somebody else's to choose.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous() // The name is rustls's for any verifier of one's own; this one verifies.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}
