//! TLS: the server's certificate, what it asks of clients, and the names that channel binding needs.
//!
//! TLS 1.3 and 1.2 by rustls with ring. What cannot be loaded stops the start: a server that was told to encrypt
//! never falls back to plain text.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use ring::digest;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, RootCertStore, ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_certificate::rfc3280::Name;
use x509_certificate::{CapturedX509Certificate, SignatureAlgorithm};

use super::socket::Tcp;
use crate::pg_catalog::{Certificate, Encryption};

/// Where the certificate and the key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's certificate, then those that signed it.
    pub certificate: PathBuf,
    /// PEM: its private key; nobody but the server may read it.
    pub key: PathBuf,
    /// PEM: who may sign the certificates of clients; None: clients show none.
    pub client_ca: Option<PathBuf>,
}

/// A certificate that is loaded and ready.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    binding: Option<Vec<u8>>,
    /// From when to when the certificate holds.
    holds: RangeInclusive<DateTime<Utc>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// What the handshake told about a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// Common name of the certificate that the client proved to own.
    pub(super) common_name: Option<String>,
    /// `tls-server-end-point` of RFC 5929: the hash of our own certificate.
    pub(super) binding: Option<Vec<u8>>,
    /// What `pg_stat_ssl` tells.
    pub(super) encryption: Encryption,
}

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    /// Names the file and what is wrong with it: unreadable, no PEM, a key that is open to others or belongs to
    /// another certificate.
    pub fn load(files: &TlsFiles) -> anyhow::Result<Tls> {
        let chain = certificates(&files.certificate)?;
        let first = chain.first().context("a chain without a certificate")?;
        let parsed = CapturedX509Certificate::from_der(first.as_ref()).with_context(|| {
            format!("{} holds no X.509 certificate", files.certificate.display())
        })?;
        let binding = end_point(&parsed);
        let holds = parsed.validity_not_before()..=parsed.validity_not_after();
        crate::roles::check_mode(&files.key)
            .with_context(|| format!("cannot use the private key {}", files.key.display()))?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
            anyhow::anyhow!("{} holds no private key: {error}", files.key.display())
        })?;
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .context("TLS 1.3 and 1.2")?;
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).with_context(|| {
                        format!("{} holds a certificate that signs nobody", path.display())
                    })?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .allow_unauthenticated()
                        .build()
                        .context("client certificates")?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(chain, key).with_context(|| {
            format!(
                "the private key {} does not fit the certificate {}",
                files.key.display(),
                files.certificate.display()
            )
        })?;
        Ok(Tls {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            binding,
            holds,
        })
    }

    /// From when to when the certificate holds, when that is not now: clients that look at it stay away.
    #[must_use]
    pub fn out_of_date(&self) -> Option<&RangeInclusive<DateTime<Utc>>> {
        Some(&self.holds).filter(|holds| !holds.contains(&Utc::now()))
    }

    /// The handshake.
    ///
    /// # Errors
    /// When the client speaks another version, or shows a certificate that nobody known signed.
    pub(super) async fn accept(&self, socket: Tcp) -> std::io::Result<(Box<TlsStream<Tcp>>, Peer)> {
        let stream = Box::new(self.acceptor.accept(socket).await?);
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(|chain| chain.first());
        let peer = Peer {
            common_name: shown.and_then(common_name),
            binding: self.binding.clone(),
            encryption: encryption(stream.get_ref().1, shown),
        };
        Ok((stream, peer))
    }
}

/// What a handshake settled on.
fn encryption(settled: &ServerConnection, shown: Option<&CertificateDer<'static>>) -> Encryption {
    let version = match settled.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let suite = settled.negotiated_cipher_suite();
    let suite = suite.and_then(|suite| suite.suite().as_str());
    let suite = suite.unwrap_or_default();
    let shown = shown.and_then(|shown| CapturedX509Certificate::from_der(shown.as_ref()).ok());
    Encryption {
        version: version.to_owned(),
        cipher: openssl_name(suite),
        bits: if suite.contains("AES_128") { 128 } else { 256 },
        certificate: shown.map(|shown| Certificate {
            subject: distinguished(shown.subject_name()),
            serial: decimal(shown.serial_number_asn1().as_slice()),
            issuer: distinguished(shown.issuer_name()),
        }),
    }
}

