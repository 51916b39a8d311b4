//! Deeds on a real ledger: what they say, what cannot be taken out of them, and what those forge who hold old keys.

use crate::common::{HANDLES, version};
use allod_protocol::{
    ground::{
        crypto::SigningKey,
        ids::{AccountId, Height, ModelId, Name, Power, ProposalId, Units, VersionLabel},
        limits,
        state::Record,
    },
    ledger::execute::{Executed, Outcome, execute},
    proof::{
        Checkpoint, Deed, InvalidProof, Subject, Trust,
        deed::{Facts, ShareFacts},
    },
    rules::{
        access::Distribution,
        action::Action,
        attestation::{Attest, Finding},
        dispute::{DisputeTarget, OpenDispute},
        event::Event,
        licence::{GrantLicence, LicenceTerms},
        model::{CreateModel, FoundingLine},
        network::{AdmitValidator, RemoveValidator, SuspendAccount},
        proposal::{CastBallot, Choice, ModelAction, NetworkAction, OpenProposal, ProposalStatus, Question},
        share::{Share, Vesting},
    },
};
use allod_tests::{
    chain::{Author, Chain},
    ledger::{genesis, key, operates, policy},
};

/// The consensus keys of the founding validators, and of those who follow them.
fn consensus_keys(first: u8) -> impl Iterator<Item = SigningKey> {
    (first..first + 4).map(|seed| SigningKey::from_seed(&[seed; 32]))
}

const FOUNDERS: u8 = 101;
const SUCCESSORS: u8 = 201;

struct World {
    chain: Chain,
    model: ModelId,
}

impl World {
    /// northfield 50, lakeside 30, hilltop 20 of them under vesting for a day.
    fn new() -> Self {
        let author = Author::new(consensus_keys(FOUNDERS).chain(consensus_keys(SUCCESSORS)));
        let mut world = Self { chain: Chain::new(genesis(&HANDLES), author), model: ModelId::from_bytes([0; 32]) };
        let line =
            |index, units, vesting| FoundingLine { account: world.account(index), units: Units::new(units), vesting };
        let day = 24 * 60 * 60 * 1_000;
        let vesting = Some(Vesting { cliff_ms: day, duration_ms: day });
        let action = CreateModel {
            name: Name::new("digits").unwrap(),
            description: "reads digits".into(),
            founding: vec![line(0, 50, None), line(1, 30, None), line(2, 20, vesting)],
            stewards: vec![world.account(0)],
            policy: policy(50, 60),
            licence: None,
            distribution: Distribution::default(),
            grants: Vec::new(),
        };
        let events = world.must(0, Action::CreateModel(action));
        world.model = events
            .iter()
            .find_map(|event| match event {
                Event::ModelCreated { model, .. } => Some(*model),
                _ => None,
            })
            .unwrap();
        world
    }

    fn account(&self, index: u8) -> AccountId {
        self.chain.genesis.account_id(&HANDLES[usize::from(index)].parse().unwrap())
    }

    /// Does something in a block of its own.
    fn must(&mut self, by: u8, action: Action) -> Vec<Event> {
        let transaction = self.chain.sign(self.account(by), &[key(by)], action);
        let result = self.chain.block(1_000, vec![transaction]).results.remove(0);
        assert_eq!(result.outcome, Outcome::Applied);
        result.events
    }

    /// Has everybody say yes, and lets it close.
    fn decide(&mut self, question: Question, voters: u8) -> ProposalId {
        let ask = OpenProposal { question, title: "a question".into(), text: String::new() };
        let opened = self.must(0, Action::OpenProposal(ask));
        let id = opened
            .iter()
            .find_map(|event| match event {
                Event::ProposalOpened { proposal, .. } => Some(*proposal),
                _ => None,
            })
            .unwrap();
        (0..voters).for_each(|voter| drop(self.must(voter, Action::CastBallot(CastBallot::whole(id, Choice::Yes)))));
        self.chain.block(11_000, Vec::new());
        self.chain.block(1_000, Vec::new());
        id
    }

    /// The members replace every founding validator by others.
    fn replace_validators(&mut self) {
        let operator = self.account(0);
        let admit = consensus_keys(SUCCESSORS).map(|key| {
            NetworkAction::AdmitValidator(AdmitValidator { key: key.public_key(), power: Power::new(1), operator })
        });
        let remove = consensus_keys(FOUNDERS)
            .map(|key| NetworkAction::RemoveValidator(RemoveValidator { key: key.public_key() }));
        let actions = admit.chain(remove).collect();
        let network = self.chain.ledger.tip().network;
        for successor in consensus_keys(SUCCESSORS) {
            self.must(0, operates(network, operator, &successor));
        }
        self.decide(Question::of_network(actions), 5);
        for _ in 0..3 {
            self.chain.block(1_000, Vec::new());
        }
    }

