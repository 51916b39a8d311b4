//! Which peers serve which artifact: announcing our own, keeping others', and looking them up.
//!
//! There are two ways, because each closes a gap of the other. Provider records in the distributed hash table last, and
//! are found by content hash alone. Announcements on the gossip topic reach every peer at once and are signed by the
//! serving peer, so nobody can send others to a third party; they are kept only in memory.
//!
//! What others have is kept within bounds ([`Holdings`]): what the ledger knows comes before all else, a peer that fills a
//! table displaces its own entries, and a full table is nobody's offence. Of one artifact, whoever is needed and whoever an
//! account answers for come before strangers; among these who came first stays. What we have is told at a pace far below what others accept, however many artifacts
//! there are, also when it is told again: the library's own renewal would send all of it at once.

use super::{
    Acceptance, NetworkEvent, Topic, audience,
    driver::Driver,
    gossip::ANNOUNCEMENT_SIZE_BYTES,
    holdings::{Holdings, Kept, Rank, Standing},
    offences::{Offence, Spending},
    peers::PeerBook,
    records::{artifact_of, key},
};
use allod_protocol::ground::{
    codec,
    ids::{ArtifactId, NetworkId, PublicKey, Signature, Timestamp},
};
use libp2p::{
    PeerId,
    identity::{self, Keypair},
    kad::{AddProviderOk, GetProvidersOk, ProviderRecord, QueryId, QueryResult},
    swarm::{
        DialError,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// Maximum number of artifacts in one announcement.
const ANNOUNCED_AT_ONCE: usize = 64;
/// Maximum difference between an announcement's time and ours.
const ANNOUNCEMENT_LIFETIME: Duration = Duration::from_secs(600);
/// Maximum number of announcements that are remembered: an artifact and a peer each.
const ANNOUNCED: usize = 131_072;
/// Maximum number of announcers remembered for one artifact.
const ANNOUNCERS_PER_ARTIFACT: usize = 16;
/// Maximum number of artifacts that wait to be announced.
const WAITING_ARTIFACTS: usize = 131_072;
/// Maximum number of records being stored with others at a time.
const RECORDS_AT_ONCE: usize = 8;
/// Maximum number of records whose storing begins in one tick of the driver (half a second): a fifth of what others
/// accept of one peer.
const RECORDS_PER_TICK: usize = 200;
/// Maximum number of own announcements in one tick of the driver.
const ANNOUNCEMENTS_PER_TICK: usize = 5;
/// How often our own records are stored again. Others keep them for a day.
const RENEWAL: Duration = Duration::from_secs(6 * 60 * 60);
/// How long after the first time a new record is stored a second time.
const SECOND_TIME: Duration = Duration::from_secs(30);
/// Maximum number of searches in progress.
const SEARCHES: usize = 256;
/// The maximum duration of a search.
const SEARCH_TIME: Duration = Duration::from_secs(60);
/// Maximum number of other peers' records that are kept here, and of those of one artifact.
const FOREIGN_RECORDS: usize = 131_072;
const PROVIDERS_PER_ARTIFACT: usize = 20;
/// How often expired records are removed.
const TIDY_INTERVAL: Duration = Duration::from_secs(600);
/// The signature of an announcement covers this tag, the network, and the announcement's fields.
const SIGNING_TAG: &[u8] = b"allod/announcement/1";

/// A peer's statement that it serves artifacts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Announcement {
    artifacts: Vec<ArtifactId>,
    /// The identity of the serving peer.
    provider: PublicKey,
    at: Timestamp,
    signature: Signature,
}

impl Announcement {
    fn signing_bytes(network: NetworkId, artifacts: &[ArtifactId], provider: &PublicKey, at: Timestamp) -> Vec<u8> {
        let mut bytes = SIGNING_TAG.to_vec();
        bytes.extend_from_slice(&codec::encode(&(network, artifacts, provider, at)));
        bytes
    }

    fn sign(keypair: &Keypair, network: NetworkId, artifacts: Vec<ArtifactId>, at: Timestamp) -> Option<Self> {
        let provider = PublicKey::from_bytes(keypair.public().try_into_ed25519().ok()?.to_bytes());
        let signature = keypair.sign(&Self::signing_bytes(network, &artifacts, &provider, at)).ok()?;
        let signature = Signature::from_bytes(signature.try_into().ok()?);
        Some(Self { artifacts, provider, at, signature })
    }

    /// The announcing peer, if its signature is valid.
    fn signer(&self, network: NetworkId) -> Option<PeerId> {
        let key = identity::ed25519::PublicKey::try_from_bytes(self.provider.as_bytes()).ok()?;
        let key = identity::PublicKey::from(key);
        let bytes = Self::signing_bytes(network, &self.artifacts, &self.provider, self.at);
        key.verify(&bytes, self.signature.as_bytes()).then(|| key.to_peer_id())
    }
}

/// What the swarm asks the ledger of those who say that they have artifacts: only while there is no room for all of them.
#[derive(Clone)]
pub struct Register {
    /// Whether some model has published the artifact.
    pub is_listed: Arc<dyn Fn(&ArtifactId) -> bool + Send + Sync>,
    /// Whether an account that is not suspended has bound the peer to itself.
    pub is_bound: Arc<dyn Fn(&PeerId) -> bool + Send + Sync>,
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Register")
    }
}

