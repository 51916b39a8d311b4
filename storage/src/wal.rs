//! The consensus log: what a restarted validator replays to return to the state it was in.
//!
//! Entries are collected in memory, and [`ConsensusLog::sync`] writes them as one frame: a marker, the length, a
//! checksum of the content, and a checksum of these three and of the frame's offset in the file; then the entries, each
//! with its height. A frame begins only after the previous one was synced. Two things follow:
//!
//! - A crash can only tear the last frame, of which nothing had left the machine. Opening cuts it off.
//! - A bad frame followed by a whole one had been synced and has been damaged since. Going on without it could sign
//!   something that contradicts an earlier signature, so opening refuses.
//!
//! Entries carry their height, and [`ConsensusLog::entries`] skips those of other heights. So a reset need not be
//! atomic, nor happen at every height: the file is emptied once it has grown past [`RESET_BYTES`].

use allod_protocol::ground::{ids::Height, limits};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// The file's name in its directory.
pub const LOG_FILE: &str = "consensus.log";
/// Maximum bytes of one entry: a block with its certificate, with some margin.
pub const ENTRY_BYTES: usize = limits::SYNC_RESPONSE_SIZE_BYTES;
/// A reset empties a file that has grown past this many bytes; until then old entries stay in it, unread.
pub const RESET_BYTES: u64 = 1024 * 1024;

/// Maximum bytes of one frame's content. Anything beyond it is synced early, as frames of its own.
const FRAME_BYTES: usize = limits::RECORD_SIZE_BYTES;
const MARKER: [u8; 4] = *b"aLg1";
/// Marker, length, checksum of the content, checksum of the header.
const HEADER_BYTES: usize = 4 + 4 + 4 + 4;
/// Height and length, before each entry.
const ENTRY_HEADER_BYTES: usize = 8 + 4;

/// Why the consensus log or the last-signed record failed. After any of these errors a validator must not sign.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("{doing} {path} failed: {error}. Check that it is writable and the disk not full, then start again", path = .path.display())]
    Io {
        /// The file that failed.
        path: PathBuf,
        /// The operation that was tried.
        doing: &'static str,
        /// The system's error.
        error: io::Error,
    },
    /// The log was damaged after it was written.
    #[error(
        "the consensus log {path} is damaged at byte {offset}, before records that were written later: the disk lost \
         data that it had confirmed. Check the disk, then move this file away and start again; leave the file \
         last-signed where it is, it keeps this validator from signing twice",
        path = .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The offset at which the bad record begins, in bytes.
        offset: u64,
    },
    /// The last-signed record was damaged after it was written.
    #[error(
        "the last-signed record {path} is damaged: nothing would keep this validator from signing twice. Check the \
         disk, wait until the network has decided a later height than this peer last voted in, then remove the file \
         and start again",
        path = .path.display()
    )]
    Guard {
        /// The file.
        path: PathBuf,
    },
    /// The entry is larger than one record may be.
    #[error("{bytes} bytes are more than the {max} that one record of {path} may have", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Size of the entry, in bytes.
        bytes: usize,
        /// Maximum size, in bytes.
        max: usize,
    },
    /// An earlier write failed, so the content of the file is unknown.
    #[error("the consensus log {path} failed before: end the process and start it again", path = .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
    },
}

/// The log of one validator. Open it once: only the ledger's own lock guards it against a second process.
#[derive(Debug)]
pub struct ConsensusLog {
    path: PathBuf,
    file: File,
    /// Bytes of whole frames in the file.
    len: u64,
    /// Encoded entries that have not been written yet.
    pending: Vec<u8>,
    failed: bool,
}

