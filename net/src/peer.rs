//! The network between the nodes of one cluster: links from core to core, and what crosses them.
//!
//! ```text
//! Links (a core's) ─ one task a link ─ dial, TLS, handshake ─▶ socket
//!   send ─▶ sending   (pure): frames, credit, heartbeats ─▶ bytes, one send a loop
//!   receive ◀─ receiving (pure): bytes ─▶ frames, checked ◀─ socket
//! ```
//!
//! **Addresses.** A node has a peer base address. Its control thread listens on the base port, its shard core `i` on base port + 1 + `i`
//! ([`identity::core_address`]). A core dials every peer core that it sends to; messages cross a link only from the end that dialled it. So two
//! cores that talk both ways have two links, and no tie must be broken when both dial at once.
//!
//! **Promises.** Of one link: frames arrive whole, in order, at most once, or the link ends and says why. Across a link that ends frames may be lost;
//! nothing is sent twice. A frame that is refused ([`links::SendRefused`]) never leaves. Whoever dialled is who its handshake (and, with TLS, its
//! certificate) says; a node whose disk went back in time or was cloned is refused by everybody who knew it.
//!
//! **Bounds.** A queue, a receive window, one frame, and a few heartbeats a link; a fixed number of links accepted and of strangers in the
//! handshake. [`crate::limits`] has the numbers, docs/peer-network.md the frame.

pub mod backoff;
pub mod frame;
pub mod handshake;
pub mod identity;
pub mod links;
pub mod receiving;
pub mod sending;
