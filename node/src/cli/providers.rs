//! `allod artifacts providers`: which peers have an artifact.

use super::{args::Target, context::Context, fetch::resolve};
use crate::api::views::ProvidersView;
use anyhow::Result;

/// Which peers have an artifact.
#[derive(Debug, clap::Args)]
pub(super) struct Providers {
    /// An artifact's address, or a version as namespace/name@label
    what: Target,
}

impl Providers {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let address = resolve(&client, &self.what).await?;
        let view: ProvidersView = client.get(&format!("/v1/artifacts/{address}/providers")).await?;
        if !view.complete {
            context.note("the search ran out of time; there may be more");
        }
        context.answer(&view, |view| match view.providers.as_slice() {
            [] => format!("no known peer has {address}"),
            providers => providers.join("\n"),
        })
    }
}
