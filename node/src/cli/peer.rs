//! `allod peer`: for which account a peer reads restricted artifacts.

use super::{
    Failure,
    args::{ConsentArg, HowMany},
    context::Context,
    output::Table,
    signing::{Nothing, Receipt, Signing},
    units::{now, show_time},
};
use crate::{api::views::PeerBindingView, config, keys, network::peer_key};
use allod_protocol::{
    ground::{crypto::Domain, ids::AccountId},
    rules::{
        access::{BindPeer, ReleasePeer},
        action::Action,
    },
};
use anyhow::{Context as _, Result};
use libp2p::PeerId;
use serde::Serialize;
use std::path::PathBuf;

/// Set for which account a peer reads artifacts that are for holders or licensees.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Peer {
    /// Make this machine's peer consent to read for an account, which then binds it
    Consent {
        /// The account's handle or id
        reader: String,
        /// The peer's data directory [default: ~/.local/share/allod]
        #[arg(long, value_name = "DIR", env = "ALLOD_HOME")]
        data: Option<PathBuf>,
    },
    /// Bind a peer to your account: from then on it may read what the account may read
    Bind {
        /// The output of `allod peer consent` on the peer's machine [default: this machine's peer consents]
        consent: Option<ConsentArg>,
        /// The data directory of this machine's peer [default: ~/.local/share/allod]
        #[arg(long, value_name = "DIR", env = "ALLOD_HOME", conflicts_with = "consent")]
        data: Option<PathBuf>,
        #[command(flatten)]
        signing: Signing,
    },
    /// Release a peer from your account: from the next block on it reads nothing for it
    Release {
        /// The peer's id, as `allod peer list` shows it
        peer: PeerId,
        #[command(flatten)]
        signing: Signing,
    },
    /// List the peers that read for an account
    List {
        /// The account's handle or id
        account: String,
        #[command(flatten)]
        how_many: HowMany,
    },
}

#[derive(Debug, Serialize)]
struct Consent {
    peer_id: String,
    account: AccountId,
    consent: String,
}

impl Peer {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Consent { reader, data } => {
                let client = context.client()?;
                let (account, network) = (client.account(&reader).await?.account.id, client.status().await?.network);
                let bind = consent(data, network, account)?;
                let peer_id = peer_key::to_peer(&bind.peer).context("the key of a peer")?.to_string();
                let consent = ConsentArg(bind).to_string();
                context.answer(&Consent { peer_id, account, consent }, |consent| {
                    format!("{}\n\nas the account: allod peer bind {0} --as {reader}", consent.consent)
                })
            }
            Self::Bind { consent: given, data, signing } => {
                let sender = signing.sender(context).await?;
                let bind = match given {
                    Some(ConsentArg(bind)) => bind,
                    None => consent(data, sender.network, sender.account.id)?,
                };
                let peer =
                    peer_key::to_peer(&bind.peer).ok_or_else(|| Failure::usage("the consent is not from a peer"))?;
                let receipt = sender.submit(Action::BindPeer(bind)).await?;
                let reader = sender.account.handle;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| {
                    format!("peer {peer} reads for {reader}\n{}", receipt.place())
                })
            }
            Self::Release { peer, signing } => {
                let key = peer_key::of_peer(&peer)
                    .ok_or_else(|| Failure::usage(format!("{peer} is not the id of a peer of this network")))?;
                let sender = signing.sender(context).await?;
                let receipt = sender.submit(Action::ReleasePeer(ReleasePeer { peer: key })).await?;
                context.answer(&receipt, |receipt: &Receipt<Nothing>| format!("released\n{}", receipt.place()))
            }
            Self::List { account, how_many } => {
                let path = format!("/v1/accounts/{account}/peers");
                context.answer_list(&context.client()?.list::<PeerBindingView>(&path, how_many.limit()).await?, show)
            }
        }
    }
}

/// The consent of this machine's peer.
fn consent(
    data: Option<PathBuf>,
    network: allod_protocol::ground::ids::NetworkId,
    account: AccountId,
) -> Result<BindPeer> {
    let data_dir = match data {
        Some(directory) => directory,
        None => config::default_data_dir()?,
    };
    let key = keys::load(&data_dir.join("node.key"))?;
    let issued = now();
    let consent = key.sign(Domain::PeerBinding, &BindPeer::consent(network, account, issued));
    Ok(BindPeer { peer: key.public_key(), issued, consent })
}

fn show(peers: &[PeerBindingView]) -> String {
    let mut table = Table::new(&["PEER", "AGREED", ">SINCE BLOCK"]);
    for view in peers {
        let peer = view.peer_id.clone().unwrap_or_else(|| view.binding.peer.to_string());
        table.row([peer, show_time(view.binding.issued), view.binding.since.to_string()]);
    }
    table.show("no peer reads for this account; bind one: allod peer bind --as ACCOUNT")
}
