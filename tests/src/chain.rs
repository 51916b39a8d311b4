//! Decided blocks for a ledger under test: signed by every validator, without any consensus.

#![allow(clippy::expect_used, reason = "a test that cannot go on should stop")]

use allod_protocol::{
    ground::{
        crypto::{Domain, SigningKey},
        ids::{AccountId, Height, ValidatorAddress},
    },
    ledger::{
        block::{Block, CommitCertificate, CommitSignature, DecidedBlock, Header, Tip, VoteBody, VoteKind},
        execute::{Executed, execute},
        genesis::Genesis,
    },
    proof::{CertifiedHeader, Deed, RootProof, StateProof, Subject, ValidatorChange},
    rules::{
        action::Action,
        transaction::{Transaction, TransactionBody},
    },
};
use allod_storage::MemoryLedger;
use std::collections::BTreeMap;

/// The keys of a network's validators, and a source of nonces.
#[derive(Debug)]
pub struct Author {
    validators: BTreeMap<ValidatorAddress, SigningKey>,
    nonce: u64,
}

impl Author {
    /// Decides with these consensus keys; those that are not in the set in force do not sign.
    pub fn new(validators: impl IntoIterator<Item = SigningKey>) -> Self {
        let validators = validators.into_iter().map(|key| (key.public_key().validator_address(), key)).collect();
        Self { validators, nonce: 0 }
    }

    /// Signs an action that expires a minute after the tip's time.
    pub fn sign(&mut self, tip: &Tip, sender: AccountId, keys: &[SigningKey], action: Action) -> Transaction {
        self.nonce += 1;
        let expires = tip.time.plus_ms(60_000);
        TransactionBody { network: tip.network, sender, nonce: self.nonce, expires, action, signers: Vec::new() }
            .sign(keys)
    }

    /// The block after `tip`, `later_ms` later, checked as a validator does, with every known validator's precommit.
    pub fn decide(&self, tip: &Tip, later_ms: u64, transactions: Vec<Transaction>) -> DecidedBlock {
        let proposer = tip.validators.proposer(tip.height.next(), 0).address;
        let block = Block::following(tip, proposer, tip.time.plus_ms(later_ms), transactions);
        block.check(tip, None, &|_| false).expect("a valid block");
        let certificate = self.certify(tip, &block);
        DecidedBlock { block, certificate }
    }

    fn certify(&self, tip: &Tip, block: &Block) -> CommitCertificate {
        let (height, hash) = (block.header().height, block.hash());
        let signing = tip.validators.iter().filter_map(|validator| self.validators.get_key_value(&validator.address));
        let precommit = |(address, key): (&ValidatorAddress, &SigningKey)| {
            let body = VoteBody {
                network: tip.network,
                kind: VoteKind::Precommit,
                height,
                round: 0,
                block: Some(hash),
                validator: *address,
            };
            CommitSignature { validator: *address, signature: key.sign(Domain::Vote, &body.signing_bytes()) }
        };
        CommitCertificate { height, round: 0, block: hash, signatures: signing.map(precommit).collect() }
    }
}

/// A ledger in memory with the chain of its validator sets, so that it can make deeds.
#[derive(Debug)]
pub struct Chain {
    /// How it began.
    pub genesis: Genesis,
    /// Who signs.
    pub author: Author,
    /// The ledger.
    pub ledger: MemoryLedger,
    changes: Vec<ValidatorChange>,
}

impl Chain {
    /// A ledger at genesis.
    pub fn new(genesis: Genesis, author: Author) -> Self {
        let ledger = MemoryLedger::new(&genesis).expect("a sound genesis");
        Self { genesis, author, ledger, changes: Vec::new() }
    }

    /// Signs an action.
    pub fn sign(&mut self, sender: AccountId, keys: &[SigningKey], action: Action) -> Transaction {
        self.author.sign(&self.ledger.tip(), sender, keys, action)
    }

    /// Decides, executes and commits a block, `later_ms` after the one before.
    pub fn block(&mut self, later_ms: u64, transactions: Vec<Transaction>) -> Executed {
        let tip = self.ledger.tip();
        let decided = self.author.decide(&tip, later_ms, transactions);
        let executed = execute(&self.ledger.snapshot(), &decided.block).expect("a readable state");
        let header = decided.block.header().clone();
        if header.validators != header.next_validators {
            let announced = CertifiedHeader { header, certificate: decided.certificate.clone() };
            self.changes.push(ValidatorChange { announced, validators: tip.next_validators });
        }
        self.ledger.commit(&decided, &executed).expect("the next block");
        executed
    }

    /// Proves what a key has, by the newest header: what the state held one block before it.
    pub fn prove(&self, key: &[u8]) -> StateProof {
        self.ledger.prove_at(self.ledger.tip().height.previous(), key).expect("a provable height")
    }

    /// A deed by the newest header, on what the state held one block before it, tied to the blocks of some heights.
    pub fn deed(&self, subject: &Subject, tied_to: &[Height]) -> Deed {
        let height = self.ledger.tip().height;
        let newest = self.ledger.block(height).expect("a block").clone();
        let header = CertifiedHeader { header: newest.block.header().clone(), certificate: newest.certificate };
        let state = self.ledger.snapshot_at(height.previous()).expect("a height of the past");
        let keys = subject.keys(&state).expect("a subject of the ledger");
        let before = |change: &&ValidatorChange| change.announced.header.height < height;
        let changes = self.changes.iter().filter(before).cloned().collect();
        let links = tied_to.iter().map(|height| self.header(*height)).collect();
        Deed {
            subject: subject.clone(),
            root: RootProof { changes, header, links },
            proofs: keys.iter().map(|key| self.prove(key)).collect(),
        }
    }

    /// The header of a height.
    pub fn header(&self, height: Height) -> Header {
        self.ledger.block(height).expect("a block").block.header().clone()
    }
}
