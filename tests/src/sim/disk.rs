//! A virtual disk: what was synced survives a crash, what was not may survive in part.

use super::app::App;
use allod_protocol::replica::{LastSigned, LogEntry};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Bytes before each entry: its length and the start of its hash.
const FRAME_BYTES: usize = 4 + 8;

/// What one peer keeps.
pub struct Disk {
    /// The ledger: committed atomically and synced, one block at a time.
    pub app: App,
    log: Log,
    last_signed: LastSigned,
    unsynced_last_signed: Option<LastSigned>,
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
    pub fn new(app: App, keeps_log: bool, keeps_last_signed: bool) -> Self {
        Self {
            app,
            log: Log::default(),
            last_signed: LastSigned::default(),
            unsynced_last_signed: None,
            keeps_log,
            keeps_last_signed,
        }
    }

    /// Appends an entry, not yet synced.
    pub fn append(&mut self, entry: &LogEntry) {
        if self.keeps_log {
            let bytes = entry.encode();
            let length = u32::try_from(bytes.len()).expect("an entry is far below 4 GiB");
            self.log.unsynced.extend_from_slice(&length.to_le_bytes());
            self.log.unsynced.extend_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
            self.log.unsynced.extend_from_slice(&bytes);
        }
    }

    /// Records what was signed last, not yet synced.
    pub fn set_last_signed(&mut self, last_signed: LastSigned) {
        if self.keeps_last_signed {
            self.unsynced_last_signed = Some(last_signed);
        }
    }

    /// Empties the log, not yet synced.
    pub fn truncate(&mut self) {
        self.log.unsynced.clear();
        self.log.truncated = true;
    }

    /// Makes everything durable; says whether there was anything to do.
    pub fn sync(&mut self) -> bool {
        let dirty = !self.log.unsynced.is_empty() || self.unsynced_last_signed.is_some();
        if dirty {
            if std::mem::take(&mut self.log.truncated) {
                self.log.synced.clear();
            }
            self.log.synced.append(&mut self.log.unsynced);
            if let Some(last_signed) = self.unsynced_last_signed.take() {
                self.last_signed = last_signed;
            }
        }
        dirty
    }

    /// The machine loses power: of what was not synced, some prefix is on the disk, often ending inside an entry. The
    /// last-signed record is written once the log is synced.
    pub fn crash(&mut self, rng: &mut ChaCha8Rng) {
        let lost_truncation = self.log.truncated && rng.random_bool(0.5);
        let mut log_is_whole = false;
        if !lost_truncation {
            if self.log.truncated {
                self.log.synced.clear();
            }
            let all = self.log.unsynced.len();
            let kept = if rng.random_bool(0.2) { all } else { rng.random_range(0..=all) };
            log_is_whole = kept == all;
            self.log.synced.extend_from_slice(&self.log.unsynced[..kept]);
        }
        self.log.unsynced.clear();
        self.log.truncated = false;
        if let Some(last_signed) = self.unsynced_last_signed.take()
            && log_is_whole
            && rng.random_bool(0.5)
        {
            self.last_signed = last_signed;
        }
    }

    /// Somebody deletes the log.
    pub fn lose_log(&mut self) {
        self.log = Log::default();
    }

    /// What was signed last, as read at start-up.
    pub fn last_signed(&self) -> LastSigned {
        self.last_signed.clone()
    }

    /// The entries read at start-up; a torn tail is cut off.
    pub fn read_log(&mut self) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        let mut at = 0;
        while let Some(payload) = frame(&self.log.synced[at..]) {
            entries.push(LogEntry::decode(payload).expect("an entry with the right hash is whole"));
            at += FRAME_BYTES + payload.len();
        }
        self.log.synced.truncate(at);
        entries
    }
}

/// The payload of the first frame, if it is whole and its hash is right.
fn frame(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let hash = bytes.get(4..FRAME_BYTES)?;
    let payload = bytes.get(FRAME_BYTES..FRAME_BYTES + length)?;
    (blake3::hash(payload).as_bytes()[..8] == *hash).then_some(payload)
}
