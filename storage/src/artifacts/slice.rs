//! Ranges of a blob with their proofs: what a provider sends and a fetching peer checks.
//!
//! A slice is the pre-order walk of the blob's BLAKE3 tree over the groups of a range: hash pairs (64 bytes) and groups
//! (16 KiB, the last one shorter), as `bao-tree` writes it, without a length prefix. Ranges are aligned to groups, so
//! every group received can be stored and served again. A slice that includes the last group also proves the blob's
//! size.

use super::{
    BUFFER_SIZE_BYTES, OnProgress, Progress,
    damage::Marks,
    error::{ArtifactError, ReceiveError, Reference, at},
    files::Layout,
};
use allod_protocol::ground::{codec, ids::ArtifactId};
use bao_tree::{
    BaoTree, BlockSize, ChunkNum, ChunkRanges,
    io::{
        DecodeError, EncodeError,
        outboard::{PostOrderMemOutboard, PostOrderOutboard},
        sync::{
            DecodeResponseIter, ReadAt, Size, encode_ranges, encode_ranges_validated, outboard_post_order,
            truncate_ranges,
        },
    },
    iter::{BaoChunk, ResponseIterRef},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes of one group, the smallest piece that can be proven: 16 chunks of BLAKE3.
pub const GROUP_SIZE_BYTES: u64 = 16 * 1024;
const BLOCK_SIZE: BlockSize = BlockSize::from_chunk_log(4);
const CHUNK_SIZE_BYTES: u64 = 1024;
const HASH_PAIR_SIZE_BYTES: u64 = 64;

/// Bytes `start..end` of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
}

impl ByteRange {
    /// The range of a whole blob.
    pub const fn whole(size_bytes: u64) -> Self {
        Self { start: 0, end: size_bytes }
    }

    /// The last groups of a blob: as many as fit in `max_bytes`, at least one. They prove the size.
    pub fn tail(size_bytes: u64, max_bytes: u64) -> Self {
        let last_group = size_bytes.saturating_sub(1) / GROUP_SIZE_BYTES * GROUP_SIZE_BYTES;
        let start = size_bytes.saturating_sub(max_bytes).div_ceil(GROUP_SIZE_BYTES).saturating_mul(GROUP_SIZE_BYTES);
        Self { start: start.min(last_group), end: size_bytes }
    }

