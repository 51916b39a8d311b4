//! `allod deed`: proofs of what the ledger says, written to files that anyone can check offline.

use super::{
    args::{Target, VersionName},
    client::Client,
    context::Context,
    fetch::resolve,
    units::show_size,
};
use allod_protocol::{
    ground::ids::{Height, ModelName, Name},
    proof::{Checkpoint, Deed as Proof},
};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// Write a proof of what the ledger says, which anyone can check offline with `allod verify`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Deed {
    /// What an account holds of a model, and what restricts it: vesting, a dispute, a suspension
    Shares {
        /// namespace/name
        model: ModelName,
        /// The account of the line
        account: String,
        #[command(flatten)]
        to: To,
    },
    /// A version, its status, and whether it is disputed
    Version {
        /// namespace/name@label
        version: VersionName,
        #[command(flatten)]
        to: To,
    },
    /// Whether an account has a licence to a model, and until when
    Licence {
        /// namespace/name
        model: ModelName,
        /// The licensee
        account: String,
        #[command(flatten)]
        to: To,
    },
    /// A proposal, its tally and its outcome
    Decision {
        /// The proposal's id, or its first digits
        proposal: String,
        #[command(flatten)]
        to: To,
    },
    /// What an account said about an artifact, or that it said nothing
    Attestation {
        /// An artifact's address, or a version as namespace/name@label
        what: Target,
        /// The subject of the statement, such as bias-audit
        #[arg(long, value_name = "NAME")]
        statement: Name,
        /// The account that said it, or did not
        #[arg(long, value_name = "ACCOUNT")]
        by: String,
        #[command(flatten)]
        to: To,
    },
}

/// The target of a deed, and the block that it is linked to.
#[derive(Debug, clap::Args)]
pub(super) struct To {
    /// The new file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Link it to this block, which those who check the deed trust as a checkpoint
    #[arg(long, value_name = "HEIGHT[:HASH]")]
    checkpoint: Option<Tie>,
}

/// A height to link a deed to, with the hash that the block must have, if it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tie {
    height: Height,
    checkpoint: Option<Checkpoint>,
}

impl FromStr for Tie {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(':') {
            let checkpoint: Checkpoint = text.parse().map_err(|error| format!("{error}"))?;
            return Ok(Self { height: checkpoint.height, checkpoint: Some(checkpoint) });
        }
        let height = text.parse().map_err(|_| format!("{text:?} is not a height; give HEIGHT, or HEIGHT:HASH"))?;
        Ok(Self { height: Height::new(height), checkpoint: None })
    }
}

/// A deed that was written.
#[derive(Debug, Serialize)]
struct Written {
    file: PathBuf,
    size_bytes: u64,
    /// The height whose state the deed proves.
    height: Height,
    /// The block that certifies it. A verifier may use it as a checkpoint if a peer that it trusts has the same block.
    block: String,
    /// The checkpoint that it is linked to.
    checkpoint: Option<String>,
}

impl Deed {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let (path, to) = match self {
            Self::Shares { model, account, to } => {
                (format!("share/{model}/{}", client.account(&account).await?.account.handle), to)
            }
            Self::Version { version: VersionName { model, label }, to } => (format!("version/{model}/{label}"), to),
            Self::Licence { model, account, to } => {
                (format!("licence/{model}/{}", client.account(&account).await?.account.handle), to)
            }
            Self::Decision { proposal, to } => (format!("decision/{proposal}"), to),
            Self::Attestation { what, statement, by, to } => {
                let artifact = resolve(&client, &what).await?;
                let by = client.account(&by).await?.account.handle;
                (format!("attestation/{artifact}/{statement}/{by}"), to)
            }
        };
        to.write(context, &client, &path).await
    }
}

impl To {
    /// Gets the deed and writes it to a new file.
    async fn write(&self, context: &Context, client: &Client, path: &str) -> Result<()> {
        let tied = self.checkpoint.map(|tie| format!("?checkpoint={}", tie.height)).unwrap_or_default();
        let bytes = certified(client, &format!("/v1/deeds/{path}{tied}")).await?;
        let deed = Proof::decode(&bytes).context("the node did not send a deed")?;
        let checkpoint = self.checkpoint.map(|tie| tied_to(&deed, tie)).transpose()?;
        super::init::write_new(&self.output, &bytes)?;
        let header = &deed.root.header.header;
        let written = Written {
            file: self.output.clone(),
            size_bytes: bytes.len() as u64,
            height: header.height.previous(),
            block: Checkpoint { height: header.height, block: header.hash() }.to_string(),
            checkpoint: checkpoint.map(|checkpoint| checkpoint.to_string()),
        };
        context.answer(&written, |written| show(written, &self.output))
    }
}

fn show(written: &Written, file: &Path) -> String {
    let file = file.display();
    let (size, height, block) = (show_size(written.size_bytes), written.height, &written.block);
    let checkpoint = written.checkpoint.as_ref().unwrap_or(block);
    format!(
        "{file}: {size}, as of block {height}, certified by block\n  {block}\ncheck it with\n  allod verify {file} \
        --genesis GENESIS --checkpoint {checkpoint}\nwhere the checkpoint is one that a peer trusted by the checker \
        also has"
    )
}

/// The block at the height that a deed is linked to: the requested one, if its hash was given.
fn tied_to(deed: &Proof, tie: Tie) -> Result<Checkpoint> {
    let root = &deed.root;
    let announced = root.changes.iter().map(|change| &change.announced.header);
    let mut headers = announced.chain([&root.header.header]).chain(&root.links);
    let header = headers.find(|header| header.height == tie.height);
    let header = header.with_context(|| format!("the node sent a deed that is not linked to block {}", tie.height))?;
    let found = Checkpoint { height: tie.height, block: header.hash() };
    match tie.checkpoint {
        Some(asked) if asked != found => bail!(
            "the node's block is {found}, not {asked}: one of the two belongs to another history. Ask other peers for the \
             hash of that block (`allod block {}`) before you trust either",
            tie.height
        ),
        _ => Ok(found),
    }
}

/// A deed, as soon as a block certifies its subject: the block after the one that wrote it, which follows at once.
async fn certified(client: &Client, path: &str) -> Result<Vec<u8>> {
    const TRIES: u32 = 40;
    const PAUSE: Duration = Duration::from_millis(250);
    let mut tries = 1;
    loop {
        match client.get_bytes(path).await {
            Err(error) if tries < TRIES && super::client::has_code(&error, "not_yet_certified") => tries += 1,
            answer => return answer,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_tie_is_a_height_or_a_whole_checkpoint() {
        let hash = "ab".repeat(32);
        let tie: Tie = "8".parse().unwrap();
        assert_eq!((tie.height, tie.checkpoint), (Height::new(8), None));
        let tie: Tie = format!("8:{hash}").parse().unwrap();
        assert_eq!(tie.checkpoint.unwrap().to_string(), format!("8:{hash}"));
        for wrong in ["", "x", "8:", "8:ab", ":8"] {
            assert!(wrong.parse::<Tie>().is_err(), "{wrong:?}");
        }
    }
}
