//! `allod model`: models, which accounts own.

use super::{
    Failure,
    args::{self, Assigned, HowMany, ReadersArg, Target, VersionName},
    artifacts::show_contents,
    client::Client,
    context::Context,
    dates::Dates,
    licence::LicenceArgs,
    licences, office,
    output::{Fields, Table, cut, who},
    policy::choice::PolicyArgs,
    signing::{Receipt, Signing},
    units::{show_count, show_size},
    vesting::VestingArgs,
    words::{concern_text, show_distribution, show_licence, show_rule, version_status},
};
use crate::api::views::{LicenseeView, ModelOfficesView, ModelView, VersionView};
use allod_protocol::{
    ground::ids::{Height, ModelId, ModelName, Name, Units},
    rules::{
        access::Distribution,
        action::Action,
        event::Event,
        model::{CreateModel, FoundingLine, ParentGrant, VersionStatus},
        policy::{Class, templates::Template},
    },
};
use anyhow::{Result, bail};
use serde::Serialize;

/// Found and show models.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ModelCommand {
    /// Found a model in your namespace
    Create(Box<Create>),
    /// List models
    List {
        #[command(flatten)]
        how_many: HowMany,
    },
    /// Show a model, its policy and its versions; or one version, and what its files say about themselves
    Show {
        /// namespace/name, or namespace/name@label for a version
        what: Target,
        #[command(flatten)]
        how_many: HowMany,
    },
    /// List the accounts that the owners gave a licence
    Licensees {
        /// namespace/name
        model: ModelName,
        #[command(flatten)]
        how_many: HowMany,
    },
}

/// A model to found.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Its name within your namespace
    name: Name,
    /// Who holds how many units from the start: ACCOUNT=UNITS; may be repeated
    #[arg(long = "holder", value_name = "ACCOUNT=UNITS", required = true)]
    holders: Vec<Assigned<Units>>,
    /// Units for the holders of a model that this one is derived from, in proportion to what each holds there:
    /// NAMESPACE/NAME=UNITS; may be repeated
    #[arg(long = "grant", value_name = "MODEL=UNITS")]
    grants: Vec<Assigned<Units>>,
    /// An account that countersigns contributions and may publish versions; may be repeated [default: the founder]
    #[arg(long = "steward", value_name = "ACCOUNT")]
    stewards: Vec<String>,
    /// A description
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    #[command(flatten)]
    vesting: VestingArgs,
    #[command(flatten)]
    licence: LicenceArgs,
    /// Who reads its artifacts
    #[arg(long, value_enum, default_value_t = ReadersArg::Public)]
    readers: ReadersArg,
    /// How many members' peers should hold each release; 0 for no target
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    copies: u32,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Debug, Serialize)]
struct ModelMade {
    model: ModelId,
    name: ModelName,
}

/// A model with its versions, as `model show` answers.
#[derive(Debug, Serialize)]
struct ModelWithVersions {
    #[serde(flatten)]
    model: ModelView,
    versions: Vec<VersionView>,
    #[serde(flatten)]
    offices: ModelOfficesView,
}

impl ModelCommand {
    pub(super) async fn execute(self, context: &Context) -> Result<()> {
        match self {
            Self::Create(command) => command.execute(context).await,
            Self::List { how_many } => {
                let page = context.client()?.list::<ModelView>("/v1/models", how_many.limit()).await?;
                context.answer_list(&page, show_list)
            }
            Self::Show { what: Target::Address(address), .. } => {
                bail!("{address} is an artifact, not a model; show it with: allod artifacts show {address}")
            }
            Self::Show { what: Target::Version(VersionName { model, label }), .. } => {
                let client = context.client()?;
                let view: VersionView = client.get(&format!("/v1/models/{model}/versions/{label}")).await?;
                let dates = Dates::of(&client, heights(&view)).await?;
                context.answer(&view, |view| show_version(view, &dates))
            }
            Self::Show { what: Target::Released(model), how_many } => {
                let client = context.client()?;
                let view = client.model(&model).await?;
                let path = format!("/v1/models/{model}/versions");
                let versions = client.list::<VersionView>(&path, how_many.limit()).await?;
                let offices = client.get(&format!("/v1/models/{model}/offices")).await?;
                let known = view.model.clone();
                let answer = ModelWithVersions { model: view, versions: versions.items, offices };
                let dates = Dates::of(&client, [known.created].into_iter().chain(known.retired)).await?;
                context.answer(&answer, |answer| show(answer, &dates))?;
                context.note_more(versions.next.is_some(), answer.versions.len(), "versions");
                Ok(())
            }
            Self::Licensees { model, how_many } => {
                let path = format!("/v1/models/{model}/licensees");
                let client = context.client()?;
                let page = client.list::<LicenseeView>(&path, how_many.limit()).await?;
                let dates = Dates::of(&client, page.items.iter().flat_map(licences::granted)).await?;
                context.answer_list(&page, |licensees| show_licensees(licensees, &dates))
            }
        }
    }
}