impl ConsensusLog {
    /// Opens the log in a directory and cuts a torn tail. Creates an empty log if there is none.
    ///
    /// # Errors
    /// [`LogError::Damaged`] or [`LogError::Io`].
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let path = dir.join(LOG_FILE);
        let failed = |doing| move |error| LogError::Io { path: dir.join(LOG_FILE), doing, error };
        let file = open_or_create(dir, &path).map_err(failed("opening"))?;
        let mut log = Self { path, file, len: 0, pending: Vec::new(), failed: false };
        let size = log.file.metadata().map_err(failed("reading the size of"))?.len();
        log.len = log.whole_frames(size)?;
        if log.len < size {
            tracing::warn!(
                file = %log.path.display(), offset = log.len, bytes = size.saturating_sub(log.len),
                "cut the torn tail of the consensus log: a crash interrupted its last write, and nothing of it had been sent"
            );
            log.file.set_len(log.len).map_err(failed("cutting"))?;
        }
        sync_found(&log.file, dir).map_err(failed("syncing"))?;
        Ok(log)
    }

    /// Adds an entry. It is only in memory until the next [`ConsensusLog::sync`].
    ///
    /// # Errors
    /// [`LogError::TooLarge`]; [`LogError::Io`] if the pending entries filled a frame and had to be written.
    pub fn append(&mut self, height: Height, entry: &[u8]) -> Result<(), LogError> {
        let too_large = || LogError::TooLarge { path: self.path.clone(), bytes: entry.len(), max: ENTRY_BYTES };
        let len = u32::try_from(entry.len()).ok().filter(|_| entry.len() <= ENTRY_BYTES).ok_or_else(too_large)?;
        if self.pending.len().saturating_add(entry.len()).saturating_add(ENTRY_HEADER_BYTES) > FRAME_BYTES {
            self.sync()?;
        }
        self.pending.extend_from_slice(&height.get().to_le_bytes());
        self.pending.extend_from_slice(&len.to_le_bytes());
        self.pending.extend_from_slice(entry);
        Ok(())
    }

    /// Whether some entries are not on disk yet.
    pub fn is_dirty(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes every pending entry to disk. Does nothing if there are none.
    ///
    /// # Errors
    /// [`LogError::Io`], after which the log refuses everything: a second `fsync` after a failed one proves nothing.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.refuse_failed()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        self.failed = true; // until the write is known to have succeeded
        let mut frame = frame_header(&self.pending, self.len);
        frame.append(&mut self.pending);
        self.file.write_all_at(&frame, self.len).map_err(|error| self.io("writing", error))?;
        self.file.sync_data().map_err(|error| self.io("syncing", error))?;
        self.len = self.len.saturating_add(bytes_of(&frame));
        self.failed = false;
        Ok(())
    }

    /// The entries of a height in the order in which they were added, including those not synced yet.
    ///
    /// # Errors
    /// [`LogError::Io`], or [`LogError::Damaged`] if the file has changed since it was opened.
    pub fn entries(&self, height: Height) -> Result<Vec<Vec<u8>>, LogError> {
        let mut entries = Vec::new();
        let mut offset = 0;
        while offset < self.len {
            let Frame::Whole(content) = self.read_frame(offset, self.len)? else {
                return Err(LogError::Damaged { path: self.path.clone(), offset });
            };
            collect_entries(&content, height, &mut entries);
            offset = offset.saturating_add(bytes_of(&content)).saturating_add(HEADER_BYTES as u64);
        }
        collect_entries(&self.pending, height, &mut entries);
        Ok(entries)
    }

    /// Forgets the entries of every height except this one, which consensus now starts. They may stay in the file.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn reset(&mut self, height: Height) -> Result<(), LogError> {
        self.refuse_failed()?;
        if self.len < RESET_BYTES {
            return Ok(());
        }
        let kept = self.entries(height)?;
        if !kept.is_empty() {
            return Ok(()); // the entries were replayed after a restart and are needed until the next height
        }
        self.failed = true;
        // Synced at once, so no frame is ever written over a longer file that a crash could bring back.
        self.file.set_len(0).map_err(|error| self.io("emptying", error))?;
        self.file.sync_all().map_err(|error| self.io("syncing", error))?;
        self.len = 0;
        self.failed = false;
        Ok(())
    }

    fn refuse_failed(&self) -> Result<(), LogError> {
        if self.failed { Err(LogError::Failed { path: self.path.clone() }) } else { Ok(()) }
    }

    fn io(&self, doing: &'static str, error: io::Error) -> LogError {
        LogError::Io { path: self.path.clone(), doing, error }
    }

    /// The offset at which the whole frames of a file of `size` bytes end.
    fn whole_frames(&self, size: u64) -> Result<u64, LogError> {
        let mut offset = 0u64;
        while offset < size {
            match self.read_frame(offset, size)? {
                Frame::Whole(content) => {
                    offset = offset.saturating_add(HEADER_BYTES as u64).saturating_add(bytes_of(&content));
                }
                Frame::Torn => return Ok(offset),
                Frame::Bad { end } if end < size => return Err(LogError::Damaged { path: self.path.clone(), offset }),
                Frame::Bad { .. } => return Ok(offset),
                Frame::Headless if self.has_frame_after(offset, size)? => {
                    return Err(LogError::Damaged { path: self.path.clone(), offset });
                }
                Frame::Headless => return Ok(offset),
            }
        }
        Ok(offset)
    }

    fn read_frame(&self, offset: u64, size: u64) -> Result<Frame, LogError> {
        let start = offset.saturating_add(HEADER_BYTES as u64);
        if start > size {
            return Ok(Frame::Headless);
        }
        let mut header = [0u8; HEADER_BYTES];
        self.file.read_exact_at(&mut header, offset).map_err(|error| self.io("reading", error))?;
        let Some((len, sum)) = read_header(&header, offset) else { return Ok(Frame::Headless) };
        let end = start.saturating_add(u64::from(len));
        if end > size {
            return Ok(Frame::Torn);
        }
        let mut content = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut content, start).map_err(|error| self.io("reading", error))?;
        Ok(if crc32fast::hash(&content) == sum { Frame::Whole(content) } else { Frame::Bad { end } })
    }

    /// Whether a whole frame begins anywhere after `offset`.
    fn has_frame_after(&self, offset: u64, size: u64) -> Result<bool, LogError> {
        let rest = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; rest];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| self.io("reading", error))?;
        for (place, window) in (offset..).zip(bytes.windows(MARKER.len())).skip(1) {
            if window == MARKER && matches!(self.read_frame(place, size)?, Frame::Whole(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is found at an offset of the file.
enum Frame {
    Whole(Vec<u8>),
    /// A header whose content extends past the end of the file.
    Torn,
    /// A header whose content does not match its checksum.
    Bad {
        end: u64,
    },
    /// No header that belongs at this offset.
    Headless,
}

fn frame_header(content: &[u8], offset: u64) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap_or(u32::MAX); // at most FRAME_BYTES
    let sum = crc32fast::hash(content);
    let mut header = Vec::with_capacity(content.len().saturating_add(HEADER_BYTES));
    header.extend_from_slice(&MARKER);
    header.extend_from_slice(&len.to_le_bytes());
    header.extend_from_slice(&sum.to_le_bytes());
    header.extend_from_slice(&header_checksum(len, sum, offset).to_le_bytes());
    header
}

fn read_header(header: &[u8; HEADER_BYTES], offset: u64) -> Option<(u32, u32)> {
    let (marker, rest) = header.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (header_sum, _) = rest.split_first_chunk::<4>()?;
    let (len, sum) = (u32::from_le_bytes(*len), u32::from_le_bytes(*sum));
    (*marker == MARKER && u32::from_le_bytes(*header_sum) == header_checksum(len, sum, offset)).then_some((len, sum))
}

/// Covers the offset, so bytes inside an entry, or left from before a reset, are never taken for a frame.
fn header_checksum(len: u32, sum: u32, offset: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&MARKER);
    hasher.update(&len.to_le_bytes());
    hasher.update(&sum.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.finalize()
}

fn collect_entries(mut content: &[u8], height: Height, entries: &mut Vec<Vec<u8>>) {
    while let Some((found, len, rest)) = split_entry_header(content) {
        let Some((entry, rest)) = rest.split_at_checked(len) else { return };
        if found == height {
            entries.push(entry.to_vec());
        }
        content = rest;
    }
}

fn split_entry_header(content: &[u8]) -> Option<(Height, usize, &[u8])> {
    let (height, rest) = content.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    Some((Height::new(u64::from_le_bytes(*height)), usize::try_from(u32::from_le_bytes(*len)).ok()?, rest))
}

fn bytes_of(slice: &[u8]) -> u64 {
    u64::try_from(slice.len()).unwrap_or(u64::MAX)
}

/// Opens a file of a directory for reading and writing. Creates both if they are missing.
pub(crate) fn open_or_create(dir: &Path, file: &Path) -> io::Result<File> {
    std::fs::create_dir_all(dir)?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(file)
}

/// Makes durable what was found in a file of a directory, or has just been made there, and that both are there at all. A
/// process that was killed may have left any of it unsynced, and who reads it now relies on it.
pub(crate) fn sync_found(file: &File, dir: &Path) -> io::Result<()> {
    file.sync_all()?;
    sync_directory(dir)
}

/// Makes the entries of a directory durable, and its own in the one above: without it a power failure may forget a file that
/// was synced.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()?;
    // Of a relative path of one name the directory above is this one, by no name.
    let above = dir.parent().map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    above.map_or(Ok(()), |above| File::open(above)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_write_that_failed_the_log_refuses_everything() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (Height::new(1), Height::new(2));
        let mut log = ConsensusLog::open(dir.path()).unwrap();
        // The disk is full from now on.
        log.file = File::options().write(true).open("/dev/full").unwrap();
        log.append(one, b"a vote").unwrap();
        let error = log.sync().unwrap_err();
        assert!(matches!(error, LogError::Io { doing: "writing", .. }), "{error}");
        for _ in 0..2 {
            assert!(matches!(log.sync(), Err(LogError::Failed { .. })), "nobody knows what is in the file");
        }
        assert!(matches!(log.reset(two), Err(LogError::Failed { .. })));
    }
}
