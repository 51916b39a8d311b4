//! Provider records: which peer has which artifact, for the hash table.
//!
//! The library's own store keeps room for twenty records of 150 bytes for each key, and each record's addresses: a full
//! table takes 600 MB. Here a record is its peer and the time of its end, and a peer's addresses are kept once, as it last
//! gave them. How many records there may be is for `holdings` and `providers` to say; own ones are bounded here.

use super::peers::{ADDRESS_SIZE_BYTES, ADDRESSES};
use allod_protocol::ground::ids::ArtifactId;
use libp2p::{
    Multiaddr, PeerId,
    kad::{
        ProviderRecord, Record, RecordKey,
        store::{Error, RecordStore, Result},
    },
};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    time::Instant,
};

/// Maximum number of this peer's own records.
const OWN: usize = 131_072;

/// The key of an artifact's records.
pub(super) fn key(artifact: &ArtifactId) -> RecordKey {
    RecordKey::new(&artifact.multihash())
}

/// The artifact of a key. `None` if a stranger made up the key.
pub(super) fn artifact_of(key: &RecordKey) -> Option<ArtifactId> {
    let [0x1e, 0x20, digest @ ..] = key.as_ref() else { return None };
    digest.try_into().ok().map(ArtifactId::from_bytes)
}

#[derive(Debug)]
struct Entry {
    provider: PeerId,
    expires: Option<Instant>,
}

#[derive(Debug, Default)]
struct Provider {
    records: usize,
    addresses: Box<[Multiaddr]>,
}

/// All records that this peer keeps.
#[derive(Debug)]
pub(super) struct Records {
    local: PeerId,
    entries: HashMap<ArtifactId, Vec<Entry>>,
    providers: HashMap<PeerId, Provider>,
    own: BTreeSet<ArtifactId>,
}

impl Records {
    pub(super) fn new(local: PeerId) -> Self {
        Self { local, entries: HashMap::new(), providers: HashMap::new(), own: BTreeSet::new() }
    }

    /// The artifacts that this peer provides.
    pub(super) const fn own(&self) -> &BTreeSet<ArtifactId> {
        &self.own
    }

    /// The other peers that provide an artifact, in the order in which they came.
    pub(super) fn others(&self, artifact: &ArtifactId) -> impl Iterator<Item = PeerId> {
        let entries = self.entries.get(artifact).into_iter().flatten();
        entries.map(|entry| entry.provider).filter(|provider| *provider != self.local)
    }

    /// The addresses of a provider, as it last gave them.
    pub(super) fn addresses(&self, provider: &PeerId) -> &[Multiaddr] {
        self.providers.get(provider).map_or(&[], |provider| &provider.addresses)
    }

    /// Whether a record is kept whose time has not come.
    pub(super) fn stands(&self, artifact: &ArtifactId, provider: &PeerId, now: Instant) -> bool {
        let entries = self.entries.get(artifact).into_iter().flatten();
        entries.filter(|entry| entry.provider == *provider).any(|entry| entry.expires.is_none_or(|at| at > now))
    }

    /// Keeps a record, or renews it.
    pub(super) fn add(&mut self, artifact: ArtifactId, record: ProviderRecord) {
        let ProviderRecord { provider, expires, mut addresses, .. } = record;
        addresses.retain(|address| address.len() <= ADDRESS_SIZE_BYTES);
        addresses.truncate(ADDRESSES);
        let entries = self.entries.entry(artifact).or_default();
        let of_provider = self.providers.entry(provider).or_default();
        of_provider.addresses = addresses.into();
        if let Some(known) = entries.iter_mut().find(|entry| entry.provider == provider) {
            known.expires = expires;
            return;
        }
        of_provider.records = of_provider.records.saturating_add(1);
        // Most artifacts have one provider.
        entries.reserve_exact(1);
        entries.push(Entry { provider, expires });
    }

    /// Removes a record, if it is there.
    pub(super) fn remove(&mut self, artifact: &ArtifactId, provider: &PeerId) {
        let Some(entries) = self.entries.get_mut(artifact) else { return };
        let before = entries.len();
        entries.retain(|entry| entry.provider != *provider);
        let is_gone = entries.len() < before;
        if entries.is_empty() {
            self.entries.remove(artifact);
        }
        if is_gone && let Some(known) = self.providers.get_mut(provider) {
            known.records = known.records.saturating_sub(1);
            if known.records == 0 {
                self.providers.remove(provider);
            }
        }
    }
}

