//! Short ids, where there are thousands of what they could stand for.

use super::{decisions::quick, *};
use allod_protocol::{
    ground::ids::ProposalId,
    rules::{
        event::Event,
        proposal::{ModelAction, Question, WithdrawProposal},
    },
};

/// Rounds of asking and taking back.
const ROUNDS: usize = 63;
/// Questions that one account asks in a round: as many as it may have open.
const QUESTIONS: usize = limits::OPEN_PROPOSALS_PER_ACCOUNT as usize;

/// Has both holders ask as much as they may and take it back, again and again; but for the last time.
fn ask_much(peer: &Peer, model: ModelId) -> Vec<ProposalId> {
    let members = [(1, "northfield"), (2, "southbank")];
    let mut ids = Vec::new();
    for round in 0..ROUNDS {
        let ask = |(seed, handle)| {
            (0..QUESTIONS).map(move |number| {
                let title = format!("question {number} of {handle}, round {round}");
                let actions = vec![ModelAction::Statement];
                let open = OpenProposal { question: Question::of_model(model, actions), title, text: String::new() };
                peer.sign(seed, handle, Action::OpenProposal(open))
            })
        };
        commit(&peer.node, members.into_iter().flat_map(ask).collect(), 0);
        let events = peer.node.ledger.block_events(peer.node.ledger.tip().height).unwrap().unwrap();
        let opened = events.results.iter().map(|result| match result.events.first() {
            Some(Event::ProposalOpened { proposal, .. }) => *proposal,
            other => panic!("{other:?} {:?}", result.outcome),
        });
        let opened: Vec<_> = opened.collect();
        if round + 1 < ROUNDS {
            let take_back = opened.iter().enumerate().map(|(number, proposal)| {
                let (seed, handle) = members[number / QUESTIONS];
                peer.sign(
                    seed,
                    handle,
                    Action::WithdrawProposal(WithdrawProposal { proposal: *proposal, reason: String::new() }),
                )
            });
            commit(&peer.node, take_back.collect(), 0);
        }
        ids.extend(opened);
    }
    ids
}

#[tokio::test]
async fn a_short_id_is_looked_for_among_all_there_are_and_never_chosen_among_several() {
    let peer = Peer::start().await;
    let model = peer.found_model_with(quick()).await;
    let ids: Vec<String> = ask_much(&peer, model).iter().map(ToString::to_string).collect();
    assert_eq!(ids.len(), 2 * ROUNDS * QUESTIONS);
    let mut alike: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for id in &ids {
        alike.entry(&id[..4]).or_default().insert(id);
    }
    let several: Vec<_> = alike.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(several.len() > 5, "2,016 ids share four digits about 31 times");
    for (digits, ids) in several {
        let (status, problem) = peer.get(&format!("/v1/proposals/{digits}")).await;
        let named = problem["candidates"].as_array().unwrap().iter();
        let named: BTreeSet<&str> = named.map(|candidate| candidate["id"].as_str().unwrap()).collect();
        assert_eq!((status, problem["code"].as_str(), &named), (409, Some("ambiguous_id"), ids), "{problem}");
        assert!(problem["candidates"][0]["about"].as_str().unwrap().starts_with("question "), "{problem}");
        assert_eq!(peer.get(&format!("/v1/proposals/{digits}/ballots")).await.0, 409);
        // More digits of one, as many as tell it from the others, also an odd number of them.
        for id in ids {
            let mut digits = digits.len();
            while ids.iter().filter(|other| other.starts_with(&id[..digits])).count() > 1 {
                digits += 1;
            }
            assert_eq!(peer.ok(&format!("/v1/proposals/{}", &id[..digits])).await["id"], json!(id));
        }
    }
    // Closed or open, of the first or the last: each is found.
    for (digits, ids) in alike.iter().filter(|(_, ids)| ids.len() == 1).step_by(19) {
        let found = peer.ok(&format!("/v1/proposals/{}", digits.to_uppercase())).await;
        assert_eq!(Some(found["id"].as_str().unwrap()), ids.first().copied());
    }
    let free = (0..0x1_0000).map(|digits| format!("{digits:04x}")).find(|digits| !alike.contains_key(digits.as_str()));
    let (status, problem) = peer.get(&format!("/v1/proposals/{}", free.unwrap())).await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("unknown_proposal")));
    for wrong in ["abc", "wxyz", &"a".repeat(65)] {
        assert_eq!(peer.get(&format!("/v1/proposals/{wrong}")).await.1["code"], "bad_id", "{wrong}");
    }
}

#[tokio::test]
async fn whatever_has_an_id_is_found_by_the_start_of_it() {
    let peer = Peer::start().await;
    let model = peer.found_model().await;
    let given = |number| RecordContribution {
        model,
        round: None,
        sealed: None,
        kind: ContributionKind::Data,
        amount: 5,
        evidence: None,
        note: format!("gift {number}"),
    };
    for block in 0..30 {
        let gifts = (0..100).map(|number| Action::RecordContribution(given(100 * block + number)));
        commit(&peer.node, gifts.map(|gift| peer.sign(2, "southbank", gift)).collect(), 0);
    }
    let mut after = String::new();
    let mut gifts: BTreeSet<String> = BTreeSet::new();
    let mut transactions = gifts.clone();
    loop {
        let page = peer.ok(&format!("/v1/models/northfield/digits/contributions?limit=500{after}")).await;
        let items = page["items"].as_array().unwrap().iter();
        gifts.extend(items.map(|gift| gift["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    for height in 1..=peer.node.ledger.tip().height.get() {
        let events = peer.node.ledger.block_events(Height::new(height)).unwrap().unwrap();
        transactions.extend(events.results.iter().map(|result| result.id.to_string()));
    }
    assert!(gifts.len() == 3_000 && transactions.len() > 3_000);
    for (path, ids) in [("contributions", &gifts), ("transactions", &transactions)] {
        let mut refused = 0;
        for id in ids.iter().step_by(13) {
            let alike = ids.iter().filter(|other| other.starts_with(&id[..4])).count();
            let (status, answer) = peer.get(&format!("/v1/{path}/{}", &id[..4])).await;
            assert_eq!(status, if alike == 1 { 200 } else { 409 }, "{answer}");
            refused += usize::from(alike > 1);
            let answer = if alike == 1 { answer } else { peer.ok(&format!("/v1/{path}/{}", &id[..12])).await };
            assert_eq!(answer["id"], json!(id));
        }
        assert!(refused > 0, "3,000 ids share four digits about 69 times");
    }
    for (path, code) in [
        ("contributions", "unknown_contribution"),
        ("transactions", "unknown_transaction"),
        ("disputes", "unknown_dispute"),
        ("incidents", "unknown_incident"),
        ("approvals", "unknown_approval"),
    ] {
        assert_eq!(peer.get(&format!("/v1/{path}/{}", "0".repeat(40))).await.1["code"], code);
        assert_eq!(peer.get(&format!("/v1/{path}/000")).await.1["code"], "bad_id");
    }
}
