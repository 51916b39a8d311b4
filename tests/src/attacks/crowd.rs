//! Many ids that say they are peers, connect to all that they are aimed at, and stay. They take requests for blocks, and
//! never answer one.

use super::{Attack, Requests, Stranger, Target, bridge};
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Semaphore;

/// How many connect at a time: a crowd that is too hasty is refused for its haste.
const AT_ONCE: usize = 8;

/// So many ids from this machine's own address. Counts the requests that they have taken.
pub fn of_askers_in_vain(target: Target, count: usize) -> Attack {
    Attack::begin(move |asked| async move {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        for _ in 0..count {
            tokio::spawn(stay(target.clone(), Requests::Hold(asked.clone()), turns.clone(), Arc::default()));
        }
    })
}

/// So many ids from each of some addresses of this machine. Counts those that have joined once.
pub fn from(target: Target, sources: Vec<Ipv4Addr>, each: usize) -> Attack {
    Attack::begin(move |joined| async move {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        for source in sources {
            let target = bridge::from(&target, source).await;
            for _ in 0..each {
                tokio::spawn(stay(target.clone(), Requests::Hold(Arc::default()), turns.clone(), joined.clone()));
            }
        }
    })
}

async fn stay(target: Target, requests: Requests, turns: Arc<Semaphore>, joined: Arc<AtomicU64>) {
    let turn = turns.acquire_owned().await.expect("turns without end");
    let stranger = Stranger::enter(&target, "consensus", requests).await;
    joined.fetch_add(1, Ordering::Relaxed);
    drop(turn);
    std::future::pending::<()>().await;
    drop(stranger);
}