impl RecordStore for Records {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = Box<dyn Iterator<Item = Cow<'a, ProviderRecord>> + 'a>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> Result<()> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }

    /// Called for own records alone: those of others are looked at first.
    fn add_provider(&mut self, record: ProviderRecord) -> Result<()> {
        let Some(artifact) = artifact_of(&record.key).filter(|_| record.provider == self.local) else {
            return Err(Error::MaxProvidedKeys);
        };
        if self.own.len() >= OWN && !self.own.contains(&artifact) {
            return Err(Error::MaxProvidedKeys);
        }
        self.own.insert(artifact);
        self.add(artifact, record);
        Ok(())
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let entries = artifact_of(key).and_then(|artifact| self.entries.get(&artifact)).into_iter().flatten();
        let record = |Entry { provider, expires }: &Entry| ProviderRecord {
            key: key.clone(),
            provider: *provider,
            expires: *expires,
            addresses: self.addresses(provider).to_vec(),
        };
        entries.map(record).collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        Box::new(self.own.iter().map(|artifact| {
            let addresses = self.addresses(&self.local).to_vec();
            Cow::Owned(ProviderRecord::new(key(artifact), self.local, addresses))
        }))
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        let Some(artifact) = artifact_of(key) else { return };
        Self::remove(self, &artifact, provider);
        if *provider == self.local {
            self.own.remove(&artifact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_an_artifacts_multihash_is_a_key() {
        let artifact = ArtifactId::of(b"weights");
        assert_eq!(artifact_of(&key(&artifact)), Some(artifact));
        for bytes in [&b""[..], &[0x1e, 0x20], &[0x12, 0x20, 0], &[0x1e; 40]] {
            assert_eq!(artifact_of(&RecordKey::new(&bytes)), None);
        }
    }

    #[test]
    fn a_providers_addresses_are_kept_once_and_as_long_as_it_has_records() {
        let (local, provider, now) = (PeerId::random(), PeerId::random(), Instant::now());
        let mut records = Records::new(local);
        let address = |port: usize| -> Multiaddr { format!("/ip4/10.0.0.1/tcp/{port}").parse().expect("an address") };
        let long: Multiaddr = format!("/dns4/{}/tcp/1", "x".repeat(300)).parse().expect("an address");
        let (one, two) = (ArtifactId::of(b"one"), ArtifactId::of(b"two"));
        for (artifact, first) in [(one, 1), (two, 100)] {
            let mut addresses = vec![long.clone()];
            addresses.extend((first..first + 20).map(address));
            let mut record = ProviderRecord::new(key(&artifact), provider, addresses);
            record.expires = Some(now + Duration::from_secs(1));
            records.add(artifact, record);
        }
        let newest: Vec<Multiaddr> = (100..100 + ADDRESSES).map(address).collect();
        assert_eq!(records.addresses(&provider), newest);
        let found = records.providers(&key(&one));
        assert_eq!(
            found.iter().map(|record| (record.provider, &record.addresses)).collect::<Vec<_>>(),
            [(provider, &newest)]
        );
        assert!(records.stands(&one, &provider, now));
        assert!(!records.stands(&one, &provider, now + Duration::from_secs(1)));
        for artifact in [one, one, two] {
            records.remove_provider(&key(&artifact), &provider);
        }
        assert_eq!((records.entries.len(), records.providers.len()), (0, 0));
    }

    #[test]
    fn own_records_are_those_that_are_provided() {
        let local = PeerId::random();
        let mut records = Records::new(local);
        let artifact = ArtifactId::of(b"own");
        for _ in 0..2 {
            assert!(records.add_provider(ProviderRecord::new(key(&artifact), local, vec![])).is_ok());
        }
        assert_eq!((records.provided().count(), records.others(&artifact).count()), (1, 0));
        assert!(records.add_provider(ProviderRecord::new(key(&artifact), PeerId::random(), vec![])).is_err());
        records.remove_provider(&key(&artifact), &local);
        assert_eq!((records.provided().count(), records.entries.len()), (0, 0));
    }
}
