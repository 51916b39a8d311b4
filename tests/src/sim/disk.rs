//! A virtual disk: what was synced survives a crash, what was not may survive in part.

use allod_protocol::ground::ids::Height;
use allod_storage::MemoryLedger;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Bytes before each entry: its length, its height, and the start of its hash.
const FRAME_BYTES: usize = 4 + 8 + 8;

/// What one peer keeps.
pub struct Disk {
    /// The ledger: committed atomically and synced, one block at a time.
    pub ledger: MemoryLedger,
    log: Log,
    last_signed: Option<Vec<u8>>,
    /// Whether the log and the last-signed record are written at all; off only to see the checker fail.
    keeps_log: bool,
    keeps_last_signed: bool,
}

/// The consensus log: synced bytes, and bytes that the machine may still lose.
#[derive(Default)]
struct Log {
    synced: Vec<u8>,
    unsynced: Vec<u8>,
    /// The file was truncated, but that is not synced either: after a crash the old entries may be back.
    truncated: bool,
}

impl Disk {
    /// An empty disk with the ledger at genesis.
    pub fn new(ledger: MemoryLedger, keeps_log: bool, keeps_last_signed: bool) -> Self {
        Self { ledger, log: Log::default(), last_signed: None, keeps_log, keeps_last_signed }
    }

    /// Appends an entry, not yet synced.
    pub fn append(&mut self, height: Height, entry: &[u8]) {
        if self.keeps_log {
            let length = u32::try_from(entry.len()).expect("an entry is far below 4 GiB");
            self.log.unsynced.extend_from_slice(&length.to_le_bytes());
            self.log.unsynced.extend_from_slice(&height.get().to_le_bytes());
            self.log.unsynced.extend_from_slice(&blake3::hash(entry).as_bytes()[..8]);
            self.log.unsynced.extend_from_slice(entry);
        }
    }

    /// Empties the log, not yet synced.
    pub fn truncate(&mut self) {
        self.log.unsynced.clear();
        self.log.truncated = true;
    }

    /// Makes the log durable; says whether there was anything to do.
    pub fn sync(&mut self) -> bool {
        let dirty = !self.log.unsynced.is_empty();
        if dirty {
            if std::mem::take(&mut self.log.truncated) {
                self.log.synced.clear();
            }
            self.log.synced.append(&mut self.log.unsynced);
        }
        dirty
    }

    /// Replaces the last-signed record, durably.
    pub fn set_last_signed(&mut self, record: &[u8]) {
        if self.keeps_last_signed {
            self.last_signed = Some(record.to_vec());
        }
    }

    /// What was signed last.
    pub fn last_signed(&self) -> Option<Vec<u8>> {
        self.last_signed.clone()
    }

    /// The machine loses power: of what was not synced, some prefix is on the disk, often ending inside an entry.
    pub fn crash(&mut self, rng: &mut ChaCha8Rng) {
        let lost_truncation = self.log.truncated && rng.random_bool(0.5);
        if !lost_truncation {
            if self.log.truncated {
                self.log.synced.clear();
            }
            let all = self.log.unsynced.len();
            let kept = if rng.random_bool(0.2) { all } else { rng.random_range(0..=all) };
            self.log.synced.extend_from_slice(&self.log.unsynced[..kept]);
        }
        self.log.unsynced.clear();
        self.log.truncated = false;
        // What opening the log does: a torn tail is cut off.
        let whole: usize = self.frames().map(|(_, entry)| FRAME_BYTES + entry.len()).sum();
        self.log.synced.truncate(whole);
    }

    /// Somebody deletes the log.
    pub fn lose_log(&mut self) {
        self.log = Log::default();
    }

    /// Somebody deletes the last-signed record.
    pub fn lose_last_signed(&mut self) {
        self.last_signed = None;
    }

    /// The entries of a height, as read at start-up.
    pub fn entries(&self, height: Height) -> Vec<Vec<u8>> {
        self.frames().filter(|(of, _)| *of == height).map(|(_, entry)| entry.to_vec()).collect()
    }

    fn frames(&self) -> impl Iterator<Item = (Height, &[u8])> {
        let mut rest = &self.log.synced[..];
        std::iter::from_fn(move || {
            let (height, entry) = frame(rest)?;
            rest = &rest[FRAME_BYTES + entry.len()..];
            Some((height, entry))
        })
    }
}

/// The first frame, if it is whole and its hash is right.
fn frame(bytes: &[u8]) -> Option<(Height, &[u8])> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let height = u64::from_le_bytes(bytes.get(4..12)?.try_into().ok()?);
    let hash = bytes.get(12..FRAME_BYTES)?;
    let payload = bytes.get(FRAME_BYTES..FRAME_BYTES + length)?;
    (blake3::hash(payload).as_bytes()[..8] == *hash).then_some((Height::new(height), payload))
}
