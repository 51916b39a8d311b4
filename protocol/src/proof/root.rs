//! Why a state root can be trusted: the chain of validator sets from genesis to the header that carries it, and the
//! headers that link it to a checkpoint.
//!
//! # What the signatures of old sets are worth
//!
//! Validators who were removed still have their keys, unless they destroyed them, and no longer have anything at stake.
//! Somebody who gets hold of more than two thirds of any one past set can sign another history from that height on,
//! with sets, deeds and times of its own making. The genesis alone cannot tell the two apart: this is a **long-range
//! attack**. So a verifier states what it trusts:
//!
//! - a [`Checkpoint`]: a height and a block hash from a source of its own, not from the source of the deed. The hash
//!   settles everything before it, whatever old keys sign; only the sets from there on must be honest.
//! - or the genesis alone: then every set since genesis is trusted, including those whose keys were retired long ago.
//!
//! A checkpoint settles nothing about the sets after it, so a recent one is better than an old one. And a header's time
//! is what its signers claim: an age shows how old a true deed is, but not that a deed is true.

use super::InvalidProof;
use crate::{
    ground::{
        ids::{BlockHash, Height, NetworkId, ParseError, Power, StateRoot, Timestamp},
        limits,
    },
    ledger::{
        block::{CommitCertificate, Header},
        genesis::Genesis,
    },
    rules::validator::ValidatorSet,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A trusted block, from an outsider's own source. Written `HEIGHT:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checkpoint {
    /// Its height; at least 1.
    pub height: Height,
    /// Its hash.
    pub block: BlockHash,
}

impl Checkpoint {
    fn of(header: &Header) -> Self {
        Self { height: header.height, block: header.hash() }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.height, self.block)
    }
}

impl FromStr for Checkpoint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let malformed = || ParseError::Checkpoint(text.chars().take(100).collect());
        let (height, block) = text.trim().split_once(':').ok_or_else(malformed)?;
        // Only digits, so that one checkpoint has one text form.
        if !height.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let height = height.parse().map(Height::new).map_err(|_| malformed())?;
        Ok(Self { height, block: block.parse().map_err(|_| malformed())? })
    }
}

/// A header and what makes it final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedHeader {
    /// The header.
    pub header: Header,
    /// Its certificate.
    pub certificate: CommitCertificate,
}

impl CertifiedHeader {
    /// Checks that `validators` decided the header.
    fn verify(&self, network: NetworkId, validators: &ValidatorSet) -> Result<(), InvalidProof> {
        let height = self.header.height;
        check_network(&self.header, network)?;
        self.certificate.check_names(height, self.header.hash()).map_err(|_| InvalidProof::Mismatch(height))?;
        if self.header.validators != validators.hash() {
            return Err(InvalidProof::ValidatorSet(height));
        }
        self.certificate.verify(network, validators).map_err(|detail| InvalidProof::Certificate { height, detail })
    }
}

fn check_network(header: &Header, network: NetworkId) -> Result<(), InvalidProof> {
    if header.network == network {
        Ok(())
    } else {
        Err(InvalidProof::Network { found: header.network, expected: network })
    }
}

/// A header after which a different validator set decides, and that set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorChange {
    /// The last header that the previous set decided; it names the hash of the next set.
    pub announced: CertifiedHeader,
    /// The set from the next height on.
    pub validators: ValidatorSet,
}

/// The proof that a state root is the ledger's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootProof {
    /// Every change of the validator set from genesis to the header.
    pub changes: Vec<ValidatorChange>,
    /// The header that carries the root, which is that of the state one height before.
    pub header: CertifiedHeader,
    /// Headers that link it to checkpoints, by height: any from heights before the header's; from heights after it, all
    /// from the next one on, each the parent of the one after it. At most [`limits::DEED_LINKS`].
    pub links: Vec<Header>,
}

/// What a verifier relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Every validator set since genesis: more than two thirds of any one of them can forge what follows.
    GenesisOnly,
    /// A checkpoint, and the sets that decided from its height on, if any.
    Checkpoint(Checkpoint),
}

/// How many validators signed a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signers {
    /// Number of validators that signed it.
    pub signed: u64,
    /// Number of validators in the set that decided it.
    pub validators: u64,
    /// The power of those that signed.
    pub signed_power: Power,
    /// The power of the set.
    pub total_power: Power,
}

/// A verified state root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedRoot {
    /// The network.
    pub network: NetworkId,
    /// The height whose state has this root: one before the block's.
    pub height: Height,
    /// The root.
    pub state_root: StateRoot,
    /// The block whose header carries it.
    pub block: Checkpoint,
    /// That block's time, according to its validators.
    pub time: Timestamp,
    /// How many validators signed that block, and their power.
    pub signers: Signers,
    /// What the verification relied on.
    pub trust: Trust,
    /// Validator set changes whose signatures had to be trusted: all since genesis, or since the checkpoint.
    pub believed_changes: u64,
}

impl RootProof {
    /// The root.
    pub const fn state_root(&self) -> StateRoot {
        self.header.header.state_root
    }

    /// Checks the maximums that no honest proof exceeds.
    pub(super) fn check_form(&self) -> Result<(), InvalidProof> {
        let (found, max) = (self.links.len(), limits::DEED_LINKS);
        if found > max { Err(InvalidProof::TooMany { what: "further headers", found, max }) } else { Ok(()) }
    }

