//! Lineage: what a version was made from, and what was made from it, across models.

use super::{
    Shared,
    extract::{Path, Query},
    models::existing_version,
    reader::{Json, Reader, json},
    views::{LineageEdge, LineageVersion, LineageView, Problem},
};
use allod_protocol::{
    ground::{
        ids::{ModelId, VersionLabel},
        state::{Direction, page},
    },
    rules::{
        model::{ChildOf, Version, VersionRef},
        standing,
    },
};
use axum::extract::State;
use serde::Deserialize;
use std::collections::{BTreeSet, VecDeque};
use utoipa::{IntoParams, ToSchema};

/// Versions that an answer holds at most.
const VERSIONS: usize = 1_000;
/// Steps that are followed unless a request says otherwise, and at most.
const DEPTH: i32 = 32;

/// Which way to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// What it was made from, and what was made from it.
    #[default]
    Both,
    /// What it was made from.
    Up,
    /// What was made from it.
    Down,
}

/// How much of a lineage.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LineageQuery {
    /// `up` (what it was made from), `down` (what was made from it), or `both`, which is meant unless given.
    #[serde(default)]
    #[param(inline)]
    way: Way,
    /// How many steps: 1 to 32, 32 unless given.
    #[param(minimum = 1, maximum = 32)]
    depth: Option<i32>,
}

/// The lineage of a version, step by step: at most 1,000 versions.
#[utoipa::path(get, path = "/v1/models/{namespace}/{name}/versions/{label}/lineage", tag = "models",
    params(
        ("namespace" = String, Path, description = "The handle of the account that founded the model."),
        ("name" = String, Path, description = "The model's name there."),
        ("label" = String, Path, description = "The version's label, or `released` for the version released last."),
        LineageQuery,
    ),
    responses(
        (status = 200, description = "The versions and what leads from one to another.", body = LineageView),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn lineage(
    State(api): State<Shared>,
    Path((namespace, name, label)): Path<(String, String, String)>,
    Query(query): Query<LineageQuery>,
) -> Result<Json<LineageView>, Problem> {
    let depth = query.depth.unwrap_or(DEPTH);
    if !(1..=DEPTH).contains(&depth) {
        return Err(Problem::bad_request("bad_depth", format!("depth is {depth}; ask for 1 to {DEPTH}")));
    }
    json(&api, move |reader| {
        let model = reader.model(&(namespace, name))?;
        let version = existing_version(reader, &model, &label)?;
        let mut found = Found::default();
        found.add(reader, version.clone(), 0)?;
        if query.way != Way::Down {
            found.follow(reader, version.clone(), depth, Way::Up)?;
        }
        if query.way != Way::Up {
            found.follow(reader, version, depth, Way::Down)?;
        }
        Ok(found.view)
    })
    .await
}

/// What was found so far.
struct Found {
    seen: BTreeSet<(ModelId, VersionLabel)>,
    view: LineageView,
}

impl Default for Found {
    fn default() -> Self {
        let view = LineageView { versions: Vec::new(), edges: Vec::new(), truncated: false };
        Self { seen: BTreeSet::new(), view }
    }
}

impl Found {
    /// Adds a version; false if it was there already.
    fn add(&mut self, reader: &Reader, version: Version, distance: i32) -> Result<bool, Problem> {
        if !self.seen.insert((version.model, version.label.clone())) {
            return Ok(false);
        }
        let concerns = standing::of(&reader.state, &version, 0)?.concerns;
        self.view.versions.push(LineageVersion {
            concerns,
            model: version.model,
            model_name: reader.name(version.model)?,
            label: version.label,
            artifact: version.artifact.address,
            status: version.status,
            distance,
        });
        Ok(true)
    }

    /// Follows the lineage one way, the nearer versions before the farther.
    fn follow(&mut self, reader: &Reader, from: Version, depth: i32, way: Way) -> Result<(), Problem> {
        let mut next = VecDeque::from([(from, 0)]);
        while let Some((version, distance)) = next.pop_front() {
            let neighbours = if way == Way::Up { version.parents.clone() } else { self.children(reader, &version)? };
            if distance >= depth {
                self.view.truncated |= !neighbours.is_empty();
                continue;
            }
            let own = VersionRef { model: version.model, label: version.label };
            for neighbour in neighbours {
                if self.view.versions.len() >= VERSIONS {
                    self.view.truncated = true;
                    return Ok(());
                }
                let Some(found) = reader.find::<Version>(&(neighbour.model, neighbour.label.clone()))? else {
                    continue;
                };
                let (parent, child) = if way == Way::Up { (neighbour, own.clone()) } else { (own.clone(), neighbour) };
                self.view.edges.push(LineageEdge { parent, child });
                let steps = distance.saturating_add(1);
                if self.add(reader, found.clone(), if way == Way::Up { -steps } else { steps })? {
                    next.push_back((found, steps));
                }
            }
        }
        Ok(())
    }

    fn children(&mut self, reader: &Reader, version: &Version) -> Result<Vec<VersionRef>, Problem> {
        let prefix = (version.model, version.label.clone());
        let (children, more) = page::<ChildOf>(&reader.state, &prefix, None, Direction::Ascending, VERSIONS)?;
        self.view.truncated |= more.is_some();
        Ok(children.into_iter().map(|ChildOf(child)| child).collect())
    }
}
