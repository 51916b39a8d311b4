//! The authenticated map: a Jellyfish Merkle tree over the state's keys, versioned by height.
//!
//! Nodes are immutable and named by version and path, so an update writes only the nodes on the paths it touches. The
//! nodes it replaces are kept for [`PROVABLE_HEIGHTS`] heights and then deleted. The tree holds no second copy of the
//! values: a proof takes them from the state.

use crate::{
    columns::{Batch, Column, Database, height_key},
    error::StorageError,
};
use allod_protocol::{
    ground::{
        ids::{Height, StateRoot},
        state::{ChangeSet, Family},
    },
    proof::{StateProof, TreeHasher, tree_key},
};
use jmt::{
    JellyfishMerkleTree, KeyHash, OwnedValue, Version,
    storage::{LeafNode, NibblePath, Node, NodeKey, StaleNodeIndex, TreeReader, TreeUpdateBatch},
};
use std::{cell::RefCell, collections::HashMap};

/// The number of heights, including the newest, for which proofs can be made. It is long enough to answer a question
/// about the newest certified header, and short enough that a busy network does not fill the disk with replaced nodes.
pub const PROVABLE_HEIGHTS: u64 = 32;

/// The oldest height that can still be proven.
pub(crate) fn oldest_provable(tip: Height) -> Height {
    Height::new(tip.get().saturating_add(1).saturating_sub(PROVABLE_HEIGHTS))
}

/// The changes that a height makes to the tree.
#[derive(Debug)]
pub(crate) struct TreeUpdate {
    pub(crate) root: StateRoot,
    batch: TreeUpdateBatch,
}

impl TreeUpdate {
    /// The new nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&NodeKey, &Node)> {
        self.batch.node_batch.nodes().iter()
    }

    /// The nodes that the tree of this height no longer has.
    pub(crate) fn stale(&self) -> impl Iterator<Item = &NodeKey> {
        self.batch.stale_node_index_batch.iter().map(|index| &index.node_key)
    }
}

/// Computes the tree of `height` from the previous one. At height 0 it starts from nothing.
pub(crate) fn update(reader: &impl TreeReader, height: Height, changes: &ChangeSet) -> anyhow::Result<TreeUpdate> {
    let version = height.get();
    let tree = JellyfishMerkleTree::<_, TreeHasher>::new(reader);
    let authenticated = || changes.iter().filter(|(key, _)| key.first().is_some_and(|f| Family::is_authenticated(*f)));
    let puts: Option<Vec<(KeyHash, OwnedValue)>> =
        authenticated().map(|(key, value)| Some((tree_key(key), value.clone()?))).collect();
    let (root, mut batch) = match puts {
        // Hashes each touched node once, but cannot remove keys.
        Some(puts) if !puts.is_empty() => {
            let (roots, batch) = tree.batch_put_value_sets(vec![puts], None, version)?;
            (roots.first().copied().ok_or_else(|| anyhow::anyhow!("the tree returned no root"))?, batch)
        }
        // Rehashes the path of every key. Also copies the root when nothing changes, so every height has one.
        _ => tree.put_value_set(authenticated().map(|(key, value)| (tree_key(key), value.clone())), version)?,
    };
    if let Some(before) = version.checked_sub(1) {
        // jmt omits this one when the tree was empty or does not change.
        let index = StaleNodeIndex { stale_since_version: version, node_key: root_key(before) };
        batch.stale_node_index_batch.insert(index);
    }
    Ok(TreeUpdate { root: StateRoot::from_bytes(root.0), batch })
}

/// Proves that `key` has `value` in the tree of a height, or that it is absent.
pub(crate) fn prove(
    reader: &impl TreeReader,
    height: Height,
    key: &[u8],
    value: Option<Vec<u8>>,
) -> anyhow::Result<StateProof> {
    let reader = WithValue { reader, value: &value };
    let (found, path) =
        JellyfishMerkleTree::<_, TreeHasher>::new(&reader).get_with_proof(tree_key(key), height.get())?;
    anyhow::ensure!(found == value, "the tree and the state disagree on key {key:02x?}");
    Ok(StateProof { key: key.to_vec(), value, path })
}

