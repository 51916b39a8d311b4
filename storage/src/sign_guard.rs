//! The last-signed record on disk, see `allod_protocol::agreement::replica::last_signed`. It is opaque bytes here, and durable before a
//! signature leaves the machine.
//!
//! It is a file of its own, not a record of the consensus log: the remedy for a damaged log is to move the log away,
//! and that must not remove the record that keeps the key from signing twice. The file is two slots of one sector each,
//! written in turn with a rising number and a checksum. A torn write loses the slot being written, whose signature had
//! not left yet, and never the other. The size of the file never changes, so a store is one write and one `fdatasync`
//! without file-system metadata.

use crate::wal::{LogError, open_or_create, sync_found};
use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// The file's name in its directory.
pub const GUARD_FILE: &str = "last-signed";
/// Bytes of the largest record.
pub const GUARD_RECORD_BYTES: usize = SLOT_BYTES - HEADER_BYTES;

/// A sector, which disks write atomically.
const SLOT_BYTES: usize = 512;
const SLOTS: usize = 2;
/// Marker, number, length and checksum.
const HEADER_BYTES: usize = 4 + 8 + 2 + 4;
const MARKER: [u8; 4] = *b"aSg1";

/// The last-signed record of one validator key.
#[derive(Debug)]
pub struct SignGuard {
    path: PathBuf,
    file: File,
    /// The newest record and its number. `None` if nothing has been stored yet.
    newest: Option<(u64, Vec<u8>)>,
}

impl SignGuard {
    /// Opens the record in a directory. Creates an empty one if there is none.
    ///
    /// # Errors
    /// [`LogError::Io`], and [`LogError::Guard`] if something was stored but neither slot can be read.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let path = dir.join(GUARD_FILE);
        let failed = |doing| move |error| LogError::Io { path: dir.join(GUARD_FILE), doing, error };
        let file = open_or_create(dir, &path).map_err(failed("opening"))?;
        if file.metadata().map_err(failed("reading the size of"))?.len() == 0 {
            file.write_all_at(&[0; SLOT_BYTES * SLOTS], 0).map_err(failed("writing"))?;
        }
        sync_found(&file, dir).map_err(failed("syncing"))?;
        let mut slots = [[0u8; SLOT_BYTES]; SLOTS];
        for (place, slot) in (0u64..).zip(&mut slots) {
            // A truncated file lacks slots; those that are there decide.
            if let Err(error) = file.read_exact_at(slot, offset(place))
                && error.kind() != std::io::ErrorKind::UnexpectedEof
            {
                return Err(failed("reading")(error));
            }
        }
        let newest = slots.iter().filter_map(read_slot).max();
        if newest.is_none() && slots.iter().flatten().any(|byte| *byte != 0) {
            return Err(LogError::Guard { path });
        }
        Ok(Self { path, file, newest })
    }

    /// The record that was stored last. `None` if nothing has been stored yet.
    pub fn load(&self) -> Option<Vec<u8>> {
        self.newest.as_ref().map(|(_, record)| record.clone())
    }

    /// Stores a record. When this returns, it is on disk.
    ///
    /// # Errors
    /// [`LogError::TooLarge`] for more than [`GUARD_RECORD_BYTES`]; [`LogError::Io`], after which the process must end
    /// and nothing may be signed.
    pub fn store(&mut self, record: &[u8]) -> Result<(), LogError> {
        let number = self.newest.as_ref().map_or(0, |(number, _)| number.saturating_add(1));
        let too_large = || LogError::TooLarge { path: self.path.clone(), bytes: record.len(), max: GUARD_RECORD_BYTES };
        let len = u16::try_from(record.len()).ok().filter(|_| record.len() <= GUARD_RECORD_BYTES);
        let len = len.ok_or_else(too_large)?;
        let mut slot = Vec::with_capacity(SLOT_BYTES);
        slot.extend_from_slice(&MARKER);
        slot.extend_from_slice(&number.to_le_bytes());
        slot.extend_from_slice(&len.to_le_bytes());
        slot.extend_from_slice(&checksum(number, record).to_le_bytes());
        slot.extend_from_slice(record);
        slot.resize(SLOT_BYTES, 0);
        let failed = |doing, error| LogError::Io { path: self.path.clone(), doing, error };
        self.file.write_all_at(&slot, offset(number % SLOTS as u64)).map_err(|error| failed("writing", error))?;
        self.file.sync_data().map_err(|error| failed("syncing", error))?;
        self.newest = Some((number, record.to_vec()));
        Ok(())
    }
}

fn offset(place: u64) -> u64 {
    place.saturating_mul(SLOT_BYTES as u64)
}

fn checksum(number: u64, record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(record);
    hasher.finalize()
}

fn read_slot(slot: &[u8; SLOT_BYTES]) -> Option<(u64, Vec<u8>)> {
    let (marker, rest) = slot.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let number = u64::from_le_bytes(*number);
    let record = rest.get(..usize::from(u16::from_le_bytes(*len)))?;
    (*marker == MARKER && u32::from_le_bytes(*sum) == checksum(number, record)).then(|| (number, record.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_record_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(SignGuard::open(dir.path()).unwrap().load(), None);
        for number in 0..5u8 {
            let mut guard = SignGuard::open(dir.path()).unwrap();
            guard.store(&[number; 100]).unwrap();
            assert_eq!(guard.load(), Some(vec![number; 100]));
            drop(guard);
            assert_eq!(SignGuard::open(dir.path()).unwrap().load(), Some(vec![number; 100]));
        }
        let mut guard = SignGuard::open(dir.path()).unwrap();
        guard.store(&[7; GUARD_RECORD_BYTES]).unwrap();
        assert!(matches!(guard.store(&[7; GUARD_RECORD_BYTES + 1]), Err(LogError::TooLarge { .. })));
        assert_eq!(SignGuard::open(dir.path()).unwrap().load(), Some(vec![7; GUARD_RECORD_BYTES]));
    }

    #[test]
    fn a_torn_write_leaves_the_record_before() {
        let dir = tempfile::tempdir().unwrap();
        let mut guard = SignGuard::open(dir.path()).unwrap();
        guard.store(b"the first").unwrap();
        let before = std::fs::read(dir.path().join(GUARD_FILE)).unwrap();
        guard.store(b"the second").unwrap();
        let after = std::fs::read(dir.path().join(GUARD_FILE)).unwrap();
        drop(guard);
        for written in 0..=SLOT_BYTES {
            let mut torn = before.clone();
            torn[SLOT_BYTES..SLOT_BYTES + written].copy_from_slice(&after[SLOT_BYTES..SLOT_BYTES + written]);
            std::fs::write(dir.path().join(GUARD_FILE), &torn).unwrap();
            let whole = written >= HEADER_BYTES + b"the second".len();
            let expected = if whole { b"the second".to_vec() } else { b"the first".to_vec() };
            assert_eq!(SignGuard::open(dir.path()).unwrap().load(), Some(expected), "{written} bytes");
        }
    }

    #[test]
    fn refuses_to_forget() {
        let dir = tempfile::tempdir().unwrap();
        let mut guard = SignGuard::open(dir.path()).unwrap();
        guard.store(b"something").unwrap();
        drop(guard);
        let path = dir.path().join(GUARD_FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = SignGuard::open(dir.path()).unwrap_err();
        assert!(matches!(error, LogError::Guard { .. }));
        assert!(error.to_string().contains("last-signed"), "{error}");
    }
}
