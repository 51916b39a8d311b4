//! Genesis, blocks, certificates, proofs and deeds, from the fixed chain.

use super::{Read, Vector, chain, fixed::*, genesis, hex, human, network, variants::vote_kind, vector, vector_read};
use crate::chain::Chain;
use allod_protocol::{
    ground::{
        crypto::Domain,
        ids::{Height, ModelId},
        state::Record,
    },
    ledger::{
        block::{CommitSignature, DecidedBlock, VoteBody, VoteKind},
        genesis::GenesisAccount,
    },
    proof::{CertifiedHeader, Checkpoint, Deed, Subject, ValidatorChange},
    rules::{
        account::{Account, HandleOf},
        model::{Model, ModelOf},
        proposal::{ProposalOf, Scope},
        share::Share,
    },
};

pub(super) fn genesis_vectors() -> Vec<Vector> {
    let genesis = genesis();
    let set = genesis.validator_set().expect("a set");
    let mut vectors = vec![
        vector("genesis", &genesis).with("network_id", genesis.network_id()),
        vector("parameters", &genesis.parameters),
        vector("key_policy.weighted", &key_policy()),
        vector("validator_set", &set).with("hash", set.hash()).with("total_power", set.total_power()),
    ];
    let accounts = genesis.accounts.iter().map(|account: &GenesisAccount| {
        vector(format!("genesis_account.{}", account.handle), account)
            .with("account_id", genesis.account_id(&account.handle))
    });
    vectors.extend(accounts);
    let validators = set.iter().map(|one| vector(format!("validator.{}", one.power), one).with("address", one.address));
    vectors.extend(validators);
    vectors
}

fn votes() -> Vec<Vector> {
    let signer = key(0xa1);
    let validator = signer.public_key().validator_address();
    let vote = |kind, block, case: &str| {
        let body = VoteBody { network: network(), kind, height: HEIGHT, round: 3, block, validator };
        let bytes = body.signing_bytes();
        let signature = signer.sign(Domain::Vote, &bytes);
        vector(format!("{}{case}", vote_kind(&kind)), &body).with("signature", signature)
    };
    let kinds = [VoteKind::Prevote, VoteKind::Precommit];
    kinds.iter().flat_map(|kind| [vote(*kind, Some(BLOCK), ""), vote(*kind, None, ".nil")]).collect()
}

fn read_deed(bytes: &[u8]) -> Result<Read, String> {
    let deed = Deed::decode(bytes).map_err(|error| error.to_string())?;
    Ok(Read { json: human(&deed), bytes: deed.encode() })
}

/// A deed that is tied to block 2, with what it says.
fn deed_vector(chain: &Chain, case: &str, subject: &Subject) -> Vector {
    let tied_to = Height::new(2);
    let checkpoint = Checkpoint { height: tied_to, block: chain.header(tied_to).hash() };
    let deed = chain.deed(subject, &[tied_to]);
    let verified = deed.verify(&chain.genesis, Some(checkpoint)).expect("a deed that holds");
    vector_read(format!("deed.{case}"), &deed, read_deed)
        .with("checkpoint", checkpoint.to_string())
        .with("proven_height", verified.root.height)
        .with("state_root", verified.root.state_root)
        .with("believed_changes", verified.root.believed_changes)
}

pub(super) fn vectors() -> Vec<Vector> {
    let chain = chain();
    let first: &DecidedBlock = chain.ledger.block(Height::new(1)).expect("a block");
    let header = first.block.header();
    let certified = CertifiedHeader { header: header.clone(), certificate: first.certificate.clone() };
    let commit: &CommitSignature = first.certificate.signatures.first().expect("a signature");
    let mut vectors = vec![
        vector("header", header).with("hash", header.hash()),
        vector("block", &first.block).with("hash", first.block.hash()),
        vector("commit_signature", commit),
        vector("commit_certificate", &first.certificate),
        vector("certified_header", &certified),
    ];
    vectors.extend(votes().into_iter().map(|vote| Vector { name: format!("vote.{}", vote.name), ..vote }));

    let northfield = chain.genesis.account_id(&handle("northfield"));
    let name = model_name();
    let ModelOf(model) = allod_protocol::ground::state::read(&chain.ledger.snapshot(), &(name.namespace, name.name))
        .expect("a readable state")
        .expect("a model");
    let absent = ModelId::from_bytes([0; 32]);
    let keys = [
        Account::key_bytes(&northfield),
        HandleOf::key_bytes(&handle("northfield")),
        Share::key_bytes(&(model, northfield)),
        Model::key_bytes(&absent),
    ];
    let proposal = allod_protocol::ground::state::read(&chain.ledger.snapshot(), &(Scope::Network, 0));
    let ProposalOf(proposal) = proposal.expect("a readable state").expect("a proposal");
    let share = Subject::Share { model, account: northfield };
    let deed = chain.deed(&share, &[]);
    let root = deed.root.state_root();
    let change: &ValidatorChange = deed.root.changes.first().expect("a change of the set");
    vectors.push(vector("validator_change", change).with("hash", change.validators.hash()));
    for (case, key) in ["account", "handle", "share", "absent"].into_iter().zip(&keys) {
        vectors.push(vector(format!("state_proof.{case}"), &chain.prove(key)).with("state_root", root));
    }
    let licence = Subject::Licence { model, account: northfield };
    let attestation =
        Subject::Attestation { artifact: artifact(), statement: super::fixed::name("bias-audit"), account: northfield };
    let deeds = [
        ("share", share),
        ("licence", licence),
        ("decision", Subject::Decision(proposal)),
        ("attestation", attestation),
    ];
    vectors.extend(deeds.map(|(case, subject)| deed_vector(&chain, case, &subject)));
    vectors
}

/// The fixed chain itself: what executing each block gives.
pub(super) fn chain_vectors() -> Vec<Vector> {
    let chain = chain();
    let heights = (1..=chain.ledger.tip().height.get()).map(Height::new);
    let decided = heights.map(|height| {
        let block = chain.ledger.block(height).expect("a block");
        let events = chain.ledger.block_events(height).expect("its events");
        vector(format!("decided_block.{height}"), block)
            .with("hash", block.block.hash())
            .with("results_hex", hex(&allod_protocol::ground::codec::encode(&events.results)))
            .with("deadline_events_hex", hex(&allod_protocol::ground::codec::encode(&events.deadline_events)))
            .with("state_root_before", block.block.header().state_root)
    });
    decided.collect()
}
