//! The command line. Each command is a file in `cli/`; this one lists the commands and handles their errors.
//!
//! A command writes its answer, and nothing else, to standard output; progress, notes and errors go to standard error.
//! With `--json` the answer is JSON, in the types of [`crate::api::views`]. Reading order: [`Command`], [`Exit`], then
//! `cli/context.rs` (what every command uses) and the file of the command.

mod account;
mod approvals;
mod args;
mod artifacts;
mod attest;
mod bench;
mod block;
mod client;
mod config;
mod context;
mod contribute;
mod dates;
mod deed;
mod delegate;
mod dispute;
mod events;
mod fetch;
mod inbox;
mod incident;
mod init;
mod key;
mod licence;
mod licences;
mod lineage;
mod model;
mod network;
mod office;
mod output;
mod peer;
mod peers;
mod policy;
mod progress;
mod proposals;
mod propose;
mod providers;
mod publish;
mod recovery;
mod rounds;
mod run;
mod seals;
mod shares;
mod signing;
mod silence;
mod standstill;
mod status;
mod stop;
mod testnet;
#[cfg(test)]
mod tests;
mod token;
mod transaction;
mod verify;
mod vesting;
mod vote;
mod watch;
mod words;

use crate::{api::views::Problem, plain::units};
use clap::{Args, Parser, Subcommand};
use context::Context;
use std::{path::PathBuf, process::ExitCode};

/// The exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command did what it was asked to do.
    Done = 0,
    /// It was refused, or it failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The node does not answer.
    Unreachable = 3,
    /// A rule of the ledger rejected the transaction.
    Rejected = 4,
    /// The version was withdrawn or is suspended, and `--despite` did not allow that.
    Barred = 5,
    /// The deed is valid, but older than the allowed maximum.
    TooOld = 6,
    /// It was done, but there is a concern about the version that `--despite` did not allow.
    Warned = 7,
}

impl Exit {
    /// The word for it, where a program reads.
    const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::Barred => "barred",
            Self::TooOld => "too_old",
            Self::Warned => "warned",
        }
    }
}

/// An error that needs an exit code other than [`Exit::Failed`].
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// The stable code of the refusal, if the node or the ledger gave one.
    pub(crate) code: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), code: None }
    }

    /// The same, with the code of the refusal that it tells.
    pub(crate) fn with_code(self, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..self }
    }

    pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
        Self::new(Exit::Usage, message).into()
    }

    /// Whether an error means that the node does not answer.
    pub(crate) fn is_unreachable(error: &anyhow::Error) -> bool {
        error.downcast_ref::<Self>().is_some_and(|failure| failure.exit == Exit::Unreachable)
    }
}

const AFTER_HELP: &str = "\
Accounts are named by handle or id, models as namespace/name, versions as namespace/name@label.

Exit codes:
  0  done
  1  refused, or failed
  2  the command line is wrong
  3  the node does not answer
  4  a rule of the ledger rejects the transaction
  5  the version was withdrawn or is suspended (allow it with fetch --despite)
  6  the deed is valid, but older than --max-age
  7  done, but the version is deprecated, disputed, or made from one that should not be used (fetch)

Environment:
  ALLOD_API, ALLOD_KEYS, ALLOD_TOKEN_FILE, ALLOD_CA_FILE, ALLOD_AS, ALLOD_PASSPHRASE, ALLOD_HOME
  for a node, ALLOD_ and the name of a setting (see `allod config show`)";

