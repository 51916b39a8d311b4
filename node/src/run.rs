//! Starts a peer, keeps its parts running, stops them in order.

use crate::{
    api::{self, Sites},
    artifacts::access_control,
    config::Config,
    event_loop::{
        EventLoop, Parts, Sources,
        handle::{NOTICE_BACKLOG, NodeHandle, Role, SUBMISSION_BACKLOG, Status},
        machine::{LogRepeats, NodeMachine},
        quorum::Reached,
        retire,
    },
    health::{Health, clocks::Clocks},
    keys,
    metrics::Metrics,
    network::{self, Audience, NetworkConfig},
    services::Services,
    tls,
    tokens::Accepted,
};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{Height, NetworkId},
        weight::Weight,
    },
    ledger::genesis::Genesis,
};
use allod_storage::{ConsensusLog, Ledger, SignGuard, artifacts::ArtifactStore};
use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc, watch},
};
use tokio_rustls::rustls::ServerConfig;

/// Maximum number of open files and connections: more than the sum of the limits of all parts.
const OPEN_FILES: u64 = 16_384;

/// Reads a genesis file.
///
/// # Errors
/// Names the file and says what is wrong with it.
pub fn read_genesis(path: &Path) -> anyhow::Result<Genesis> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("the genesis {} cannot be read; get it from a member of the network", path.display())
    })?;
    let genesis: Genesis =
        serde_json::from_str(&text).with_context(|| format!("{} is not a genesis", path.display()))?;
    genesis.state().with_context(|| format!("{} cannot start a network", path.display()))?;
    Ok(genesis)
}

/// Runs a peer until it is told to stop, by a signal or by a failure.
///
/// # Errors
/// When a part cannot start, or fails in a way that must end the process.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let data = config.data_dir.clone();
    allow_open_files();
    let ended = Box::pin(run_parts(config)).await;
    ended.map_err(|error| if is_disk_full(&error) { error.context(disk_full(&data)) } else { error })
}

/// Raises this process's limit of open files to the maximum. The initial limit of a shell or a service manager, often
/// 1,024, is less than the number of connections that the API and the swarm accept, and a database that cannot open a
/// file fails.
pub(crate) fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    if wanted < OPEN_FILES {
        tracing::warn!(
            limit = wanted,
            "this process may open {wanted} files and connections, and may need {OPEN_FILES}: raise the hard limit \
             (LimitNOFILE= in a systemd unit, ulimit -Hn in a shell)"
        );
    }
}

async fn run_parts(config: Config) -> anyhow::Result<()> {
    let data = &config.data_dir;
    let genesis = Arc::new(read_genesis(&data.join("genesis.json"))?);
    let network_id = genesis.network_id();
    let node_key = keys::load(&data.join("node.key"))?;
    let key_file = data.join("validator.key");

    let (door, listeners) = open_api(&config).await?;
    let ledger = Ledger::open(&data.join("ledger"), &genesis)?;
    let validator_key = retire::load(&key_file, &ledger.snapshot(), &ledger.tip())?;
    let log = ConsensusLog::open(&data.join("consensus"))?;
    let guard = SignGuard::open(&data.join("consensus"))?;
    let artifacts = Arc::new(open_artifacts(&config)?);
    let metrics = Arc::new(Metrics::new()?);

    let (network, network_events, swarm) =
        network::start(network_config(&config, &ledger, network_id, node_key, &validator_key)).await?;
    let (submissions_in, submissions) = mpsc::channel(SUBMISSION_BACKLOG);
    let (notices, _) = broadcast::channel(NOTICE_BACKLOG);
    let (stop_in, stop) = watch::channel(false);
    let (status_in, status) = watch::channel(first_status(&ledger, &validator_key));

    let handle = NodeHandle {
        genesis,
        network_id,
        ledger: ledger.clone(),
        artifacts,
        network: network.clone(),
        metrics: metrics.clone(),
        submissions: submissions_in,
        notices: notices.clone(),
        status,
    };
    let machine = NodeMachine {
        ledger,
        log,
        guard,
        key_file,
        network: network.clone(),
        metrics,
        notices,
        started: tokio::time::Instant::now(),
        rest_at: None,
        clocks: Clocks::default(),
        newest: None,
        repeats: LogRepeats::default(),
    };
    let services = Services::start(&handle, config.artifact_options(), &stop)?;
    let parts = Parts { machine, key: validator_key, network_id, status: status_in, data_dir: data.clone() };
    let sources = Sources { network: network_events, submissions, stop: stop.clone() };
    let mut consensus = spawn_event_loop(parts, sources)?;
    let mut server = tokio::spawn(api::serve(listeners, handle, services, door, stop));
    tracing::info!(network = %network_id, api = %config.api_address, peer = %network.local_peer_id(), "peer is up");

    let ended = tokio::select! {
        result = &mut consensus => result.unwrap_or_else(|_| Err(anyhow::anyhow!("the event loop died; see the log above"))),
        result = &mut server => result.context("the API died").and_then(|served| served.context("the API failed")),
        signal = stop_signal() => {
            tracing::info!(signal, "stopping");
            let _ = stop_in.send(true);
            let result = consensus.await.unwrap_or_else(|_| Err(anyhow::anyhow!("the event loop died")));
            let _ = server.await;
            result
        }
    };
    let _ = stop_in.send(true);
    network.shutdown();
    let _ = swarm.await;
    ended
}

