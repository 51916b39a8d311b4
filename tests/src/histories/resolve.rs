//! From a request to the actions it means, as the world then stands.

mod accounts;
mod contributions;
mod disputes;
mod guardians;
mod holders;
mod incidents;
mod licences;
mod offices;
mod proposals;
mod steps;
mod versions;

use crate::{
    histories::{
        History,
        request::{Amount, Pick, Request, VestingTerms},
    },
    reference::Model,
};
use allod_protocol::{
    ground::ids::{AccountId, ModelId, Units},
    rules::{action::Action, share::Vesting},
};

impl History {
    /// The actions that a request means, each with the place of who asks.
    pub(crate) fn actions(&mut self, request: &Request) -> Vec<(usize, Action)> {
        match request {
            Request::Rally { proposal, answers, against } => {
                return self.rally(*proposal, *answers, *against).unwrap_or_default();
            }
            Request::Clear { proposal } => return self.clear(*proposal).unwrap_or_default(),
            Request::Gather { model, givers } => return self.gather(*model, *givers).unwrap_or_default(),
            Request::Review { skip } => return self.review(*skip),
            Request::Agree { account, keys } => return self.agree(*account, *keys).unwrap_or_default(),
            Request::AcceptOffers { answers } => return self.accept_offers(*answers),
            Request::Settle { dispute, upholds } => return self.settle(*dispute, *upholds).unwrap_or_default(),
            _ => {}
        }
        let asked = self
            .of_holder(request)
            .or_else(|| self.of_licensee(request))
            .or_else(|| self.of_taker(request))
            .or_else(|| self.of_account(request))
            .or_else(|| self.of_publisher(request))
            .or_else(|| self.of_guarded(request))
            .or_else(|| self.of_officer(request))
            .or_else(|| self.of_incident(request))
            .or_else(|| self.of_proposer(request))
            .or_else(|| self.of_giver(request))
            .or_else(|| self.of_disputant(request));
        asked.into_iter().map(|(account, action)| (self.place(account), action)).collect()
    }

    /// The place of an account in the list.
    ///
    /// # Panics
    /// When it is not there.
    pub fn place(&self, account: AccountId) -> usize {
        self.accounts.iter().position(|known| *known == account).expect("an account of this history")
    }

    fn model(&self, place: u8) -> (ModelId, &Model) {
        let id = wrap(&self.models, place).expect("there are models");
        (id, &self.world.models[&id])
    }

    fn any(&self, place: u8) -> AccountId {
        wrap(&self.accounts, place).expect("there are accounts")
    }

    fn by(&self, pick: Pick, fits: impl Fn(AccountId) -> bool) -> AccountId {
        choose(&self.accounts, pick, |account| fits(*account)).unwrap_or_else(|| self.any(pick.place))
    }

    /// Units for something that needs at least one.
    fn units(&self, amount: Amount, all: u64) -> Units {
        Units::new(match amount {
            Amount::Few(units) => (u64::from(units) * self.scale).max(1),
            Amount::All => all.max(1),
            Amount::Bound => 1 << 62,
        })
    }
}

fn wrap<T: Clone>(list: &[T], place: u8) -> Option<T> {
    list.get(usize::from(place).checked_rem(list.len())?).cloned()
}

/// One of a list: of those that fit, if such a one is wanted, or of all. Where none fits, mostly none.
fn choose<T: Clone>(all: &[T], pick: Pick, fits: impl Fn(&T) -> bool) -> Option<T> {
    let fitting: Vec<T> = all.iter().filter(|one| pick.fits && fits(one)).cloned().collect();
    let tries_anyway = !pick.fits || pick.place.is_multiple_of(8);
    wrap(if fitting.is_empty() && tries_anyway { all } else { &fitting }, pick.place)
}

fn vesting(terms: VestingTerms) -> Option<Vesting> {
    terms.map(|(cliff_ms, more_ms)| Vesting {
        cliff_ms: cliff_ms.into(),
        duration_ms: u64::from(cliff_ms) + u64::from(more_ms),
    })
}
