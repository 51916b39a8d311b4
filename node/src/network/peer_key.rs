//! A peer's id on the swarm and its key on the ledger are the same key, written in two ways.

use allod_protocol::ground::ids::PublicKey;
use libp2p::{PeerId, identity};

/// The key of a peer. `None` for key types that this network does not use.
pub fn of_peer(peer: &PeerId) -> Option<PublicKey> {
    // An Ed25519 key is short enough for its id to contain it.
    let key = identity::PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    Some(PublicKey::from_bytes(key.try_into_ed25519().ok()?.to_bytes()))
}

/// The peer of a key. `None` if the bytes are not a valid key.
pub fn to_peer(key: &PublicKey) -> Option<PeerId> {
    let key = identity::ed25519::PublicKey::try_from_bytes(key.as_bytes()).ok()?;
    Some(identity::PublicKey::from(key).to_peer_id())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_peer_and_its_key_name_each_other() {
        let keypair = identity::Keypair::generate_ed25519();
        let peer = keypair.public().to_peer_id();
        let key = of_peer(&peer).unwrap();
        assert_eq!(to_peer(&key), Some(peer));
        assert_eq!(key.as_bytes(), &keypair.public().try_into_ed25519().unwrap().to_bytes());
        assert_eq!(of_peer(&PeerId::random()), None, "the hash of a longer key");
    }
}
