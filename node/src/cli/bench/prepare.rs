//! Before the clock starts: create the accounts and the model, and sign every transaction.

use super::Load;
use crate::{
    cli::{
        client::Client,
        signing::{Sender, sign_until},
    },
    keys,
    plain::units,
};
use allod_protocol::{
    ground::{
        codec,
        crypto::SigningKey,
        fraction::Portion,
        ids::{AccountId, Handle, Height, ModelId, Name, NetworkId, TransactionId, Units},
        limits,
    },
    rules::{
        access::Distribution,
        account::{Account, CreateAccount, KeyPolicy},
        action::Action,
        contribution::{ContributionKind, RecordContribution},
        event::Event,
        model::{CreateModel, FoundingLine},
        policy::{ModelPolicy, Rule},
        share::TransferShares,
        transaction::Transaction,
    },
};
use anyhow::{Result, anyhow};
use futures::future::try_join_all;
use std::time::Duration;

/// Initial units of each account: more than a run can move.
const UNITS: u64 = 1_000_000_000;

/// The senders, and the model they use.
pub(super) struct Stage {
    pub(super) network: NetworkId,
    pub(super) model: ModelId,
    pub(super) accounts: Vec<(Account, SigningKey)>,
    /// The height at which all of it exists.
    pub(super) height: Height,
}

/// The transactions of one request.
pub(super) struct Batch {
    pub(super) ids: Vec<TransactionId>,
    /// The list of transactions in canonical bytes.
    pub(super) body: Vec<u8>,
}

/// Creates the accounts, whose keys live only as long as this process, and a model that they own together.
pub(super) async fn set_stage(sender: &Sender, count: u16) -> Result<Stage> {
    let run = getrandom::u32().map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    let accounts = try_join_all((0..count).map(|index| create_account(sender, run, index))).await?;
    let rule = Rule::new(Portion::WHOLE, Portion::MAJORITY, limits::VOTING_PERIOD_MIN_MS);
    let founding = accounts.iter().map(|(account, _)| FoundingLine {
        account: account.id,
        units: Units::new(UNITS),
        vesting: None,
    });
    let action = CreateModel {
        name: Name::new(format!("bench-{run:08x}"))?,
        description: "made by allod bench".into(),
        founding: founding.take(limits::FOUNDING_LINES).collect(),
        stewards: vec![sender.account.id],
        policy: ModelPolicy::uniform(&rule),
        licence: None,
        distribution: Distribution::default(),
        grants: Vec::new(),
    };
    let receipt = sender.submit(Action::CreateModel(action)).await?;
    let model = receipt.events.iter().find_map(|event| match event {
        Event::ModelCreated { model, .. } => Some(*model),
        _ => None,
    });
    let model = model.ok_or_else(|| anyhow!("the model was not created"))?;
    Ok(Stage { network: sender.network, model, accounts, height: receipt.height })
}

async fn create_account(sender: &Sender, run: u32, index: u16) -> Result<(Account, SigningKey)> {
    let key = keys::generate()?;
    let handle = Handle::new(format!("bench-{run:08x}-{index}"))?;
    let policy = KeyPolicy::single(key.public_key());
    let action = CreateAccount { handle: handle.clone(), keys: policy.clone(), quota: 0 };
    let receipt = sender.submit(Action::CreateAccount(action)).await?;
    let id = receipt.events.iter().find_map(|event| match event {
        Event::AccountCreated { account, .. } => Some(*account),
        _ => None,
    });
    let id = id.ok_or_else(|| anyhow!("the account {handle} was not created"))?;
    let account = Account { sponsor: Some(sender.account.id), ..Account::new(id, handle, policy, receipt.height) };
    Ok((account, key))
}

/// Waits until every node has executed the blocks that created the stage.
pub(super) async fn await_height(clients: &[Client], height: Height) -> Result<()> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    for client in clients {
        while client.status().await?.height < height {
            if tokio::time::Instant::now() >= deadline {
                return Err(anyhow!(
                    "the node at {} does not reach height {height}; is it of the same network?",
                    client.base()
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// Signs everything, on every core.
pub(super) fn sign_ahead(stage: &Stage, load: Load, total: u64, batch: u64) -> Result<Vec<Batch>> {
    let expires = units::now().plus_ms(limits::TRANSACTION_LIFETIME_MS / 2);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let batches = total.div_ceil(batch);
    let sign_one = |number: u64| -> Result<Transaction> {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        let index = place.checked_rem(stage.accounts.len()).unwrap_or(0);
        let (account, key) = stage.accounts.get(index).ok_or_else(|| anyhow!("there are no accounts"))?;
        let next = stage.accounts.get(index + 1).or(stage.accounts.first());
        let to = next.map_or(account.id, |(next, _)| next.id);
        let action = action(stage.model, to, load, number);
        sign_until(stage.network, account, std::slice::from_ref(key), action, expires)
    };
    let make = |at: u64| -> Result<Batch> {
        let numbers = at.saturating_mul(batch)..at.saturating_add(1).saturating_mul(batch).min(total);
        let transactions = numbers.map(sign_one).collect::<Result<Vec<_>>>()?;
        let ids = transactions.iter().map(Transaction::id).collect();
        Ok(Batch { ids, body: codec::encode(&transactions) })
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let own = (0..batches).filter(move |at| at.checked_rem(threads) == Some(worker));
                let make = &make;
                scope.spawn(move || own.map(make).collect::<Result<Vec<_>>>())
            })
            .collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| anyhow!("signing died"))??);
        }
        Ok(all)
    })
}

fn action(model: ModelId, to: AccountId, load: Load, number: u64) -> Action {
    match load {
        Load::Contribution => Action::RecordContribution(RecordContribution {
            model,
            round: None,
            sealed: None,
            kind: ContributionKind::Compute,
            amount: number.saturating_add(1),
            evidence: None,
            note: String::new(),
        }),
        Load::Transfer => {
            Action::TransferShares(TransferShares { model, to, units: Units::new(1), reason: "bench".into() })
        }
    }
}
