//! The API over a real ledger, a real store and a real swarm of one, with a stand-in for the event loop that decides a
//! block for each transaction at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on may panic")]

mod affairs;
mod artifacts;
mod decisions;
mod ids;
mod inbox;
mod licences;
mod safety;
mod sharing;

use super::{
    BODY_SIZE_BYTES, CONNECTIONS, SUBSCRIBERS,
    events::REPLAY_BLOCKS,
    openapi::Description,
    schema,
    views::{BatchView, Problem, Submitted},
};
use crate::{
    artifact_service::Scrubbing,
    config::Sources,
    handle::{Command, NodeHandle, Notice, Role, Status},
    machine::clock,
    metrics::Metrics,
    network::{self, NetworkConfig},
    quorum::Reached,
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
        model::{CreateModel, FoundingLine, PublishVersion},
        parameters::Parameters,
        policy::{ModelPolicy, NetworkPolicy, Risk, Rule},
        proposal::{BallotPart, CastBallot, Choice, OpenProposal, ProposalAction, Scope},
        share::TransferShares,
        transaction::{Transaction, TransactionBody},
    },
};
use allod_storage::{Ledger, artifacts::ArtifactStore};
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
use utoipa::OpenApi as _;

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

struct Peer {
    node: NodeHandle,
    base: String,
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
            mdns: false,
            data_dir: directory.path().to_owned(),
        })
        .await
        .unwrap();
        tokio::spawn(async move {
            let mut events = events;
            while events.recv().await.is_some() {}
        });
        let (commands, requests) = mpsc::channel(16);
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
            scrubbing,
            commands,
            notices,
            status: status_out,
        };
        tokio::spawn(decide(node.clone(), requests, status.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let options = Sources::default().load().unwrap().config.artifact_options();
        let server = tokio::spawn(super::serve(listener, node.clone(), options, stopped));
        let client = reqwest::Client::new();
        Self { node, base, client, status, stop, server, directory }
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
        (status, response.json().await.unwrap())
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
        (response.status().as_u16(), response.json().await.unwrap())
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
            return vec![json!({"error": response.json::<Value>().await.unwrap()})];
        }
        assert_eq!((response.status().as_u16(), content_type(&response).as_str()), (200, "application/x-ndjson"));
        let text = tokio::time::timeout(PATIENCE, response.text()).await.unwrap().unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
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
        best_known_height: tip.height,
        catching_up: false,
        reached: Reached {
            listening_peers: 3,
            power: tip.validators.total_power(),
            total_power: tip.validators.total_power(),
            cut_off: false,
        },
    }
}

