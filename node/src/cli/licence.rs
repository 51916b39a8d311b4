//! The terms under which a model is used, as given on the command line.

use super::{args, client::Client, units};
use allod_protocol::{
    ground::ids::ModelName,
    rules::{licence::LicenceTerms, model::Licence},
};
use anyhow::Result;
use std::time::Duration;

/// The terms under which the model is used.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct LicenceArgs {
    /// An SPDX licence expression, such as "Apache-2.0 OR MIT"
    #[arg(long, value_name = "EXPRESSION", value_parser = expression)]
    spdx: Option<String>,
    /// Other terms: a file with them, or its hash
    #[arg(long, value_name = "FILE|HASH")]
    terms: Option<String>,
}

impl LicenceArgs {
    /// The licence, if one was given.
    pub(super) fn licence(&self) -> Result<Option<Licence>> {
        match (&self.spdx, &self.terms) {
            (Some(expression), _) => Ok(Some(Licence::Spdx(expression.clone()))),
            (None, Some(terms)) => Ok(Some(Licence::Terms(args::content_hash(terms)?))),
            (None, None) => Ok(None),
        }
    }
}

impl LicenceArgs {
    /// The terms of a licence to a model: those given, or else the model's current ones.
    pub(super) async fn terms(
        &self,
        client: &Client,
        model: &ModelName,
        duration: Option<Duration>,
    ) -> Result<LicenceTerms> {
        let terms = match self.licence()? {
            Some(terms) => Some(terms),
            None => client.model(model).await?.model.licence,
        };
        Ok(LicenceTerms { terms, for_ms: duration.map(units::milliseconds) })
    }
}

/// An SPDX expression of licences on the SPDX list.
fn expression(text: &str) -> Result<String, String> {
    match spdx::Expression::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "{text:?} is not an SPDX expression: {}; the list is at https://spdx.org/licenses, and other terms are \
             given with --terms",
            error.reason
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use super::*;

    #[test]
    fn licences_are_those_of_the_list() {
        for good in ["Apache-2.0", "MIT OR Apache-2.0", "GPL-3.0-only WITH Classpath-exception-2.0", "LicenseRef-own"] {
            assert_eq!(expression(good).as_deref(), Ok(good));
        }
        for bad in ["", "Apache", "MIT OR", "free for all"] {
            assert!(expression(bad).unwrap_err().contains("--terms"), "{bad}");
        }
    }
}