    /// Size of the range, in bytes.
    pub const fn size_bytes(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether a slice of a blob of this size can have the range: aligned to groups, inside the blob, and not empty
    /// (unless the blob is).
    pub const fn is_sliceable(&self, size_bytes: u64) -> bool {
        let aligned = self.start.is_multiple_of(GROUP_SIZE_BYTES)
            && (self.end == size_bytes || self.end.is_multiple_of(GROUP_SIZE_BYTES));
        aligned && self.end <= size_bytes && (self.start < self.end || size_bytes == 0)
    }

    /// Cuts the range at the multiples of `piece_bytes`, itself a multiple of the group size. An empty range is one
    /// piece.
    pub fn pieces(self, piece_bytes: u64) -> impl Iterator<Item = Self> {
        let mut next = Some(self.start);
        std::iter::from_fn(move || {
            let start = next?;
            let border = (start / piece_bytes).saturating_add(1).saturating_mul(piece_bytes);
            let end = border.min(self.end);
            next = (end < self.end).then_some(end);
            Some(Self { start, end })
        })
    }

    /// The groups that the range overlaps.
    pub(super) fn groups(&self) -> std::ops::Range<u64> {
        self.start / GROUP_SIZE_BYTES..self.end.div_ceil(GROUP_SIZE_BYTES)
    }

    fn chunks(&self) -> ChunkRanges {
        // The only chunk of an empty blob is number 0.
        let end = self.end.div_ceil(CHUNK_SIZE_BYTES).max(1);
        ChunkRanges::from(ChunkNum(self.start / CHUNK_SIZE_BYTES)..ChunkNum(end))
    }
}

/// Bytes of the slice of `range` of a blob of `size_bytes`, as an honest provider sends it.
pub fn encoded_size_bytes(size_bytes: u64, range: ByteRange) -> u64 {
    let chunks = range.chunks();
    let items = ResponseIterRef::new(tree(size_bytes), truncate_ranges(&chunks, size_bytes));
    items.fold(0u64, |sum, item| {
        sum.saturating_add(match item {
            BaoChunk::Parent { .. } => HASH_PAIR_SIZE_BYTES,
            BaoChunk::Leaf { size, .. } => size as u64,
        })
    })
}

pub(super) fn tree(size_bytes: u64) -> BaoTree {
    BaoTree::new(size_bytes, BLOCK_SIZE)
}

/// The address and the outboard of bytes in memory. The outboard is empty for a single group.
pub(super) fn outboard_of(bytes: &[u8]) -> (ArtifactId, Vec<u8>) {
    let outboard = PostOrderMemOutboard::create(bytes, BLOCK_SIZE);
    (ArtifactId::from_bytes(*outboard.root.as_bytes()), outboard.data)
}

/// Reads `size_bytes` from `data`, writes their outboard, and returns their address.
pub(super) fn outboard_from(data: impl Read, size_bytes: u64, outboard: impl Write) -> io::Result<ArtifactId> {
    outboard_post_order(data, tree(size_bytes), outboard).map(|root| ArtifactId::from_bytes(*root.as_bytes()))
}

/// A proven item of a slice.
pub(super) enum Proven<'a> {
    /// A hash pair, and its offset in the outboard.
    Pair { offset_bytes: u64, pair: [u8; 64] },
    /// A group. Groups come in order, without gaps.
    Group(&'a [u8]),
}

/// Walks a slice and hands over each item once it is proven. Stops at the first one that is not.
pub(super) fn prove(
    address: &ArtifactId,
    size_bytes: u64,
    range: ByteRange,
    mut encoded: &[u8],
    mut take: impl FnMut(Proven<'_>) -> Result<(), ArtifactError>,
) -> Result<(), ReceiveError> {
    if !range.is_sliceable(size_bytes) {
        return Err(ArtifactError::Range { address: *address, start: range.start, end: range.end, size_bytes }.into());
    }
    let wrong = |offset_bytes| ReceiveError::WrongBytes { address: *address, offset_bytes };
    let (tree, chunks) = (tree(size_bytes), range.chunks());
    let mut offset_bytes = range.start;
    for item in DecodeResponseIter::new(root(address), tree, &mut encoded, &chunks) {
        match item.map_err(|error| wrong(fault(&error).unwrap_or(offset_bytes)))? {
            bao_tree::io::BaoContentItem::Parent(parent) => {
                let Some(place) = tree.post_order_offset(parent.node) else { continue };
                let mut pair = [0; 64];
                let (left, right) = pair.split_at_mut(32);
                left.copy_from_slice(parent.pair.0.as_bytes());
                right.copy_from_slice(parent.pair.1.as_bytes());
                take(Proven::Pair { offset_bytes: place.value().saturating_mul(HASH_PAIR_SIZE_BYTES), pair })?;
            }
            bao_tree::io::BaoContentItem::Leaf(leaf) => {
                offset_bytes = leaf.offset;
                take(Proven::Group(&leaf.data))?;
            }
        }
    }
    if encoded.is_empty() { Ok(()) } else { Err(wrong(range.end)) }
}

/// The bytes of a slice, once all of them are proven.
pub(super) fn decode(
    address: &ArtifactId,
    size_bytes: u64,
    range: ByteRange,
    encoded: &[u8],
) -> Result<Vec<u8>, ReceiveError> {
    let mut bytes = Vec::with_capacity(encoded.len());
    prove(address, size_bytes, range, encoded, |item| {
        if let Proven::Group(group) = item {
            bytes.extend_from_slice(group);
        }
        Ok(())
    })?;
    Ok(bytes)
}

/// Whether a slice is proven by the address: its bytes, and `size_bytes` if it includes the last group.
pub fn proves(address: &ArtifactId, size_bytes: u64, range: ByteRange, encoded: &[u8]) -> bool {
    prove(address, size_bytes, range, encoded, |_| Ok(())).is_ok()
}

fn root(address: &ArtifactId) -> blake3::Hash {
    blake3::Hash::from_bytes(*address.as_bytes())
}

fn fault(error: &DecodeError) -> Option<u64> {
    match error {
        DecodeError::ParentHashMismatch(node) | DecodeError::ParentNotFound(node) => {
            Some(node.chunk_range().start.to_bytes())
        }
        DecodeError::LeafHashMismatch(chunk) | DecodeError::LeafNotFound(chunk) => Some(chunk.to_bytes()),
        DecodeError::Io(_) => None,
    }
}

/// Where a blob imported by reference is, and what its file looked like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReferenceRecord {
    pub(super) path: String,
    pub(super) size_bytes: u64,
    pub(super) modified_s: i64,
    pub(super) modified_ns: i64,
}

impl ReferenceRecord {
    pub(super) fn new(path: String, metadata: &fs::Metadata) -> Self {
        let (modified_s, modified_ns) = (metadata.mtime(), metadata.mtime_nsec());
        Self { path, size_bytes: metadata.len(), modified_s, modified_ns }
    }
}

/// The file that holds a blob, whatever has happened to it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// Whether it lies outside the store.
    pub(super) is_reference: bool,
    /// Whether it has no name outside the store.
    pub(super) is_ours: bool,
}

