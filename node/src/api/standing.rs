//! What is the matter with what is asked for: said in a header and in the answer, and refused where a version was
//! withdrawn or is suspended, unless it is asked for by that name.

use super::{
    Shared,
    extract::{Path, Query, TimePaging},
    reader::{Json, Reader, json},
    views::{Page, Problem, StopView},
};
use allod_protocol::{
    ground::ids::ArtifactId,
    rules::{
        access::ArtifactOrigin,
        emergency::VersionStop,
        model::{ArtifactUse, Version, VersionRef},
        standing::{self, Concern, ConcernKind, Standing},
    },
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use std::fmt::Write as _;

/// The header that says what is the matter: a list of structured items (RFC 9651).
pub(crate) const HEADER: HeaderName = HeaderName::from_static("allod-standing");
/// Concerns that the header names.
const NAMED: usize = 8;

/// Where the version that an artifact is stands: the version of the model that governs the artifact, and the one that is
/// asked for, if it is another's.
pub(crate) fn of_artifact(
    reader: &Reader,
    address: &ArtifactId,
    asked: Option<&VersionRef>,
) -> Result<Standing, Problem> {
    let origin = reader.find::<ArtifactOrigin>(address)?;
    let used = origin.map_or(Ok(None), |origin| reader.find::<ArtifactUse>(&(*address, origin.model)))?;
    let governing = used.map(|ArtifactUse(version)| version);
    let mut all = Standing::default();
    for at in governing.iter().chain(asked.filter(|asked| Some(*asked) != governing.as_ref())) {
        let Some(version) = reader.find::<Version>(&(at.model, at.label.clone()))? else { continue };
        if version.artifact.address != *address {
            let detail = format!("version {} of that model is another artifact than {address}", at.label);
            return Err(Problem::bad_request("other_artifact", detail));
        }
        let found = standing::of(&reader.state, &version, standing::ANCESTORS)?;
        all.partial |= found.partial;
        all.concerns.extend(found.concerns);
    }
    // The nearest first, and the gravest first of those as near.
    all.concerns.sort_by(|one, other| (one.distance, other.kind).cmp(&(other.distance, one.kind)));
    all.concerns.dedup();
    Ok(all)
}

/// Refuses what was withdrawn or is suspended, unless it is asked for by that name.
pub(crate) fn require(standing: &Standing, despite: &[ConcernKind]) -> Result<(), Problem> {
    let own = standing.concerns.iter().filter(|concern| concern.distance == 0);
    let mut barring = own.filter(|concern| concern.kind >= ConcernKind::Suspended && !despite.contains(&concern.kind));
    barring.next().map_or(Ok(()), |concern| Err(refusal(concern)))
}

fn refusal(concern: &Concern) -> Problem {
    let (label, kind) = (&concern.version.label, concern.kind.name());
    let (status, state) = match concern.kind {
        ConcernKind::Withdrawn => (StatusCode::GONE, "was withdrawn".to_owned()),
        // The first two bar nothing.
        ConcernKind::Disputed | ConcernKind::Deprecated | ConcernKind::Suspended => match concern.until {
            Some(until) => (StatusCode::LOCKED, format!("is suspended until {until}")),
            None => (StatusCode::LOCKED, "is suspended until its owners lift that".to_owned()),
        },
    };
    let reason = &concern.reason;
    let detail = format!("version {label} {state}: {reason}; who wants it all the same says so: `despite={kind}`");
    Problem::new(status, kind, detail)
}

/// Which concerns a request names, as `withdrawn,suspended`.
pub(crate) fn named(despite: Option<&str>) -> Result<Vec<ConcernKind>, Problem> {
    let one = |word: &str| {
        let found = ConcernKind::ALL.into_iter().find(|kind| kind.name() == word.trim());
        found.ok_or_else(|| {
            let names = ConcernKind::ALL.map(ConcernKind::name).join(", ");
            Problem::bad_request("bad_despite", format!("{word:?} is none of {names}"))
        })
    };
    despite.map_or(Ok(Vec::new()), |words| words.split(',').map(one).collect())
}

/// Says in a header what is the matter, if anything is.
pub(crate) fn tell(headers: &mut HeaderMap, standing: &Standing) {
    let items = standing.concerns.iter().take(NAMED).map(|concern| {
        let Concern { kind, version, distance, reason, .. } = concern;
        let reason = display(reason);
        format!(
            "{};model=\"{}\";version=\"{}\";distance={distance};reason={reason}",
            kind.name(),
            version.model,
            version.label
        )
    });
    let items = items.collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::try_from(items)
        && !value.is_empty()
    {
        headers.insert(HEADER, value);
    }
}

/// A display string of RFC 9651: any text in letters that a header takes.
fn display(text: &str) -> String {
    let mut shown = String::from("%\"");
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && !matches!(byte, b'%' | b'"') {
            shown.push(char::from(byte));
        } else {
            let _ = write!(shown, "%{byte:02x}");
        }
    }
    shown.push('"');
    shown
}

/// The emergency stops of a model's versions.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/stops", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        TimePaging,
    ),
    responses(
        (status = 200, description = "One page.", body = Page<StopView>),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn stops(
    State(api): State<Shared>,
    Path(name): Path<(String, String)>,
    Query(query): Query<TimePaging>,
) -> Result<Json<Page<StopView>>, Problem> {
    json(&api, move |reader| {
        let model = reader.model(&name)?;
        let (found, next) = query.paging().records::<VersionStop>(&reader.state, &model.id, query.order.into())?;
        let view = |stop: VersionStop| Ok(StopView { handle: reader.handle(stop.account)?, stop });
        Ok(Page { items: found.into_iter().map(view).collect::<Result<_, Problem>>()?, next })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::display;

    #[test]
    fn a_reason_in_any_script_fits_a_header() {
        assert_eq!(display("leaks \"names\", 5 %"), "%\"leaks %22names%22, 5 %25\"");
        assert_eq!(display("größer\n"), "%\"gr%c3%b6%c3%9fer%0a\"");
    }
}
