//! What a disk may hold after its power failed: of every file and directory, what was synced, and what was done since.
//!
//! - A synced byte stays. Of what was written to a file since its last sync, each sector of [`SECTOR_BYTES`] keeps what it
//!   had at some moment since then, whatever the sectors beside it keep. A size that was set and is lost takes along
//!   everything written after it.
//! - An entry of a directory (a file made, renamed, removed) stays once that directory was synced; to sync the file alone
//!   is not enough. Of what changed in a directory since, the first so many changes stay: file systems keep their order.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// A file, by whatever name.
pub(super) type FileId = u64;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File(FileId),
    Directory,
}

/// What is below a directory, by path: the bytes of a file, or none for a directory.
pub(super) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What a power failure took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Files and directories of which something that was not synced is lost.
    pub lost: u64,
    /// Files of which a part of what was not synced is lost and a part is kept.
    pub torn: u64,
}

/// A change of a directory's entries.
enum Change {
    Put(OsString, Node),
    Remove(OsString),
    Rename(OsString, OsString),
}

/// A change of a file.
enum Write {
    Bytes { offset: u64, bytes: Vec<u8> },
    Size(u64),
}

#[derive(Default)]
struct FileData {
    synced: Vec<u8>,
    unsynced: Vec<Write>,
    /// The size that programs see.
    size: u64,
}

#[derive(Default)]
struct Entries {
    synced: BTreeMap<OsString, Node>,
    unsynced: Vec<Change>,
}

/// A directory with all that is below it. Paths are relative to it, and it is itself the empty path.
pub(super) struct Model {
    files: BTreeMap<FileId, FileData>,
    directories: BTreeMap<PathBuf, Entries>,
    /// What programs see.
    live: BTreeMap<PathBuf, Node>,
}

impl Model {
    /// A disk on which all of this is synced.
    pub(super) fn of(tree: Tree) -> Self {
        let directories = BTreeMap::from([(PathBuf::new(), Entries::default())]);
        let mut model = Self { files: BTreeMap::new(), directories, live: BTreeMap::new() };
        for (path, content) in tree {
            let node = model.make(&path, content.is_none());
            if let (Node::File(file), Some(bytes)) = (node, content) {
                model.set_size(file, bytes.len() as u64);
                model.write(file, 0, &bytes);
                model.sync_file(file);
            }
        }
        let paths: Vec<PathBuf> = model.directories.keys().cloned().collect();
        paths.iter().for_each(|path| model.sync_directory(path));
        model
    }

    /// What a path stands for, if for anything.
    pub(super) fn find(&self, path: &Path) -> Option<Node> {
        if path.as_os_str().is_empty() { Some(Node::Directory) } else { self.live.get(path).copied() }
    }

    pub(super) fn size(&self, file: FileId) -> u64 {
        self.files[&file].size
    }

    /// A file or directory is made.
    pub(super) fn make(&mut self, path: &Path, is_directory: bool) -> Node {
        let node = if is_directory {
            self.directories.insert(path.to_owned(), Entries::default());
            Node::Directory
        } else {
            let file = self.files.len() as FileId;
            self.files.insert(file, FileData::default());
            Node::File(file)
        };
        self.put(path, node);
        node
    }

    /// A path begins to stand for a file that has another already, or is new.
    pub(super) fn put(&mut self, path: &Path, node: Node) {
        self.live.insert(path.to_owned(), node);
        let (entries, name) = self.entry(path);
        entries.unsynced.push(Change::Put(name, node));
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.live.remove(path);
        let (entries, name) = self.entry(path);
        entries.unsynced.push(Change::Remove(name));
    }

