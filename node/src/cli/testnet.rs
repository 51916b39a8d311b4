//! `allod testnet init`: creates a network on this machine, ready to run.

use super::{
    context::Context,
    init::{make_node, refuse_used, write_genesis},
    output::Table,
    token, units,
};
use crate::keys;
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        fraction::Portion,
        ids::{Handle, Power, PublicKey, Timestamp},
        limits,
    },
    ledger::genesis::{Genesis, GenesisAccount, GenesisValidator},
    rules::{
        account::KeyPolicy,
        parameters::Parameters,
        policy::{NetworkPolicy, Rule},
    },
};
use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// Ports between the API ports of two nodes.
const PORTS_PER_NODE: u16 = 10;

/// Make a local network.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Testnet {
    /// Make the directories of N nodes that validate one new network on this machine
    Init(TestnetInit),
}

/// The network to make.
#[derive(Debug, clap::Args)]
pub(super) struct TestnetInit {
    /// How many nodes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=limits::VALIDATORS as i64))]
    nodes: u16,
    /// The directory to make
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// The API port of node 0; that of node I is 10 I higher, and the swarm's port is one above the API's
    #[arg(long, value_name = "PORT", default_value_t = 7640)]
    base_port: u16,
    /// The name of the network
    #[arg(long, default_value = "local testnet")]
    name: String,
    /// How long the members vote on validators
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = units::duration)]
    voting_period: Duration,
    /// The time of block 0: now, or such as 2026-11-23T10:00:00Z
    #[arg(long, value_name = "TIME", default_value = "now", value_parser = units::moment)]
    genesis_time: Timestamp,
}

#[derive(Debug, Serialize)]
struct NetworkMade {
    network: String,
    name: String,
    directory: PathBuf,
    keys: PathBuf,
    nodes: Vec<TestnetNode>,
}

#[derive(Debug, Serialize)]
struct TestnetNode {
    data_dir: PathBuf,
    api: String,
    address: String,
    peer_id: String,
    validator_key: PublicKey,
    operator: Handle,
}

/// The keys of one node, and what follows from its index.
struct Plan {
    node_key: SigningKey,
    validator_key: SigningKey,
    operator_key: SigningKey,
    operator: Handle,
    api: String,
    swarm_port: u16,
    address: String,
    peer_id: String,
}

impl Plan {
    fn new(index: u16, base_port: u16) -> Result<Self> {
        let out_of_range = || anyhow!("the ports of node {index} pass 65535; choose a lower --base-port");
        let offset = index.checked_mul(PORTS_PER_NODE).ok_or_else(out_of_range)?;
        let api_port = base_port.checked_add(offset).ok_or_else(out_of_range)?;
        let swarm_port = api_port.checked_add(1).ok_or_else(out_of_range)?;
        let node_key = keys::generate()?;
        let peer_id = keys::peer_id(&node_key)?.to_string();
        Ok(Self {
            validator_key: keys::generate()?,
            operator_key: keys::generate()?,
            operator: Handle::new(format!("operator-{index}"))?,
            api: format!("127.0.0.1:{api_port}"),
            address: format!("/ip4/127.0.0.1/tcp/{swarm_port}/p2p/{peer_id}"),
            swarm_port,
            node_key,
            peer_id,
        })
    }

    fn settings(&self, plans: &[Self]) -> Vec<(&'static str, Vec<String>)> {
        let port = self.swarm_port;
        let listen = vec![format!("/ip4/127.0.0.1/tcp/{port}"), format!("/ip4/127.0.0.1/udp/{port}/quic-v1")];
        let others = plans.iter().filter(|plan| plan.peer_id != self.peer_id);
        let peers = others.map(|plan| plan.address.clone()).collect();
        vec![("api_address", vec![self.api.clone()]), ("listen", listen), ("peers", peers)]
    }
}

impl Testnet {
    pub(super) fn execute(self, context: &Context) -> Result<()> {
        let Self::Init(command) = self;
        let made = command.make()?;
        context.answer(&made, |made| {
            let mut table = Table::new(&["NODE", "API", "SWARM", "OPERATOR"]);
            for node in &made.nodes {
                let name = node.data_dir.file_name().map(|name| name.to_string_lossy().into_owned());
                let swarm = node.address.split("/p2p/").next().unwrap_or_default().to_owned();
                table.row([name.unwrap_or_default(), node.api.clone(), swarm, node.operator.to_string()]);
            }
            format!(
                "{} in {}\nnetwork {}\n\n{}\n\
                 Start each with: allod run --data {}/node-0\nSign with:       --keys {} --as operator-0\n",
                made.name,
                made.directory.display(),
                made.network,
                table.show(""),
                made.directory.display(),
                made.keys.display(),
            )
        })
    }
}