/// In the event loop's place: each transaction that the mempool takes becomes a block of its own, and an empty block
/// seals it.
async fn decide(node: NodeHandle, mut requests: mpsc::Receiver<Command>, status: watch::Sender<Status>) {
    let mut mempool = Mempool::new();
    while let Some(Command::Submit(checked, answer)) = requests.recv().await {
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
    node.metrics.on_block(&decided.block, &notice, Duration::from_millis(1), Duration::from_millis(2));
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

#[tokio::test]
async fn whatever_is_wrong_is_a_problem_with_a_stable_code() {
    let peer = Peer::start().await;
    let zeros = "0".repeat(64);
    for (path, status, code) in [
        ("/nothing/here", 404, "no_such_route"),
        ("/", 404, "no_such_route"),
        ("//healthz", 404, "no_such_route"),
        ("/healthz/", 404, "no_such_route"),
        ("/v1", 404, "no_such_route"),
        ("/v1/status/", 404, "no_such_route"),
        ("/v1/status/more", 404, "no_such_route"),
        ("/v1/models/northfield", 404, "no_such_route"),
        ("/V1/status", 404, "no_such_route"),
        (&format!("/v1/artifacts/{zeros}/content/config.json"), 404, "no_such_route"),
        (&format!("/v1/artifacts/{zeros}/content"), 404, "artifact_not_stored"),
        (&format!("/v1/proposals/{zeros}/ballots"), 404, "unknown_proposal"),
        ("/v1/models/nobody/nothing/proposals", 404, "unknown_model"),
        ("/v1/accounts/nobody/peers", 404, "unknown_account"),
        ("/v1/accounts/nobody/approvals", 404, "unknown_account"),
        ("/v1/blocks/1", 404, "unknown_block"),
        ("/v1/blocks/-1", 400, "bad_height"),
        ("/v1/blocks?limit=501", 400, "bad_limit"),
        ("/v1/blocks?form=3", 400, "bad_query"),
        (&format!("/v1/transactions/{zeros}"), 404, "unknown_transaction"),
        ("/v1/transactions/abc", 400, "bad_id"),
        ("/v1/accounts/nobody", 404, "unknown_account"),
        ("/v1/accounts/Not%20A%20Handle", 400, "bad_id"),
        (&format!("/v1/accounts/{zeros}"), 404, "unknown_account"),
        ("/v1/accounts?limit=0", 400, "bad_limit"),
        ("/v1/accounts?after=zz", 400, "bad_cursor"),
        ("/v1/accounts?after=ff", 400, "bad_cursor"),
        ("/v1/models/northfield/nothing", 404, "unknown_model"),
        (&format!("/v1/models/by-id/{zeros}"), 404, "unknown_model"),
        (&format!("/v1/proposals/{zeros}"), 404, "unknown_proposal"),
        ("/v1/proposals?scope=all", 400, "bad_query"),
        (&format!("/v1/contributions/{zeros}"), 404, "unknown_contribution"),
        (&format!("/v1/artifacts/{zeros}"), 404, "artifact_not_stored"),
        ("/v1/artifacts/bafy", 400, "bad_id"),
        (&format!("/v1/artifacts/{zeros}/providers?timeout_ms=60001"), 400, "bad_timeout"),
    ] {
        let (found, body) = peer.get(path).await;
        let problem: Problem = serde_json::from_value(body).unwrap();
        assert_eq!(
            (found, problem.status, problem.code.as_str()),
            (status, status, code),
            "{path}: {}",
            problem.detail
        );
        assert_eq!(problem.kind, format!("urn:allod:problem:{code}"));
        assert!(!problem.detail.is_empty() && !problem.title.is_empty());
    }
    let deleted = peer.client.delete(format!("{}/v1/status", peer.base)).send().await.unwrap();
    assert_eq!((deleted.status().as_u16(), content_type(&deleted).as_str()), (405, "application/problem+json"));
}

#[tokio::test]
async fn bodies_are_bounded_and_their_faults_named() {
    let peer = Peer::start().await;
    let post = |content_type: &'static str, body: Vec<u8>| {
        let request = peer.client.post(format!("{}/v1/transactions", peer.base));
        async move {
            let response = request.header("content-type", content_type).body(body).send().await.unwrap();
            let (status, problem) = (response.status().as_u16(), response.json::<Problem>().await.unwrap());
            (status, problem.code)
        }
    };
    assert_eq!(post("application/json", vec![b' '; BODY_SIZE_BYTES + 1]).await, (413, "body_too_large".into()));
    let too_large = vec![1; limits::TRANSACTION_SIZE_BYTES + 1];
    assert_eq!(post("application/octet-stream", too_large).await, (413, "too_large".into()));
    assert_eq!(post("application/octet-stream", vec![1, 2, 3]).await, (400, "malformed".into()));
    // A request for approval that holds one that holds one: eight kilobytes that once ended the process.
    let nested = [vec![1], vec![0; 80], 24u32.to_le_bytes().repeat(2_000)].concat();
    assert_eq!(post("application/octet-stream", nested).await, (400, "malformed".into()));
    assert_eq!(post("application/json", b"{}".to_vec()).await, (400, "bad_json".into()));
    assert_eq!(post("text/plain", b"hello".to_vec()).await, (415, "bad_content_type".into()));
}

#[tokio::test]
async fn a_transaction_is_taken_in_once_and_its_result_told_as_often_as_asked() {
    let peer = Peer::start().await;
    let create = |handle: &str| {
        let (handle, keys) = (Handle::new(handle).unwrap(), KeyPolicy::single(key(5).public_key()));
        Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })
    };
    let transaction = peer.sign(1, "northfield", create("eastgate"));
    let (status, body) = peer.post("/v1/transactions?wait=true&timeout_ms=10000", &transaction).await;
    let first: Submitted = serde_json::from_value(body).unwrap();
    assert_eq!((status, first.height, first.index), (200, Some(Height::new(1)), Some(0)));
    for wait in ["?wait=true", ""] {
        let (status, body) = peer.post(&format!("/v1/transactions{wait}"), &transaction).await;
        assert_eq!((status, serde_json::from_value(body).ok()), (200, Some(first.clone())));
    }
    let found = peer.ok(&format!("/v1/transactions/{}", transaction.id())).await;
    assert_eq!((&found["height"], &found["result"]["outcome"]), (&json!(1), &json!("applied")));

    // The JSON form is the same transaction; what the ledger rejects is a result, not a problem.
    let taken = peer.sign(1, "northfield", create("eastgate"));
    let request = peer.client.post(format!("{}/v1/transactions?wait=true", peer.base));
    let response: Value = request.json(&taken).send().await.unwrap().json().await.unwrap();
    assert_eq!(response["id"], json!(taken.id()));
    assert_eq!(response["result"]["outcome"]["rejected"]["handle_taken"], json!("eastgate"), "{response}");

    let (status, body) = peer.post("/v1/transactions", &peer.sign(1, "northfield", create("westhill"))).await;
    assert_eq!((status, body.get("height")), (202, None));
    eventually(async || (peer.get("/v1/accounts/westhill").await.0 == 200).then_some(())).await;
    assert!(peer.ok("/v1/accounts/westhill").await["sponsor_handle"] == "northfield");
}

