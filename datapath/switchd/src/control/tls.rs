//! TLS for `ssl:` and `pssl:`, as Open vSwitch does it: both sides show a certificate, and what counts is who issued
//! it. Host names are not compared, since switches and controllers are configured by address.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Both ends of TLS, ready for connections.
#[derive(Clone)]
pub struct Tls {
    /// For `ssl:`
    pub connector: TlsConnector,
    /// For `pssl:`
    pub acceptor: TlsAcceptor,
}

/// A file that cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct TlsError {
    path: String,
    reason: String,
}

impl Tls {
    /// Reads key, certificate (with its chain) and the authorities' certificates from PEM files.
    pub fn load(key: &Path, certificate: &Path, authorities: &Path) -> Result<Tls, TlsError> {
        let fail = |path: &Path, reason: String| TlsError {
            path: path.display().to_string(),
            reason,
        };
        let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, TlsError> {
            let list = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| fail(path, error.to_string()))?;
            if list.is_empty() {
                Err(fail(path, "there is no certificate in it".to_owned()))
            } else {
                Ok(list)
            }
        };
        let chain = certificates(certificate)?;
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| fail(key, error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for root in certificates(authorities)? {
            roots
                .add(root)
                .map_err(|error| fail(authorities, error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(ring::default_provider());

        let of_clients =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
                .build()
                .map_err(|error| fail(authorities, error.to_string()))?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_client_cert_verifier(of_clients)
                    .with_single_cert(chain.clone(), private.clone_key())
            })
            .map_err(|error| fail(certificate, error.to_string()))?;

        let of_servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| fail(authorities, error.to_string()))?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(IssuerOnly(of_servers)))
                    .with_client_auth_cert(chain, private)
            })
            .map_err(|error| fail(certificate, error.to_string()))?;
        Ok(Tls {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
        })
    }
}

/// Everything the usual verifier checks, except the name.
#[derive(Debug)]
struct IssuerOnly(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for IssuerOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self
            .0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            // The name is compared last: all else was in order.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The name a TLS client must give; it is not compared with the certificate.
pub fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    let bare = host.split('%').next().unwrap_or(host).to_owned();
    ServerName::try_from(bare).map_err(io::Error::other)
}