impl TestnetInit {
    fn make(self) -> Result<NetworkMade> {
        refuse_used(&self.output)?;
        let plans = (0..self.nodes).map(|index| Plan::new(index, self.base_port)).collect::<Result<Vec<_>>>()?;
        let genesis = genesis(&plans, self.name, self.genesis_time, self.voting_period)?;
        std::fs::create_dir_all(&self.output)
            .with_context(|| format!("cannot make the directory {}", self.output.display()))?;
        // Absolute, so that what is printed can be used from anywhere.
        let directory = self.output.canonicalize()?;
        let store = keys::KeyStore::new(directory.join("keys"));
        let mut nodes = Vec::new();
        for (index, plan) in plans.iter().enumerate() {
            keys::create(&store.path(plan.operator.as_str())?, &plan.operator_key, None)?;
            let data_dir = directory.join(format!("node-{index}"));
            let settings = plan.settings(&plans);
            let made = make_node(&data_dir, &genesis, &plan.node_key, &plan.validator_key, &settings)?;
            token::keep(&store, &plan.api, &made.token)?;
            nodes.push(TestnetNode {
                data_dir: made.data_dir,
                api: format!("http://{}", plan.api),
                address: plan.address.clone(),
                peer_id: made.peer_id,
                validator_key: made.validator_key,
                operator: plan.operator.clone(),
            });
        }
        write_genesis(&directory.join("genesis.json"), &genesis)?;
        Ok(NetworkMade {
            network: genesis.network_id().to_string(),
            name: genesis.name,
            keys: store.directory().to_owned(),
            directory,
            nodes,
        })
    }
}

fn genesis(plans: &[Plan], name: String, time: Timestamp, voting_period: Duration) -> Result<Genesis> {
    let accounts = plans.iter().map(|plan| GenesisAccount {
        handle: plan.operator.clone(),
        keys: KeyPolicy::single(plan.operator_key.public_key()),
    });
    let validators = plans.iter().map(|plan| GenesisValidator {
        key: plan.validator_key.public_key(),
        power: Power::new(1),
        operator: plan.operator.clone(),
    });
    let genesis = Genesis {
        name,
        time,
        parameters: local_parameters(voting_period),
        accounts: accounts.collect(),
        validators: validators.collect(),
    };
    genesis.state().context("the network cannot start with this genesis")?;
    Ok(genesis)
}

/// Parameters for nodes that share a machine: short waits, wide limits.
fn local_parameters(voting_period: Duration) -> Parameters {
    Parameters {
        propose_timeout_ms: 500,
        vote_timeout_ms: 100,
        timeout_delta_ms: 100,
        rebroadcast_ms: 1_000,
        heartbeat_ms: 60_000,
        clock_drift_ms: 10_000,
        founder_quota: 1_000,
        transactions_per_account_per_block: 8_192,
        policy: NetworkPolicy::uniform(&Rule {
            yes_quorum: Portion::MAJORITY,
            ..Rule::new(Portion::MAJORITY, Portion::TWO_THIRDS, units::milliseconds(voting_period))
        }),
    }
}

/// A genesis and its operators' keys, for tests of other commands.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
pub(super) fn local_genesis_for_tests(nodes: u16) -> (Genesis, Vec<SigningKey>) {
    let plans: Vec<Plan> = (0..nodes).map(|index| Plan::new(index, 7640).unwrap()).collect();
    let genesis = genesis(&plans, "test".into(), Timestamp::new(1), Duration::from_secs(5)).unwrap();
    (genesis, plans.into_iter().map(|plan| plan.operator_key).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test may panic")]
mod tests {
    use super::*;
    use crate::{config, run};

    fn command(output: PathBuf, nodes: u16, base_port: u16) -> TestnetInit {
        let voting_period = Duration::from_secs(5);
        TestnetInit { nodes, output, base_port, name: "test".into(), voting_period, genesis_time: Timestamp::new(1) }
    }

    #[test]
    fn every_node_loads_and_all_share_one_valid_genesis() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("net");
        let made = command(output.clone(), 4, 7640).make().unwrap();
        let genesis = run::read_genesis(&output.join("genesis.json")).unwrap();
        assert_eq!(genesis.network_id().to_string(), made.network);
        assert_eq!(genesis.validator_set().unwrap().len(), 4);
        for (index, node) in made.nodes.iter().enumerate() {
            let data_dir = output.join(format!("node-{index}"));
            let file = std::fs::read_to_string(data_dir.join(config::FILE)).unwrap();
            let sources = config::Sources { data_dir, file: Some(file), ..config::Sources::default() };
            let config = sources.load().unwrap().config;
            assert_eq!(usize::from(config.api_address.port()), 7640 + 10 * index);
            assert_eq!(config.peers.len(), 3);
            assert!(config.peers.iter().all(|peer| peer.to_string() != node.address), "a node does not dial itself");
            let own = run::read_genesis(&config.genesis_path()).unwrap();
            assert_eq!(own.network_id(), genesis.network_id());
            let key = keys::load(&config.validator_key_path()).unwrap().public_key();
            assert_eq!(genesis.validators[index].key, key);
            let peer_id = keys::peer_id(&keys::load(&config.node_key_path()).unwrap()).unwrap();
            assert_eq!(peer_id.to_string(), node.peer_id);
            let store = keys::KeyStore::new(output.join("keys"));
            let operator = store.describe(&format!("operator-{index}")).unwrap().public_key;
            assert_eq!(genesis.accounts[index].keys, KeyPolicy::single(operator));
        }
    }

    #[test]
    fn a_used_directory_and_ports_out_of_range_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("net");
        let error = command(output.clone(), 4, 65_530).make().unwrap_err().to_string();
        assert!(error.contains("--base-port"), "{error}");
        assert!(!output.exists(), "nothing is left behind");
        command(output.clone(), 1, 7640).make().unwrap();
        assert!(command(output, 1, 7640).make().unwrap_err().to_string().contains("not empty"));
    }
}
