use allod_protocol::{account::*, block::*, execute::*, share::*, model::*, ids::*, transaction::*, proposal::*, policy::*};
use allod_tests::ledger::*;
fn main() {
    let mut l = TestLedger::new(&["northfield", "lakeside", "hilltop", "riverbend"]);
    let (a, b) = (l.account("northfield"), l.account("lakeside"));
    let r = l.must(0, Action::CreateModel(CreateModel { name: Name::new("digits").unwrap(), description: String::new(), founding: vec![FoundingLine{account:a, units: Units::new(10)}], stewards: vec![], policy: policy(20,50)}));
    let model = r.events.iter().find_map(|e| match e { allod_protocol::event::Event::ModelCreated{model,..} => Some(*model), _ => None}).unwrap();
    let keys = KeyPolicy { threshold: 2, keys: vec![WeightedKey{key: key(50).public_key(), weight:1}, WeightedKey{key: key(51).public_key(), weight:1}]};
    l.must(0, Action::RotateKeys(RotateKeys{keys}));
    let full = l.sign(a, &[key(50), key(51)], Action::TransferShares(TransferShares{model, to: b, units: Units::new(5), reason: String::new()}));
    let mut half = full.clone(); half.signatures.pop();
    let mut junk = full.clone(); junk.signatures[0].signature = Signature::from_bytes([0xee; 64]);
    let p = l.tip.validators.proposer(l.tip.height.next(), 0).address;
    let time = l.tip.time.plus_ms(1000);
    let block = |t: Transaction| Block::following(&l.tip, p, time, vec![t]);
    let (x, y, z) = (block(full.clone()), block(half), block(junk));
    println!("same hash: {} {}", x.hash() == y.hash(), x.hash() == z.hash());
    println!("check full {:?} half {:?}", x.check(&l.tip, None, &|_| false), y.check(&l.tip, None, &|_| false));
    println!("junk, id known {:?}; id unknown {:?}", z.check(&l.tip, None, &|_| true), z.check(&l.tip, None, &|_| false));
    let (ex, ey) = (execute(&l.state, &x).unwrap(), execute(&l.state, &y).unwrap());
    println!("full {:?} half {:?} same changes {}", ex.results[0].outcome, ey.results[0].outcome, ex.changes == ey.changes);
    // burn: a stranger's signature over the same body
    let mut foreign = full.clone(); foreign.signatures = vec![KeySignature{ key: key(99).public_key(), signature: key(99).sign(allod_protocol::crypto::Domain::Transaction, &full.body.signing_bytes())}];
    let r = l.block(1000, vec![foreign]);
    println!("foreign {:?}", r.results[0].outcome);
    let r = l.block(1000, vec![full]);
    println!("then the true one {:?}", r.results[0].outcome);
    let _ = (Scope::Network, Class::Release);
    // open and withdraw within one block on a real tree
    let genesis = genesis(&["northfield", "lakeside", "hilltop", "riverbend"]);
    let keys = (0..4u8).map(|i| allod_protocol::crypto::SigningKey::from_seed(&[i+101;32]));
    let mut c = allod_tests::chain::Chain::new(genesis.clone(), allod_tests::chain::Author::new(keys));
    let acc = genesis.account_id(&Handle::new("northfield").unwrap());
    let ask = c.sign(acc, &[key(0)], Action::OpenProposal(OpenProposal{scope: Scope::Network, title: "x".into(), text: String::new(), actions: vec![ProposalAction::RemoveValidator{key: key(9).public_key()}]}));
    let id = allod_protocol::ids::ProposalId::from_bytes(allod_protocol::crypto::hash(allod_protocol::crypto::Domain::GovernanceProposal, &allod_protocol::codec::encode(&Some(ask.id()))));
    let w = c.sign(acc, &[key(0)], Action::WithdrawProposal(WithdrawProposal{proposal: id}));
    let e = c.block(1000, vec![ask, w]);
    println!("open+withdraw in one block: {:?} {:?}", e.results[0].outcome, e.results[1].outcome);
    c.block(1000, vec![]);
    println!("tree goes on: {:?}", c.ledger.tip().state_root);
    // heavy ballots: 60 KB proposal, 8,000 ballots
    let mut l = TestLedger::new(&["northfield", "lakeside", "hilltop", "riverbend"]);
    let big = ProposalAction::MintShares{to: l.account("lakeside"), units: Units::new(1), reason: "r".repeat(200)};
    let r = l.must(0, Action::CreateModel(CreateModel { name: Name::new("digits").unwrap(), description: "d".repeat(8000), founding: vec![FoundingLine{account:l.account("northfield"), units: Units::new(10)}], stewards: vec![], policy: policy(20,50)}));
    let model = r.events.iter().find_map(|e| match e { allod_protocol::event::Event::ModelCreated{model,..} => Some(*model), _ => None}).unwrap();
    let r = l.must(0, Action::OpenProposal(OpenProposal{scope: Scope::Model(model), title: "x".into(), text: "t".repeat(8000), actions: vec![big; 16]}));
    let p = r.events.iter().find_map(|e| match e { allod_protocol::event::Event::ProposalOpened{proposal,..} => Some(*proposal), _ => None}).unwrap();
    let txs: Vec<_> = (0..100).map(|_| l.sign_as(0, Action::CastBallot(CastBallot{proposal: p, choice: Choice::Yes}))).collect();
    let proposer = l.tip.validators.proposer(l.tip.height.next(), 0).address;
    let b = Block::following(&l.tip, proposer, l.tip.time.plus_ms(1000), txs);
    let t = std::time::Instant::now(); let ex = execute(&l.state, &b).unwrap(); println!("100 ballots on an 12 KB proposal: {:?} ({:?})", t.elapsed(), ex.results[0].outcome);
}
