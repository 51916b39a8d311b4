//! The API over a real ledger, a real store and a real swarm of one, with a stand-in for the event loop that decides a
//! block for each transaction at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on may panic")]

mod affairs;
mod artifacts;
mod decisions;
mod description;
mod events;
mod ids;
mod inbox;
mod ledger;
mod licences;
mod node;
mod permissions;
mod problems;
mod safety;
mod sharing;
mod transactions;

use super::{
    BODY_SIZE_BYTES, CONNECTIONS, Door, Listeners, SUBSCRIBERS, Sites,
    events::REPLAY_BLOCKS,
    views::{BatchView, Problem, Submitted},
};
use crate::{
    artifacts::service::{ArtifactOptions, Scrubbing},
    config::Sources,
    event_loop::{
        handle::{NodeHandle, Notice, Role, Status, Submission},
        machine::clock,
        quorum::Reached,
    },
    metrics::Metrics,
    network::{self, NetworkConfig},
    services::Services,
    tls,
    tokens::{self, Accepted, Permission},
};
use allod_protocol::{
    agreement::mempool::{Checked, Mempool},
    ground::{
        codec,
        crypto::{Domain, SigningKey},
        fraction::Portion,
        ids::{
            AccountId, BasisPoints, ContentHash, Handle, Height, ModelId, Name, NetworkId, Power, Timestamp,
            TransactionId, Units, VersionLabel,
        },
        limits,
        weight::Weight,
    },
    ledger::{
        block::{Block, CommitCertificate, CommitSignature, DecidedBlock, VoteBody, VoteKind},
        execute::execute,
        genesis::{Genesis, GenesisAccount, GenesisValidator},
    },
    proof::{Checkpoint, Deed, Trust},
    rules::{
        access::Distribution,
        account::{CreateAccount, KeyPolicy},
        action::Action,
        contribution::{ContributionKind, RecordContribution},
        model::{CreateModel, FoundingLine, PublishVersion, ReleaseVersion},
        parameters::Parameters,
        policy::{ModelPolicy, NetworkPolicy, Risk, Rule},
        proposal::{BallotPart, CastBallot, Choice, ModelAction, OpenProposal, Question},
        share::TransferShares,
        transaction::{Transaction, TransactionBody},
    },
};
use allod_storage::{Ledger, artifacts::ArtifactStore};
use axum::http::header;
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc, watch},
};
use tokio_rustls::rustls::ServerConfig;

/// A bound on everything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn rule() -> Rule {
    Rule { yes_quorum: Portion::MAJORITY, ..Rule::new(Portion::MAJORITY, Portion::MAJORITY, 60_000) }
}

fn answer(choice: Choice) -> Vec<BallotPart> {
    vec![BallotPart { choice, part: BasisPoints::WHOLE }]
}

fn genesis() -> Genesis {
    let account = |handle: &str, seed| GenesisAccount {
        handle: Handle::new(handle).unwrap(),
        keys: KeyPolicy::single(key(seed).public_key()),
    };
    Genesis {
        name: "test".into(),
        time: Timestamp::new(1_000),
        parameters: Parameters {
            propose_timeout_ms: 1_000,
            vote_timeout_ms: 500,
            timeout_delta_ms: 100,
            rebroadcast_ms: 1_000,
            heartbeat_ms: 60_000,
            clock_drift_ms: 10_000,
            founder_quota: 100,
            transactions_per_account_per_block: 100,
            policy: NetworkPolicy::uniform(&rule()),
        },
        accounts: vec![account("northfield", 1), account("southbank", 2)],
        validators: vec![GenesisValidator {
            key: key(9).public_key(),
            power: Power::new(1),
            operator: Handle::new("northfield").unwrap(),
        }],
    }
}

/// A web site that is let in.
const SITE: &str = "https://dashboard.example";

struct Peer {
    node: NodeHandle,
    base: String,
    /// Where only health and metrics are served.
    looked_at: String,
    client: reqwest::Client,
    status: watch::Sender<Status>,
    stop: watch::Sender<bool>,
    server: tokio::task::JoinHandle<anyhow::Result<()>>,
    directory: tempfile::TempDir,
}

impl Peer {
    async fn start() -> Self {
        Self::start_beside(7, Vec::new()).await
    }

    /// With a swarm identity of its own, and peers to dial.
    async fn start_beside(seed: u8, bootstrap: Vec<libp2p::Multiaddr>) -> Self {
        Self::start_scrubbing(seed, bootstrap, Scrubbing::default()).await
    }

    /// Also going over its artifacts in the background.
    async fn start_scrubbing(seed: u8, bootstrap: Vec<libp2p::Multiaddr>, scrubbing: Scrubbing) -> Self {
        Self::start_behind("127.0.0.1:0", None, seed, bootstrap, scrubbing).await
    }

