//! Accounts: handles that cannot be taken for others, recovery, approvals gathered on the ledger.

use crate::common::{account, founded, ledger, units};
use allod_protocol::{
    ground::{
        codec,
        crypto::SigningKey,
        ids::{AccountId, ApprovalId, Handle, Units},
        invalid::Invalid,
        limits,
    },
    ledger::execute::{Outcome, TransactionResult},
    rules::{
        account::{Account, CreateAccount, HandleOf, KeyPolicy, RotateKeys, WeightedKey},
        action::Action,
        approval::{Approval, RequestApproval, SignApproval},
        event::Event,
        recovery::{CancelRecovery, Clock, RecoverAccount, RecoveryPolicy, SetRecovery},
        share::TransferShares,
        transaction::Transaction,
    },
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
    assert!(agreed.events.iter().any(
        |event| matches!(event, Event::RecoverySought { ready: Some(Clock::Runs { ready: at }), .. } if *at == ready)
    ));
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
fn an_account_is_not_its_own_guardian() {
    let mut ledger = ledger();
    let held = account(&ledger, 0);
    let own = RecoveryPolicy { guardians: vec![held], needed: 1, delay_ms: 60_000 };
    assert_eq!(ledger.refused(0, Action::SetRecovery(SetRecovery { policy: Some(own) })), "own_guardian");
    assert_eq!(ledger.refused(0, Action::CancelRecovery(CancelRecovery {})), "no_recovery");
}

/// An account with three keys, two of which speak for it, that holds ten units of a model.
struct Consortium {
    ledger: TestLedger,
    id: AccountId,
    give: TransferShares,
    model: allod_protocol::ground::ids::ModelId,
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
        let request = RequestApproval { action: Box::new(self.give()), lifetime_ms: 86_400_000, every_key: false };
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
fn dropping_a_request_takes_what_signing_it_takes() {
    let mut this = consortium();
    let id = this.request_give();
    assert_eq!(this.sign(201, id, false), "applied");
    assert_eq!(this.sign(201, id, false), "signed_already");
    let waits = this.ledger.read::<Approval>(&id).expect("one key of three does not drop what another signed");
    assert_eq!((waits.keys.len(), waits.against.len()), (1, 1));
    assert_eq!(this.sign(201, id, true), "applied", "a key may change its mind");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 10);

    let more = TransferShares { model: this.model, to: this.id, units: Units::new(10), reason: String::new() };
    this.ledger.must(0, Action::TransferShares(more));
    let id = this.request_give();
    assert_eq!(this.sign(201, id, false), "applied");
    let dropped = this.by(202, Action::SignApproval(SignApproval { approval: id, approve: false }));
    let account = this.id;
    assert!(dropped.events.contains(&Event::ApprovalClosed { account, approval: id, carried_out: false }));
    assert_eq!(this.sign(201, id, true), "unknown_approval");
    let id = this.request_give();
    assert_eq!(this.sign(200, id, false), "applied");
    assert_eq!(this.sign(201, id, true), "unknown_approval", "whoever alone signed it took it back");
    assert_eq!(this.ledger.read::<Account>(&this.id).unwrap().open_approvals, 0);
}

#[test]
fn a_request_that_waits_too_long_is_dropped() {
    let mut this = consortium();
    let id = this.request_give();
    let events = this.ledger.block(86_400_000, vec![]).deadline_events;
    let account = this.id;
    assert!(events.contains(&Event::ApprovalClosed { account, approval: id, carried_out: false }));
    assert_eq!(this.sign(201, id, true), "unknown_approval");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 0);
}

impl Consortium {
    /// Two of the keys replace all.
    fn rotate(&mut self, by: [u8; 2], threshold: u32, to: &[u8]) {
        let keys = to.iter().map(|seed| WeightedKey { key: signing_key(*seed).public_key(), weight: 1 }).collect();
        let rotate = Action::RotateKeys(RotateKeys { keys: KeyPolicy { threshold, keys } });
        let transaction = self.ledger.sign(self.id, &by.map(signing_key), rotate);
        assert_eq!(code(&self.ledger.run(transaction)), "applied");
    }
}