    fn checkpoint(&self, height: Height) -> Checkpoint {
        Checkpoint { height, block: self.chain.header(height).hash() }
    }

    fn tip(&self) -> Height {
        self.chain.ledger.tip().height
    }

    fn share(&self, index: u8) -> Subject {
        Subject::Share { model: self.model, account: self.account(index) }
    }

    /// What a deed says that was read back from its bytes.
    fn facts(&self, subject: &Subject) -> Facts {
        let deed = Deed::decode(&self.chain.deed(subject, &[]).encode()).unwrap();
        deed.verify(&self.chain.genesis, None).unwrap().facts
    }

    fn holding(&self, index: u8) -> ShareFacts {
        match self.facts(&self.share(index)) {
            Facts::Share(facts) => *facts,
            other => panic!("{other:?}"),
        }
    }

    fn dispute(&mut self, by: u8, target: DisputeTarget, units: u64) {
        let action = OpenDispute {
            target,
            units: Units::new(units),
            text: "not theirs".into(),
            evidence: None,
            bond: Units::ZERO,
        };
        self.must(by, Action::OpenDispute(action));
        self.chain.block(1_000, Vec::new());
    }
}

#[test]
fn a_holders_deed_shows_what_burdens_it_or_that_nothing_does() {
    let mut world = World::new();
    world.chain.block(1_000, Vec::new());
    let now = |world: &World| world.chain.ledger.tip().time;

    let free = world.holding(0);
    assert_eq!((free.units.get(), free.register.total_units.get()), (50, 100));
    assert_eq!((free.locked_units(now(&world)).get(), free.free_units(now(&world)).get()), (0, 50));
    assert!(free.vesting.0.is_empty() && free.disputes.is_empty() && free.account.suspended.is_none());

    let vesting = world.holding(2);
    assert_eq!((vesting.locked_units(now(&world)).get(), vesting.free_units(now(&world)).get()), (20, 0));
    assert_eq!(vesting.free_units(now(&world).plus_ms(24 * 60 * 60 * 1_000)).get(), 20, "all is free in the end");

    let nobody = world.holding(4);
    assert_eq!((nobody.units.get(), nobody.free_units(now(&world)).get()), (0, 0), "and that there is no line");

    let (model, account) = (world.model, world.account(1));
    world.dispute(0, DisputeTarget::Line { model, account }, 8);
    let frozen = world.holding(1);
    let shown: Vec<_> = frozen.disputes.iter().map(|dispute| (dispute.units.get(), dispute.challenger)).collect();
    assert_eq!((shown, frozen.frozen.units.get()), (vec![(8, world.account(0))], 8));
    assert_eq!((frozen.units.get(), frozen.free_units(now(&world)).get()), (30, 22), "what is disputed is frozen");
    let challenger = world.holding(0);
    assert_eq!((challenger.challenger.bonded.get(), challenger.free_units(now(&world)).get()), (1, 49), "and its bond");

    let suspend = NetworkAction::SuspendAccount(SuspendAccount { account: world.account(0), reason: "spam".into() });
    world.decide(Question::of_network(vec![suspend]), 5);
    let suspended = world.holding(0);
    assert!(suspended.account.suspended.is_some());
    assert_eq!(suspended.free_units(now(&world)).get(), 0);
}