/// The root of the tree of a height, recomputed from its root node.
pub(crate) fn root(reader: &impl TreeReader, height: Height) -> anyhow::Result<StateRoot> {
    let root = JellyfishMerkleTree::<_, TreeHasher>::new(reader).get_root_hash(height.get())?;
    Ok(StateRoot::from_bytes(root.0))
}

/// The key of a version's root node.
pub(crate) fn root_key(version: Version) -> NodeKey {
    NodeKey::new(version, NibblePath::from_iter([]))
}

/// A reader for the proof of one key: jmt asks for the value of that key only.
struct WithValue<'a, R> {
    reader: &'a R,
    value: &'a Option<Vec<u8>>,
}

impl<R: TreeReader> TreeReader for WithValue<'_, R> {
    fn get_node_option(&self, node_key: &NodeKey) -> anyhow::Result<Option<Node>> {
        self.reader.get_node_option(node_key)
    }
    fn get_value_option(&self, _: Version, _: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.value.clone())
    }
    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        self.reader.get_rightmost_leaf()
    }
}

/// The tree in the database.
pub(crate) struct StoredTree<'a> {
    database: &'a Database,
    source: Source<'a>,
}

enum Source<'a> {
    /// The newest committed tree, through the cache.
    Newest(&'a RefCell<NodeCache>),
    /// The tree as committed at one moment. Queries are not cached: they would evict what the next commit needs.
    Moment(rocksdb::Snapshot<'a>),
}

impl<'a> StoredTree<'a> {
    /// The reader for a commit.
    pub(crate) fn for_commit(database: &'a Database, cache: &'a RefCell<NodeCache>) -> Self {
        Self { database, source: Source::Newest(cache) }
    }

    /// The reader for queries, on a snapshot: nodes that a commit prunes meanwhile stay. jmt panics when a sibling is
    /// missing.
    pub(crate) fn at_this_moment(database: &'a Database) -> Self {
        Self { database, source: Source::Moment(database.snapshot()) }
    }
}

impl TreeReader for StoredTree<'_> {
    fn get_node_option(&self, node_key: &NodeKey) -> anyhow::Result<Option<Node>> {
        let key = node_key_bytes(node_key);
        let mut cache = match &self.source {
            Source::Newest(cache) => cache.borrow_mut(),
            Source::Moment(snapshot) => {
                let bytes = self.database.get_at(snapshot, Column::TreeNodes, &key)?;
                return Ok(bytes.map(|bytes| borsh::from_slice(&bytes)).transpose()?);
            }
        };
        if let Some(bytes) = cache.get(&key) {
            return Ok(Some(borsh::from_slice(bytes)?));
        }
        let Some(bytes) = self.database.get(Column::TreeNodes, &key)? else { return Ok(None) };
        let node = borsh::from_slice(&bytes)?;
        cache.insert(key, bytes.to_vec());
        Ok(Some(node))
    }

    fn get_value_option(&self, _: Version, _: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        anyhow::bail!("the tree keeps no values")
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("the tree is never restored leaf by leaf")
    }
}

/// Writes an update and deletes the nodes that have been stale too long, from those of height `pruned_to` on. Returns
/// the height from which the next call continues.
pub(crate) fn write(
    batch: &mut Batch<'_>,
    database: &Database,
    height: Height,
    update: &EncodedUpdate,
    pruned_to: Height,
) -> Result<Height, StorageError> {
    for (key, node) in &update.nodes {
        batch.put(Column::TreeNodes, key, node);
    }
    batch.put(Column::TreeStale, height_key(height), update.encode_stale()?);
    let oldest = oldest_provable(height);
    // A node replaced at the oldest provable height is in no tree from that height on.
    let mut iterator = database.iterator(Column::TreeStale, &height_key(pruned_to), &height_key(oldest.next()))?;
    iterator.seek_to_first();
    while let Some((key, mut nodes)) = iterator.item() {
        while let Some((len, rest)) = nodes.split_first() {
            let (node, rest) = rest.split_at_checked(usize::from(*len)).ok_or_else(|| {
                StorageError::damaged("the list of stale tree nodes", "it ends in the middle of a key")
            })?;
            batch.delete(Column::TreeNodes, node);
            nodes = rest;
        }
        batch.delete(Column::TreeStale, key);
        iterator.next();
    }
    iterator.status()?;
    Ok(oldest.next())
}

