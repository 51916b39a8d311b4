//! Serving artifacts to other peers, and fetching them from several at once.
//!
//! **The protocol**, `/allod/<first 16 hexadecimal digits of the network id>/artifact/2`, on libp2p streams. The peer
//! that opened a stream sends requests, as many as it likes, without waiting; the other answers each in order. A
//! request and the head of an answer are a frame: a length (`u32`, little-endian, at most
//! [`limits::ARTIFACT_FRAME_SIZE_BYTES`](allod_protocol::ground::limits::ARTIFACT_FRAME_SIZE_BYTES)) and that many bytes of the
//! canonical encoding. After a head that says `Found` follow the bytes of the slice: the range asked for with its
//! proof against the address (`allod_storage::artifacts`). The first request for a blob asks for its *tail*, the last
//! groups of it, because these prove its size; a blob that fits in one piece arrives whole that way.
//!
//! **Serving** ([`serve`]) is bounded in streams per peer, streams in all, bytes per request, and in the time in which
//! a request must come and an answer must be taken. A frame that breaks a rule closes its stream and nothing else.
//!
//! **Fetching** ([`fetch`]) cuts blobs into pieces that all providers' streams take from one queue, the larger the faster
//! their provider is. Every piece is proven before it is written. A piece of a provider that fails goes back into the
//! queue; when nothing else is left, a piece is asked for a second time of who would bring it much sooner. A provider
//! that sends wrong bytes is dropped and reported; one that is slow is dropped, remembered, and asked again only when
//! nobody else has the bytes. What has arrived survives the process.
//!
//! A request names the blob and the artifact that it is asked for: whose terms they are by which it is given.
//!
//! Nothing here decides who may read: the caller gives [`serve::Admit`] and [`fetch::Lending`]. Nothing here finds providers: the caller gives
//! a stream of them.
//!
//! Read on in `wire`, [`serve`], then [`fetch`], `session` (who takes what), `speed` (how fast they are) and `worker`
//! (one stream).

pub mod fetch;
pub mod probe;
pub mod rate;
pub mod serve;
mod session;
mod speed;
#[cfg(test)]
mod tests;
mod wire;
mod worker;

use allod_protocol::ground::ids::NetworkId;
use libp2p::StreamProtocol;

/// The artifact protocol of a network.
///
/// # Panics
/// Never: the name starts with a slash.
pub fn protocol(network: &NetworkId) -> StreamProtocol {
    let prefix: String = network.to_string().chars().take(16).collect();
    #[allow(clippy::expect_used, reason = "a name fails only when it does not start with a slash")]
    StreamProtocol::try_from_owned(format!("/allod/{prefix}/artifact/2")).expect("a name that starts with a slash")
}