/// Takes the addresses of the API, and reads whom it lets in.
async fn open_api(config: &Config) -> anyhow::Result<(api::Door, api::Listeners)> {
    let door = api::Door {
        tokens: Accepted::open(&config.data_dir)?,
        tls: server_config(config)?,
        sites: Sites::new(&config.api_hosts, &config.api_origins),
    };
    let mut listeners = api::Listeners { api: listen("api_address", config.api_address).await?, probes: None };
    if let Some(address) = config.metrics_address.0 {
        listeners.probes = Some(listen("metrics_address", address).await?);
    }
    Ok((door, listeners))
}

fn open_artifacts(config: &Config) -> anyhow::Result<ArtifactStore> {
    let data = &config.data_dir;
    let roots: Vec<PathBuf> = config.file_roots.iter().map(|root| root.0.clone()).collect();
    let store = ArtifactStore::open(&data.join("artifacts"))?.with_quota(config.artifact_quota.0);
    store.within(data).only_below(&roots).context("file_roots")
}

/// The TLS of the API. `None` if it speaks plain HTTP, which it does on loopback alone.
///
/// # Errors
/// When the API is to be reached from other machines without TLS, or the certificate cannot be used.
fn server_config(config: &Config) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    match (&config.tls_certificate.0, &config.tls_key.0) {
        (Some(certificate), Some(key)) => tls::load(certificate, key).map(Some),
        (None, None) if config.api_address.ip().is_loopback() => Ok(None),
        (None, None) => anyhow::bail!(
            "api_address {} can be reached from other machines, and tokens must not cross a network in the clear: give it a \
             certificate with --tls-certificate FILE and --tls-key FILE (`allod init --tls NAME` makes both), or listen on \
             127.0.0.1, behind a reverse proxy with TLS",
            config.api_address
        ),
        _ => anyhow::bail!("tls_certificate and tls_key go together; give both, or none"),
    }
}

/// Takes the address that a setting names.
async fn listen(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        let flag = setting.replace('_', "-");
        format!("{setting} {address} cannot be used; stop what uses it, or set another with --{flag}")
    })
}

/// Whether the operating system refused a write for lack of space. The database reports that only as text.
fn is_disk_full(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    ["No space left on device", "Disk quota exceeded"].iter().any(|words| text.contains(words))
}

fn disk_full(data: &Path) -> String {
    format!(
        "the disk of {} is full, and a peer that cannot write stops: free some space and start it again; nothing that \
         was decided is lost, and it catches up by itself",
        data.display()
    )
}

fn network_config(
    config: &Config,
    ledger: &Ledger,
    network_id: NetworkId,
    secret: SigningKey,
    validator: &SigningKey,
) -> NetworkConfig {
    let tip = ledger.tip();
    let is_validator = tip.validators.by_address(&validator.public_key().validator_address()).is_some();
    NetworkConfig {
        network_id,
        secret,
        validator: Some(validator.clone()),
        listen: config.listen.clone(),
        external: config.external.clone(),
        bootstrap: config.peers.clone(),
        relay: config.relay.stands(is_validator),
        guests: config.guests.stands(is_validator),
        mdns: config.mdns,
        register: access_control::register(ledger),
        data_dir: config.data_dir.clone(),
    }
}

fn first_status(ledger: &Ledger, key: &SigningKey) -> Status {
    let tip = ledger.tip();
    Status {
        height: tip.height,
        block: tip.hash,
        block_time: tip.time,
        state_root: tip.state_root,
        round: 0,
        role: Role::Observer,
        validator_key: key.public_key(),
        mempool_transactions: 0,
        mempool_size_bytes: 0,
        mempool_weight: Weight::ZERO,
        mempool_room: usize::MAX,
        busy: false,
        best_known_height: Height::ZERO,
        catching_up: false,
        reached: Reached::of(&Audience::default(), &tip.validators, key.public_key()),
        health: Health::starting(),
    }
}

/// Starts the event loop on a thread and a runtime of its own, because it waits for the disk.
fn spawn_event_loop(
    parts: Parts,
    sources: Sources,
) -> anyhow::Result<tokio::sync::oneshot::Receiver<anyhow::Result<()>>> {
    let (done, ended) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("allod-ledger".into()).spawn(move || {
        let result = runtime.block_on(async { EventLoop::resume(parts)?.run(sources).await });
        // The receiver is gone only when the process is ending anyway.
        let _ = done.send(result);
    })?;
    Ok(ended)
}

async fn stop_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
