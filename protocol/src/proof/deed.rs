//! Deeds: everything an outsider needs to check one fact of the ledger offline.
//!
//! A deed names its [`Subject`], and proves every record from which the subject's [`Facts`] are read, including what
//! restricts it, or that nothing does. The maker and the verifier read the facts with the same function, one from the
//! state and the other from the proofs. The keys that it reads must be exactly those of the deed: a deed from which an
//! inconvenient proof was removed does not verify.

use super::{
    InvalidProof, StateProof,
    root::{Checkpoint, RootProof, TrustedRoot},
};
use crate::{
    ground::{
        codec,
        ids::{AccountId, ArtifactId, ModelId, Name, ProposalId, Timestamp, Units, VersionLabel},
        limits,
        state::{Direction, Entry, Record, StateError, StateRead, read},
    },
    ledger::genesis::Genesis,
    rules::{
        account::Account,
        attestation::Attestation,
        control::{self, Epoch},
        dispute::{Challenger, Dispute, DisputeTarget, Frozen},
        licence::Licensee,
        model::{Model, Version},
        policy::Tally,
        proposal::{Proposal, Scope},
        share::{self, Register, Share, VestingGrants},
    },
};
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, collections::BTreeMap};

/// The subject of a deed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// What an account holds of a model, and what restricts it.
    Share {
        /// The model.
        model: ModelId,
        /// The holder.
        account: AccountId,
    },
    /// A version of a model.
    Version {
        /// The model.
        model: ModelId,
        /// The version's label.
        label: VersionLabel,
    },
    /// Whether an account has a licence to a model.
    Licence {
        /// The model.
        model: ModelId,
        /// The account.
        account: AccountId,
    },
    /// A proposal, its tally and its outcome.
    Decision(ProposalId),
    /// What an account said about an artifact.
    Attestation {
        /// The artifact.
        artifact: ArtifactId,
        /// The subject of the statement.
        statement: Name,
        /// The account that said it, or did not.
        account: AccountId,
    },
}

/// The content of a deed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Facts {
    /// The facts of a [`Subject::Share`].
    Share(Box<ShareFacts>),
    /// The facts of a [`Subject::Version`].
    Version(Box<VersionFacts>),
    /// The facts of a [`Subject::Licence`].
    Licence(Box<LicenceFacts>),
    /// The facts of a [`Subject::Decision`].
    Decision(Box<DecisionFacts>),
    /// The facts of a [`Subject::Attestation`].
    Attestation(Box<AttestationFacts>),
}

/// A register line, or that there is none, and what restricts it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShareFacts {
    /// The model.
    pub model: Model,
    /// The sums of its register.
    pub register: Register,
    /// The holder; a suspended one can give nothing away.
    pub account: Account,
    /// Number of units it holds; 0 if it has no line.
    pub units: Units,
    /// The grants under vesting; empty if there are none.
    pub vesting: VestingGrants,
    /// The disputes by which the line is frozen.
    pub frozen: Frozen,
    /// The disputes about it that are not over.
    pub disputes: Vec<Dispute>,
    /// The record of the holder as a challenger, with the units bound for its own challenges of others.
    pub challenger: Challenger,
    /// The holder's control since the last change, if the owners decide about that and have not accepted its keys.
    pub unaccepted: Option<Epoch>,
}

impl ShareFacts {
    /// Units that are not yet free by vesting at a block time.
    pub fn locked_units(&self, time: Timestamp) -> Units {
        self.vesting.locked(time).min(self.units)
    }

    /// Units that the holder can give away by itself at a block time, as far as its line allows; the model's rule for
    /// transfers is a separate matter.
    pub fn free_units(&self, time: Timestamp) -> Units {
        if self.account.suspended.is_some() || self.unaccepted.is_some() {
            return Units::ZERO;
        }
        share::free(self.units, self.locked_units(time).max(self.frozen.units), self.challenger.bound(time))
    }
}

/// A version, and whether it is disputed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionFacts {
    /// The model.
    pub model: Model,
    /// The version.
    pub version: Version,
    /// The disputes by which it is frozen; empty if it is not.
    pub disputes: Vec<Dispute>,
}

/// An account and the owners' licences to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LicenceFacts {
    /// The model.
    pub model: Model,
    /// The account.
    pub account: Account,
    /// What they granted it, and what it agreed to. `None` if they never granted it anything.
    pub licence: Option<Licensee>,
}