    /// With the API on an address, with or without TLS.
    async fn start_behind(
        api: &str,
        tls: Option<Arc<ServerConfig>>,
        seed: u8,
        bootstrap: Vec<libp2p::Multiaddr>,
        scrubbing: Scrubbing,
    ) -> Self {
        tls::install();
        let directory = tempfile::tempdir().unwrap();
        let genesis = Arc::new(genesis());
        let network_id = genesis.network_id();
        let ledger = Ledger::open(&directory.path().join("ledger"), &genesis).unwrap();
        let artifacts = Arc::new(ArtifactStore::open(&directory.path().join("artifacts")).unwrap());
        let (network, events, _) = network::start(NetworkConfig {
            network_id,
            secret: key(seed),
            validator: None,
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            external: Vec::new(),
            bootstrap,
            relay: true,
            guests: true,
            mdns: false,
            register: network::Register::default(),
            data_dir: directory.path().to_owned(),
        })
        .await
        .unwrap();
        tokio::spawn(async move {
            let mut events = events;
            while events.recv().await.is_some() {}
        });
        let (submissions, submitted) = mpsc::channel(16);
        let (notices, _) = broadcast::channel(64);
        let (status, status_out) = watch::channel(status_of(&ledger));
        let metrics = Arc::new(Metrics::new().unwrap());
        let node = NodeHandle {
            genesis,
            network_id,
            ledger,
            artifacts,
            network,
            metrics,
            submissions,
            notices,
            status: status_out,
        };
        tokio::spawn(decide(node.clone(), submitted, status.clone()));
        let listener = TcpListener::bind(api).await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (stop, stopped) = watch::channel(false);
        let options = ArtifactOptions { scrubbing, ..Sources::default().load().unwrap().config.artifact_options() };
        let services = Services::start(&node, options, &stopped).unwrap();
        let tokens = Accepted::open(directory.path()).unwrap();
        let door =
            Door { tokens, tls, sites: Sites::new(&["node.example".parse().unwrap()], &[SITE.parse().unwrap()]) };
        let probes = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let looked_at = format!("http://{}", probes.local_addr().unwrap());
        let listeners = Listeners { api: listener, probes: Some(probes) };
        let server = tokio::spawn(super::serve(listeners, node.clone(), services, door, stopped));
        let client = client_with(&tokens::read(&directory.path().join(tokens::OPERATOR_FILE)).unwrap());
        Self { node, base, looked_at, client, status, stop, server, directory }
    }

    fn sign(&self, seed: u8, handle: &str, action: Action) -> Transaction {
        let sender = self.node.genesis.account_id(&Handle::new(handle).unwrap());
        let body = TransactionBody {
            network: self.node.network_id,
            sender,
            nonce: getrandom::u64().unwrap(),
            expires: clock().plus_ms(60_000),
            action,
            signers: Vec::new(),
        };
        body.sign(&[key(seed)])
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        let (status, is_problem) = (response.status().as_u16(), content_type(&response) == "application/problem+json");
        assert_eq!(is_problem, status >= 400, "{path}: {status}");
        (status, described("get", path, response).await)
    }

