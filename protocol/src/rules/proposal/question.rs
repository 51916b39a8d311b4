//! What a proposal asks, and whom: only what is theirs to decide can be asked of the owners of a model, or of the
//! members of the network.

use super::{ModelAction, NetworkAction, Proposal, Scope};
use crate::{
    ground::{
        codec,
        ids::{ModelId, Timestamp},
        invalid::{Invalid, check_count},
        limits,
        state::Overlay,
    },
    rules::{
        context::Context, dispute::ResolveDispute, event::Event, model::Model, policy::Class, rejection::Rejection,
    },
};
use serde::{Deserialize, Serialize};

/// Who is asked, and what is done if they say yes: 1 to [`limits::PROPOSAL_ACTIONS`] actions, all of one class, which are
/// done all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// The owners of a model are asked.
    Model {
        /// The model that they own.
        model: ModelId,
        /// What is done with it, in this order.
        actions: Vec<ModelAction>,
    },
    /// The members of the network are asked, one voice each.
    Network {
        /// What is done, in this order.
        actions: Vec<NetworkAction>,
    },
}

impl Question {
    /// A question to the owners of a model.
    pub const fn of_model(model: ModelId, actions: Vec<ModelAction>) -> Self {
        Self::Model { model, actions }
    }

    /// A question to the members of the network.
    pub const fn of_network(actions: Vec<NetworkAction>) -> Self {
        Self::Network { actions }
    }

    /// Whose question it is.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Model { model, .. } => Scope::Model(*model),
            Self::Network { .. } => Scope::Network,
        }
    }

    /// What is done with the model; nothing if the network is asked.
    pub fn model_actions(&self) -> &[ModelAction] {
        match self {
            Self::Model { actions, .. } => actions,
            Self::Network { .. } => &[],
        }
    }

    /// What is done by the network; nothing if the owners of a model are asked.
    pub fn network_actions(&self) -> &[NetworkAction] {
        match self {
            Self::Model { .. } => &[],
            Self::Network { actions } => actions,
        }
    }

    /// The name of each action, as in JSON.
    pub fn action_names(&self) -> Vec<&'static str> {
        match self {
            Self::Model { actions, .. } => actions.iter().map(ModelAction::name).collect(),
            Self::Network { actions } => actions.iter().map(NetworkAction::name).collect(),
        }
    }

    /// The dispute that it is to end, and how.
    pub fn resolution(&self) -> Option<&ResolveDispute> {
        self.model_actions().iter().find_map(|action| {
            if let ModelAction::ResolveDispute(resolution) = action { Some(resolution) } else { None }
        })
    }

    /// Every rule of form.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let (count, size) = match self {
            Self::Model { actions, .. } => (actions.len(), codec::encode(actions).len()),
            Self::Network { actions } => (actions.len(), codec::encode(actions).len()),
        };
        check_count("actions", count, limits::PROPOSAL_ACTIONS)?;
        let form = |problem: String| Err(Invalid::Form { field: "actions", problem });
        if count == 0 {
            return form("are missing; say what is done if it passes".into());
        }
        if self.resolution().is_some() && count > 1 {
            return form("resolve a dispute among other actions; put each resolution by itself".into());
        }
        if size > limits::PROPOSAL_ACTIONS_SIZE_BYTES {
            let max = limits::PROPOSAL_ACTIONS_SIZE_BYTES;
            return form(format!("take {size} bytes; at most {max} are allowed: put several proposals"));
        }
        match self {
            Self::Model { actions, .. } => actions.iter().try_for_each(ModelAction::check),
            Self::Network { actions } => actions.iter().try_for_each(NetworkAction::check),
        }
    }

    /// The one class of all actions.
    pub(super) fn class(&self) -> Result<Class, Rejection> {
        let classes: Vec<Class> = match self {
            Self::Model { actions, .. } => actions.iter().map(ModelAction::class).collect(),
            Self::Network { actions } => actions.iter().map(NetworkAction::class).collect(),
        };
        let class = classes.first().copied().unwrap_or(Class::Rules);
        match classes.iter().find(|other| **other != class) {
            Some(other) => Err(Rejection::MixedClasses(class.name().into(), other.name().into())),
            None => Ok(class),
        }
    }
}

impl Proposal {
    /// What the decision still waits for besides its time, once it passed.
    pub(super) fn lacking(&self, state: &Overlay<'_>, time: Timestamp) -> Option<Rejection> {
        match &self.question {
            Question::Model { model, actions } => {
                actions.iter().find_map(|action| action.lacking(state, time, *model, self))
            }
            Question::Network { actions } => actions.iter().find_map(|action| action.lacking(state)),
        }
    }

    /// Carries out all actions, or gives the first refusal; the caller drops what was written before it.
    pub(super) fn carry_out(&self, state: &mut Overlay<'_>, context: &mut Context) -> Result<Vec<Event>, Rejection> {
        let mut events = Vec::new();
        match &self.question {
            Question::Model { model, actions } => {
                for action in actions {
                    let model = Model::existing(state, *model)?;
                    events.extend(action.apply(state, context, model, self)?);
                }
            }
            Question::Network { actions } => {
                for action in actions {
                    events.extend(action.apply(state, context, self)?);
                }
            }
        }
        Ok(events)
    }
}
