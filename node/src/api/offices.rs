//! Offices: who is named for what, and what they answered.

use super::{
    Shared,
    extract::{Paging, Path, Query},
    reader::{Json, Reader, json},
    views::{IntakeView, ModelOfficesView, OfficeView, Page, Problem, VacancyView},
};
use allod_protocol::{
    ground::{
        ids::{AccountId, Height},
        state::Direction,
    },
    rules::{
        intake::{Intake, UnitsOf},
        office::{self, Ahead, Office, Tenure, TenureStatus},
    },
};
use axum::extract::State;

impl Reader {
    /// What an office is of, in words: a model's name, an account's handle, an id.
    fn office_of(&self, office: &Office) -> Result<String, Problem> {
        Ok(match office {
            Office::Steward(model)
            | Office::Arbiter(model)
            | Office::Guardian(model)
            | Office::Attester { model, .. } => {
                self.name(*model)?.map_or_else(|| model.to_string(), |name| name.to_string())
            }
            Office::KeyGuardian(account) => {
                self.handle(*account)?.map_or_else(|| account.to_string(), |handle| handle.to_string())
            }
            Office::Responsible(incident) => incident.to_string(),
            Office::Operator(key) => key.to_string(),
        })
    }

    fn office(
        &self,
        office: Office,
        account: AccountId,
        answer: &str,
        since: Option<Height>,
    ) -> Result<OfficeView, Problem> {
        let (of, handle) = (self.office_of(&office)?, self.handle(account)?);
        let role = match &office {
            Office::Attester { role, .. } => role.to_string(),
            other => other.name().to_owned(),
        };
        Ok(OfficeView { office, role, of, account, handle, answer: answer.to_owned(), since })
    }

    /// What an account answered to an office that it is named for.
    pub(crate) fn answer(&self, office: &Office, account: AccountId) -> Result<TenureStatus, Problem> {
        let tenure = self.find::<Tenure>(&(account, office.clone()))?;
        Ok(tenure.map_or(TenureStatus::Offered, |tenure| tenure.status))
    }
}

/// The offices that an account is or was named for, and what it answered.
#[utoipa::path(get, path = "/v1/accounts/{account}/offices", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<OfficeView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn of_account(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<OfficeView>>, Problem> {
    json(&api, move |reader| {
        let account = reader.account(&account)?.id;
        let (tenures, next) = paging.records::<Tenure>(&reader.state, &account, Direction::Ascending)?;
        let view = |tenure: Tenure| reader.office(tenure.office, account, tenure.status.name(), Some(tenure.since));
        Ok(Page { items: tenures.into_iter().map(view).collect::<Result<_, Problem>>()?, next })
    })
    .await
}

/// The offices that an account accepted before it was named for them.
#[utoipa::path(get, path = "/v1/accounts/{account}/offices-ahead", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<OfficeView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn ahead(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<OfficeView>>, Problem> {
    json(&api, move |reader| {
        let account = reader.account(&account)?.id;
        let (ahead, next) = paging.records::<Ahead>(&reader.state, &account, Direction::Ascending)?;
        let view = |ahead: Ahead| reader.office(ahead.office, account, "accepted_ahead", Some(ahead.since));
        Ok(Page { items: ahead.into_iter().map(view).collect::<Result<_, Problem>>()?, next })
    })
    .await
}

/// What an account says of units that come unasked; it takes those of which it says nothing.
#[utoipa::path(get, path = "/v1/accounts/{account}/intake", tag = "accounts",
    params(("account" = String, Path, description = "An account's handle or id."), Paging),
    responses(
        (status = 200, description = "One page.", body = Page<IntakeView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn intake(
    State(api): State<Shared>,
    Path(account): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<IntakeView>>, Problem> {
    json(&api, move |reader| {
        let account = reader.account(&account)?.id;
        let (said, next) = paging.records::<Intake>(&reader.state, &account, Direction::Ascending)?;
        let view = |intake: Intake| {
            let model_name = match intake.of {
                UnitsOf::Any => None,
                UnitsOf::Model(model) => reader.name(model)?,
            };
            Ok(IntakeView { of: intake.of, model_name, takes: intake.takes })
        };
        Ok(Page { items: said.into_iter().map(view).collect::<Result<_, Problem>>()?, next })
    })
    .await
}

/// Who is named for the offices of a model, what they answered, and where too few hold one.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/offices", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
    ),
    responses(
        (status = 200, description = "Its offices.", body = ModelOfficesView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn of_model(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
) -> Result<Json<ModelOfficesView>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let mut offices = Vec::new();
        for (office, accounts) in model.names() {
            for account in accounts {
                let tenure = reader.find::<Tenure>(&(account, office.clone()))?;
                let answer = tenure.as_ref().map_or("offered", |tenure| tenure.status.name());
                let since = tenure.as_ref().map(|tenure| tenure.since);
                offices.push(reader.office(office.clone(), account, answer, since)?);
            }
        }
        let vacancies = office::vacancies(&reader.state, &model)?;
        let view = |vacancy: office::Vacancy| VacancyView { text: vacancy.to_string(), vacancy };
        Ok(ModelOfficesView { offices, vacancies: vacancies.into_iter().map(view).collect() })
    })
    .await
}