impl Source {
    /// Finds the file of a blob. `None` if there is no such file.
    pub(super) fn find(layout: &Layout, address: &ArtifactId) -> Result<Option<Self>, ArtifactError> {
        let path = layout.data(address);
        match File::open(&path) {
            Ok(file) => {
                let is_ours = file.metadata().map_err(at("inspect", &path))?.nlink() == 1;
                return Ok(Some(Self { file, path, is_reference: false, is_ours }));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at("open", &path)(error)),
        }
        let record = match read_reference(layout, address) {
            Ok(record) => record,
            Err(ArtifactError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let path = PathBuf::from(record.path);
        let file = File::open(&path).ok();
        Ok(file.map(|file| Self { file, path, is_reference: true, is_ours: false }))
    }
}

/// A blob opened for reading proven ranges. Several threads may use it at once.
#[derive(Debug)]
pub struct BlobReader {
    address: ArtifactId,
    path: PathBuf,
    size_bytes: u64,
    data: File,
    /// `None` for a blob of one group.
    outboard: Option<File>,
    by_reference: bool,
    /// Where wrong bytes are reported.
    report: Option<(Arc<Layout>, Arc<Marks>)>,
}

impl BlobReader {
    pub(super) fn open(layout: &Layout, address: &ArtifactId) -> Result<Self, ArtifactError> {
        let path = layout.data(address);
        let (data, path, by_reference) = match File::open(&path) {
            Ok(data) => (data, path, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => open_reference(layout, address)?,
            Err(error) => return Err(at("open", &path)(error)),
        };
        let size_bytes = data.metadata().map_err(at("inspect", &path))?.len();
        let outboard = if size_bytes > GROUP_SIZE_BYTES { Some(open_outboard(layout, address)?) } else { None };
        Ok(Self { address: *address, path, size_bytes, data, outboard, by_reference, report: None })
    }

    /// Makes the reader mark the blob when it reads wrong bytes from now on.
    pub(super) fn reporting(self, layout: &Arc<Layout>, marks: &Arc<Marks>) -> Self {
        Self { report: Some((Arc::clone(layout), Arc::clone(marks))), ..self }
    }

    /// Marks the blob, unless its file has been replaced since it was opened.
    fn reported(&self, error: ArtifactError) -> ArtifactError {
        if let Some((layout, marks)) = &self.report
            && error.is_damage()
            && is_at(&self.data, &self.path)
            && self.outboard.as_ref().is_none_or(|outboard| is_at(outboard, &layout.outboard(&self.address)))
        {
            marks.report(&self.address, &error);
        }
        error
    }

    /// A blob whose file may have changed.
    pub(super) fn of_source(layout: &Layout, address: &ArtifactId, source: &Source) -> Result<Self, ArtifactError> {
        let path = source.path.clone();
        let data = source.file.try_clone().map_err(at("open", &path))?;
        let size_bytes = data.metadata().map_err(at("inspect", &path))?.len();
        let outboard = if size_bytes > GROUP_SIZE_BYTES { Some(open_outboard(layout, address)?) } else { None };
        let by_reference = source.is_reference;
        Ok(Self { address: *address, path, size_bytes, data, outboard, by_reference, report: None })
    }

    /// A download in progress, of which some ranges are here.
    pub(super) fn partial(address: ArtifactId, path: PathBuf, size_bytes: u64, data: File, outboard: File) -> Self {
        Self { address, path, size_bytes, data, outboard: Some(outboard), by_reference: false, report: None }
    }

    /// The blob's address.
    pub const fn address(&self) -> &ArtifactId {
        &self.address
    }

    /// Size of the blob, in bytes.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Appends the slice of `range` to `encoded`: the bytes and their proof, checked before they are appended. After an
    /// error, do not use what was appended.
    ///
    /// # Errors
    /// [`ArtifactError::Range`] when no slice has this range; [`ArtifactError::Damaged`] or
    /// [`ArtifactError::ReferenceChanged`] when the bytes on disk do not match the address.
    pub fn encode(&self, range: ByteRange, encoded: &mut Vec<u8>) -> Result<(), ArtifactError> {
        let (address, size_bytes) = (self.address, self.size_bytes);
        if !range.is_sliceable(size_bytes) {
            return Err(ArtifactError::Range { address, start: range.start, end: range.end, size_bytes });
        }
        encoded.reserve(usize::try_from(encoded_size_bytes(size_bytes, range)).unwrap_or(0));
        self.encode_to(range, encoded).map_err(|error| self.reported(error))
    }

    fn encode_to(&self, range: ByteRange, encoded: impl Write) -> Result<(), ArtifactError> {
        let (root, tree, chunks) = (root(&self.address), tree(self.size_bytes), range.chunks());
        match &self.outboard {
            Some(file) => {
                let outboard = PostOrderOutboard { root, tree, data: Positioned(file) };
                encode_ranges_validated(Positioned(&self.data), outboard, &chunks, encoded)
            }
            None => {
                let outboard = PostOrderMemOutboard { root, tree, data: [0u8; 0] };
                encode_ranges_validated(Positioned(&self.data), outboard, &chunks, encoded)
            }
        }
        .map_err(|error| self.encoding_failed(error, range))
    }

    fn encoding_failed(&self, error: EncodeError, range: ByteRange) -> ArtifactError {
        let offset_bytes = match error {
            EncodeError::ParentHashMismatch(node) => node.chunk_range().start.to_bytes().max(range.start),
            EncodeError::LeafHashMismatch(chunk) => chunk.to_bytes(),
            EncodeError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return at("read", &self.path)(error);
            }
            _ => range.start,
        };
        self.wrong_at(offset_bytes)
    }

    fn wrong_at(&self, offset_bytes: u64) -> ArtifactError {
        let (address, path) = (self.address, self.path.clone());
        if self.by_reference {
            ArtifactError::ReferenceChanged { address, path, how: Reference::Different }
        } else {
            ArtifactError::Damaged { address, path, offset_bytes }
        }
    }

    /// Checks the groups of `range` against the address without returning them.
    pub(super) fn check(&self, range: ByteRange) -> Result<(), ArtifactError> {
        self.encode_to(range, io::sink()).map_err(|error| self.reported(error))
    }

    /// As [`BlobReader::check`], but reads from the disk, not from the page cache, and leaves nothing in it.
    pub(super) fn check_on_disk(&self, range: ByteRange) -> Result<(), ArtifactError> {
        self.forget(range);
        let checked = self.check(range);
        self.forget(range);
        checked
    }

    /// Advises the kernel not to cache a range. It may ignore this.
    fn forget(&self, range: ByteRange) {
        let len = std::num::NonZero::new(range.size_bytes());
        let _ = rustix::fs::fadvise(&self.data, range.start, len, rustix::fs::Advice::DontNeed);
    }

    /// Appends the plain bytes of `range` to `bytes`, checked against the address.
    ///
    /// # Errors
    /// As [`BlobReader::encode`].
    pub fn read(&self, range: ByteRange, bytes: &mut Vec<u8>) -> Result<(), ArtifactError> {
        let (root, tree, chunks) = (root(&self.address), tree(self.size_bytes), range.chunks());
        let mut encoded = Vec::new();
        let data = Positioned(&self.data);
        // Not checked here: decoding checks them.
        match &self.outboard {
            Some(file) => {
                encode_ranges(data, PostOrderOutboard { root, tree, data: Positioned(file) }, &chunks, &mut encoded)
            }
            None => encode_ranges(data, PostOrderMemOutboard { root, tree, data: [0u8; 0] }, &chunks, &mut encoded),
        }
        .map_err(|error| self.reported(self.encoding_failed(error, range)))?;
        let refused = |error| match error {
            ReceiveError::Store(error) => error,
            ReceiveError::WrongBytes { offset_bytes, .. } => self.reported(self.wrong_at(offset_bytes)),
        };
        bytes.append(&mut decode(&self.address, self.size_bytes, range, &encoded).map_err(refused)?);
        Ok(())
    }

    /// The bytes from the start, unchecked.
    pub(super) fn into_bytes(self) -> File {
        self.data
    }

    /// All bytes, checked. For blobs that fit in memory.
    pub(super) fn read_all(&self) -> Result<Vec<u8>, ArtifactError> {
        let mut bytes = Vec::new();
        self.read(ByteRange::whole(self.size_bytes), &mut bytes)?;
        Ok(bytes)
    }

    /// Hands over the bytes in order, checked, in pieces of about one mebibyte.
    pub(super) fn for_each_piece(
        &self,
        state: &mut Progress,
        progress: OnProgress<'_>,
        mut take: impl FnMut(&[u8]) -> Result<(), ArtifactError>,
    ) -> Result<(), ArtifactError> {
        let mut buffer = Vec::new();
        for range in ByteRange::whole(self.size_bytes).pieces(BUFFER_SIZE_BYTES as u64) {
            buffer.clear();
            self.read(range, &mut buffer)?;
            take(&buffer)?;
            state.done_bytes = state.done_bytes.saturating_add(range.size_bytes());
            progress(*state);
        }
        Ok(())
    }
}

/// Whether an open file is the one at this path.
fn is_at(file: &File, path: &Path) -> bool {
    let look = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (open, named) = (file.metadata().map(look), fs::metadata(path).map(look));
    // A missing name is damage, too.
    named.map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |named| open.is_ok_and(|open| open == named))
}

fn open_outboard(layout: &Layout, address: &ArtifactId) -> Result<File, ArtifactError> {
    let path = layout.outboard(address);
    File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ArtifactError::Damaged { address: *address, path, offset_bytes: 0 },
        _ => at("open", &path)(error),
    })
}