    async fn ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, transaction: &Transaction) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.base));
        let request = request.header("content-type", "application/octet-stream").body(transaction.encode());
        let response = request.send().await.unwrap();
        let body = crate::json::to_vec(transaction).unwrap();
        description::check_body("post", path, &serde_json::from_slice(&body).unwrap());
        (response.status().as_u16(), described("post", path, response).await)
    }

    /// Has a transaction executed, which must succeed.
    async fn apply(&self, seed: u8, handle: &str, action: Action) -> TransactionId {
        let transaction = self.sign(seed, handle, action);
        let (status, body) = self.post("/v1/transactions?wait=true", &transaction).await;
        assert_eq!((status, &body["result"]["outcome"]), (200, &json!("applied")), "{body}");
        transaction.id()
    }

    /// The model `northfield/digits`: northfield has 60 units, southbank 40.
    async fn found_model(&self) -> ModelId {
        let policy = ModelPolicy { allow: vec![Risk::MinorityDecides], ..ModelPolicy::uniform(&rule()) };
        self.found_model_with(policy).await
    }

    /// The same, with a policy of the test's choice.
    async fn found_model_with(&self, policy: ModelPolicy) -> ModelId {
        let founding = |handle: &str, units| FoundingLine {
            account: self.account(handle),
            units: Units::new(units),
            vesting: None,
        };
        let action = CreateModel {
            name: Name::new("digits").unwrap(),
            description: "reads digits".into(),
            founding: vec![founding("northfield", 60), founding("southbank", 40)],
            stewards: vec![self.account("northfield")],
            policy,
            licence: None,
            distribution: Distribution::default(),
            grants: Vec::new(),
        };
        self.apply(1, "northfield", Action::CreateModel(action)).await;
        self.ok("/v1/models/northfield/digits").await["id"].as_str().unwrap().parse().unwrap()
    }

    fn account(&self, handle: &str) -> AccountId {
        self.node.genesis.account_id(&Handle::new(handle).unwrap())
    }

    /// The lines of an answer. What is refused before the first gives the line that it would be later.
    async fn lines(&self, path: &str, body: Value) -> Vec<Value> {
        let response = self.client.post(format!("{}{path}", self.base)).json(&body).send().await.unwrap();
        if response.status().as_u16() >= 400 {
            assert_eq!(content_type(&response), "application/problem+json");
            return vec![json!({"error": described("post", path, response).await})];
        }
        assert_eq!((response.status().as_u16(), content_type(&response).as_str()), (200, "application/x-ndjson"));
        let text = tokio::time::timeout(PATIENCE, response.text()).await.unwrap().unwrap();
        description::check_body("post", path, &body);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &lines {
            description::check_answer("post", path, 200, "application/x-ndjson", line);
        }
        lines
    }

    async fn metrics(&self) -> String {
        self.client.get(format!("{}/metrics", self.base)).send().await.unwrap().text().await.unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// A client that shows a token.
fn client_with(token: &tokens::Token) -> reqwest::Client {
    let shown = (header::AUTHORIZATION, format!("Bearer {}", token.secret()).parse().unwrap());
    reqwest::Client::builder().default_headers([shown].into_iter().collect()).build().unwrap()
}

/// The JSON of an answer, which must be as the API describes it.
async fn described(method: &str, path: &str, response: reqwest::Response) -> Value {
    let (status, kind) = (response.status().as_u16(), content_type(&response));
    let body = response.json().await.unwrap();
    description::check_answer(method, path, status, &kind, &body);
    body
}

fn content_type(response: &reqwest::Response) -> String {
    response.headers()["content-type"].to_str().unwrap().to_owned()
}

fn status_of(ledger: &Ledger) -> Status {
    let tip = ledger.tip();
    Status {
        height: tip.height,
        block: tip.hash,
        block_time: tip.time,
        state_root: tip.state_root,
        round: 0,
        role: Role::Validator,
        validator_key: key(9).public_key(),
        mempool_transactions: 0,
        mempool_size_bytes: 0,
        mempool_weight: Weight::ZERO,
        mempool_room: usize::MAX,
        busy: false,
        best_known_height: tip.height,
        catching_up: false,
        reached: Reached {
            listening_peers: 3,
            power: tip.validators.total_power(),
            total_power: tip.validators.total_power(),
            cut_off: false,
        },
        health: crate::health::Health::default(),
    }
}

/// In the event loop's place: each transaction that the mempool takes becomes a block of its own, and an empty block
/// seals it.
async fn decide(node: NodeHandle, mut submitted: mpsc::Receiver<Submission>, status: watch::Sender<Status>) {
    let mut mempool = Mempool::new();
    while let Some(Submission { checked, answer }) = submitted.recv().await {
        node.metrics.tick();
        let taken = mempool.insert(checked, &node.ledger.snapshot(), clock());
        let _ = answer.send(taken);
        let batch = mempool.batch(100, limits::BLOCK_TRANSACTIONS);
        mempool.remove(batch.iter().map(Transaction::id).collect::<Vec<_>>().iter());
        if !batch.is_empty() {
            commit(&node, batch, 0);
            commit(&node, Vec::new(), 0);
            status.send_replace(status_of(&node.ledger));
        }
    }
}

fn commit(node: &NodeHandle, transactions: Vec<Transaction>, round: u32) {
    commit_at(node, transactions, round, clock());
}

fn commit_at(node: &NodeHandle, transactions: Vec<Transaction>, round: u32, time: Timestamp) {
    let (tip, validator) = (node.ledger.tip(), key(9));
    let block = Block::following(&tip, validator.public_key().validator_address(), time, transactions);
    let vote = VoteBody {
        network: node.network_id,
        kind: VoteKind::Precommit,
        height: block.header().height,
        round,
        block: Some(block.hash()),
        validator: validator.public_key().validator_address(),
    };
    let signature = validator.sign(Domain::Vote, &vote.signing_bytes());
    let certificate = CommitCertificate {
        height: vote.height,
        round,
        block: block.hash(),
        signatures: vec![CommitSignature { validator: vote.validator, signature }],
    };
    let executed = execute(&node.ledger.snapshot(), &block).unwrap();
    let decided = DecidedBlock { block, certificate };
    let tip = node.ledger.commit(&decided, &executed).unwrap();
    let notice = Notice {
        height: tip.height,
        block: tip.hash,
        time: tip.time,
        deadline_events: executed.deadline_events,
        results: executed.results,
    };
    node.metrics.on_block(&decided.block, &notice.results, Duration::from_millis(1), Duration::from_millis(2));
    let _ = node.notices.send(Arc::new(notice));
}

async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap()
}
