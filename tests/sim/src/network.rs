//! No sockets: nothing below `net` opens one, and `net` is tested with its own bytes.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use platform::{Listener, Network, SocketError};

pub(crate) struct NoNetwork;

impl Network for NoNetwork {
    fn listen(&self, address: SocketAddr) -> Result<Rc<dyn Listener>, SocketError> {
        let source = Arc::new(std::io::Error::other("the simulated world has no network"));
        Err(SocketError::AddressUnavailable { address, source })
    }
}