impl Create {
    async fn execute(self, context: &Context) -> Result<()> {
        let licence = self.licence.licence()?;
        let sender = self.signing.sender(context).await?;
        let mut founding = Vec::new();
        for holder in &self.holders {
            let account = sender.client.account(&holder.name).await?.account.id;
            founding.push(FoundingLine { account, units: holder.value, vesting: self.vesting.vesting() });
        }
        let grants = grants(&sender.client, &self.grants).await?;
        let mut stewards = args::account_ids(&sender.client, &self.stewards).await?;
        if stewards.is_empty() {
            stewards.push(sender.account.id);
        }
        let base = || Template::EqualPartners.policy(&stewards);
        let policy = self.policy.policy(&sender.client, base, &stewards).await?;
        let distribution = Distribution { readers: self.readers.into(), copies: self.copies };
        let (name, description) = (self.name, self.description);
        let action = CreateModel { name, description, founding, stewards, policy, licence, distribution, grants };
        let receipt = sender.submit(Action::CreateModel(action)).await?.with(|events| {
            events.iter().find_map(|event| match event {
                Event::ModelCreated { model, name, .. } => Some(ModelMade { model: *model, name: name.clone() }),
                _ => None,
            })
        })?;
        context.answer(&receipt, |receipt: &Receipt<ModelMade>| {
            let mut fields = Fields::default();
            fields.add("model", &receipt.made.name).add("id", receipt.made.model);
            receipt.add_place(&mut fields);
            fields.show()
        })
    }
}

async fn grants(client: &Client, given: &[Assigned<Units>]) -> Result<Vec<ParentGrant>> {
    let mut grants = Vec::new();
    for Assigned { name, value } in given {
        let parent = name.parse().map_err(|error| Failure::usage(format!("--grant: {error}")))?;
        grants.push(ParentGrant { parent: client.model(&parent).await?.model.id, units: *value });
    }
    Ok(grants)
}

fn show_licensees(licensees: &[LicenseeView], dates: &Dates) -> String {
    let mut table = Table::new(&["LICENSEE", "STANDS", "GRANTED", "UNTIL", "TERMS"]);
    for view in licensees {
        for [stands, since, until, terms] in licences::lines(view, dates) {
            table.row([who(view.handle.as_ref(), view.licensee.account), stands, since, until, terms]);
        }
    }
    table.show("nobody has a licence; ask the owners: allod propose grant-licence MODEL ACCOUNT --as ACCOUNT")
}

fn show_list(models: &[ModelView]) -> String {
    let mut table = Table::new(&["MODEL", ">UNITS", ">HOLDERS", "RELEASED", "DESCRIPTION"]);
    for view in models {
        let model = &view.model;
        let released = model.released.as_ref().map(ToString::to_string).unwrap_or_default();
        table.row([
            model.name.to_string(),
            show_count(view.total_units.get()),
            view.holders.to_string(),
            cut(&released, 12),
            cut(&model.description, 30),
        ]);
    }
    table.show("no models yet; found one: allod model create NAME --as ACCOUNT --holder ACCOUNT=UNITS")
}