#[tokio::test]
async fn a_batch_is_taken_in_but_for_what_is_refused_by_its_place() {
    let peer = Peer::start().await;
    let create = |handle: &str| {
        let (handle, keys) = (Handle::new(handle).unwrap(), KeyPolicy::single(key(5).public_key()));
        Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })
    };
    let mut forged = peer.sign(1, "northfield", create("farside"));
    forged.body.nonce ^= 1;
    let batch = [
        peer.sign(1, "northfield", create("eastgate")),
        forged,
        peer.sign(2, "northfield", create("nearside")),
        peer.sign(1, "northfield", create("westhill")),
    ];
    let post = async |body: Vec<u8>| {
        let response =
            peer.client.post(format!("{}/v1/transactions/batch", peer.base)).body(body).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (status, body) = post(codec::encode(&batch[..])).await;
    let view: BatchView = serde_json::from_value(body).unwrap();
    let refused: Vec<_> = view.refused.iter().map(|refusal| (refusal.index, refusal.problem.code.as_str())).collect();
    assert_eq!((status, view.accepted, refused), (202, 2, vec![(1, "bad_signature"), (2, "foreign_key")]));
    for handle in ["eastgate", "westhill"] {
        eventually(async || (peer.get(&format!("/v1/accounts/{handle}")).await.0 == 200).then_some(())).await;
    }
    let (status, body) = post(b"no batch".to_vec()).await;
    assert_eq!((status, &body["code"]), (400, &json!("malformed")));
}