/// The name that OpenSSL has for a cipher suite, whose names PostgreSQL tells.
fn openssl_name(suite: &str) -> String {
    match suite.strip_prefix("TLS13_") {
        Some(name) => format!("TLS_{name}"),
        None => suite
            .trim_start_matches("TLS_")
            .replace("_WITH", "")
            .replace("AES_", "AES")
            .replace("POLY1305_SHA256", "POLY1305")
            .replace('_', "-"),
    }
}

/// A name as `/C=JP/CN=ann`.
fn distinguished(name: &Name) -> String {
    let parts = name.iter_attributes().filter_map(|part| {
        let key = part.typ.to_string();
        let key = match key.as_str() {
            "2.5.4.3" => "CN",
            "2.5.4.6" => "C",
            "2.5.4.7" => "L",
            "2.5.4.8" => "ST",
            "2.5.4.10" => "O",
            "2.5.4.11" => "OU",
            "1.2.840.113549.1.9.1" => "emailAddress",
            other => other,
        };
        Some(format!("/{key}={}", part.to_string().ok()?))
    });
    parts.collect()
}

/// The decimal digits of a number, its most significant byte first.
fn decimal(bytes: &[u8]) -> String {
    // The least digit first.
    let mut digits = vec![0_u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) * 256;
            *digit = u8::try_from(carry % 10).unwrap_or(0);
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
    }
    digits.iter().rev().map(u8::to_string).collect()
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| anyhow::anyhow!("cannot read the certificate {shown}: {error}"))?
        .collect();
    let found = found.map_err(|error| anyhow::anyhow!("{shown} is no PEM file: {error}"))?;
    ensure!(
        !found.is_empty(),
        "{shown} holds no certificate in PEM form"
    );
    Ok(found)
}

fn common_name(certificate: &CertificateDer<'static>) -> Option<String> {
    let parsed = CapturedX509Certificate::from_der(certificate.as_ref()).ok()?;
    parsed
        .subject_common_name()
        .filter(|name| !name.contains('\0'))
}

/// The hash that the certificate itself was signed with; MD5 and SHA-1 count as SHA-256. None where RFC 5929 defines
/// nothing: no channel binding is offered then.
fn end_point(certificate: &CapturedX509Certificate) -> Option<Vec<u8>> {
    use SignatureAlgorithm as S;
    let algorithm = match certificate.signature_algorithm()? {
        S::RsaSha1 | S::RsaSha256 | S::EcdsaSha256 => &digest::SHA256,
        S::RsaSha384 | S::EcdsaSha384 => &digest::SHA384,
        S::RsaSha512 => &digest::SHA512,
        S::Ed25519 | S::NoSignature(_) => return None,
    };
    let hash = digest::digest(algorithm, certificate.constructed_data());
    Some(hash.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_and_ciphers_are_told_as_openssl_tells_them() {
        for (bytes, digits) in [
            (&[0][..], "0"),
            (&[1, 0], "256"),
            (&[255; 16], "340282366920938463463374607431768211455"),
            (
                &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                "340282366920938463463374607431768211456",
            ),
        ] {
            assert_eq!(decimal(bytes), digits);
        }
        for (suite, told) in [
            (
                "TLS13_CHACHA20_POLY1305_SHA256",
                "TLS_CHACHA20_POLY1305_SHA256",
            ),
            (
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "ECDHE-RSA-AES128-GCM-SHA256",
            ),
            (
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "ECDHE-ECDSA-CHACHA20-POLY1305",
            ),
        ] {
            assert_eq!(openssl_name(suite), told);
        }
    }
}