fn show(view: &ModelWithVersions, dates: &Dates) -> String {
    let model = &view.model.model;
    let mut fields = Fields::default();
    fields.add("model", &model.name).add("id", model.id);
    fields.add_some("description", Some(&model.description).filter(|text| !text.is_empty()));
    fields.add("founder", who(view.model.founder_handle.as_ref(), model.founder));
    fields.add("created", dates.at(model.created));
    let (total, holders) = (show_count(view.model.total_units.get()), view.model.holders);
    fields.add("shares", format!("{total} units, {holders} holders"));
    fields.add("released", model.released.as_ref().map_or_else(|| "nothing yet".into(), ToString::to_string));
    fields.add("distribution", show_distribution(&model.distribution));
    fields.add("licence", model.licence.as_ref().map_or_else(|| "none set".into(), show_licence));
    fields.add_some("RETIRED", model.retired.map(|height| format!("since {}", dates.at(height))));
    fields.add("contributions", view.model.contributions).add("proposals", view.model.proposals);
    fields.add("rounds", view.model.rounds);
    fields.add("disputes", view.model.disputes).add("incidents", view.model.incidents);
    for class in Class::OF_MODELS {
        fields.add(class.name(), show_rule(model.policy.rule(class)));
    }
    let mut table = Table::new(&["VERSION", ">SIZE", ">FILES", "PUBLISHER", "STATUS", "HERE"]);
    for view in &view.versions {
        let version = &view.version;
        table.row([
            version.label.to_string(),
            show_size(version.artifact.size_bytes),
            version.artifact.files.to_string(),
            who(view.publisher_handle.as_ref(), version.publisher),
            standing_name(view).to_owned(),
            if view.stored_here { "yes".into() } else { String::new() },
        ]);
    }
    let warnings = view.versions.iter().flat_map(|view| {
        view.standing.concerns.iter().map(|concern| format!("{}: {}\n", view.version.label, concern_text(concern)))
    });
    let warnings: String = warnings.collect();
    let vacancies = view.offices.vacancies.iter().map(|vacancy| format!("warning: {}\n", vacancy.text));
    let vacancies: String = vacancies.collect();
    let offices = office::show_of_model(&view.offices.offices);
    let hint = format!("no versions yet; publish one: allod publish PATH --model {} --version LABEL", model.name);
    format!("{}\n{offices}{vacancies}\n{}{warnings}", fields.show(), table.show(&hint))
}

/// The heights that an answer about a version mentions.
fn heights(view: &VersionView) -> Vec<Height> {
    let released = match view.version.status {
        VersionStatus::Released { height, .. } => Some(height),
        _ => None,
    };
    [view.version.published].into_iter().chain(released).collect()
}

fn show_version(view: &VersionView, dates: &Dates) -> String {
    let version = &view.version;
    let name = view.model_name.as_ref().map_or_else(|| version.model.to_string(), ToString::to_string);
    let mut fields = Fields::default();
    fields.add("version", format!("{name}@{}", version.label)).add("status", version_status(&version.status, dates));
    for concern in &view.standing.concerns {
        fields.add("WARNING", concern_text(concern));
    }
    fields.add_some("WARNING", view.standing.partial.then_some("it has more ancestors than were checked"));
    fields.add("published", dates.at(version.published));
    fields.add("publisher", who(view.publisher_handle.as_ref(), version.publisher));
    fields.add("artifact", version.artifact.address);
    let (size, files) = (show_size(version.artifact.size_bytes), show_count(version.artifact.files.into()));
    fields.add("size", format!("{size} in {files} files"));
    fields.add("parents", version.parents.len()).add("data sets", version.datasets.len());
    fields.add_some("training plan", version.training_plan);
    fields.add_some("notes", Some(&version.notes).filter(|notes| !notes.is_empty()));
    let here = match &view.contents {
        Some(_) => "yes".to_owned(),
        None => format!("no, so what its files say is unknown; get it: allod fetch {name}@{}", version.label),
    };
    fields.add("here", here);
    let contents = view.contents.as_ref().map(show_contents).unwrap_or_default();
    format!("{}{contents}", fields.show())
}

/// The status of a version in one word: concerns come first.
fn standing_name(view: &VersionView) -> &'static str {
    view.standing.own().map_or_else(|| view.version.status.name(), |concern| concern.kind.name())
}
