//! Deeds: everything an outsider needs to check one fact of the ledger offline.
//!
//! A deed names its [`Subject`], and proves every record that the subject's [`Facts`] are read from: what burdens it
//! too, or that nothing does. The maker and the verifier read the facts by the same function, the one from the state
//! and the other from the proofs, and the keys it asks for are the deed's, no more and no fewer: a deed from which an
//! inconvenient proof was taken does not verify.

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

/// What a deed is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// What an account holds of a model, and what burdens it.
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
    /// A proposal, its tally and what became of it.
    Decision(ProposalId),
    /// What an account said of an artifact.
    Attestation {
        /// The artifact.
        artifact: ArtifactId,
        /// What it is about.
        statement: Name,
        /// Who said it, or did not.
        account: AccountId,
    },
}

/// What a deed says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facts {
    /// Of a [`Subject::Share`].
    Share(Box<ShareFacts>),
    /// Of a [`Subject::Version`].
    Version(Box<VersionFacts>),
    /// Of a [`Subject::Licence`].
    Licence(Box<LicenceFacts>),
    /// Of a [`Subject::Decision`].
    Decision(Box<DecisionFacts>),
    /// Of a [`Subject::Attestation`].
    Attestation(Box<AttestationFacts>),
}

/// A line of a register, or that there is none, and what burdens it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShareFacts {
    /// The model.
    pub model: Model,
    /// The sums of its register.
    pub register: Register,
    /// The holder; a suspended one can give nothing away.
    pub account: Account,
    /// What it holds; 0 if it has no line.
    pub units: Units,
    /// What of it is under vesting; no grants if nothing is.
    pub vesting: VestingGrants,
    /// What of it is disputed.
    pub frozen: Frozen,
    /// The disputes about it that are not over.
    pub disputes: Vec<Dispute>,
    /// What of it is bound for the holder's own challenges of others.
    pub challenger: Challenger,
    /// The holder's keys, and since when it has had them, if the owners have a say in that and have not accepted them.
    pub unaccepted: Option<Epoch>,
}

impl ShareFacts {
    /// Units that are not free by vesting at a block time.
    pub fn locked_units(&self, time: Timestamp) -> Units {
        self.vesting.locked(time).min(self.units)
    }

    /// Units that the holder can give away by itself at a block time, as far as its line goes: the model's rule for
    /// transfers is another matter.
    pub fn free_units(&self, time: Timestamp) -> Units {
        if self.account.suspended.is_some() || self.unaccepted.is_some() {
            return Units::ZERO;
        }
        share::free(self.units, self.locked_units(time).max(self.frozen.units), self.challenger.bound(time))
    }
}

/// A version, and whether it is disputed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionFacts {
    /// The model.
    pub model: Model,
    /// The version.
    pub version: Version,
    /// The disputes by which it is frozen; none if it is not.
    pub disputes: Vec<Dispute>,
}

/// How an account stands to the owners' licences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LicenceFacts {
    /// The model.
    pub model: Model,
    /// The account.
    pub account: Account,
    /// What they granted it, and what it agreed to; none if they never granted it anything.
    pub licence: Option<Licensee>,
}

/// A proposal, its tally and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionFacts {
    /// Whose owners answered; none if the members of the network did.
    pub model: Option<Model>,
    /// The question, its rule and where it stands.
    pub proposal: Proposal,
    /// The answers.
    pub tally: Tally,
    /// Who asked.
    pub proposer: Account,
}

/// What an account said of an artifact, or that it said nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttestationFacts {
    /// Who said it, or did not.
    pub account: Account,
    /// What it said last.
    pub attestation: Option<Attestation>,
}

/// Why there are no facts of a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFacts {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// What the subject names is not on the ledger.
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

    /// Reads what the ledger says of it.
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
                let model = match proposal.scope {
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

    /// The keys that its facts are read from, in the order in which they are read: what a deed on it proves.
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

/// State whose keys are noted as they are read.
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

/// A portable proof of what the ledger holds on one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    /// What it is on.
    pub subject: Subject,
    /// Why the state root is to be trusted.
    pub root: RootProof,
    /// What is proven under it: the keys of [`Subject::keys`], in that order.
    pub proofs: Vec<StateProof>,
}

/// What a deed was found to say, and on what that rests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifiedDeed {
    /// The root.
    pub root: TrustedRoot,
    /// What stands under it.
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
    /// When the bytes are not one, or it has more of something than any deed, or a proof of what no tree can have.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidProof> {
        let deed: Self = codec::decode(bytes, limits::DEED_SIZE_BYTES)?;
        deed.check_form()?;
        Ok(deed)
    }

    /// What can be checked without knowing the network.
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
    /// The first step that does not hold.
    pub fn verify(&self, genesis: &Genesis, checkpoint: Option<Checkpoint>) -> Result<VerifiedDeed, InvalidProof> {
        self.check_form()?;
        let root = self.root.verify(genesis, checkpoint)?;
        for proof in &self.proofs {
            proof.verify(root.state_root)?;
        }
        Ok(VerifiedDeed { root, facts: self.claimed()? })
    }
}
