//! Makes the certificates of a cluster: one authority, one certificate a node that names the node's id.
//!
//! For `ringfence cluster certificates`; a server never needs the authority's key. A certificate is good for both ends of a connection, since every node
//! dials and is dialled. Keys are ECDSA P-256, drawn by ring.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use types::NodeId;

use super::config::node_name;

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The generator refused.
    #[error("a certificate cannot be made: {source}")]
    Generator {
        /// Why.
        #[from]
        source: rcgen::Error,
    },
    /// A date that is none, or an end before the beginning.
    #[error(
        "certificates cannot be valid from {from:?} until {until:?}; give two dates, the earlier first"
    )]
    Validity {
        /// Year, month, day.
        from: (u16, u8, u8),
        /// Year, month, day.
        until: (u16, u8, u8),
    },
}

/// From when until when a certificate is good: year, month, day, at midnight UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first day.
    pub from: (u16, u8, u8),
    /// The day on which it is no longer good.
    pub until: (u16, u8, u8),
}

impl Validity {
    fn set(self, params: &mut CertificateParams) -> Result<(), CertificateError> {
        let Validity { from, until } = self;
        let is_day = |(year, month, day): (u16, u8, u8)| {
            (1970..=9_998).contains(&year) && (1..=12).contains(&month) && (1..=28).contains(&day)
                || is_late_day((year, month, day))
        };
        if !is_day(from) || !is_day(until) || from >= until {
            return Err(CertificateError::Validity { from, until });
        }
        let moment = |(year, month, day)| date_time_ymd(i32::from(year), month, day);
        params.not_before = moment(from);
        params.not_after = moment(until);
        Ok(())
    }
}

/// Whether a day from the 29th on exists.
fn is_late_day((year, month, day): (u16, u8, u8)) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        _ => 28,
    };
    (1970..=9_998).contains(&year) && (1..=12).contains(&month) && (29..=days).contains(&day)
}

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct PemPair {
    /// The certificate.
    pub certificate: String,
    /// The key. A secret.
    pub key: String,
}

impl std::fmt::Debug for PemPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PemPair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// The authority of one cluster.
pub struct ClusterAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: PemPair,
}

impl ClusterAuthority {
    fn params(cluster: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("Ringfence cluster {cluster}"));
        // It signs nodes, and no further authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    /// Founds an authority under a name that operators recognise.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn found(cluster: &str, validity: Validity) -> Result<ClusterAuthority, CertificateError> {
        let mut params = ClusterAuthority::params(cluster);
        validity.set(&mut params)?;
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let pem = PemPair { certificate: certificate.pem(), key: key.serialize_pem() };
        Ok(ClusterAuthority { issuer: Issuer::new(params, key), pem })
    }

    /// The authority founded before under this very name, to sign for one more node.
    ///
    /// # Errors
    /// [`CertificateError`] if the key is none.
    pub fn open(cluster: &str, pem: PemPair) -> Result<ClusterAuthority, CertificateError> {
        let key = KeyPair::from_pem(&pem.key)?;
        let params = ClusterAuthority::params(cluster);
        Ok(ClusterAuthority { issuer: Issuer::new(params, key), pem })
    }

    /// Its certificate, which every node is given, and its key, which none is.
    pub fn pem(&self) -> &PemPair {
        &self.pem
    }

    /// A certificate for a node.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn node(&self, node: NodeId, validity: Validity) -> Result<PemPair, CertificateError> {
        let mut params = CertificateParams::new(vec![node_name(node)])?;
        validity.set(&mut params)?;
        params.distinguished_name.push(DnType::CommonName, node_name(node));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(PemPair { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}
