//! Writing large files with `O_DIRECT`, past the page cache.
//!
//! A download is written once and seldom read soon. Copying it through the page cache would take a considerable part of
//! the time of a fast fetch, and evict what the ledger needs. Where the file system does not support `O_DIRECT`, the
//! bytes take the ordinary way.

use super::files::WRITE_SIZE_BYTES;
use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// The alignment, in memory and in the file, that `O_DIRECT` needs on every disk in use.
const ALIGNMENT_BYTES: usize = 4096;

/// A buffer aligned as `O_DIRECT` needs it. Its capacity is fixed at creation.
#[derive(Debug)]
pub(super) struct AlignedBytes {
    storage: Vec<u8>,
    start: usize,
}

impl AlignedBytes {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let mut storage: Vec<u8> = Vec::with_capacity(capacity.saturating_add(ALIGNMENT_BYTES));
        let start = storage.as_ptr().align_offset(ALIGNMENT_BYTES);
        if start < ALIGNMENT_BYTES {
            storage.resize(start, 0);
        }
        let start = storage.len();
        Self { storage, start }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.storage.extend_from_slice(bytes);
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.storage.get(self.start..).unwrap_or_default()
    }
}

/// A file of known size that several threads write at any offset.
#[derive(Debug)]
pub(super) struct DataFile {
    cached: File,
    /// The same file opened with `O_DIRECT`.
    direct: Option<File>,
    /// Whether the disk has refused a direct write.
    refused: AtomicBool,
}

impl DataFile {
    /// Opens an existing file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let cached = File::options().read(true).write(true).open(path)?;
        Ok(Self::new(cached, path))
    }

    /// Creates a file of `size_bytes`, which must not exist, and preallocates it where the file system can.
    pub(super) fn create(path: &Path, size_bytes: u64) -> io::Result<Self> {
        let cached = File::options().read(true).write(true).create_new(true).open(path)?;
        if let Err(error) = reserve(&cached, size_bytes) {
            // Nothing else uses this name yet.
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        Ok(Self::new(cached, path))
    }

    fn new(cached: File, path: &Path) -> Self {
        Self { cached, direct: open_direct(path).ok(), refused: AtomicBool::new(false) }
    }

    /// The file through the page cache.
    pub(super) const fn file(&self) -> &File {
        &self.cached
    }

    /// Whether writes bypass the page cache.
    pub(super) fn is_direct(&self) -> bool {
        self.direct.is_some() && !self.refused.load(Ordering::Relaxed)
    }

    /// Writes all bytes at an offset.
    pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let direct = self.direct.as_ref().filter(|_| self.is_direct());
        let whole = aligned_part(bytes, offset);
        let (Some(direct), Some(aligned)) = (direct, bytes.get(whole.clone()).filter(|part| !part.is_empty())) else {
            return self.write_cached(bytes, offset);
        };
        match direct.write_all_at(aligned, offset) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.refused.store(true, Ordering::Relaxed);
                self.write_cached(bytes, offset)
            }
            Err(error) => Err(error),
            Ok(()) => {
                let rest = bytes.get(whole.end..).unwrap_or_default();
                self.write_cached(rest, offset.saturating_add(whole.end as u64))
            }
        }
    }

    fn write_cached(&self, bytes: &[u8], mut offset: u64) -> io::Result<()> {
        for piece in bytes.chunks(WRITE_SIZE_BYTES) {
            self.cached.write_all_at(piece, offset)?;
            offset = offset.saturating_add(piece.len() as u64);
        }
        Ok(())
    }
}

/// The part of the bytes that may be written directly: all but an incomplete block at the end, or nothing.
fn aligned_part(bytes: &[u8], offset: u64) -> Range<usize> {
    let in_place = bytes.as_ptr().align_offset(ALIGNMENT_BYTES) == 0 && offset.is_multiple_of(ALIGNMENT_BYTES as u64);
    let end = if in_place { bytes.len() / ALIGNMENT_BYTES * ALIGNMENT_BYTES } else { 0 };
    0..end
}

/// Gives the file its size, and preallocates it if the file system can: a full disk shows now and not during a
/// download, and writes in any order need not wait for each other.
pub(super) fn reserve(file: &File, size_bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if size_bytes > 0 {
        use rustix::{fs::FallocateFlags, io::Errno};
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size_bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            result => return result.map_err(io::Error::from),
        }
    }
    file.set_len(size_bytes)
}

#[cfg(target_os = "linux")]
fn open_direct(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).map_err(io::Error::other)?;
    File::options().write(true).custom_flags(direct).open(path)
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_path: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Holds for every offset and length, in aligned memory and elsewhere.
        #[test]
        fn what_is_written_is_read(writes in prop::collection::vec((0u64..200_000, 0usize..100_000, any::<bool>()), 1..8)) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("data");
            let file = DataFile::create(&path, 300_000).unwrap();
            let mut expected = vec![0; 300_000];
            for (number, (offset, len, aligned)) in writes.into_iter().enumerate() {
                let offset = if aligned { offset / 4_096 * 4_096 } else { offset };
                let bytes: Vec<u8> = (0..len).map(|index| (index + number) as u8).collect();
                let mut in_place = AlignedBytes::with_capacity(len);
                in_place.extend(&bytes);
                prop_assert_eq!(in_place.as_slice().as_ptr().align_offset(ALIGNMENT_BYTES), 0);
                let place = if aligned { in_place.as_slice() } else { &bytes };
                file.write_all_at(place, offset).unwrap();
                let start = usize::try_from(offset).unwrap();
                expected[start..start + len].copy_from_slice(&bytes);
            }
            prop_assert!(std::fs::read(&path).unwrap() == expected);
        }
    }

    #[test]
    fn a_file_that_finds_no_room_is_refused_before_a_byte_comes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let error = DataFile::create(&path, 1 << 55).unwrap_err();
        assert!(!path.exists());
        let expected = [io::ErrorKind::StorageFull, io::ErrorKind::FileTooLarge];
        assert!(expected.contains(&error.kind()), "{error}");
    }
}