#[test]
fn there_are_deeds_on_versions_licences_decisions_and_attestations() {
    let mut world = World::new();
    let published = version(world.model, "v1");
    let artifact = published.artifact.address;
    let (model, label) = (world.model, VersionLabel::new("v1").unwrap());
    world.must(0, Action::PublishVersion(published));
    let statement = Name::new("bias-audit").unwrap();
    let attest = Attest {
        artifact,
        statement: statement.clone(),
        finding: Finding::Passed,
        evidence: None,
        note: "looked closely".into(),
    };
    world.must(3, Action::Attest(attest));
    let licensee = world.account(4);
    let grant = ModelAction::GrantLicence(GrantLicence {
        account: licensee,
        terms: LicenceTerms { terms: None, for_ms: None },
    });
    let decision = world.decide(Question::of_model(model, vec![grant]), 3);
    world.dispute(1, DisputeTarget::Version { model, label: label.clone() }, 0);

    let Facts::Version(facts) = world.facts(&Subject::Version { model, label }) else { panic!() };
    assert_eq!((facts.version.artifact.address, !facts.disputes.is_empty()), (artifact, true));
    let Facts::Licence(facts) = world.facts(&Subject::Licence { model, account: licensee }) else { panic!() };
    let licensee = facts.licence.expect("a licence that was granted");
    assert_eq!((licensee.offer.map(|offer| offer.proposal), licensee.licence), (Some(decision), None));
    let Facts::Licence(facts) = world.facts(&Subject::Licence { model, account: world.account(3) }) else { panic!() };
    assert_eq!(facts.licence, None);
    let Facts::Decision(facts) = world.facts(&Subject::Decision(decision)) else { panic!() };
    assert_eq!((facts.tally.yes, facts.tally.electorate, facts.tally.ballots), (100, 100, 3));
    assert!(matches!(facts.proposal.status, ProposalStatus::Executed { .. }), "{:?}", facts.proposal.status);
    assert_eq!((facts.model.map(|model| model.id), facts.proposer.id), (Some(model), world.account(0)));
    let attested = |account| Subject::Attestation { artifact, statement: statement.clone(), account };
    let Facts::Attestation(facts) = world.facts(&attested(world.account(3))) else { panic!() };
    assert_eq!(
        facts.attestation.map(|said| (said.finding, said.note)),
        Some((Finding::Passed, "looked closely".into()))
    );
    let Facts::Attestation(facts) = world.facts(&attested(world.account(2))) else { panic!() };
    assert_eq!(facts.attestation, None);
}

