//! Accounts: handles that cannot be taken for others, recovery, approvals gathered on the ledger.

use crate::common::{account, founded, ledger, units};
use allod_protocol::{
    account::{Account, CreateAccount, HandleOf, KeyPolicy, RotateKeys, WeightedKey},
    approval::{Approval, RequestApproval, SignApproval},
    codec,
    crypto::SigningKey,
    event::Event,
    execute::{Outcome, TransactionResult},
    ids::{AccountId, ApprovalId, Handle, Units},
    limits,
    recovery::{CancelRecovery, RecoverAccount, RecoveryPolicy, SetRecovery},
    share::TransferShares,
    transaction::{Action, Transaction},
};
use allod_tests::ledger::{TestLedger, policy};

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn code(result: &TransactionResult) -> &'static str {
    match &result.outcome {
        Outcome::Applied => "applied",
        Outcome::Rejected(rejection) => rejection.code(),
    }
}

#[test]
fn a_handle_that_can_be_taken_for_another_is_refused() {
    let mut ledger = ledger();
    let create = |handle: &str| {
        let (handle, keys) = (Handle::new(handle).unwrap(), KeyPolicy::single(signing_key(99).public_key()));
        Action::CreateAccount(CreateAccount { handle, keys, quota: 0 })
    };
    for alike in ["northfie1d", "north-field", "hi11top", "l-a-k-e-s-i-d-e"] {
        assert_eq!(ledger.refused(0, create(alike)), "handle_looks_like", "{alike}");
    }
    ledger.must(0, create("comedian"));
    assert_eq!(ledger.refused(0, create("cornedian")), "handle_looks_like", "rn looks like m");
    ledger.must(0, create("northfields"));
}

fn guarded(ledger: &mut TestLedger) -> AccountId {
    let guardians = (1..4).map(|index| account(ledger, index)).collect();
    let policy = RecoveryPolicy { guardians, needed: 2, delay_ms: 60_000 };
    ledger.must(0, Action::SetRecovery(SetRecovery { policy: Some(policy) }));
    ledger.accept_offers();
    account(ledger, 0)
}

fn recover(account: AccountId, seed: u8) -> Action {
    let keys = KeyPolicy::single(signing_key(seed).public_key());
    Action::RecoverAccount(RecoverAccount { account, keys })
}

#[test]
fn guardians_give_an_account_new_keys_after_a_delay() {
    let mut ledger = ledger();
    let lost = guarded(&mut ledger);
    assert_eq!(ledger.refused(4, recover(lost, 200)), "not_key_guardian");
    ledger.must(1, recover(lost, 200));
    ledger.must(2, recover(lost, 201));
    let agreed = ledger.must(3, recover(lost, 200));
    let ready = ledger.tip.time.plus_ms(60_000);
    assert!(
        agreed
            .events
            .iter()
            .any(|event| matches!(event, Event::RecoverySought { ready: Some(at), .. } if *at == ready))
    );
    assert_eq!(ledger.refused(2, recover(lost, 200)), "recovery_pending");
    ledger.block(58_000, vec![]);
    assert_eq!(ledger.read::<Account>(&lost).unwrap().keys.keys[0].key, allod_tests::ledger::key(0).public_key());
    ledger.block(1_000, vec![]);
    assert_eq!(ledger.read::<Account>(&lost).unwrap().keys, KeyPolicy::single(signing_key(200).public_key()));
    let rotate = Action::RotateKeys(RotateKeys { keys: KeyPolicy::single(signing_key(202).public_key()) });
    let transaction = ledger.sign(lost, &[signing_key(200)], rotate);
    assert_eq!(code(&ledger.run(transaction)), "applied");
}

#[test]
fn present_keys_stop_a_recovery() {
    let mut ledger = ledger();
    let held = guarded(&mut ledger);
    let cancel = || Action::CancelRecovery(CancelRecovery {});
    assert_eq!(ledger.refused(0, cancel()), "no_recovery");
    for stop in 0..2 {
        ledger.must(1, recover(held, 200));
        ledger.must(2, recover(held, 200));
        if stop == 0 {
            ledger.must(0, cancel());
        } else {
            let keys = ledger.read::<Account>(&held).unwrap().keys;
            let stopped = ledger.must(0, Action::RotateKeys(RotateKeys { keys }));
            assert!(stopped.events.contains(&Event::RecoveryStopped { account: held }));
        }
        ledger.block(120_000, vec![]);
        let keys = ledger.read::<Account>(&held).unwrap().keys;
        assert_eq!(keys.keys[0].key, allod_tests::ledger::key(0).public_key());
    }
    // What guardians said before counts no more: one of them alone does not reach the two.
    let result = ledger.must(1, recover(held, 200));
    assert!(matches!(result.events[0], Event::RecoverySought { ready: None, .. }));
    let own = RecoveryPolicy { guardians: vec![held], needed: 1, delay_ms: 60_000 };
    assert_eq!(ledger.refused(0, Action::SetRecovery(SetRecovery { policy: Some(own) })), "own_guardian");
}

/// An account with three keys, two of which speak for it, that holds ten units of a model.
struct Consortium {
    ledger: TestLedger,
    id: AccountId,
    give: TransferShares,
    model: allod_protocol::ids::ModelId,
}

