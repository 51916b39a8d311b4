//! Blocks, and the transactions in them.

use super::{
    Shared,
    extract::{PAGE_MAX, Path, Query, parse},
    reader::{Json, Reader, json},
    views::{BlockSummary, BlockTime, BlockTransaction, BlockView, Page, Problem, TransactionView},
};
use allod_protocol::{
    ground::ids::{BlockHash, Height},
    rules::load,
};
use axum::extract::State;
use serde::Deserialize;
use std::collections::BTreeSet;
use utoipa::IntoParams;

/// Blocks on a page unless the request says otherwise.
const BLOCKS_DEFAULT: usize = 20;
/// Transactions after which a page of blocks ends early: a page reads them all.
const PAGE_TRANSACTIONS: usize = 20_000;

/// Which blocks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BlocksQuery {
    /// The first height; without it the list ends with the newest block.
    from: Option<u64>,
    /// Blocks on the page: 1 to 500, 20 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next` of the page before: the height that it ended with.
    after: Option<u64>,
}

/// Blocks in order. A page may end early when its blocks are full; `next` tells.
#[utoipa::path(get, path = "/v1/blocks", tag = "blocks", params(BlocksQuery), responses(
    (status = 200, description = "One page.", body = Page<BlockSummary>),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Query(query): Query<BlocksQuery>,
) -> Result<Json<Page<BlockSummary>>, Problem> {
    json(&api, move |reader| {
        let limit = match query.limit.unwrap_or(BLOCKS_DEFAULT) {
            limit @ 1..=PAGE_MAX => limit,
            limit => {
                return Err(Problem::bad_request("bad_limit", format!("limit is {limit}; ask for 1 to {PAGE_MAX}")));
            }
        };
        let tip = reader.state.height();
        let newest = tip.get().saturating_sub(limit as u64).saturating_add(1);
        let first = query.after.map(|after| after.saturating_add(1)).or(query.from).unwrap_or(newest).max(1);
        let (mut items, mut transactions) = (Vec::new(), 0usize);
        for height in (first..=tip.get()).map(Height::new).take(limit) {
            let block = summary(reader, height)?;
            transactions = transactions.saturating_add(block.transactions);
            items.push(block);
            if transactions >= PAGE_TRANSACTIONS {
                break;
            }
        }
        let next = items.last().filter(|last| last.height < tip).map(|last| last.height.to_string());
        Ok(Page { items, next })
    })
    .await
}

/// Which blocks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimesQuery {
    /// Their heights, with commas between them: 500 at most. 0 is genesis.
    heights: String,
}

/// When blocks were decided, in the order of their heights. Those that this peer does not have are left out.
#[utoipa::path(get, path = "/v1/times", tag = "blocks", params(TimesQuery), responses(
    (status = 200, description = "Their times.", body = Vec<BlockTime>),
    (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn times(
    State(api): State<Shared>,
    Query(query): Query<TimesQuery>,
) -> Result<Json<Vec<BlockTime>>, Problem> {
    json(&api, move |reader| {
        let asked = query.heights.split(',').filter(|height| !height.is_empty());
        let heights = asked.map(parse::<Height>).collect::<Result<BTreeSet<_>, Problem>>()?;
        if heights.len() > PAGE_MAX {
            let detail = format!("{} heights are asked for; ask for {PAGE_MAX} at most", heights.len());
            return Err(Problem::bad_request("bad_limit", detail));
        }
        let mut times = Vec::with_capacity(heights.len());
        for height in heights {
            let time = match height {
                Height::ZERO => Some(reader.node.genesis.time),
                height => reader.node.ledger.header(height)?.map(|header| header.time),
            };
            times.extend(time.map(|time| BlockTime { height, time }));
        }
        Ok(times)
    })
    .await
}

fn summary(reader: &Reader, height: Height) -> Result<BlockSummary, Problem> {
    let decided = reader.node.ledger.block(height)?.ok_or_else(|| missing(height))?;
    let header = decided.block.header();
    Ok(BlockSummary {
        height,
        hash: decided.block.hash(),
        time: header.time,
        proposer: header.proposer,
        round: decided.certificate.round,
        transactions: decided.block.transactions().len(),
    })
}

fn missing(height: Height) -> Problem {
    Problem::internal("ledger_unreadable", format!("block {height} is missing although the ledger is past it"))
}

/// One block with everything in it.
#[utoipa::path(get, path = "/v1/blocks/{height}", tag = "blocks",
    params(("height" = String, Path, description = "A height, a block's hash, or `latest`.")),
    responses(
        (status = 200, description = "The block.", body = BlockView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn one(State(api): State<Shared>, Path(height): Path<String>) -> Result<Json<BlockView>, Problem> {
    json(&api, move |reader| {
        let ledger = &reader.node.ledger;
        let height = height_of(reader, &height)?;
        let no_such = || {
            let tip = reader.state.height();
            Problem::not_found("unknown_block", format!("there is no block {height}; the ledger has 1 to {tip}"))
        };
        let decided = ledger.block(height)?.ok_or_else(no_such)?;
        let events = ledger.block_events(height)?.ok_or_else(|| missing(height))?;
        let transactions = decided.block.transactions().iter().zip(events.results);
        Ok(BlockView {
            hash: decided.block.hash(),
            header: decided.block.header().clone(),
            deadline_events: events.deadline_events,
            transactions: transactions
                .map(|(transaction, result)| BlockTransaction {
                    id: result.id,
                    transaction: transaction.clone(),
                    result,
                })
                .collect(),
            certificate: decided.certificate,
        })
    })
    .await
}

fn height_of(reader: &Reader, text: &str) -> Result<Height, Problem> {
    if text == "latest" {
        return Ok(reader.state.height());
    }
    if text.len() == BlockHash::LEN * 2 {
        let hash: BlockHash = parse(text)?;
        return reader
            .node
            .ledger
            .height_of(&hash)?
            .ok_or_else(|| Problem::not_found("unknown_block", format!("there is no block with hash {hash}")));
    }
    text.parse().map_err(|_| {
        Problem::bad_request("bad_height", format!("{text:?} is neither a height, nor a block's hash, nor `latest`"))
    })
}

/// A transaction that is on the ledger.
#[utoipa::path(get, path = "/v1/transactions/{id}", tag = "transactions",
    params(("id" = String, Path, description = "The transaction's id, or its first digits, four at least, where no other's are the same.")),
    responses(
        (status = 200, description = "The transaction and what became of it.", body = TransactionView),
        (status = 404, description = "It is not on the ledger; it may still wait.", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn transaction(
    State(api): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<TransactionView>, Problem> {
    json(&api, move |reader| {
        let id = reader.transaction_id(&id)?;
        let found = reader.node.ledger.transaction(&id)?.ok_or_else(|| {
            Problem::not_found(
                "unknown_transaction",
                format!("transaction {id} is not on the ledger; it may still wait for a block, or have expired"),
            )
        })?;
        Ok(TransactionView {
            id,
            height: found.height,
            time: found.time,
            index: found.index,
            weight: load::of(&found.transaction).get(),
            transaction: found.transaction,
            result: found.result,
        })
    })
    .await
}