/// A proposal, its tally and its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecisionFacts {
    /// The model whose owners answered. `None` if the members of the network did.
    pub model: Option<Model>,
    /// The question, its rule and its status.
    pub proposal: Proposal,
    /// The answers.
    pub tally: Tally,
    /// The account that asked.
    pub proposer: Account,
}

/// What an account said about an artifact, or that it said nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttestationFacts {
    /// The account that said it, or did not.
    pub account: Account,
    /// Its last statement.
    pub attestation: Option<Attestation>,
}

/// Why a subject has no facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFacts {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The subject does not exist on the ledger.
    #[error("there is no such {0} on the ledger")]
    Unknown(&'static str),
}

impl Subject {
    /// The kind's name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Share { .. } => "shares",
            Self::Version { .. } => "a version",
            Self::Licence { .. } => "a licence",
            Self::Decision(_) => "a decision",
            Self::Attestation { .. } => "an attestation",
        }
    }

    /// Reads what the ledger says about the subject.
    ///
    /// # Errors
    /// [`NoFacts`].
    pub fn facts(&self, state: &impl StateRead) -> Result<Facts, NoFacts> {
        Ok(match self {
            Self::Share { model, account } => Facts::Share(Box::new(share_facts(state, *model, *account)?)),
            Self::Version { model, label } => Facts::Version(Box::new(version_facts(state, *model, label)?)),
            Self::Licence { model, account } => Facts::Licence(Box::new(LicenceFacts {
                model: existing::<Model>(state, model, "model")?,
                account: existing::<Account>(state, account, "account")?,
                licence: read::<Licensee>(state, &(*model, *account))?,
            })),
            Self::Decision(id) => {
                let proposal = existing::<Proposal>(state, id, "proposal")?;
                let model = match proposal.scope() {
                    Scope::Model(model) => Some(existing::<Model>(state, &model, "model")?),
                    Scope::Network => None,
                };
                let tally = existing::<Tally>(state, id, "tally")?;
                let proposer = existing::<Account>(state, &proposal.proposer, "account")?;
                Facts::Decision(Box::new(DecisionFacts { model, proposal, tally, proposer }))
            }
            Self::Attestation { artifact, statement, account } => Facts::Attestation(Box::new(AttestationFacts {
                account: existing::<Account>(state, account, "account")?,
                attestation: read::<Attestation>(state, &(*artifact, statement.clone(), *account))?,
            })),
        })
    }

    /// The keys from which its facts are read, in the order of reading: what a deed about it proves.
    ///
    /// # Errors
    /// As [`Subject::facts`].
    pub fn keys(&self, state: &impl StateRead) -> Result<Vec<Vec<u8>>, NoFacts> {
        let noted = Noted { state, keys: RefCell::default() };
        self.facts(&noted)?;
        Ok(noted.keys.into_inner())
    }
}

fn existing<R: Record>(state: &impl StateRead, key: &R::Key, what: &'static str) -> Result<R, NoFacts> {
    read::<R>(state, key)?.ok_or(NoFacts::Unknown(what))
}

fn share_facts(state: &impl StateRead, model: ModelId, account: AccountId) -> Result<ShareFacts, NoFacts> {
    let (line, target) = ((model, account), DisputeTarget::Line { model, account });
    let mut facts = ShareFacts {
        model: existing::<Model>(state, &model, "model")?,
        register: read::<Register>(state, &model)?.unwrap_or_else(|| Register::empty(model)),
        account: existing::<Account>(state, &account, "account")?,
        units: read::<Share>(state, &line)?.map_or(Units::ZERO, |share| share.units),
        vesting: read::<VestingGrants>(state, &line)?.unwrap_or_default(),
        frozen: read::<Frozen>(state, &target)?.unwrap_or_default(),
        disputes: Vec::new(),
        challenger: read::<Challenger>(state, &line)?.unwrap_or_default(),
        unaccepted: None,
    };
    facts.disputes = disputes(state, &facts.frozen)?;
    facts.unaccepted = control::unaccepted(state, &facts.model, account)?;
    Ok(facts)
}