fn consortium() -> Consortium {
    let mut ledger = ledger();
    let model = founded(&mut ledger, policy(50, 60));
    let keys = (200..203).map(|seed| WeightedKey { key: signing_key(seed).public_key(), weight: 1 }).collect();
    let handle = Handle::new("consortium").unwrap();
    let keys = KeyPolicy { threshold: 2, keys };
    ledger.must(0, Action::CreateAccount(CreateAccount { handle: handle.clone(), keys, quota: 0 }));
    let HandleOf(id) = ledger.read(&handle).unwrap();
    let give = |to, units| TransferShares { model, to, units: Units::new(units), reason: String::new() };
    ledger.must(0, Action::TransferShares(give(id, 10)));
    let give = give(ledger.account("seafront"), 10);
    Consortium { ledger, id, give, model }
}

impl Consortium {
    /// What the account is to do, in a transaction or in a request.
    fn give<Request, Sign>(&self) -> Action<Request, Sign> {
        Action::TransferShares(self.give.clone())
    }

    fn by(&mut self, seed: u8, action: Action) -> TransactionResult {
        let transaction = self.ledger.sign(self.id, &[signing_key(seed)], action);
        self.ledger.run(transaction)
    }

    /// The first key puts the gift as a request.
    fn request_give(&mut self) -> ApprovalId {
        let request = RequestApproval { action: Box::new(self.give()), lifetime_ms: 86_400_000 };
        match self.by(200, Action::RequestApproval(request)).events.first() {
            Some(Event::ApprovalRequested { approval, .. }) => *approval,
            other => panic!("{other:?}"),
        }
    }

    fn sign(&mut self, seed: u8, approval: ApprovalId, approve: bool) -> &'static str {
        code(&self.by(seed, Action::SignApproval(SignApproval { approval, approve })))
    }
}

#[test]
fn keys_sign_a_request_one_after_the_other() {
    let mut this = consortium();
    let alone = this.give();
    assert_eq!(code(&this.by(200, alone)), "not_authorised");
    let id = this.request_give();
    assert_eq!(this.sign(200, id, true), "signed_already");
    assert_eq!(this.sign(99, id, true), "foreign_key");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 0);
    this.ledger.block(3_600_000, vec![]);
    assert_eq!(this.sign(202, id, true), "applied");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 10);
    assert_eq!(this.sign(201, id, true), "unknown_approval", "it is carried out once");
    assert_eq!(this.ledger.read::<Account>(&this.id).unwrap().open_approvals, 0);
}

#[test]
fn a_request_that_the_rules_refuse_can_be_signed_again() {
    let mut this = consortium();
    let id = this.request_give();
    let other = this.request_give();
    assert_eq!(this.sign(201, other, true), "applied");
    assert_eq!(this.sign(201, id, true), "not_enough_shares");
    assert_eq!(this.ledger.read::<Approval>(&id).unwrap().keys.len(), 1, "the refused signature left nothing");
    let more = TransferShares { model: this.model, to: this.id, units: Units::new(10), reason: String::new() };
    this.ledger.must(0, Action::TransferShares(more));
    assert_eq!(this.sign(201, id, true), "applied");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 20);
}

#[test]
fn a_request_is_dropped_by_a_key_or_by_time() {
    let mut this = consortium();
    let id = this.request_give();
    assert_eq!(this.sign(201, id, false), "applied");
    assert_eq!(this.sign(202, id, true), "unknown_approval");
    let id = this.request_give();
    let events = this.ledger.block(86_400_000, vec![]).deadline_events;
    let account = this.id;
    assert!(events.contains(&Event::ApprovalClosed { account, approval: id, carried_out: false }));
    assert_eq!(this.sign(201, id, true), "unknown_approval");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 0);
}

/// A transaction whose request for approval holds a request for approval, and so on, as a stranger would write it.
fn nested(size_bytes: usize) -> Vec<u8> {
    let head = [vec![1u8], vec![0; 32 + 32 + 8 + 8]].concat();
    let levels = (size_bytes - head.len()) / 4;
    [head, 24u32.to_le_bytes().repeat(levels)].concat()
}

#[test]
fn a_request_for_approval_cannot_hold_another_one() {
    // On a stack as small as any that strangers' bytes are read on.
    let read = || {
        for size_bytes in [93, 8 * 1024, limits::TRANSACTION_SIZE_BYTES] {
            let refused = Transaction::decode(&nested(size_bytes)).unwrap_err();
            assert!(refused.to_string().contains("itself about approvals"), "{refused}");
        }
        let batch =
            [vec![1], 1u64.to_le_bytes().to_vec(), nested(limits::GOSSIP_SIZE_BYTES - 9)[1..].to_vec()].concat();
        assert!(codec::decode::<Vec<Transaction>>(&batch, limits::GOSSIP_SIZE_BYTES).is_err());
    };
    std::thread::Builder::new().stack_size(256 * 1024).spawn(read).unwrap().join().unwrap();
    let json = r#"{"request_approval":{"action":{"sign_approval":{"approval":"","approve":true}},"lifetime_ms":1}}"#;
    let refused = serde_json::from_str::<Action>(json).unwrap_err();
    assert!(refused.to_string().contains("put the request that is meant"), "{refused}");
    let this = consortium();
    let request = RequestApproval { action: Box::new(this.give()), lifetime_ms: 1 };
    assert!(Action::RequestApproval(request).for_approval().is_err());
}
