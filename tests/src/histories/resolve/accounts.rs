//! What accounts ask for themselves: more accounts, other keys, a model.

use super::{vesting, wrap};
use crate::histories::{
    History,
    keys::{GUESTS, keys},
    policies::policy,
    request::Request,
};
use allod_protocol::{
    ground::ids::{AccountId, Handle, Name, Units},
    rules::{
        access::Distribution,
        account::{CreateAccount, RotateKeys},
        action::Action,
        model::{CreateModel, FoundingLine, ParentGrant},
    },
};

impl History {
    pub(super) fn of_account(&self, request: &Request) -> Option<(AccountId, Action)> {
        match request {
            Request::Admit { by, handle, quota } => {
                let by = self.by(*by, |account| self.world.accounts[&account].quota > u32::from(*quota));
                let handle = Handle::new(wrap(&GUESTS, *handle)?).expect("a handle");
                let keys = keys(&handle, 0);
                Some((by, Action::CreateAccount(CreateAccount { handle, keys, quota: (*quota).into() })))
            }
            Request::Rotate { by, keys: number } => {
                let by = self.by(*by, |account| !self.world.accounts[&account].suspended);
                let keys = keys(&self.world.accounts[&by].handle, *number);
                Some((by, Action::RotateKeys(RotateKeys { keys })))
            }
            Request::Found { by, name, policy: number, parent, units, vesting: terms } => {
                let by = self.by(*by, |account| !self.world.accounts[&account].suspended);
                let parent = parent.map(|place| self.model(place).0);
                let line = |account: AccountId| FoundingLine {
                    account,
                    units: Units::new(u64::from(*units) + 1),
                    vesting: vesting(*terms),
                };
                let grant = |parent| ParentGrant { parent, units: Units::new(u64::from(*units) * 3 + 1) };
                let asked = CreateModel {
                    name: Name::new(format!("model-{name}")).expect("a name"),
                    description: String::new(),
                    founding: self.accounts.iter().rev().take(3).copied().map(line).collect(),
                    stewards: self.accounts[..2].to_vec(),
                    policy: policy(*number, &self.accounts),
                    licence: None,
                    distribution: Distribution::default(),
                    grants: parent.into_iter().map(grant).collect(),
                };
                Some((by, Action::CreateModel(asked)))
            }
            _ => None,
        }
    }
}