/// An update in its stored form.
#[derive(Debug)]
pub(crate) struct EncodedUpdate {
    nodes: Vec<(Vec<u8>, Vec<u8>)>,
    stale: Vec<Vec<u8>>,
}

impl EncodedUpdate {
    pub(crate) fn of(update: &TreeUpdate) -> Result<Self, StorageError> {
        let unwritable = |error| StorageError::damaged("a tree node", error);
        let encoded =
            |(key, node): (&NodeKey, &Node)| Ok((node_key_bytes(key), borsh::to_vec(node).map_err(unwritable)?));
        let nodes = update.nodes().map(encoded).collect::<Result<_, StorageError>>()?;
        Ok(Self { nodes, stale: update.stale().map(node_key_bytes).collect() })
    }

    fn encode_stale(&self) -> Result<Vec<u8>, StorageError> {
        let mut bytes = Vec::new();
        for key in &self.stale {
            bytes.push(u8::try_from(key.len()).map_err(|_| StorageError::damaged("a tree path", "it is too long"))?);
            bytes.extend_from_slice(key);
        }
        Ok(bytes)
    }
}

/// The version comes first, so a commit writes adjacent keys.
fn node_key_bytes(key: &NodeKey) -> Vec<u8> {
    let path = key.nibble_path();
    let mut bytes = Vec::with_capacity(path.num_nibbles().saturating_add(8));
    bytes.extend_from_slice(&key.version().to_be_bytes());
    bytes.extend(path.nibbles().map(u8::from));
    bytes
}

/// Recently used nodes in their stored form, in two generations: when the young one is full, it becomes the old one. A
/// node never changes, so the cache is never stale. RocksDB's own cache holds whole blocks, of which a node is a small
/// part.
#[derive(Default)]
pub(crate) struct NodeCache {
    young: HashMap<Vec<u8>, Vec<u8>>,
    young_bytes: usize,
    old: HashMap<Vec<u8>, Vec<u8>>,
}

impl NodeCache {
    /// Bytes of one generation.
    const BYTES: usize = 8 * 1024 * 1024;
    /// Approximate bytes that an entry takes besides its key and value: two allocations and a slot in the map.
    const ENTRY_BYTES: usize = 96;

    fn get(&mut self, key: &[u8]) -> Option<&[u8]> {
        if let Some((key, node)) = self.old.remove_entry(key) {
            self.insert(key, node);
        }
        self.young.get(key).map(Vec::as_slice)
    }

    fn insert(&mut self, key: Vec<u8>, node: Vec<u8>) {
        if self.young_bytes >= Self::BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes = self.young_bytes.saturating_add(Self::size(&key, &node));
        self.young.insert(key, node);
    }

    fn remove(&mut self, key: &[u8]) {
        self.old.remove(key);
        if let Some(node) = self.young.remove(key) {
            self.young_bytes = self.young_bytes.saturating_sub(Self::size(key, &node));
        }
    }

    const fn size(key: &[u8], node: &[u8]) -> usize {
        key.len().saturating_add(node.len()).saturating_add(Self::ENTRY_BYTES)
    }

    /// Takes over a committed update: the next one starts with its nodes.
    pub(crate) fn keep(&mut self, update: EncodedUpdate) {
        for key in &update.stale {
            self.remove(key);
        }
        for (key, node) in update.nodes {
            self.insert(key, node);
        }
    }
}