/// A peer-to-peer register of who owns an AI model, what each contributor holds, and what its owners decided.
#[derive(Debug, Parser)]
#[command(name = "allod", version, max_term_width = 100, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Globals {
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    /// The node's API; `bench` and `watch` take several
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ALLOD_API",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:7640"
    )]
    api: Vec<String>,
    /// The directory of your keys [default: ~/.config/allod/keys]
    #[arg(id = "keys_directory", long = "keys", global = true, value_name = "DIR", env = "ALLOD_KEYS")]
    keys: Option<PathBuf>,
    /// The file of the token to show to the node [default: the one kept beside your keys for its address]
    #[arg(long, global = true, value_name = "FILE", env = "ALLOD_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// The certificate to trust for an https:// node, in PEM [default: those that this machine trusts]
    #[arg(long, global = true, value_name = "FILE", env = "ALLOD_CA_FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the data directory of a node for an existing network
    Init(init::Init),
    /// Run a node
    Run(run::Run),
    /// Print a node's settings and where each comes from
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Say who may do what through a node's API: issue and remove tokens, keep those you were given
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Make a local network
    #[command(subcommand)]
    Testnet(testnet::Testnet),
    /// Make and show your keys
    #[command(subcommand)]
    Key(key::Key),

    /// Create and show accounts, replace their keys
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Set for which account a peer reads artifacts that are for holders or licensees
    #[command(subcommand)]
    Peer(peer::Peer),
    /// Found and show models
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// How the owners of a model decide, in plain words and as a file to change
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Record a file or a directory as a version of a model, and serve it
    Publish(publish::Publish),
    /// Fetch a version of a model, or any artifact, and verify every byte
    Fetch(fetch::Fetch),
    /// Record a contribution to a model; list and countersign contributions
    Contribute(contribute::Contribute),
    /// Show a model's share register and its history; transfer, burn and export shares
    #[command(subcommand)]
    Shares(shares::Shares),
    /// Write a proof of what the ledger says, which anyone can check offline
    #[command(subcommand)]
    Deed(deed::Deed),
    /// Check a deed offline against a genesis and a checkpoint
    Verify(verify::Verify),
    /// Put a question to the owners of a model, or to the members of the network
    #[command(subcommand)]
    Propose(propose::Propose),
    /// List proposals; show, await, execute, cancel or withdraw one
    Proposals(proposals::Proposals),
    /// Answer a proposal, or change the answer
    Vote(vote::Vote),

    /// What an account is asked to do: vote, reveal, countersign, answer, accept
    Inbox(inbox::Inbox),
    /// List a model's rounds of contributions, or show one
    Rounds(rounds::Rounds),
    /// Challenge a register line, a version or a contribution; answer and settle challenges
    #[command(subcommand)]
    Dispute(dispute::Dispute),
    /// Report what went wrong with a version, and update the report
    #[command(subcommand)]
    Incident(incident::Incident),
    /// See and sign the requests of an account with several keys
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// Choose who can give your account new keys, and help others to get theirs
    #[command(subcommand)]
    Recovery(recovery::Recovery),
    /// See, accept and resign offices: nobody holds one without having accepted it
    #[command(subcommand)]
    Office(office::OfficeCommand),
    /// Ask for a licence to a model, accept one, and see what became of it
    #[command(subcommand)]
    Licence(licences::LicenceCommand),
    /// Let another account answer a model's questions with your weight, or end that
    Delegate(delegate::Delegate),
    /// Which accounts let which others answer a model's questions
    Delegations(delegate::Delegations),
    /// Suspend a version at once, in an emergency
    Stop(stop::Stop),
    /// The emergency stops of a model's versions
    Stops(stop::Stops),
    /// Say whether an artifact passed a test, such as a safety review
    Attest(attest::Attest),
    /// What was said of an artifact
    Attestations(attest::Attestations),
    /// What a version was made from, and what was made from it
    Lineage(lineage::Lineage),

    /// The state of the node
    Status(status::Status),
    /// The network's members, parameters and upgrades
    Network(network::Network),
    /// Accounts that were called on and have not answered; call on one; answer a call
    #[command(subcommand)]
    Silence(silence::Silence),
    /// Leave the network's members
    Leave(network::Leave),
    /// The peers that the node is connected to
    Peers(peers::Peers),
    /// Follow what happens on the ledger
    Watch(watch::Watch),
    /// Show a block
    Block(block::Block),
    /// Show a transaction
    Transaction(transaction::Transaction),
    /// The artifacts on the node's disk
    #[command(subcommand)]
    Artifacts(artifacts::Artifacts),
    /// Load a network and measure it
    Bench(bench::Bench),
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers: they go to standard output and are not failures.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage as u8 } else { Exit::Done as u8 });
        }
    };
    let json = cli.globals.json;
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<signing::Requested>() => {
            println!("{}", error.to_string().trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", if json { in_json(&error) } else { format!("allod: {error:#}") });
            ExitCode::from(exit_of(&error) as u8)
        }
    }
}

