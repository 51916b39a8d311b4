//! `allod policy`: how the owners of a model decide, in plain words and as a file to edit.

mod arbitration;
pub(super) mod choice;

use super::{args, client::Client, context::Context, output::Table, units::show_duration, words::sentences};
use crate::api::views::{ModelOfficesView, VacancyView};
use allod_protocol::{
    ground::{fraction::Portion, ids::ModelName},
    rules::policy::{Class, Electorate, ModelPolicy, explain, templates::Template},
};
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;

/// How the owners of a model decide, in plain words and as a file to edit.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Policy {
    /// List the policies to start from
    Templates,
    /// Explain a policy in plain words
    Explain(Explain),
    /// Show a model's policy; with --json, a file for `--policy`
    Show {
        /// namespace/name
        model: ModelName,
    },
}

/// The policy to explain.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Explain {
    /// The policy of a model: namespace/name
    model: Option<ModelName>,
    /// A policy to start from
    #[arg(long, value_name = "NAME", value_parser = choice::template)]
    template: Option<Template>,
    /// The policy in a file, in JSON or TOML
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct TemplateLine {
    name: &'static str,
    summary: &'static str,
}

/// What one part of a policy means.
#[derive(Debug, Serialize)]
struct Meaning {
    about: String,
    words: String,
}

impl Policy {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Templates => {
                let line = |template: &Template| TemplateLine { name: template.name(), summary: template.summary() };
                let lines: Vec<_> = Template::ALL.iter().map(line).collect();
                context.answer(&lines, |lines| {
                    let mut table = Table::new(&["TEMPLATE", "FOR"]);
                    lines.iter().for_each(|line| table.row([line.name.to_owned(), line.summary.to_owned()]));
                    table.show("")
                })
            }
            Self::Explain(which) => {
                let vacancies = which.vacancies(context).await?;
                let policy = which.policy(context).await?;
                let meaning = |(about, words)| Meaning { about, words };
                let mut meanings: Vec<_> = explain::policy(&policy).into_iter().map(meaning).collect();
                meanings.extend(vacancies);
                context.answer(&meanings, |meanings| show_meanings(meanings))
            }
            Self::Show { model } => {
                let policy = of_model(&context.client()?, &model).await?;
                context.answer(&policy, show)
            }
        }
    }
}

impl Explain {
    /// What the model cannot do at present because too few accounts hold an office.
    async fn vacancies(&self, context: &Context) -> Result<Vec<Meaning>> {
        let Some(model) = &self.model else { return Ok(Vec::new()) };
        let offices: ModelOfficesView = context.client()?.get(&format!("/v1/models/{model}/offices")).await?;
        let vacant = |vacancy: VacancyView| Meaning { about: "at present".into(), words: vacancy.text };
        Ok(offices.vacancies.into_iter().map(vacant).collect())
    }

    async fn policy(self, context: &Context) -> Result<ModelPolicy> {
        match (self.model, self.template, self.file) {
            (Some(model), _, _) => of_model(&context.client()?, &model).await,
            (None, Some(template), _) => Ok(template.policy(&[])),
            (None, None, file) => args::from_file(&file.unwrap_or_default()),
        }
    }
}

async fn of_model(client: &Client, model: &ModelName) -> Result<ModelPolicy> {
    Ok(client.model(model).await?.model.policy)
}

/// What means the same stands together.
fn show_meanings(meanings: &[Meaning]) -> String {
    let show = |same: &[Meaning]| {
        let about: String = same.iter().map(|meaning| format!("{}\n", meaning.about)).collect();
        let words = same.first().map(|meaning| sentences(&meaning.words)).unwrap_or_default();
        let words: String = words.lines().map(|line| format!("  {line}\n")).collect();
        format!("{about}{words}\n")
    };
    meanings.chunk_by(|one, next| one.words == next.words).map(show).collect()
}

fn show(policy: &ModelPolicy) -> String {
    let mut table = Table::new(&["CLASS", ">QUORUM", ">YES", ">YES OF ALL", ">VETO", "VOICES", "BALLOTS", "WAIT"]);
    for class in Class::OF_MODELS {
        let rule = policy.rule(class);
        let veto = rule.veto.map(short).unwrap_or_default();
        let (quorum, yes, of_all) = match rule.objection {
            Some(objection) => (String::new(), format!("unless {objection} object"), String::new()),
            None => (short(rule.quorum), short(rule.threshold), short(rule.yes_quorum)),
        };
        let wait = if rule.timelock_ms == 0 { String::new() } else { show_duration(rule.timelock_ms) };
        let voices = voices(rule.electorate).to_owned();
        let ballots = show_duration(rule.voting_period_ms);
        table.row([class.name().to_owned(), quorum, yes, of_all, veto, voices, ballots, wait]);
    }
    format!("{}\nin words: allod policy explain MODEL\n", table.show(""))
}

/// A portion as a table column shows it: the part, with `>` before it for more than that.
fn short(portion: Portion) -> String {
    format!("{}{}", if portion.is_more_than() { "> " } else { "" }, portion.part())
}

const fn voices(electorate: Electorate) -> &'static str {
    match electorate {
        Electorate::Shares => "units",
        Electorate::Members => "heads",
        Electorate::SquareRoot => "roots",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_said_once() {
        let meaning = |about: &str, words: &str| Meaning { about: about.into(), words: words.into() };
        let meanings = [meaning("licence", "One. Two."), meaning("rules", "One. Two."), meaning("transfers", "Three.")];
        assert_eq!(show_meanings(&meanings), "licence\nrules\n  One.\n  Two.\n\ntransfers\n  Three.\n\n");
    }
}