#[test]
fn a_request_forgets_the_keys_that_were_replaced() {
    let mut this = consortium();
    let id = this.request_give();
    assert_eq!(this.sign(201, id, false), "applied");
    let signed = this.ledger.read::<Approval>(&id).unwrap();
    // However often other keys come and go, a request holds none but present ones.
    for round in 0..4u8 {
        this.rotate([200, 202 + round], 2, &[200, 203 + round]);
        let waits = this.ledger.read::<Approval>(&id).unwrap();
        assert_eq!((&waits.keys, waits.against.len()), (&signed.keys, 0));
    }
    this.rotate([200, 206], 2, &[201, 206]);
    assert!(this.ledger.read::<Approval>(&id).is_none(), "no present key signs it");
    assert_eq!(this.ledger.read::<Account>(&this.id).unwrap().open_approvals, 0);
    this.rotate([201, 206], 2, &[200, 201]);
    assert_eq!(this.sign(201, id, true), "unknown_approval", "a key that comes back has signed nothing");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 0);
}

#[test]
fn keys_that_signed_carry_a_request_out_once_they_are_enough() {
    let mut this = consortium();
    let id = this.request_give();
    this.rotate([200, 201], 1, &[200, 201]);
    assert_eq!(this.sign(200, id, true), "applied");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 10);
}

#[test]
fn a_request_can_wait_for_every_key() {
    let mut this = consortium();
    let request = RequestApproval { action: Box::new(this.give()), lifetime_ms: 86_400_000, every_key: true };
    let two = [signing_key(200), signing_key(201)];
    let transaction = this.ledger.sign(this.id, &two, Action::RequestApproval(request));
    let result = this.ledger.run(transaction);
    let Some(Event::ApprovalRequested { approval, .. }) = result.events.first().cloned() else { panic!("{result:?}") };
    assert_eq!(this.sign(201, approval, false), "applied");
    assert_eq!(this.sign(202, approval, false), "applied", "two of three sign for the account, and do not drop it");
    assert_eq!(this.sign(202, approval, true), "applied");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 0);
    assert_eq!(this.sign(201, approval, true), "applied");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 10);
}

#[test]
fn one_key_leaves_the_others_room_to_ask() {
    let mut this = consortium();
    for _ in 0..5 {
        this.request_give();
    }
    let request = RequestApproval { action: Box::new(this.give()), lifetime_ms: 86_400_000, every_key: false };
    assert_eq!(code(&this.by(200, Action::RequestApproval(request.clone()))), "too_many_approvals_of_key");
    for seed in [201, 202] {
        for _ in 0..5 {
            assert_eq!(code(&this.by(seed, Action::RequestApproval(request.clone()))), "applied");
        }
    }
}

#[test]
fn a_signature_cannot_be_taken_off_on_the_way() {
    let mut this = consortium();
    let id = this.request_give();
    let sign = Action::SignApproval(SignApproval { approval: id, approve: true });
    let whole = this.ledger.sign(this.id, &[signing_key(201), signing_key(202)], sign);
    let network = this.ledger.tip.network;
    // A relayer takes off one of two; and makes what is left look whole.
    let mut stripped = whole.clone();
    stripped.signatures.pop();
    assert!(matches!(stripped.check_form(network), Err(Invalid::SignatureCount { signers: 2, signatures: 1 })));
    stripped.body.signers.pop();
    assert_eq!(stripped.check_form(network), Ok(()));
    assert_eq!(stripped.check_signatures(), Err(Invalid::Signature(signing_key(201).public_key())));
    assert_ne!(stripped.id(), whole.id());
    let mut swapped = whole.clone();
    swapped.signatures.reverse();
    assert!(swapped.check_signatures().is_err());
    assert_eq!(code(&this.ledger.run(whole)), "applied");
    assert_eq!(units(&this.ledger, this.model, "seafront"), 10);
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
    let request = RequestApproval { action: Box::new(this.give()), lifetime_ms: 1, every_key: false };
    assert!(Action::RequestApproval(request).for_approval().is_err());
}