fn incomplete(deed: &Deed, world: &World) -> String {
    match deed.verify(&world.chain.genesis, None) {
        Err(InvalidProof::Incomplete { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_can_be_taken_out_of_a_deed_put_in_or_exchanged() {
    let mut world = World::new();
    let (model, account) = (world.model, world.account(1));
    world.dispute(0, DisputeTarget::Line { model, account }, 8);
    let deed = world.chain.deed(&world.share(1), &[]);
    assert_eq!(deed.proofs.len(), 8, "model, register, account, line, vesting, frozen, challenger, dispute");
    for left_out in 0..deed.proofs.len() {
        let mut less = deed.clone();
        less.proofs.remove(left_out);
        assert!(incomplete(&less, &world).contains("no proof of key"), "{left_out}");
    }
    // That another line is not frozen says nothing of this one.
    let other = world.chain.deed(&world.share(0), &[]);
    for exchanged in 3..6 {
        let mut mixed = deed.clone();
        mixed.proofs[exchanged] = other.proofs[exchanged].clone();
        incomplete(&mixed, &world);
    }
    // The whole deed of another holder, under this one's name.
    incomplete(&Deed { subject: world.share(1), ..other.clone() }, &world);
    // More than it needs, and in another order.
    let mut more = deed.clone();
    more.proofs.push(other.proofs[3].clone());
    incomplete(&more, &world);
    let mut turned = deed.clone();
    turned.proofs.swap(0, 1);
    incomplete(&turned, &world);
    // A value that is not the tree's: frozen is said to be absent.
    let mut thawed = deed.clone();
    thawed.proofs[5].value = None;
    let refused = thawed.verify(&world.chain.genesis, None);
    assert!(matches!(refused, Err(InvalidProof::Root { .. })), "{refused:?}");
    let mut more_units = deed;
    let share = Share { model, account, units: Units::new(1_000), since: Height::new(1) };
    more_units.proofs[3].value = Some(allod_protocol::ground::codec::encode(&share));
    let refused = more_units.verify(&world.chain.genesis, None);
    assert!(matches!(refused, Err(InvalidProof::Root { .. })), "{refused:?}");
}

#[test]
fn bytes_that_are_not_exactly_a_deed_are_refused() {
    let world = World::new();
    let mut world = world;
    world.chain.block(1_000, Vec::new());
    let deed = world.chain.deed(&world.share(0), &[Height::new(1)]);
    let bytes = deed.encode();
    assert_eq!(Deed::decode(&bytes), Ok(deed.clone()));
    let trailing = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(Deed::decode(&trailing), Err(InvalidProof::Malformed(_))));
    for cut in 0..bytes.len() {
        assert!(Deed::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    assert!(matches!(Deed::decode(&vec![1; limits::DEED_SIZE_BYTES + 1]), Err(InvalidProof::Malformed(_))));
    let mut many = deed.clone();
    many.root.links = vec![world.chain.header(Height::new(1)); limits::DEED_LINKS + 1];
    assert!(matches!(Deed::decode(&many.encode()), Err(InvalidProof::TooMany { .. })));
    let mut many = deed.clone();
    many.proofs = vec![deed.proofs[0].clone(); limits::DEED_PROOFS + 1];
    assert!(matches!(Deed::decode(&many.encode()), Err(InvalidProof::TooMany { .. })));
    // A remembered transaction is in no tree, so it would always seem absent.
    let mut outside = deed;
    outside.proofs[3].key[0] = 5;
    assert_eq!(Deed::decode(&outside.encode()), Err(InvalidProof::Family(Some(5))));
    assert_eq!(outside.verify(&world.chain.genesis, None), Err(InvalidProof::Family(Some(5))));
}

/// What three of the four founders make of the ledger after the members replaced them: one that goes on from genesis,
/// with the same model, in which seafront holds what they like.
fn forge(world: &World) -> Chain {
    let three = Author::new(consensus_keys(FOUNDERS).take(3));
    let mut forged = Chain::new(world.chain.genesis.clone(), three);
    let block = |height| world.chain.ledger.block(height).unwrap().block.clone();
    let founding = block(Height::new(1)).transactions().to_vec();
    forged.block(1_000, founding);
    while forged.ledger.tip().height < world.tip() {
        let tip = forged.ledger.tip();
        let decided = forged.author.decide(&tip, 1_000, Vec::new());
        let mut executed: Executed = execute(&forged.ledger.snapshot(), &decided.block).unwrap();
        let share = Share {
            model: world.model,
            account: world.account(4),
            units: Units::new(1_000_000),
            since: Height::new(1),
        };
        let key = Share::key_bytes(&(world.model, world.account(4)));
        executed.changes.insert(key, Some(allod_protocol::ground::codec::encode(&share)));
        forged.ledger.commit(&decided, &executed).unwrap();
    }
    forged
}

#[test]
fn retired_founders_forge_any_deed_against_the_genesis_alone_and_none_against_a_checkpoint() {
    let mut world = World::new();
    world.replace_validators();
    let genesis = &world.chain.genesis;
    let subject = world.share(4);
    let forged_chain = forge(&world);
    let forged = forged_chain.deed(&subject, &[]);

    let fooled = forged.verify(genesis, None).expect("the genesis alone cannot tell");
    assert_eq!(fooled.root.trust, Trust::GenesisOnly, "and that is what the verifier is told");
    let Facts::Share(facts) = fooled.facts else { panic!() };
    assert_eq!(facts.units.get(), 1_000_000);

    // From the height at which they last decided on, no checkpoint takes it, whatever headers are put into it.
    let retired = world.chain.deed(&subject, &[]).root.changes[0].announced.header.height;
    for height in (retired.get()..=world.tip().get()).map(Height::new) {
        let checkpoint = world.checkpoint(height);
        for header in [None, Some(world.chain.header(height)), Some(forged_chain.header(height))] {
            let mut tied = forged.clone();
            tied.root.links.extend(header.filter(|header| header.height < world.tip()));
            tied.verify(genesis, Some(checkpoint)).expect_err("forged");
            // With the true change of the set in front, their signatures are those of strangers.
            tied.root.changes = world.chain.deed(&subject, &[]).root.changes;
            tied.verify(genesis, Some(checkpoint)).expect_err("forged");
        }
        let tied_to: Vec<Height> = [height].into_iter().filter(|height| *height < world.tip()).collect();
        let honest = world.chain.deed(&subject, &tied_to).verify(genesis, Some(checkpoint)).expect("the true deed");
        let Facts::Share(facts) = honest.facts else { panic!() };
        assert_eq!((facts.units.get(), honest.root.believed_changes), (0, 0));
    }
}

#[test]
fn an_old_deed_is_tied_to_a_newer_checkpoint_by_the_headers_between() {
    let mut world = World::new();
    world.chain.block(1_000, Vec::new());
    let mut old = world.chain.deed(&world.share(0), &[]);
    let height = world.tip();
    world.replace_validators();
    let checkpoint = world.checkpoint(world.tip());
    let refused = old.verify(&world.chain.genesis, Some(checkpoint));
    assert_eq!(refused, Err(InvalidProof::NotTied { checkpoint: checkpoint.height, header: height }));
    old.root.links =
        (height.next().get()..=world.tip().get()).map(|height| world.chain.header(Height::new(height))).collect();
    let verified = old.verify(&world.chain.genesis, Some(checkpoint)).unwrap();
    assert_eq!((verified.root.trust, verified.root.believed_changes), (Trust::Checkpoint(checkpoint), 0));
}