impl Default for Register {
    /// That of an empty ledger.
    fn default() -> Self {
        Self { is_listed: Arc::new(|_| false), is_bound: Arc::new(|_| false) }
    }
}

/// Tells what an entry is worth that says who has what.
struct Judge<'a> {
    peers: &'a PeerBook,
    validators: &'a BTreeSet<PublicKey>,
    register: &'a Register,
}

impl Judge<'_> {
    fn rank(&self, peer: &PeerId) -> Rank {
        if audience::is_needed(self.peers, self.validators, peer) {
            Rank::Needed
        } else if (self.register.is_bound)(peer) {
            Rank::Bound
        } else {
            Rank::Stranger
        }
    }

    fn standing(&self, peer: &PeerId, artifact: &ArtifactId) -> Standing {
        Standing { is_on_ledger: (self.register.is_listed)(artifact), rank: self.rank(peer) }
    }

    /// Which of the announcers of one artifact stay: those that are needed, then those that are here to be asked.
    fn weight(&self, peer: &PeerId) -> Weight {
        Weight {
            is_needed: audience::is_needed(self.peers, self.validators, peer),
            is_here: self.peers.is_identified(peer),
        }
    }
}

/// What an announcer of an artifact is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    is_needed: bool,
    is_here: bool,
}

/// A search for the providers of an artifact.
#[derive(Debug)]
struct Search {
    found: mpsc::Sender<PeerId>,
    /// All peers that were found, reported or not.
    seen: HashSet<PeerId>,
    /// The peers that are being dialled.
    dialled: HashSet<PeerId>,
    looked_up: bool,
    ends_at: Instant,
}

/// A record to be stored with others.
#[derive(Clone, Copy, Debug)]
struct Errand {
    artifact: ArtifactId,
    /// Whether it is new: others do not say that they have it, and it may be lost with a connection.
    is_new: bool,
}

/// What this peer knows about artifacts, and what it announces.
#[derive(Debug)]
pub(super) struct Providers {
    announcers: HashMap<ArtifactId, Vec<(PeerId, Timestamp)>>,
    announced: Holdings<ArtifactId>,
    to_announce: VecDeque<ArtifactId>,
    to_store: VecDeque<Errand>,
    storing: HashMap<QueryId, Errand>,
    /// Which records are to be stored a second time, and when: the times only grow.
    to_store_again: VecDeque<(Instant, ArtifactId)>,
    searches: HashMap<QueryId, Search>,
    foreign: Holdings<ArtifactId>,
    /// How many announcements and records may still be sent in this tick.
    announcements_left: usize,
    records_left: usize,
    renew_at: Instant,
    tidy_at: Instant,
}

