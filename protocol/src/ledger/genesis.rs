//! The genesis of a network: who founded it, who validates it, and its parameters. A network's id is the hash of its
//! genesis, so a genesis cannot be changed, only replaced by that of another network.

use crate::{
    ground::{
        codec,
        crypto::{self, Domain},
        ids::{AccountId, BlockHash, Handle, Height, NetworkId, Power, PublicKey, StateRoot, Timestamp},
        invalid::{Invalid, check_line},
        state::{ChangeSet, Direction, Entry, Overlay, StateError, StateRead},
    },
    ledger::block::Tip,
    rules::{
        account::{Account, HandleOf, HandleShape, KeyPolicy},
        network::{MembersAt, Network},
        office::{Office, Tenure, TenureStatus},
        parameters::Parameters,
        validator::{Validator, ValidatorSchedule, ValidatorSet, ValidatorSetError},
    },
};
use serde::{Deserialize, Serialize};

/// A founding account; every one is a member of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Its handle.
    pub handle: Handle,
    /// Its keys.
    pub keys: KeyPolicy,
}

/// A founding validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// Its consensus key.
    pub key: PublicKey,
    /// Its voting power.
    pub power: Power,
    /// The handle of the founding account that answers for it.
    pub operator: Handle,
}

/// The genesis of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The name of the network, for people.
    pub name: String,
    /// The time of block 0.
    pub time: Timestamp,
    /// The parameters.
    pub parameters: Parameters,
    /// The founding accounts.
    pub accounts: Vec<GenesisAccount>,
    /// The founding validators.
    pub validators: Vec<GenesisValidator>,
}

/// Why a genesis cannot start a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// A field is out of bounds.
    #[error("genesis: {0}")]
    Form(#[from] Invalid),
    /// A handle is listed twice.
    #[error("genesis: the handle {0} is listed twice")]
    RepeatedHandle(Handle),
    /// Two handles look the same.
    #[error("genesis: the handles {0} and {1} look alike; change one")]
    AlikeHandles(Handle, Handle),
    /// A validator's operator does not exist.
    #[error("genesis: validator {key} names operator {operator}, which is not among the accounts")]
    UnknownOperator {
        /// The validator's key.
        key: PublicKey,
        /// The handle.
        operator: Handle,
    },
    /// The validators do not form a set.
    #[error("genesis: {0}")]
    Validators(#[from] ValidatorSetError),
}

struct Nothing;

impl StateRead for Nothing {
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }
    fn range(&self, _: &[u8], _: &[u8], _: Direction, _: usize) -> Result<Vec<Entry>, StateError> {
        Ok(Vec::new())
    }
}

impl Genesis {
    /// The network's id.
    pub fn network_id(&self) -> NetworkId {
        NetworkId::from_bytes(crypto::hash(Domain::Genesis, &codec::encode(self)))
    }

    /// The id of a founding account.
    pub fn account_id(&self, handle: &Handle) -> AccountId {
        AccountId::from_bytes(crypto::hash(Domain::Account, &codec::encode(&(self.network_id(), handle))))
    }

    /// The founding validators as a set.
    ///
    /// # Errors
    /// When they do not form a set, or name an operator that does not exist.
    pub fn validator_set(&self) -> Result<ValidatorSet, GenesisError> {
        let mut validators = Vec::new();
        for validator in &self.validators {
            if !self.accounts.iter().any(|account| account.handle == validator.operator) {
                let operator = validator.operator.clone();
                return Err(GenesisError::UnknownOperator { key: validator.key, operator });
            }
            validators.push(Validator::new(validator.key, validator.power, self.account_id(&validator.operator)));
        }
        Ok(ValidatorSet::try_from(validators)?)
    }

    /// The state of block 0, as changes to an empty one.
    ///
    /// # Errors
    /// When the genesis cannot start a network.
    pub fn state(&self) -> Result<ChangeSet, GenesisError> {
        check_line("name", &self.name, crate::ground::limits::TITLE_SIZE_BYTES)?;
        self.parameters.check()?;
        let validators = self.validator_set()?;
        let mut overlay = Overlay::new(&Nothing);
        let mut handles = std::collections::BTreeSet::new();
        let mut shapes = std::collections::BTreeMap::new();
        for founding in &self.accounts {
            founding.keys.check()?;
            if !handles.insert(&founding.handle) {
                return Err(GenesisError::RepeatedHandle(founding.handle.clone()));
            }
            if let Some(existing) = shapes.insert(founding.handle.shape(), &founding.handle) {
                return Err(GenesisError::AlikeHandles(existing.clone(), founding.handle.clone()));
            }
            let (id, handle) = (self.account_id(&founding.handle), founding.handle.clone());
            let account = Account {
                member_since: Some(Height::ZERO),
                quota: self.parameters.founder_quota,
                ..Account::new(id, handle, founding.keys.clone(), Height::ZERO)
            };
            overlay.write(&account.handle, &HandleOf(account.id));
            overlay.write(&account.handle.shape(), &HandleShape(account.handle.clone()));
            overlay.write(&account.id, &account);
        }
        let members = u64::try_from(self.accounts.len()).unwrap_or(u64::MAX);
        let network =
            Network { parameters: self.parameters.clone(), members, proposals: 0, open_proposals: 0, upgrade: None };
        overlay.write(&(), &network);
        overlay.write(&Height::ZERO, &MembersAt(members));
        // The founders sign nothing: anyone who starts a network from this genesis agrees to all of it.
        for validator in validators.iter() {
            let (account, office) = (validator.operator, Office::Operator(validator.key));
            let key = (account, office.clone());
            overlay.write(&key, &Tenure { account, office, status: TenureStatus::Accepted, since: Height::ZERO });
        }
        let schedule = ValidatorSchedule { current: validators.clone(), next: validators };
        overlay.write(&(), &schedule);
        overlay.keep();
        Ok(overlay.finish().unwrap_or_default())
    }

    /// The tip at block 0, given the root of [`Genesis::state`].
    ///
    /// # Errors
    /// When the validators do not form a set.
    pub fn tip(&self, state_root: StateRoot) -> Result<Tip, GenesisError> {
        let validators = self.validator_set()?;
        let network = self.network_id();
        Ok(Tip {
            network,
            height: Height::ZERO,
            hash: BlockHash::from_bytes(*network.as_bytes()),
            time: self.time,
            state_root,
            next_validators: validators.clone(),
            validators,
        })
    }
}
