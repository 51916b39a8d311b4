//! What a peer does beside the event loop and whether or not anybody asks: it serves and keeps artifacts, fetches copies
//! that the owners wish for, and counts for the metrics what earlier blocks say.

use crate::{
    artifacts::{
        replication::Replication,
        service::{ArtifactOptions, ArtifactService},
    },
    event_loop::handle::NodeHandle,
    metrics,
};
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
        let artifacts = ArtifactService::start(node.clone(), options.limits, stop.clone())?;
        let replication = Replication::default();
        let replicating = replication.clone().run(node.clone(), artifacts.clone(), options.replication, stop.clone());
        let tasks = [tokio::spawn(replicating), tokio::spawn(metrics::follow(node.clone(), stop.clone()))];
        Ok(Self { artifacts, replication, tasks })
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