impl Providers {
    pub(super) fn new() -> Self {
        Self {
            announcers: HashMap::new(),
            announced: Holdings::new(ANNOUNCED),
            to_announce: VecDeque::new(),
            to_store: VecDeque::new(),
            storing: HashMap::new(),
            to_store_again: VecDeque::new(),
            searches: HashMap::new(),
            foreign: Holdings::new(FOREIGN_RECORDS),
            announcements_left: ANNOUNCEMENTS_PER_TICK,
            records_left: RECORDS_PER_TICK,
            renew_at: Instant::now() + RENEWAL,
            tidy_at: Instant::now() + TIDY_INTERVAL,
        }
    }

    /// Records an announcement. Returns whether it is news that is kept.
    fn heard(
        &mut self,
        artifact: ArtifactId,
        provider: PeerId,
        at: Timestamp,
        weight: impl Fn(&PeerId) -> Weight,
        judge: impl Fn(&PeerId, &ArtifactId) -> Standing,
    ) -> bool {
        if let Some(announcers) = self.announcers.get_mut(&artifact) {
            if let Some((_, known)) = announcers.iter_mut().find(|(peer, _)| *peer == provider) {
                let news = at > *known;
                *known = at.max(*known);
                return news;
            }
            if announcers.len() >= ANNOUNCERS_PER_ARTIFACT {
                let least = announcers.iter().map(|(peer, _)| (weight(peer), *peer)).min_by_key(|(weight, _)| *weight);
                let Some((_, least)) = least.filter(|(least, _)| *least < weight(&provider)) else { return false };
                self.forget(&artifact, &least);
                self.announced.remove(&least, &artifact);
            }
        }
        match self.announced.insert(provider, &artifact, judge) {
            Kept::Refused => return false,
            Kept::Instead(other, displaced) => self.forget(&displaced, &other),
            Kept::Added | Kept::Known => {}
        }
        self.announcers.entry(artifact).or_default().push((provider, at));
        true
    }

    fn forget(&mut self, artifact: &ArtifactId, announcer: &PeerId) {
        if let Some(announcers) = self.announcers.get_mut(artifact) {
            announcers.retain(|(peer, _)| peer != announcer);
            if announcers.is_empty() {
                self.announcers.remove(artifact);
            }
        }
    }
}

fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Driver {
    pub(super) fn provide(&mut self, artifact: ArtifactId) {
        let providers = &mut self.providers;
        if providers.to_store.len() >= WAITING_ARTIFACTS || providers.to_announce.len() >= WAITING_ARTIFACTS {
            tracing::warn!(%artifact, waiting = WAITING_ARTIFACTS, "too many artifacts wait to be announced; this one is not announced");
            return;
        }
        providers.to_store.push_back(Errand { artifact, is_new: true });
        providers.to_announce.push_back(artifact);
        self.tell_of_artifacts();
    }

    pub(super) fn stop_providing(&mut self, artifact: ArtifactId) {
        self.providers.to_store.retain(|waiting| waiting.artifact != artifact);
        self.providers.to_store_again.retain(|(_, waiting)| *waiting != artifact);
        self.providers.to_announce.retain(|waiting| *waiting != artifact);
        self.swarm.behaviour_mut().kademlia.stop_providing(&key(&artifact));
    }

    /// Starts to store waiting records. A record that nobody could store would be retried only hours later, so records
    /// wait until somebody is connected.
    fn store_records(&mut self) {
        while self.providers.storing.len() < RECORDS_AT_ONCE && self.providers.records_left > 0 {
            let Some(errand) = self.providers.to_store.pop_front() else { return };
            let artifact = errand.artifact;
            self.providers.records_left = self.providers.records_left.saturating_sub(1);
            match self.swarm.behaviour_mut().kademlia.start_providing(key(&artifact)) {
                Ok(query) => {
                    self.providers.storing.insert(query, errand);
                }
                Err(error) => tracing::warn!(%artifact, %error, "no provider record: the store is full"),
            }
        }
    }

    /// Announces waiting artifacts and stores their records, if anybody is connected, as far as the tick allows.
    pub(super) fn tell_of_artifacts(&mut self) {
        if self.peers.identified_count() == 0 {
            return;
        }
        self.store_records();
        while self.providers.announcements_left > 0 && !self.providers.to_announce.is_empty() {
            self.providers.announcements_left = self.providers.announcements_left.saturating_sub(1);
            if !self.announce() {
                return;
            }
        }
    }

    /// Publishes one announcement. Returns whether it went out.
    fn announce(&mut self) -> bool {
        let count = self.providers.to_announce.len().min(ANNOUNCED_AT_ONCE);
        let artifacts: Vec<ArtifactId> = self.providers.to_announce.drain(..count).collect();
        let signed = Announcement::sign(&self.keypair, self.network, artifacts.clone(), clock());
        let told = signed.is_some_and(|signed| self.publish(Topic::Artifacts, codec::encode(&signed)));
        if !told {
            for artifact in artifacts.into_iter().rev() {
                self.providers.to_announce.push_front(artifact);
            }
        }
        told
    }

    pub(super) fn judge_announcement(&mut self, data: &[u8]) -> Acceptance {
        let Ok(announcement) = codec::decode::<Announcement>(data, ANNOUNCEMENT_SIZE_BYTES) else {
            return Acceptance::Reject;
        };
        if announcement.artifacts.is_empty() || announcement.artifacts.len() > ANNOUNCED_AT_ONCE {
            return Acceptance::Reject;
        }
        let Some(provider) = announcement.signer(self.network) else { return Acceptance::Reject };
        let age_ms = clock().get().abs_diff(announcement.at.get());
        if u128::from(age_ms) > ANNOUNCEMENT_LIFETIME.as_millis() || provider == *self.swarm.local_peer_id() {
            return Acceptance::Ignore;
        }
        let mut verdict = Acceptance::Ignore;
        let validators = self.validators.borrow();
        let judge = Judge { peers: &self.peers, validators: &validators, register: &self.register };
        let (weight, standing) =
            (|peer: &PeerId| judge.weight(peer), |peer: &PeerId, one: &ArtifactId| judge.standing(peer, one));
        for artifact in announcement.artifacts {
            if self.providers.heard(artifact, provider, announcement.at, weight, standing) {
                verdict = Acceptance::Accept;
                self.events.send(NetworkEvent::ArtifactAnnounced { artifact, provider });
            }
        }
        verdict
    }

    /// Keeps another peer's record, if it is that of an artifact and there is room for one more of this peer.
    pub(super) fn on_provider_record(&mut self, record: ProviderRecord) {
        let provider = record.provider;
        let spent = self.guard.spend(provider, Spending::ProviderRecord);
        let Some(artifact) = artifact_of(&record.key).filter(|_| spent) else {
            return self.hold_against(provider, Offence::TooFast);
        };
        let validators = self.validators.borrow();
        let judge = Judge { peers: &self.peers, validators: &validators, register: &self.register };
        let (store, foreign) = (self.swarm.behaviour_mut().kademlia.store_mut(), &mut self.providers.foreign);
        let others: Vec<PeerId> = store.others(&artifact).collect();
        if others.len() >= PROVIDERS_PER_ARTIFACT && !others.contains(&provider) {
            // It is not kept, unless somebody answers for it.
            let rank = judge.rank(&provider);
            let others = others.into_iter().filter(|_| rank > Rank::Stranger);
            let least = others.map(|peer| (judge.rank(&peer), peer)).min_by_key(|(rank, _)| *rank);
            let Some((_, least)) = least.filter(|(least, _)| *least < rank) else { return };
            foreign.remove(&least, &artifact);
            store.remove(&artifact, &least);
        }
        match foreign.insert(provider, &artifact, |peer, artifact| judge.standing(peer, artifact)) {
            Kept::Refused => return,
            Kept::Instead(other, displaced) => store.remove(&displaced, &other),
            Kept::Known | Kept::Added => {}
        }
        store.add(artifact, record);
    }

    pub(super) fn find_providers(&mut self, artifact: ArtifactId, found: mpsc::Sender<PeerId>) {
        if self.providers.searches.len() >= SEARCHES {
            tracing::warn!(%artifact, "too many searches for providers are under way; this one finds nothing");
            return;
        }
        let mut search = Search {
            found,
            seen: HashSet::new(),
            dialled: HashSet::new(),
            looked_up: false,
            ends_at: Instant::now() + SEARCH_TIME,
        };
        for (peer, _) in self.providers.announcers.get(&artifact).into_iter().flatten() {
            if self.peers.is_identified(peer) && search.seen.insert(*peer) {
                let _ = search.found.try_send(*peer);
            }
        }
        let query = self.swarm.behaviour_mut().kademlia.get_providers(key(&artifact));
        self.providers.searches.insert(query, search);
    }

    pub(super) fn on_providers_query(&mut self, query: QueryId, result: QueryResult, last: bool) {
        match result {
            QueryResult::GetProviders(result) => {
                if let Ok(GetProvidersOk::FoundProviders { providers, .. }) = result {
                    for provider in providers {
                        self.on_provider_found(query, provider);
                    }
                }
                if let Some(search) = self.providers.searches.get_mut(&query) {
                    search.looked_up |= last;
                }
                self.end_searches();
            }
            QueryResult::StartProviding(result) => {
                if let Ok(AddProviderOk { key }) = &result {
                    tracing::trace!(?key, "provider record stored");
                }
                if let Some(Errand { artifact, is_new: true }) = self.providers.storing.remove(&query) {
                    self.providers.to_store_again.push_back((Instant::now() + SECOND_TIME, artifact));
                }
                self.store_records();
            }
            _ => {}
        }
    }

    fn on_provider_found(&mut self, query: QueryId, provider: PeerId) {
        let Some(search) = self.providers.searches.get_mut(&query) else { return };
        if provider == *self.swarm.local_peer_id() || !search.seen.insert(provider) {
            return;
        }
        if self.peers.is_identified(&provider) {
            let _ = search.found.try_send(provider);
            return;
        }
        // While the query lasts, Kademlia gives the addresses that came from others, but not those in its own store.
        let addresses = self.swarm.behaviour_mut().kademlia.store_mut().addresses(&provider).to_vec();
        let options = DialOpts::peer_id(provider)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .extend_addresses_through_behaviour()
            .build();
        match self.swarm.dial(options) {
            // A dial is already in progress: the peer may be connected and not identified yet.
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {
                search.dialled.insert(provider);
            }
            Err(error) => tracing::debug!(peer = %provider, %error, "a provider cannot be dialled"),
        }
    }

    /// A peer was reached, or cannot be: searches that waited for it continue.
    pub(super) fn settle_searches(&mut self, peer: PeerId, reached: bool) {
        for search in self.providers.searches.values_mut() {
            if search.dialled.remove(&peer) && reached {
                let _ = search.found.try_send(peer);
            }
        }
        self.end_searches();
    }

    /// Ends searches that are over, or for which nobody waits.
    fn end_searches(&mut self) {
        let now = Instant::now();
        let over: Vec<QueryId> = self
            .providers
            .searches
            .iter()
            .filter(|(_, search)| {
                (search.looked_up && search.dialled.is_empty()) || search.found.is_closed() || search.ends_at <= now
            })
            .map(|(query, _)| *query)
            .collect();
        for query in over {
            self.providers.searches.remove(&query);
            if let Some(mut query) = self.swarm.behaviour_mut().kademlia.query_mut(&query) {
                query.finish();
            }
        }
    }

    /// Periodic work on announcements, records and searches.
    pub(super) fn tidy_providers(&mut self, now: Instant) {
        let providers = &mut self.providers;
        (providers.announcements_left, providers.records_left) = (ANNOUNCEMENTS_PER_TICK, RECORDS_PER_TICK);
        self.tell_of_artifacts();
        self.end_searches();
        if self.providers.renew_at <= now {
            self.providers.renew_at = now + RENEWAL;
            let own = self.swarm.behaviour_mut().kademlia.store_mut().own().iter();
            self.providers.to_store = own.map(|artifact| Errand { artifact: *artifact, is_new: false }).collect();
        }
        let is_due = |again: &VecDeque<(Instant, ArtifactId)>| again.front().is_some_and(|(at, _)| *at <= now);
        while is_due(&self.providers.to_store_again) {
            let Some((_, artifact)) = self.providers.to_store_again.pop_front() else { return };
            // It may have been withdrawn meanwhile.
            if self.swarm.behaviour_mut().kademlia.store_mut().own().contains(&artifact) {
                self.providers.to_store.push_back(Errand { artifact, is_new: false });
            }
        }
        if self.providers.tidy_at > now {
            return;
        }
        self.providers.tidy_at = now + TIDY_INTERVAL;
        let store = self.swarm.behaviour_mut().kademlia.store_mut();
        // The library drops what has expired when somebody asks for it.
        self.providers.foreign.retain(|peer, artifact| {
            let stands = store.stands(artifact, peer, now);
            if !stands {
                store.remove(artifact, peer);
            }
            stands
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]

    use super::*;

    #[test]
    fn an_announcement_is_its_signers_for_one_network() {
        let keypair = Keypair::generate_ed25519();
        let (network, other) = (NetworkId::from_bytes([1; 32]), NetworkId::from_bytes([2; 32]));
        let artifacts = vec![ArtifactId::of(b"weights"); ANNOUNCED_AT_ONCE];
        let announcement = Announcement::sign(&keypair, network, artifacts, Timestamp::new(7)).unwrap();
        assert_eq!(announcement.signer(network), Some(keypair.public().to_peer_id()));
        assert_eq!(announcement.signer(other), None);
        let later = Announcement { at: Timestamp::new(8), ..announcement.clone() };
        assert_eq!(later.signer(network), None);
        assert!(codec::encode(&announcement).len() < ANNOUNCEMENT_SIZE_BYTES - 256, "the largest one fits its topic");
    }

    #[test]
    fn announcers_are_remembered_within_bounds() {
        let mut providers = Providers::new();
        let (artifact, peer) = (ArtifactId::of(b"weights"), PeerId::random());
        let (needed, here) = (PeerId::random(), PeerId::random());
        let weight = |one: &PeerId| Weight { is_needed: *one == needed, is_here: *one == here };
        let artifacts: HashSet<ArtifactId> =
            (0..100usize).map(|number| ArtifactId::of(&number.to_le_bytes())).collect();
        let judge =
            |_: &PeerId, one: &ArtifactId| Standing { is_on_ledger: artifacts.contains(one), ..Standing::default() };
        let mut hear = |artifact, provider, at| providers.heard(artifact, provider, Timestamp::new(at), weight, judge);
        assert!(hear(artifact, peer, 5));
        assert!(!hear(artifact, peer, 5), "a repetition is not news");
        assert!(hear(artifact, peer, 6));
        let strangers = (0..ANNOUNCERS_PER_ARTIFACT * 2).filter(|_| hear(artifact, PeerId::random(), 5)).count();
        assert_eq!(strangers, ANNOUNCERS_PER_ARTIFACT - 1, "who came first stays");
        assert!(hear(artifact, here, 5) && hear(artifact, needed, 5));
        let announcers: Vec<PeerId> =
            providers.announcers.get(&artifact).unwrap().iter().map(|(one, _)| *one).collect();
        assert_eq!(announcers.len(), ANNOUNCERS_PER_ARTIFACT);
        assert!(announcers.contains(&here) && announcers.contains(&needed), "who can be asked, and who is needed");

        let (greedy, honest) = (PeerId::random(), PeerId::random());
        let mut hear_of = |number: usize, provider| {
            providers.heard(ArtifactId::of(&number.to_le_bytes()), provider, Timestamp::new(5), weight, judge)
        };
        for number in 0..100usize {
            assert!(hear_of(number, honest));
        }
        for number in 100..ANNOUNCED + 110 {
            hear_of(number, greedy);
        }
        for number in 0..1_000usize {
            hear_of(ANNOUNCED * 2 + number, PeerId::random());
        }
        for number in 0..100usize {
            assert!(!hear_of(number, honest), "what the ledger knows is known still, so it is no news");
        }
        assert_eq!(providers.announced.len(), ANNOUNCED);
        assert_eq!(providers.announcers.values().map(Vec::len).sum::<usize>(), ANNOUNCED);
        let newcomer = PeerId::random();
        for number in 0..100usize {
            let artifact = ArtifactId::of(&number.to_le_bytes());
            assert!(providers.heard(artifact, newcomer, Timestamp::new(5), weight, judge));
        }
    }
}
