//! Serving artifacts to other peers, and fetching them from several at once.
//!
//! **The protocol**, `/allod/<first 16 hexadecimal digits of the network id>/artifact/2`, runs on libp2p streams. The
//! peer that opened a stream sends any number of requests without waiting; the other answers them in order. A request,
//! and the head of an answer, is a frame: a length (`u32`, little-endian, at most
//! [`limits::ARTIFACT_FRAME_SIZE_BYTES`](allod_protocol::ground::limits::ARTIFACT_FRAME_SIZE_BYTES)) and that many bytes of the
//! canonical encoding. After a `Found` head, the bytes of the slice follow: the requested range with its proof against
//! the address (`allod_storage::artifacts`). The first request for a blob asks for its *tail*, its last groups, because
//! these prove its size. A blob that fits into one piece arrives whole that way.
//!
//! **Serving** ([`serve`]) is bounded in answers at a time, to one peer and to all, in open streams, bytes per request,
//! and the time in which a request must arrive and an answer must be taken. Under load, idle streams and slow readers
//! give way, and known peers have places of their own (`places`). A frame that breaks a rule closes its stream and
//! nothing else.
//!
//! **Fetching** ([`fetch`]) cuts blobs into pieces that the streams of all providers take from one queue; the faster
//! the provider, the larger its pieces. Every piece is proven before it is written. A piece of a provider that fails
//! goes back into the queue; when nothing else is left, a piece is requested a second time from a provider that would
//! bring it much sooner. A provider that sends wrong bytes is dropped and reported. A slow one is dropped, remembered,
//! and asked again only when nobody else has the bytes. What has arrived survives the process.
//!
//! A request names the blob and the artifact on whose behalf it is requested: that artifact's terms decide.
//!
//! Nothing here decides who may read: the caller supplies [`serve::Admit`] and [`fetch::Lending`]. Nothing here finds
//! providers: the caller supplies a stream of them.
//!
//! Continue with `wire`, [`serve`], `places` (who is served now), then [`fetch`], `session` (who takes which piece), `speed` (how fast providers are)
//! and `worker` (one stream).

pub mod fetch;
mod places;
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
