//! What TLS is set up from: PEM texts, checked once at start, shared by all connections.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use types::NodeId;

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// A text holds no certificate or no key.
    #[error("the {what} is not PEM: {source}")]
    Pem {
        /// Which text.
        what: &'static str,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A text that should hold certificates holds none.
    #[error("the {what} holds no certificate")]
    Empty {
        /// Which text.
        what: &'static str,
    },
    /// Certificate, key and authority do not fit together.
    #[error("certificate and key cannot be used: {source}")]
    Unusable {
        /// Why.
        #[from]
        source: rustls::Error,
    },
    /// The authority's certificate cannot check others.
    #[error("the authority's certificate cannot be used: {source}")]
    Authority {
        /// Why.
        #[from]
        source: VerifierBuilderError,
    },
    /// The certificate is another node's.
    #[error("the certificate does not name node {node}; it must name {}", node_name(*node))]
    OtherNode {
        /// This node.
        node: NodeId,
    },
}

/// The name by which certificates know a node.
pub fn node_name(node: NodeId) -> String {
    format!("node-{node}.ringfence.internal")
}

pub(crate) fn server_name(node: NodeId) -> Result<ServerName<'static>, InvalidDnsNameError> {
    ServerName::try_from(node_name(node))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(
    what: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read = read.map_err(|source| TlsConfigError::Pem { what, source })?;
    if read.is_empty() {
        return Err(TlsConfigError::Empty { what });
    }
    Ok(read)
}

fn key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    let what = "private key";
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|source| TlsConfigError::Pem { what, source })
}

/// Sessions are not resumed: they would be state that cores share.
fn without_sessions(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// Mutual TLS 1.3 between the nodes of one cluster. Cloning shares it.
#[derive(Clone)]
pub struct PeerTls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

const PEER_VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

impl PeerTls {
    /// From the cluster authority's certificate, and this node's certificate and key.
    ///
    /// # Errors
    /// [`TlsConfigError`], one sentence for the operator.
    pub fn new(
        node: NodeId,
        authority: &str,
        certificate: &str,
        private_key: &str,
    ) -> Result<PeerTls, TlsConfigError> {
        let mut roots = RootCertStore::empty();
        for root in certificates("certificate of the cluster authority", authority)? {
            roots.add(root)?;
        }
        let roots = Arc::new(roots);
        let own = certificates("node's certificate", certificate)?;
        if !names_node(&own[0], node) {
            return Err(TlsConfigError::OtherNode { node });
        }
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(PEER_VERSIONS)?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(own.clone(), key(private_key)?)?;
        client.resumption = Resumption::disabled();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
        let server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(PEER_VERSIONS)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(own, key(private_key)?)?;
        Ok(PeerTls { client: Arc::new(client), server: without_sessions(server) })
    }

    /// A connection to a node, whose certificate must name it.
    pub(crate) fn dial(&self, node: NodeId) -> Result<rustls::Connection, rustls::Error> {
        let name = server_name(node).expect("letters, digits, hyphens and dots");
        Ok(ClientConnection::new(self.client.clone(), name)?.into())
    }

    /// A connection from some node of the cluster.
    pub(crate) fn accept(&self) -> Result<rustls::Connection, rustls::Error> {
        Ok(ServerConnection::new(self.server.clone())?.into())
    }
}

/// Whether a certificate, whose signature somebody else has checked, is that of a node.
pub(crate) fn names_node(certificate: &CertificateDer<'_>, node: NodeId) -> bool {
    let Ok(name) = server_name(node) else { return false };
    let Ok(parsed) = rustls::server::ParsedCertificate::try_from(certificate) else {
        return false;
    };
    rustls::client::verify_server_name(&parsed, &name).is_ok()
}
