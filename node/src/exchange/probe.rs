//! Asking a peer whether it has a blob, by requesting its last group.

use super::{
    fetch::Fetcher,
    wire::{self, Asked, Head, Request, WireError},
};
use allod_protocol::ground::limits;
use allod_storage::artifacts::{GROUP_SIZE_BYTES, encoded_size_bytes, proves};
use libp2p::PeerId;

/// The answer of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It proved that it has the end of the blob.
    Has,
    /// It is busy.
    Busy,
    /// It refuses: the blob is not for this peer, or is damaged there, or is still arriving.
    Refused,
    /// It does not have the blob, lies, or cannot be reached.
    HasNot,
}

impl Fetcher {
    /// Requests the last group of a blob from a peer.
    pub async fn probe(&self, peer: PeerId, asked: Asked) -> Probe {
        let patience = self.options().open_timeout;
        match tokio::time::timeout(patience, self.ask_for_end(peer, asked)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::debug!(%peer, blob = %asked.blob, %error, "a peer did not answer whether it has an artifact");
                Probe::HasNot
            }
            Err(_) => Probe::HasNot,
        }
    }

    async fn ask_for_end(&self, peer: PeerId, asked: Asked) -> Result<Probe, WireError> {
        let mut stream = self.open_stream(peer).await.map_err(std::io::Error::other)?;
        let (patience, request) = (self.options().idle_timeout, Request::Tail { asked, max_bytes: GROUP_SIZE_BYTES });
        let mut frame = Vec::new();
        wire::put_frame(&request, &mut frame);
        wire::write_all(&mut stream, &frame, patience).await?;
        let (size_bytes, slice_bytes) = match wire::read_frame::<Head>(&mut stream, patience).await? {
            Some(Head::Found { size_bytes, slice_bytes }) => (size_bytes, slice_bytes),
            Some(Head::Refused) => return Ok(Probe::Refused),
            Some(Head::Busy) => return Ok(Probe::Busy),
            Some(Head::NotFound) | None => return Ok(Probe::HasNot),
        };
        let range = request.range(size_bytes).filter(|_| size_bytes <= limits::ARTIFACT_SIZE_BYTES);
        let Some(range) = range.filter(|range| encoded_size_bytes(size_bytes, *range) == slice_bytes) else {
            return Ok(Probe::HasNot);
        };
        // One group and its proof.
        let mut slice = vec![0; usize::try_from(slice_bytes).unwrap_or(usize::MAX)];
        wire::read_exact(&mut stream, &mut slice, patience).await?;
        Ok(if proves(&asked.blob, size_bytes, range, &slice) { Probe::Has } else { Probe::HasNot })
    }
}