    /// Checks everything against a trusted genesis and, if one is given, a trusted checkpoint.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(&self, genesis: &Genesis, checkpoint: Option<Checkpoint>) -> Result<TrustedRoot, InvalidProof> {
        self.verify_from(genesis.network_id(), &genesis.validator_set()?, checkpoint)
    }

    fn verify_from(
        &self,
        network: NetworkId,
        founding: &ValidatorSet,
        checkpoint: Option<Checkpoint>,
    ) -> Result<TrustedRoot, InvalidProof> {
        self.check_form()?;
        self.verify_changes(network, founding)?;
        let header = &self.header.header;
        let validators = self.in_force(founding, header.height);
        self.header.verify(network, validators)?;
        self.verify_links(network, founding)?;
        let (trust, since) = match checkpoint {
            None => (Trust::GenesisOnly, Height::ZERO),
            Some(checkpoint) => {
                self.tie(checkpoint)?;
                (Trust::Checkpoint(checkpoint), checkpoint.height)
            }
        };
        let believed = self.changes.iter().filter(|change| change.announced.header.height > since);
        Ok(TrustedRoot {
            network,
            height: header.height.previous(),
            state_root: header.state_root,
            block: Checkpoint::of(header),
            time: header.time,
            signers: Signers::of(&self.header.certificate, validators),
            trust,
            believed_changes: count(believed.count()),
        })
    }

    /// Checks that each change is announced by a header that the previous set decided.
    fn verify_changes(&self, network: NetworkId, founding: &ValidatorSet) -> Result<(), InvalidProof> {
        let (mut validators, mut height) = (founding, Height::ZERO);
        for change in &self.changes {
            let announced = &change.announced.header;
            if announced.height <= height {
                return Err(InvalidProof::Order(announced.height));
            }
            change.announced.verify(network, validators)?;
            if announced.next_validators != change.validators.hash() {
                return Err(InvalidProof::ValidatorSet(announced.height));
            }
            (validators, height) = (&change.validators, announced.height);
        }
        let header = self.header.header.height;
        if header <= height { Err(InvalidProof::Order(header)) } else { Ok(()) }
    }

    /// Checks that each link agrees with the sets of its height, or follows from the header.
    fn verify_links(&self, network: NetworkId, founding: &ValidatorSet) -> Result<(), InvalidProof> {
        let certified = &self.header.header;
        let mut before: Option<&Header> = None;
        for link in &self.links {
            check_network(link, network)?;
            if link.height == certified.height || before.is_some_and(|before| link.height <= before.height) {
                return Err(InvalidProof::Order(link.height));
            }
            if link.height < certified.height {
                let sets = [link.height, link.height.next()].map(|height| self.in_force(founding, height).hash());
                if [link.validators, link.next_validators] != sets {
                    return Err(InvalidProof::ValidatorSet(link.height));
                }
            } else {
                let parent = before.filter(|before| before.height > certified.height).unwrap_or(certified);
                if link.height != parent.height.next() || link.parent != parent.hash() {
                    return Err(InvalidProof::Parent(link.height));
                }
            }
            before = Some(link);
        }
        Ok(())
    }

    /// Checks that the checkpoint's block is the one at its height here.
    ///
    /// Before the header, this settles the set of the next height: the trusted header names its hash, and
    /// [`Self::verify_links`] and [`Self::verify_changes`] require the chain of sets to match it. So no older signature
    /// matters. After the header, it settles the header itself, through the hashes of parents.
    fn tie(&self, checkpoint: Checkpoint) -> Result<(), InvalidProof> {
        if checkpoint.height == Height::ZERO {
            return Err(InvalidProof::NotACheckpoint);
        }
        let announced = self.changes.iter().map(|change| &change.announced.header);
        let headers = announced.chain([&self.header.header]).chain(&self.links);
        let mut tied = false;
        // Every header of that height, so that a second one cannot hide behind the right one.
        for header in headers.filter(|header| header.height == checkpoint.height) {
            let found = Checkpoint::of(header);
            if found != checkpoint {
                return Err(InvalidProof::Forked { checkpoint, found });
            }
            tied = true;
        }
        if tied {
            Ok(())
        } else {
            Err(InvalidProof::NotTied { checkpoint: checkpoint.height, header: self.header.header.height })
        }
    }

    /// The set that decides a height, according to the changes announced before it.
    fn in_force<'a>(&'a self, founding: &'a ValidatorSet, height: Height) -> &'a ValidatorSet {
        let before = |change: &&ValidatorChange| change.announced.header.height < height;
        self.changes.iter().take_while(before).last().map_or(founding, |change| &change.validators)
    }
}

impl Signers {
    /// The signers of a certificate that was verified against the set.
    fn of(certificate: &CommitCertificate, validators: &ValidatorSet) -> Self {
        let power = |address| validators.by_address(address).map_or(0, |validator| validator.power.get());
        let signed = certificate.signatures.iter().map(|commit| power(&commit.validator));
        Self {
            signed: count(certificate.signatures.len()),
            validators: count(validators.len()),
            signed_power: Power::new(signed.fold(0, u64::saturating_add)),
            total_power: validators.total_power(),
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