pub(super) fn read_reference(layout: &Layout, address: &ArtifactId) -> Result<ReferenceRecord, ArtifactError> {
    let path = layout.reference(address);
    let bytes = fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ArtifactError::NotFound(*address),
        _ => at("read", &path)(error),
    })?;
    codec::decode_trusted(&bytes).map_err(|source| ArtifactError::Record { path, source: Box::new(source) })
}

fn open_reference(layout: &Layout, address: &ArtifactId) -> Result<(File, PathBuf, bool), ArtifactError> {
    let record = read_reference(layout, address)?;
    let path = PathBuf::from(&record.path);
    let changed = |how| ArtifactError::ReferenceChanged { address: *address, path: path.clone(), how };
    let data = File::open(&path).map_err(|_| changed(Reference::Gone))?;
    let metadata = data.metadata().map_err(at("inspect", &path))?;
    if ReferenceRecord::new(record.path.clone(), &metadata) != record {
        return Err(changed(Reference::Changed));
    }
    Ok((data, path, true))
}

/// A file read at positions without moving its cursor, so threads can share it.
struct Positioned<'a>(&'a File);

impl ReadAt for Positioned<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self.0, buffer, offset)
    }
}

impl Size for Positioned<'_> {
    fn size(&self) -> io::Result<Option<u64>> {
        Ok(Some(self.0.metadata()?.len()))
    }
}

/// Opens a file for import. Returns its handle and its metadata at that moment.
pub(super) fn open_source(path: &Path) -> Result<(File, fs::Metadata), ArtifactError> {
    let file = File::open(path).map_err(at("open", path))?;
    let metadata = file.metadata().map_err(at("inspect", path))?;
    Ok((file, metadata))
}
