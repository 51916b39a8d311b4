//! State as a plain sorted map: the smallest thing that the rules can run on.

use allod_protocol::ground::state::{ChangeSet, Direction, Entry, StateError, StateRead};
use std::collections::BTreeMap;

/// State in memory, without history or proofs.
#[derive(Clone, Debug, Default)]
pub struct MapState(pub BTreeMap<Vec<u8>, Vec<u8>>);

impl MapState {
    /// Applies what a block changed.
    pub fn apply(&mut self, changes: ChangeSet) {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }
}

impl StateRead for MapState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Result<Vec<Entry>, StateError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let range = self.0.range(from.to_vec()..to.to_vec()).map(|(key, value)| (key.clone(), value.clone()));
        Ok(match direction {
            Direction::Ascending => range.take(limit).collect(),
            Direction::Descending => range.rev().take(limit).collect(),
        })
    }
}
