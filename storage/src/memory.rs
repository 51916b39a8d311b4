//! The ledger in memory: the readable reference that the one on disk is compared with, and what the simulator runs on.

use crate::{
    commit::check_follows,
    error::StorageError,
    read::BlockEvents,
    tree::{self, TreeUpdate},
};
use allod_protocol::{
    ground::{
        ids::{Height, StateRoot},
        state::{ChangeSet, Direction, Entry, StateError, StateRead},
    },
    ledger::{
        block::{DecidedBlock, Tip},
        execute::Executed,
        genesis::{Genesis, GenesisError},
    },
    proof::StateProof,
};
use jmt::{
    KeyHash, OwnedValue, Version,
    storage::{LeafNode, Node, NodeKey, TreeReader},
};
use std::{collections::BTreeMap, sync::Arc};

/// Each key's values and the heights at which they were set, in order. `None` is a removal.
type Versions = BTreeMap<Vec<u8>, Vec<(Height, Option<Vec<u8>>)>>;

/// A ledger in memory, gone when it is dropped. A clone is an independent copy.
#[derive(Clone, Debug)]
pub struct MemoryLedger {
    tip: Tip,
    state: Arc<Versions>,
    tree: MemoryTree,
    blocks: Vec<(DecidedBlock, BlockEvents)>,
}

/// The state after the block of a height.
#[derive(Clone, Debug)]
pub struct MemorySnapshot {
    state: Arc<Versions>,
    height: Height,
}

impl MemoryLedger {
    /// A ledger with the genesis as height 0.
    ///
    /// # Errors
    /// When the genesis cannot start a network.
    pub fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        let changes = genesis.state()?;
        let mut ledger = Self {
            tip: genesis.tip(StateRoot::from_bytes([0; 32]))?,
            state: Arc::default(),
            tree: MemoryTree::default(),
            blocks: Vec::new(),
        };
        #[allow(clippy::expect_used, reason = "the tree in memory was created one line above and cannot lack a node")]
        let update = tree::update(&ledger.tree, Height::ZERO, &changes).expect("the first tree");
        ledger.tip.state_root = update.root;
        ledger.apply(Height::ZERO, &changes, &update);
        Ok(ledger)
    }

    /// The newest committed height, its block and the validator sets.
    pub fn tip(&self) -> Tip {
        self.tip.clone()
    }

    /// The current state. Later commits do not change it.
    pub fn snapshot(&self) -> MemorySnapshot {
        MemorySnapshot { state: self.state.clone(), height: self.tip.height }
    }

    /// The state after the block of a height.
    ///
    /// # Errors
    /// [`StorageError::NotReached`].
    pub fn snapshot_at(&self, height: Height) -> Result<MemorySnapshot, StorageError> {
        if height > self.tip.height {
            return Err(StorageError::NotReached { asked: height, tip: self.tip.height });
        }
        Ok(MemorySnapshot { state: self.state.clone(), height })
    }

    /// Commits a decided block and the result of executing it.
    ///
    /// # Errors
    /// [`StorageError::NotNext`] changes nothing.
    pub fn commit(&mut self, decided: &DecidedBlock, executed: &Executed) -> Result<Tip, StorageError> {
        check_follows(&self.tip, decided, executed)?;
        let height = decided.block.header().height;
        let update = self.update_tree(&executed.changes)?;
        self.apply(height, &executed.changes, &update);
        let events =
            BlockEvents { results: executed.results.clone(), deadline_events: executed.deadline_events.clone() };
        self.blocks.push((decided.clone(), events));
        self.tip = self.tip.after(&decided.block, update.root, &executed.schedule);
        Ok(self.tip())
    }

    /// The block of a height with its certificate. `None` for genesis and for future heights.
    pub fn block(&self, height: Height) -> Option<&DecidedBlock> {
        self.at(height).map(|(block, _)| block)
    }

    /// What the block of a height did.
    pub fn block_events(&self, height: Height) -> Option<&BlockEvents> {
        self.at(height).map(|(_, events)| events)
    }

    /// Proves the value of a key at one of the last [`crate::PROVABLE_HEIGHTS`] heights.
    ///
    /// # Errors
    /// [`StorageError::NotReached`] or [`StorageError::Pruned`].
    pub fn prove_at(&self, height: Height, key: &[u8]) -> Result<StateProof, StorageError> {
        let value = self.snapshot_at(height)?.value(key);
        let (tip, oldest) = (self.tip.height, tree::oldest_provable(self.tip.height));
        if height < oldest {
            return Err(StorageError::Pruned { asked: height, oldest, tip });
        }
        tree::prove(&self.tree, height, key, value)
            .map_err(|error| StorageError::damaged(format!("the state tree of height {height}"), format!("{error:#}")))
    }

    fn at(&self, height: Height) -> Option<&(DecidedBlock, BlockEvents)> {
        self.blocks.get(usize::try_from(height.get().checked_sub(1)?).ok()?)
    }

    fn update_tree(&self, changes: &ChangeSet) -> Result<TreeUpdate, StorageError> {
        tree::update(&self.tree, self.tip.height.next(), changes)
            .map_err(|error| StorageError::damaged("the state tree", format!("{error:#}")))
    }

    fn apply(&mut self, height: Height, changes: &ChangeSet, update: &TreeUpdate) {
        let state = Arc::make_mut(&mut self.state);
        for (key, value) in changes {
            state.entry(key.clone()).or_default().push((height, value.clone()));
        }
        self.tree.apply(height, update);
    }
}

impl MemorySnapshot {
    /// The height whose block led to this state.
    pub fn height(&self) -> Height {
        self.height
    }

    fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.as_of(self.state.get(key)?)
    }

    fn as_of(&self, versions: &[(Height, Option<Vec<u8>>)]) -> Option<Vec<u8>> {
        versions.iter().rev().find(|(height, _)| *height <= self.height)?.1.clone()
    }
}

impl StateRead for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.value(key))
    }

    fn range(&self, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Result<Vec<Entry>, StateError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let entries = self.state.range(from.to_vec()..to.to_vec());
        let standing = |(key, versions): (&Vec<u8>, &Vec<_>)| Some((key.clone(), self.as_of(versions)?));
        Ok(match direction {
            Direction::Ascending => entries.filter_map(standing).take(limit).collect(),
            Direction::Descending => entries.rev().filter_map(standing).take(limit).collect(),
        })
    }
}

/// The nodes of the tree, including those replaced within the last [`crate::PROVABLE_HEIGHTS`] heights.
#[derive(Clone, Debug, Default)]
struct MemoryTree {
    nodes: BTreeMap<NodeKey, Node>,
    stale: BTreeMap<Height, Vec<NodeKey>>,
}

impl MemoryTree {
    fn apply(&mut self, height: Height, update: &TreeUpdate) {
        self.nodes.extend(update.nodes().map(|(key, node)| (key.clone(), node.clone())));
        self.stale.insert(height, update.stale().cloned().collect());
        while let Some(first) = self.stale.first_entry().filter(|entry| *entry.key() <= tree::oldest_provable(height)) {
            for key in first.remove() {
                self.nodes.remove(&key);
            }
        }
    }
}

impl TreeReader for MemoryTree {
    fn get_node_option(&self, node_key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.nodes.get(node_key).cloned())
    }

    fn get_value_option(&self, _: Version, _: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        anyhow::bail!("the tree keeps no values")
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("the tree is never restored leaf by leaf")
    }
}