/// An error for a program: one line, with the stable code of what was refused, or else the word for the exit code.
fn in_json(error: &anyhow::Error) -> String {
    #[derive(serde::Serialize)]
    struct Told<'a> {
        code: &'a str,
        message: String,
    }
    let refusal = error.downcast_ref::<Problem>().map(|problem| problem.code.as_str());
    let code = refusal.or_else(|| error.downcast_ref::<Failure>()?.code.as_deref());
    let code = code.unwrap_or_else(|| exit_of(error).word());
    let message = format!("{error:#}");
    crate::json::to_string(&Told { code, message: message.clone() }).unwrap_or(message)
}

fn exit_of(error: &anyhow::Error) -> Exit {
    error.downcast_ref::<Failure>().map_or(Exit::Failed, |failure| failure.exit)
}

/// Whether the reader of the answer is gone, as `head` is once it has enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn execute(cli: Cli) -> anyhow::Result<()> {
    let runtime = match &cli.command {
        Command::Run(_) | Command::Bench(_) => tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
    };
    // Boxed because the future of a whole node is large, and would otherwise be on the stack of the main thread.
    runtime.block_on(Box::pin(dispatch(Context::new(cli.globals)?, cli.command)))
}

async fn dispatch(context: Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init(command) => command.execute(&context),
        Command::Run(command) => command.execute().await,
        Command::Config(command) => command.execute(&context),
        Command::Token(command) => command.execute(&context),
        Command::Testnet(command) => command.execute(&context),
        Command::Key(command) => command.execute(&context),
        Command::Account(command) => command.execute(&context).await,
        Command::Model(command) => command.execute(&context).await,
        Command::Policy(command) => command.execute(&context).await,
        Command::Publish(command) => command.execute(&context).await,
        Command::Fetch(command) => command.execute(&context).await,
        Command::Contribute(command) => command.execute(&context).await,
        Command::Shares(command) => Box::pin(command.execute(&context)).await,
        Command::Deed(command) => command.execute(&context).await,
        Command::Verify(command) => command.execute(&context),
        Command::Propose(command) => command.execute(&context).await,
        Command::Proposals(command) => command.execute(&context).await,
        Command::Vote(command) => command.execute(&context).await,
        Command::Inbox(command) => command.execute(&context).await,
        Command::Rounds(command) => command.execute(&context).await,
        Command::Dispute(command) => command.execute(&context).await,
        Command::Incident(command) => command.execute(&context).await,
        Command::Approvals(command) => command.execute(&context).await,
        Command::Recovery(command) => command.execute(&context).await,
        Command::Office(command) => command.execute(&context).await,
        Command::Licence(command) => command.execute(&context).await,
        Command::Peer(command) => command.execute(&context).await,
        Command::Delegate(command) => command.execute(&context).await,
        Command::Delegations(command) => command.execute(&context).await,
        Command::Stop(command) => command.execute(&context).await,
        Command::Stops(command) => command.execute(&context).await,
        Command::Attest(command) => command.execute(&context).await,
        Command::Attestations(command) => command.execute(&context).await,
        Command::Lineage(command) => command.execute(&context).await,
        Command::Status(command) => command.execute(&context).await,
        Command::Network(command) => command.execute(&context).await,
        Command::Silence(command) => command.execute(&context).await,
        Command::Leave(command) => command.execute(&context).await,
        Command::Peers(command) => command.execute(&context).await,
        Command::Watch(command) => command.execute(&context).await,
        Command::Block(command) => command.execute(&context).await,
        Command::Transaction(command) => command.execute(&context).await,
        Command::Artifacts(command) => command.execute(&context).await,
        Command::Bench(command) => command.execute(&context).await,
    }
}
