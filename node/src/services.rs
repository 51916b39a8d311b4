//! What a peer does beside the event loop and whether or not anybody asks: it serves and keeps artifacts, fetches copies
//! that the owners wish for, and counts for the metrics what earlier blocks say.

use crate::{
    artifacts::{
        replication::Replication,
        service::{ArtifactOptions, ArtifactService},
    },
    event_loop::handle::NodeHandle,
};
use allod_protocol::ground::ids::Height;
use tokio::{sync::watch, task::JoinHandle};

/// The services, running. They end when this is dropped.
pub struct Services {
    /// The artifacts of this peer.
    pub(crate) artifacts: ArtifactService,
    /// How many copies of releases there are.
    pub(crate) replication: Replication,
    tasks: [JoinHandle<()>; 2],
}

impl Services {
    /// Starts them; they run until `stop` becomes true.
    ///
    /// # Errors
    /// When the artifact protocol has a handler already.
    pub fn start(node: &NodeHandle, options: ArtifactOptions, stop: &watch::Receiver<bool>) -> anyhow::Result<Self> {
        let artifacts = ArtifactService::start(node.clone(), &options, stop.clone())?;
        let replication = Replication::default();
        let replicating = replication.clone().run(node.clone(), artifacts.clone(), options.replication, stop.clone());
        let tasks = [tokio::spawn(replicating), tokio::spawn(look_back(node.clone(), stop.clone()))];
        Ok(Self { artifacts, replication, tasks })
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Reads every block back for the metrics, from the next one on, until the process ends. If the ledger fails, this only stops reading
/// back; the event loop handles the failure.
async fn look_back(node: NodeHandle, mut stop: watch::Receiver<bool>) {
    let mut status = node.watch_status();
    let mut height = status.borrow_and_update().height;
    loop {
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let tip = status.borrow_and_update().height;
        if tip <= height {
            continue;
        }
        let (reader, from) = (node.clone(), height.next());
        let looked = tokio::task::spawn_blocking(move || {
            let heights = (from.get()..=tip.get()).map(Height::new);
            let own = reader.status().validator_key.validator_address();
            heights.into_iter().try_for_each(|height| reader.metrics.look_back(&reader.ledger, &own, height))
        });
        match looked.await {
            Ok(Ok(())) => height = tip,
            Ok(Err(error)) => {
                return tracing::error!(%error, "the ledger cannot be read back; its metrics are no longer updated");
            }
            Err(_) => return,
        }
    }
}