    /// A file gets another name, in place of what had that name.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let Some(node) = self.live.remove(from) else { return };
        assert!(node != Node::Directory, "directories that are renamed are not modelled: {}", from.display());
        if from.parent() == to.parent() {
            self.live.insert(to.to_owned(), node);
            let (_, new_name) = self.entry(to);
            let (entries, name) = self.entry(from);
            entries.unsynced.push(Change::Rename(name, new_name));
        } else {
            self.put(to, node);
            let (entries, name) = self.entry(from);
            entries.unsynced.push(Change::Remove(name));
        }
    }

    fn entry(&mut self, path: &Path) -> (&mut Entries, OsString) {
        let directory = path.parent().expect("the directory itself is neither made nor removed");
        let entries = self.directories.get_mut(directory).expect("the kernel has found the directory");
        (entries, path.file_name().expect("a name").to_owned())
    }

    pub(super) fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) {
        let data = self.file(file);
        data.size = data.size.max(offset + bytes.len() as u64);
        data.unsynced.push(Write::Bytes { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_size(&mut self, file: FileId, size: u64) {
        let data = self.file(file);
        if data.size != size {
            data.size = size;
            data.unsynced.push(Write::Size(size));
        }
    }

    pub(super) fn sync_file(&mut self, file: FileId) {
        let data = self.file(file);
        data.synced = data.live();
        data.unsynced.clear();
    }

    pub(super) fn sync_directory(&mut self, path: &Path) {
        let entries = self.directories.get_mut(path).expect("a directory that is there");
        for change in std::mem::take(&mut entries.unsynced) {
            change.apply(&mut entries.synced);
        }
    }

    fn file(&mut self, file: FileId) -> &mut FileData {
        self.files.get_mut(&file).expect("files are never forgotten")
    }

    /// What programs see.
    pub(super) fn live(&self) -> Tree {
        let content = |node: &Node| match node {
            Node::File(file) => Some(self.files[file].live()),
            Node::Directory => None,
        };
        self.live.iter().map(|(path, node)| (path.clone(), content(node))).collect()
    }

    /// What the disk holds after the power failed, as the seed has it.
    pub(super) fn after_power_failure(&self, seed: u64) -> (Tree, Losses) {
        let (mut tree, mut losses) = (Tree::new(), Losses::default());
        self.survive(Path::new(""), seed, &mut tree, &mut losses);
        (tree, losses)
    }

    fn survive(&self, directory: &Path, seed: u64, tree: &mut Tree, losses: &mut Losses) {
        let entries = &self.directories[directory];
        let kept = part(&mut chance(seed, directory), entries.unsynced.len());
        losses.lost += u64::from(kept < entries.unsynced.len());
        let mut names = entries.synced.clone();
        entries.unsynced[..kept].iter().for_each(|change| change.apply(&mut names));
        for (name, node) in names {
            let path = directory.join(name);
            match node {
                Node::Directory => {
                    tree.insert(path.clone(), None);
                    self.survive(&path, seed, tree, losses);
                }
                Node::File(file) => {
                    let data = &self.files[&file];
                    let bytes = data.survive(&mut chance(seed, &path));
                    let (none, all) = (bytes == data.synced, bytes == data.live());
                    losses.lost += u64::from(!all);
                    losses.torn += u64::from(!all && !none);
                    tree.insert(path, Some(bytes));
                }
            }
        }
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<OsString, Node>) {
        match self {
            Self::Put(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl FileData {
    fn live(&self) -> Vec<u8> {
        self.with(|_, _| true, self.unsynced.len())
    }

    /// The file with the first `count` of its writes, and of each write the sectors that are kept.
    fn with(&self, mut keeps: impl FnMut(usize, u64) -> bool, count: usize) -> Vec<u8> {
        let mut content = self.synced.clone();
        for (index, write) in self.unsynced[..count].iter().enumerate() {
            match write {
                Write::Size(size) => content.resize(index_of(*size), 0),
                Write::Bytes { offset, bytes } => {
                    let mut at = *offset;
                    while at < offset + bytes.len() as u64 {
                        let end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
                        let end = end.min(offset + bytes.len() as u64);
                        if keeps(index, at / SECTOR_BYTES) {
                            content.resize(content.len().max(index_of(end)), 0);
                            let piece = &bytes[index_of(at - offset)..index_of(end - offset)];
                            content[index_of(at)..index_of(end)].copy_from_slice(piece);
                        }
                        at = end;
                    }
                }
            }
        }
        content
    }

    fn survive(&self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        let is_lost_size = |write: &Write| matches!(write, Write::Size(_)) && rng.random_bool(0.5);
        let count = self.unsynced.iter().position(is_lost_size).unwrap_or(self.unsynced.len());
        let mut content = match rng.random_range(0..4) {
            0 => return self.synced.clone(),
            1 => self.with(|_, _| true, count),
            2 => {
                // In order, and of the last write its first sectors.
                let whole = rng.random_range(0..=count);
                let sectors = rng.random_range(0..8);
                let mut first = None;
                let torn = |index, sector| {
                    index < whole || (index == whole && sector < *first.get_or_insert(sector) + sectors)
                };
                self.with(torn, count)
            }
            _ => {
                // In any order: each sector has gone out at a moment of its own.
                let mut moments = BTreeMap::new();
                let reordered = |index, sector| {
                    let moment = moments.entry(sector).or_insert_with(|| part(rng, count));
                    index < *moment
                };
                self.with(reordered, count)
            }
        };
        // A size may be on the disk before the bytes are.
        if count == self.unsynced.len() && rng.random_bool(0.3) {
            content.resize(content.len().max(index_of(self.size)), 0);
        }
        content
    }
}

/// None of something, all of it, or a part.
fn part(rng: &mut ChaCha8Rng, of: usize) -> usize {
    match rng.random_range(0..3) {
        0 => 0,
        1 => of,
        _ => rng.random_range(0..=of),
    }
}

/// Chance of its own for each path, the same for all whose names differ in numbers only: what becomes of one file does
/// not hang on how many others a database has made in the background.
fn chance(seed: u64, path: &Path) -> ChaCha8Rng {
    let digit = |byte: u8| if byte.is_ascii_digit() { b'#' } else { byte };
    let name: Vec<u8> = OsStr::as_encoded_bytes(path.as_os_str()).iter().map(|byte| digit(*byte)).collect();
    let hash = blake3::Hasher::new().update(&seed.to_le_bytes()).update(&name).finalize();
    ChaCha8Rng::from_seed(*hash.as_bytes())
}

fn index_of(offset: u64) -> usize {
    usize::try_from(offset).expect("a file that fits in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model::of(Tree::from([("log".into(), Some(vec![1; 2_000]))]))
    }

    fn file(model: &Model, name: &str) -> FileId {
        match model.find(Path::new(name)) {
            Some(Node::File(file)) => file,
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn what_was_synced_is_there_whatever_the_seed() {
        let mut model = model();
        let log = file(&model, "log");
        model.write(log, 1_000, &[2; 3_000]);
        model.sync_file(log);
        let made = model.make(Path::new("made"), false);
        model.sync_directory(Path::new(""));
        model.rename(Path::new("made"), Path::new("renamed"));
        model.sync_directory(Path::new(""));
        assert_eq!(made, Node::File(file(&model, "renamed")));
        for seed in 0..50 {
            assert_eq!(model.after_power_failure(seed), (model.live(), Losses::default()));
        }
    }

    #[test]
    fn every_sector_is_as_it_was_at_some_moment() {
        let mut model = model();
        let log = file(&model, "log");
        model.write(log, 100, &[2; 1_000]);
        model.write(log, 600, &[3; 2_400]);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..500 {
            let content = model.after_power_failure(seed).0.remove(Path::new("log")).unwrap().unwrap();
            assert!(content.len() <= 3_000);
            assert!([1, 2].contains(&content[511]) && content[..100] == [1; 100], "what nobody wrote to stays");
            assert_eq!(content[100], content[511], "a sector is whole");
            assert!(content[1_100..2_000].iter().all(|byte| [1, 3].contains(byte)));
            assert!(content.iter().skip(2_000).all(|byte| [0, 3].contains(byte)));
            seen.insert((content[100], content[550], content[700], content[1_600], content.get(2_100).copied()));
        }
        for expected in [(1, 1, 1, 1, None), (2, 2, 3, 3, Some(3)), (1, 2, 3, 3, Some(3)), (2, 2, 2, 1, None)] {
            assert!(seen.contains(&expected), "no seed gave {expected:?}");
        }
        assert!(seen.iter().any(|(_, _, _, _, after)| *after == Some(0)), "no seed left a hole");
    }

    #[test]
    fn an_entry_that_was_not_synced_may_go_though_its_file_was() {
        let mut model = model();
        let Node::File(new) = model.make(Path::new("new"), false) else { panic!("a file") };
        model.write(new, 0, b"content");
        model.sync_file(new);
        model.rename(Path::new("new"), Path::new("log"));
        let outcomes: std::collections::BTreeSet<Tree> =
            (0..100).map(|seed| model.after_power_failure(seed).0).collect();
        let old = Some(vec![1; 2_000]);
        let content = Some(b"content".to_vec());
        let expected = [
            Tree::from([("log".into(), old.clone())]),
            Tree::from([("log".into(), old), ("new".into(), content.clone())]),
            Tree::from([("log".into(), content)]),
        ];
        assert_eq!(outcomes, expected.into());
    }

    #[test]
    fn a_lost_size_takes_along_what_came_after() {
        let mut model = model();
        let log = file(&model, "log");
        model.set_size(log, 0);
        model.write(log, 0, &[5; 600]);
        for seed in 0..200 {
            let content = model.after_power_failure(seed).0.remove(Path::new("log")).unwrap().unwrap();
            let is_old = content == vec![1; 2_000];
            assert!(is_old || content.iter().all(|byte| [0, 5].contains(byte)), "seed {seed}: old and new are mixed");
        }
    }
}