#[tokio::test]
async fn refusals_carry_the_code_of_the_rule() {
    let peer = Peer::start().await;
    let action = || {
        Action::CastBallot(CastBallot {
            proposal: allod_protocol::ground::ids::ProposalId::from_bytes([0; 32]),
            parts: answer(Choice::Yes),
        })
    };
    let refused = async |transaction: &Transaction| {
        let (status, body) = peer.post("/v1/transactions?wait=true", transaction).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let foreign = peer.sign(2, "northfield", action());
    assert_eq!(refused(&foreign).await, (403, "foreign_key".into()));
    let stranger = peer.sign(1, "nobody-here", action());
    assert_eq!(refused(&stranger).await, (422, "unknown_account".into()));
    let mut forged = peer.sign(1, "northfield", action());
    forged.body.nonce ^= 1;
    assert_eq!(refused(&forged).await, (400, "bad_signature".into()));
    let mut elsewhere = peer.sign(1, "northfield", action()).body;
    elsewhere.network = NetworkId::from_bytes([0; 32]);
    assert_eq!(refused(&elsewhere.sign(&[key(1)])).await, (400, "wrong_network".into()));
    let mut late = peer.sign(1, "northfield", action()).body;
    late.expires = Timestamp::new(1);
    assert_eq!(refused(&late.sign(&[key(1)])).await, (422, "expired".into()));
    let metrics = peer.client.get(format!("{}/metrics", peer.base)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("allod_mempool_refusals_total{code=\"bad_signature\"} 1"), "{metrics}");
}

#[tokio::test]
async fn pages_lead_to_every_entry_once() {
    let peer = Peer::start().await;
    let mut expected = BTreeSet::from(["northfield".to_owned(), "southbank".to_owned()]);
    for number in 0..5 {
        let handle = Handle::new(format!("member-{number}")).unwrap();
        expected.insert(handle.to_string());
        let keys = KeyPolicy::single(key(5).public_key());
        peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
    }
    let (mut found, mut next, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = peer.ok(&format!("/v1/accounts?limit=2{next}")).await;
        pages += 1;
        found.extend(page["items"].as_array().unwrap().iter().map(|item| item["handle"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&after={cursor}");
    }
    assert_eq!((found, pages), (expected.into_iter().collect(), 4));

    let blocks = peer.ok("/v1/blocks?from=2&limit=3").await;
    let heights = |page: &Value| {
        page["items"].as_array().unwrap().iter().map(|block| block["height"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((heights(&blocks), &blocks["next"]), (vec![2, 3, 4], &json!("4")));
    assert_eq!(heights(&peer.ok("/v1/blocks?after=4&limit=2").await), [5, 6]);
    let newest = peer.ok("/v1/blocks?limit=2").await;
    assert_eq!((heights(&newest), &newest["next"]), (vec![9, 10], &Value::Null));
    let latest = peer.ok("/v1/blocks/latest").await;
    let hash = latest["hash"].as_str().unwrap();
    assert_eq!(peer.ok(&format!("/v1/blocks/{hash}")).await, latest);
}

#[tokio::test]
async fn a_register_is_shown_now_and_as_of_any_height_with_its_reasons() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let founded = peer.ok("/v1/status").await["height"].as_u64().unwrap();
    let action =
        TransferShares { model, to: peer.account("southbank"), units: Units::new(7), reason: "for work".into() };
    peer.apply(1, "northfield", Action::TransferShares(action)).await;

    let shares = "/v1/models/northfield/digits/shares";
    let held = |register: &Value| {
        let line = |line: &Value| {
            (
                line["handle"].as_str().unwrap().to_owned(),
                (line["units"].as_u64().unwrap(), line["basis_points"].as_u64().unwrap()),
            )
        };
        register["items"].as_array().unwrap().iter().map(line).collect::<BTreeMap<_, _>>()
    };
    let table = |north, south| BTreeMap::from([("northfield".to_owned(), north), ("southbank".to_owned(), south)]);
    let now = peer.ok(shares).await;
    assert_eq!((held(&now), now["total_units"].as_u64()), (table((53, 5_300), (47, 4_700)), Some(100)));
    let before = peer.ok(&format!("{shares}?at={founded}")).await;
    assert_eq!((held(&before), before["height"].as_u64()), (table((60, 6_000), (40, 4_000)), Some(founded)));
    assert_eq!(peer.get(&format!("{shares}?at=0")).await.1["code"], "model_not_founded");
    assert_eq!(peer.get(&format!("{shares}?at=999")).await.1["code"], "height_not_reached");

    let history = peer.ok(&format!("{shares}/history?limit=2")).await;
    let newest = &history["items"][0];
    assert_eq!((&newest["number"], &newest["counterparty_handle"]), (&json!(3), &json!("northfield")));
    assert_eq!(newest["reason"]["transferred"]["reason"], "for work");
    let oldest = peer.ok(&format!("{shares}/history?limit=1&order=oldest")).await;
    assert_eq!(oldest["items"][0]["reason"], "founding");
}

#[tokio::test]
async fn a_proposal_says_what_it_still_needs() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let artifact = allod_protocol::rules::artifact::Artifact {
        address: allod_protocol::ground::ids::ArtifactId::of(b"weights"),
        kind: allod_protocol::rules::artifact::ArtifactKind::File,
        size_bytes: 7,
        files: 1,
    };
    let label = VersionLabel::new("1.0").unwrap();
    let publish = PublishVersion {
        model,
        label: label.clone(),
        artifact,
        parents: Vec::new(),
        training_plan: None,
        datasets: Vec::new(),
        notes: String::new(),
        committed: None,
    };
    peer.apply(1, "northfield", Action::PublishVersion(publish)).await;
    let open = OpenProposal {
        scope: Scope::Model(model),
        title: "release 1.0".into(),
        text: String::new(),
        actions: vec![ProposalAction::ReleaseVersion { label }],
    };
    peer.apply(1, "northfield", Action::OpenProposal(open)).await;
    let listed = peer.ok("/v1/models/northfield/digits/proposals").await;
    // Not the whole of it: how long is left changes from one answer to the next.
    let open = peer.ok("/v1/proposals?scope=open").await;
    assert_eq!((&open["items"][0]["id"], &open["next"]), (&listed["items"][0]["id"], &Value::Null));
    assert_eq!(open["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(peer.ok("/v1/proposals?scope=network").await["items"], json!([]));
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();

    let path = format!("/v1/proposals/{id}");
    let fresh = peer.ok(&path).await;
    assert_eq!(fresh["outlook"], json!({"verdict": "no_quorum", "quorum_lacks": 51, "yes_lacks": 51}));
    assert!((1..=60_000).contains(&fresh["ends_in_ms"].as_u64().unwrap()), "{fresh}");
    let ballot = CastBallot { proposal: id.parse().unwrap(), parts: answer(Choice::Yes) };
    peer.apply(1, "northfield", Action::CastBallot(ballot)).await;
    let answered = peer.ok(&path).await;
    assert_eq!(answered["outlook"], json!({"verdict": "passed", "quorum_lacks": 0, "yes_lacks": 0}));
    let ballots = peer.ok(&format!("{path}/ballots")).await;
    assert_eq!((&ballots["items"][0]["handle"], &ballots["items"][0]["weight"]), (&json!("northfield"), &json!(60)));

    let given = RecordContribution {
        model,
        round: None,
        sealed: None,
        kind: ContributionKind::Data,
        amount: 5,
        evidence: Some(ContentHash::from_bytes([3; 32])),
        note: "x".into(),
    };
    peer.apply(2, "southbank", Action::RecordContribution(given)).await;
    let listed = peer.ok("/v1/models/northfield/digits/contributions").await;
    let id = listed["items"][0]["id"].as_str().unwrap();
    let one = peer.ok(&format!("/v1/contributions/{id}")).await;
    assert_eq!((&one["giver_handle"], &one["model_name"]), (&json!("southbank"), &json!("northfield/digits")));
    records_look_as_described(&peer).await;
}

/// The descriptions of records in OpenAPI name exactly the fields that the records have.
#[allow(clippy::too_many_lines, reason = "a list, a line for each record")]
async fn records_look_as_described(peer: &Peer) {
    let model = "/v1/models/northfield/digits";
    let proposal = peer.ok(&format!("{model}/proposals")).await["items"][0].clone();
    let ballots = format!("/v1/proposals/{}/ballots", proposal["id"].as_str().unwrap());
    let block = peer.ok("/v1/blocks/1").await;
    let first = |mut page: Value| page["items"][0].take();
    let shown = [
        (
            schema::AccountRecord::FIELDS,
            peer.ok("/v1/accounts/northfield").await,
            vec!["sponsor_handle", "did_keys", "suspension_title", "control"],
        ),
        (
            schema::ModelRecord::FIELDS,
            peer.ok(model).await,
            vec![
                "founder_handle",
                "steward_handles",
                "total_units",
                "holders",
                "share_changes",
                "contributions",
                "proposals",
                "rounds",
                "disputes",
                "incidents",
            ],
        ),
        (
            schema::VersionRecord::FIELDS,
            peer.ok(&format!("{model}/versions/1.0")).await,
            vec!["model_name", "publisher_handle", "stored_here", "standing"],
        ),
        (
            schema::ShareChangeRecord::FIELDS,
            first(peer.ok(&format!("{model}/shares/history")).await),
            vec!["handle", "counterparty_handle", "time", "vesting", "decision", "decision_does", "decision_title"],
        ),
        (
            schema::ContributionRecord::FIELDS,
            first(peer.ok(&format!("{model}/contributions")).await),
            vec!["model_name", "giver_handle", "countersigned_handles", "declined_handles", "countersigners"],
        ),
        (
            schema::ProposalRecord::FIELDS,
            proposal,
            vec![
                "model_name",
                "proposer_handle",
                "does",
                "tally",
                "outlook",
                "settled",
                "rule_text",
                "guardian_handle",
                "buyers",
                "attested",
                "reason_text",
                "ends_in_ms",
                "ready_in_ms",
            ],
        ),
        (schema::NetworkRecord::FIELDS, peer.ok("/v1/network").await, vec!["protocol", "outgrown"]),
        (schema::BallotRecord::FIELDS, first(peer.ok(&ballots).await), vec!["handle"]),
        (schema::HeaderRecord::FIELDS, block["header"].clone(), vec![]),
        (schema::CertificateRecord::FIELDS, block["certificate"].clone(), vec![]),
        (schema::TransactionRecord::FIELDS, block["transactions"][0]["transaction"].clone(), vec![]),
        (schema::ResultRecord::FIELDS, block["transactions"][0]["result"].clone(), vec![]),
        (schema::GenesisRecord::FIELDS, peer.ok("/v1/genesis").await, vec![]),
    ];
    for (described, record, added) in shown {
        let described: BTreeSet<&str> = described.iter().copied().chain(added).collect();
        let found: BTreeSet<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, found);
    }
}

#[tokio::test]
async fn deeds_and_proofs_hold_against_the_genesis_alone() {
    let peer = Peer::start().await;
    assert_eq!(peer.get("/v1/models/northfield/digits").await.0, 404);
    peer.found_model().await;
    let path = format!("{}/v1/deeds/share/northfield/digits/southbank", peer.base);
    let bytes = peer.client.get(&path).send().await.unwrap().bytes().await.unwrap();
    let deed = Deed::decode(&bytes).unwrap();
    assert_eq!(deed.verify(&peer.node.genesis, None).unwrap().root.height, Height::new(1));
    let described: Value =
        peer.client.get(&path).header("accept", "application/json").send().await.unwrap().json().await.unwrap();
    let facts = &described["facts"]["share"];
    assert_eq!((&facts["units"], &facts["register"]["total_units"]), (&json!(40), &json!(100)), "{described}");
    assert_eq!((&facts["vesting"], &facts["disputes"]), (&json!([]), &json!([])), "nothing burdens it");
    assert_eq!(described["deed"], data_encoding::HEXLOWER.encode(&bytes));
    assert_eq!(peer.ok("/v1/deeds/share/northfield/digits/southbank?format=json").await, described);

    let keys = KeyPolicy::single(key(5).public_key());
    let handle = Handle::new("outsider").unwrap();
    peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
    let nothing = peer.ok("/v1/proofs/share/northfield/digits/outsider").await;
    assert_eq!(nothing["share"], Value::Null);
    let bytes = data_encoding::HEXLOWER.decode(nothing["proof"].as_str().unwrap().as_bytes()).unwrap();
    let proof: allod_protocol::proof::StateProof = allod_protocol::ground::codec::decode(&bytes, 1 << 20).unwrap();
    let root = nothing["state_root"].as_str().unwrap().parse().unwrap();
    assert_eq!((proof.verify(root), proof.value.is_none()), (Ok(()), true));
    assert_eq!(peer.get("/v1/deeds/version/northfield/digits/9.9").await.1["code"], "unknown_version");
    assert_eq!(peer.get(&format!("/v1/deeds/decision/{}", "ab".repeat(32))).await.1["code"], "unknown_proposal");
}

#[tokio::test]
async fn a_deed_is_tied_to_the_checkpoint_that_was_read_from_the_status() {
    let peer = Peer::start().await;
    peer.found_model().await;
    let status = peer.ok("/v1/status").await;
    let text = status["checkpoint"].as_str().unwrap();
    assert_eq!(text, format!("{}:{}", status["height"], status["block"].as_str().unwrap()));
    let checkpoint: Checkpoint = text.parse().unwrap();
    let handle = Handle::new("outsider").unwrap();
    let keys = KeyPolicy::single(key(5).public_key());
    peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
    for deed in ["share/northfield/digits/southbank", "licence/northfield/digits/southbank"] {
        let path = format!("{}/v1/deeds/{deed}?checkpoint={}", peer.base, checkpoint.height);
        let bytes = peer.client.get(&path).send().await.unwrap().bytes().await.unwrap();
        let verified = Deed::decode(&bytes).unwrap().verify(&peer.node.genesis, Some(checkpoint)).unwrap();
        assert_eq!(verified.root.trust, Trust::Checkpoint(checkpoint));
    }
    let ahead = peer.get("/v1/deeds/share/northfield/digits/southbank?checkpoint=1000").await;
    assert_eq!((ahead.0, &ahead.1["code"]), (404, &json!("height_not_reached")));
}

#[tokio::test]
async fn a_busy_peer_takes_no_batch_and_says_when_to_come_back() {
    let peer = Peer::start().await;
    let handle = Handle::new("eastgate").unwrap();
    let keys = KeyPolicy::single(key(5).public_key());
    let batch = codec::encode(&vec![peer.sign(
        1,
        "northfield",
        Action::CreateAccount(CreateAccount { handle, keys, quota: 0 }),
    )]);
    let post = async || {
        let request = peer.client.post(format!("{}/v1/transactions/batch", peer.base));
        request.header("content-type", "application/octet-stream").body(batch.clone()).send().await.unwrap()
    };
    peer.status.send_modify(|status| status.mempool_room = status.mempool_transactions);
    let refused = post().await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    let problem = refused.json::<Problem>().await.unwrap();
    assert_eq!(problem.code, "mempool_full");
    assert!(problem.detail.contains("try again"), "{}", problem.detail);
    peer.status.send_modify(|status| status.mempool_room = usize::MAX);
    assert_eq!(post().await.json::<BatchView>().await.unwrap().accepted, 1);
}

#[tokio::test]
async fn names_and_pages_of_other_sites_are_kept_out() {
    let peer = Peer::start().await;
    let status = format!("{}/v1/status", peer.base);
    let rebound = peer.client.get(&status).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status().as_u16(), 421);
    assert_eq!(rebound.json::<Problem>().await.unwrap().code, "host_not_allowed");
    let probe = peer.client.get(format!("{}/healthz", peer.base)).header("host", "peer-1.monitoring").send().await;
    assert_eq!(probe.unwrap().status().as_u16(), 200);
    let local = peer.client.get(&status).header("host", "localhost:7640").send().await.unwrap();
    assert_eq!((local.status().as_u16(), local.headers().get("access-control-allow-origin")), (200, None));
    let import = peer.client.post(format!("{}/v1/artifacts", peer.base)).header("origin", "http://evil.example");
    let refused = import.json(&json!({"path": "/etc/hostname"})).send().await.unwrap();
    assert_eq!(refused.json::<Problem>().await.unwrap().code, "cross_origin");
    assert!(peer.node.artifacts.list().unwrap().is_empty());
}

type Events = futures::stream::BoxStream<'static, reqwest::Result<axum::body::Bytes>>;

/// Opens a stream of events, as a client that saw an event last, or that comes for the first time.
async fn listen(peer: &Peer, query: &str, last_seen: Option<&str>) -> Events {
    let mut request = peer.client.get(format!("{}/v1/events{query}", peer.base));
    if let Some(id) = last_seen {
        request = request.header("last-event-id", id);
    }
    let response = request.send().await.unwrap();
    assert_eq!(content_type(&response), "text/event-stream");
    response.bytes_stream().boxed()
}

/// What a stream tells until a text comes.
async fn told_until(stream: &mut Events, until: &str) -> String {
    let mut text = String::new();
    let read = async {
        while !text.contains(until) || !text.ends_with("\n\n") {
            text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    text
}

/// The heights of the blocks that were told, in order.
fn heights(told: &str) -> Vec<u64> {
    let blocks = told.split("\n\n").filter(|message| message.contains("event: block"));
    let data = blocks.filter_map(|message| message.lines().find_map(|line| line.strip_prefix("data: ")));
    data.map(|data| serde_json::from_str::<Value>(data).unwrap()["height"].as_u64().unwrap()).collect()
}

/// Has an account admitted, which makes two blocks.
async fn two_blocks(peer: &Peer, handle: &str) {
    let (handle, keys) = (Handle::new(handle).unwrap(), KeyPolicy::single(key(5).public_key()));
    peer.apply(1, "northfield", Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })).await;
}

#[tokio::test]
async fn every_block_is_told_to_those_who_listen() {
    let peer = Peer::start().await;
    let mut all = listen(&peer, "", None).await;
    let mut some = listen(&peer, "?types=shares_changed,proposal_closed", None).await;
    two_blocks(&peer, "eastgate").await;
    peer.found_model().await;
    let text = told_until(&mut all, "\"height\":4").await;
    assert_eq!(heights(&text), [1, 2, 3, 4]);
    assert!(text.contains("account_created") && text.contains("id: 1.1\n") && text.contains("id: 4.0\n"), "{text}");
    let text = told_until(&mut some, "shares_changed").await;
    assert_eq!(heights(&text), [3]);
    assert!(!text.contains("model_created"), "{text}");

    // A stopping peer ends its streams and its server.
    peer.stop.send_replace(true);
    assert!(tokio::time::timeout(PATIENCE, all.next()).await.unwrap().is_none());
    drop(some);
    assert!(tokio::time::timeout(PATIENCE, peer.server).await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn who_comes_back_is_told_what_was_missed_and_then_what_happens() {
    let peer = Peer::start().await;
    two_blocks(&peer, "eastgate").await;
    two_blocks(&peer, "westgate").await;
    for (query, last_seen) in [("", Some("1.1")), ("?after=1.1", None), ("?after=4", Some("1"))] {
        let mut stream = listen(&peer, query, last_seen).await;
        assert_eq!(heights(&told_until(&mut stream, "\"height\":4").await), [2, 3, 4], "{query} {last_seen:?}");
    }
    // In the middle of a block, past its deadlines.
    let mut back = listen(&peer, "", Some("3.0")).await;
    let text = told_until(&mut back, "\"height\":4").await;
    assert_eq!(heights(&text), [3, 4]);
    two_blocks(&peer, "southgate").await;
    assert_eq!(heights(&told_until(&mut back, "\"height\":6").await), [5, 6]);
    // The first message says where one is, though nothing has happened since.
    let mut new = listen(&peer, "", None).await;
    assert_eq!(told_until(&mut new, "id: 6\n").await, "id: 6\n\n");
    // From a peer that is ahead of this one.
    let mut ahead = listen(&peer, "", Some("7.1")).await;
    two_blocks(&peer, "northgate").await;
    assert_eq!(heights(&told_until(&mut ahead, "\"height\":8").await), [8]);
    assert_eq!(peer.get("/v1/events?after=yesterday").await.1["code"], "bad_event_id");
}

#[tokio::test]
async fn what_is_too_far_back_is_a_gap_and_not_a_silence() {
    let peer = Peer::start().await;
    for number in 0..REPLAY_BLOCKS {
        two_blocks(&peer, &format!("gate-{number}")).await;
    }
    let mut back = listen(&peer, "", Some("1")).await;
    let (oldest, tip) = (REPLAY_BLOCKS + 1, 2 * REPLAY_BLOCKS);
    let text = told_until(&mut back, &format!("\"height\":{tip},")).await;
    let gap = format!("event: gap\nid: {}\ndata: {{\"from\":2,\"to\":{}}}\n\n", oldest - 1, oldest - 1);
    assert!(text.contains(&gap), "{text}");
    assert_eq!(heights(&text), (oldest..=tip).collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_of_events_are_bounded_and_give_their_places_back() {
    let peer = Peer::start().await;
    let path = format!("{}/v1/events", peer.base);
    let mut open = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let response = peer.client.get(&path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        open.push(response);
    }
    let refused = peer.client.get(&path).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    drop(open);
    eventually(async || (peer.client.get(&path).send().await.unwrap().status() == 200).then_some(())).await;
}

#[tokio::test]
async fn who_stops_waiting_leaves_nothing_behind() {
    let waiting = Arc::new(super::submit::Waiting::default());
    let id = TransactionId::from_bytes([1; 32]);
    let (one, two) = (waiting.enter(id), waiting.enter(id));
    drop(one);
    assert_eq!(waiting.len(), 1);
    drop(two);
    assert_eq!(waiting.len(), 0);
}

#[tokio::test]
async fn health_and_readiness_follow_the_node() {
    let peer = Peer::start().await;
    peer.node.metrics.tick();
    assert_eq!(peer.ok("/healthz").await, json!({"status": "ok", "height": 0}));
    assert_eq!(peer.get("/readyz").await.0, 200);
    peer.status.send_modify(|status| status.catching_up = true);
    assert_eq!(peer.get("/readyz").await.1["code"], "catching_up");
    peer.status.send_modify(|status| (status.catching_up, status.reached.cut_off) = (false, true));
    let (code, problem) = peer.get("/readyz").await;
    assert_eq!((code, &problem["code"]), (503, &json!("cut_off")), "{problem}");
    assert_eq!(peer.ok("/v1/status").await["cut_off"], true);
    assert_eq!(peer.get("/healthz").await.0, 200);
    let status = peer.ok("/v1/status").await;
    assert_eq!((&status["network_name"], &status["role"]), (&json!("test"), &json!("validator")));
    assert_eq!(peer.ok("/v1/genesis").await, serde_json::to_value(&*peer.node.genesis).unwrap());
    assert_eq!(peer.ok("/v1/peers").await, json!([]));
    assert_eq!(peer.ok("/v1/validators").await["current"][0]["operator_handle"], "northfield");
}

#[tokio::test]
async fn more_silent_connections_than_there_are_places_do_not_keep_a_probe_out() {
    crate::run::allow_open_files();
    let peer = Peer::start().await;
    let address = peer.base.strip_prefix("http://").unwrap().to_owned();
    let mut silent = Vec::new();
    for number in 0..CONNECTIONS + 52 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        if number % 2 == 0 {
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /v1/status HTTP/1.1\r\nhost: ").await.unwrap();
        }
        silent.push(stream);
    }
    for path in ["/healthz", "/metrics", "/v1/status"] {
        let probe = reqwest::Client::new().get(format!("{}{path}", peer.base)).timeout(Duration::from_secs(5));
        assert_eq!(probe.send().await.unwrap().status().as_u16(), 200, "{path}");
    }
}

#[tokio::test]
async fn metrics_are_clean_and_tell_what_happened() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let action = TransferShares { model, to: peer.account("southbank"), units: Units::new(7), reason: String::new() };
    peer.apply(1, "northfield", Action::TransferShares(action)).await;
    commit(&peer.node, Vec::new(), 2);
    peer.status.send_replace(status_of(&peer.node.ledger));
    let text = eventually(async || {
        let text = peer.client.get(format!("{}/metrics", peer.base)).send().await.unwrap().text().await.unwrap();
        text.contains("allod_ledger_shares_checked_height 5").then_some(text)
    })
    .await;
    for line in [
        "allod_consensus_height 5",
        // This peer is the only proposer, and two rounds went by before the last block.
        "allod_consensus_missed_proposals_total 2",
        "allod_ledger_shares_conserved 1",
        "allod_ledger_transactions_total{result=\"applied\"} 2",
        "allod_ledger_transactions_total{result=\"rejected\"} 0",
        "allod_ledger_actions_total{action=\"transfer_shares\"} 1",
        "allod_consensus_finality_seconds_count 2",
        "allod_consensus_validator 1",
        "allod_network_peers{direction=\"inbound\"} 0",
        "allod_ledger_open_proposals 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("process_resident_memory_bytes") && text.contains("allod_build_info{version="));
    check_with_promtool(&text);
}

/// Prometheus' own linter, where it is installed.
fn check_with_promtool(text: &str) {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = spawned else { return };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn every_route_is_described_and_every_description_has_a_route() {
    let mut routes = BTreeSet::new();
    for line in include_str!("../api.rs").lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
        let (path, handlers) = line.split_once('"').unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if handlers.contains(&format!(" {method}(")) || handlers.contains(&format!(".{method}(")) {
                routes.insert((path.to_owned(), method.to_owned()));
            }
        }
    }
    let document: Value = serde_json::from_str(&Description::openapi().to_json().unwrap()).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            described.insert((path.clone(), method.clone()));
            let words = operation["summary"].as_str().or(operation["description"].as_str()).unwrap_or_default();
            assert!(!words.is_empty(), "{method} {path} says nothing of itself");
            let placeholders: BTreeSet<&str> =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named = parameters.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap());
            assert_eq!(named.collect::<BTreeSet<_>>(), placeholders, "{path}");
        }
    }
    assert!(routes.len() > 35, "{routes:?}");
    assert_eq!(routes, described);
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to and not defined");
    }
}

#[test]
fn a_checked_transaction_is_what_was_sent() {
    // What the handler hands on keeps the sender's bytes: encoding, decoding and checking change nothing.
    let action = Action::CastBallot(CastBallot {
        proposal: allod_protocol::ground::ids::ProposalId::from_bytes([0; 32]),
        parts: answer(Choice::No),
    });
    let network = genesis().network_id();
    let sender = AccountId::from_bytes([1; 32]);
    let body = TransactionBody { network, sender, nonce: 1, expires: Timestamp::new(5), action, signers: Vec::new() };
    let transaction = body.sign(&[key(1)]);
    let text = serde_json::to_vec(&transaction).unwrap();
    let read: Transaction = super::extract::from_json(&text).unwrap();
    assert_eq!(read.encode(), transaction.encode());
    assert_eq!(Checked::new(read, network).unwrap().id, transaction.id());
}