fn version_facts(state: &impl StateRead, model: ModelId, label: &VersionLabel) -> Result<VersionFacts, NoFacts> {
    let target = DisputeTarget::Version { model, label: label.clone() };
    Ok(VersionFacts {
        model: existing::<Model>(state, &model, "model")?,
        version: existing::<Version>(state, &(model, label.clone()), "version")?,
        disputes: disputes(state, &read::<Frozen>(state, &target)?.unwrap_or_default())?,
    })
}

/// The disputes by which a thing is frozen.
fn disputes(state: &impl StateRead, frozen: &Frozen) -> Result<Vec<Dispute>, NoFacts> {
    frozen.disputes.iter().map(|id| existing::<Dispute>(state, id, "dispute")).collect()
}

/// A state that records the keys that are read.
struct Noted<'a, S> {
    state: &'a S,
    keys: RefCell<Vec<Vec<u8>>>,
}

impl<S: StateRead> StateRead for Noted<'_, S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.keys.borrow_mut().push(key.to_vec());
        self.state.get(key)
    }

    fn range(&self, _: &[u8], _: &[u8], _: Direction, _: usize) -> Result<Vec<Entry>, StateError> {
        Err(StateError("a deed proves single keys, never that a range has no others".into()))
    }
}

/// The state that a deed's proofs show.
struct Shown<'a>(BTreeMap<&'a [u8], Option<&'a Vec<u8>>>);

impl StateRead for Shown<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let shown = self.0.get(key).ok_or_else(|| {
            let key = data_encoding::HEXLOWER.encode(key);
            StateError(format!("it has no proof of key {key}"))
        })?;
        Ok(shown.cloned())
    }

    fn range(&self, _: &[u8], _: &[u8], _: Direction, _: usize) -> Result<Vec<Entry>, StateError> {
        Err(StateError("a deed shows no ranges".into()))
    }
}

/// A portable proof of what the ledger says about one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    /// The subject.
    pub subject: Subject,
    /// Why the state root can be trusted.
    pub root: RootProof,
    /// The proofs under it, for the keys of [`Subject::keys`], in that order.
    pub proofs: Vec<StateProof>,
}

/// What a deed was found to say, and what that rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifiedDeed {
    /// The root.
    pub root: TrustedRoot,
    /// The facts proven under it.
    pub facts: Facts,
}

impl Deed {
    /// The deed's bytes, for a file.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a deed.
    ///
    /// # Errors
    /// When the bytes are not a deed, or it has more of something than any deed can, or a proof of what no tree can
    /// have.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidProof> {
        let deed: Self = codec::decode(bytes, limits::DEED_SIZE_BYTES)?;
        deed.check_form()?;
        Ok(deed)
    }

    /// Checks what can be checked without knowing the network.
    fn check_form(&self) -> Result<(), InvalidProof> {
        self.root.check_form()?;
        let (found, max) = (self.proofs.len(), limits::DEED_PROOFS);
        if found > max {
            return Err(InvalidProof::TooMany { what: "proofs", found, max });
        }
        self.proofs.iter().try_for_each(StateProof::check_family)
    }

    /// What it claims, without checking any of it against a genesis.
    ///
    /// # Errors
    /// [`InvalidProof::Incomplete`] when the proofs are not those of the subject.
    pub fn claimed(&self) -> Result<Facts, InvalidProof> {
        let incomplete = |problem| InvalidProof::Incomplete { subject: self.subject.kind(), problem };
        let shown = self.proofs.iter().map(|proof| (proof.key.as_slice(), proof.value.as_ref()));
        let shown = Shown(shown.collect());
        let keys = self.subject.keys(&shown).map_err(|error| incomplete(error.to_string()))?;
        if !keys.iter().eq(self.proofs.iter().map(|proof| &proof.key)) {
            return Err(incomplete("its proofs are others, or in another order".into()));
        }
        self.subject.facts(&shown).map_err(|error| incomplete(error.to_string()))
    }

    /// Checks everything against a trusted genesis and, if one is given, a trusted checkpoint.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(&self, genesis: &Genesis, checkpoint: Option<Checkpoint>) -> Result<VerifiedDeed, InvalidProof> {
        self.check_form()?;
        let root = self.root.verify(genesis, checkpoint)?;
        for proof in &self.proofs {
            proof.verify(root.state_root)?;
        }
        Ok(VerifiedDeed { root, facts: self.claimed()? })
    }
}
