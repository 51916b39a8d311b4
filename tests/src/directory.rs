//! A directory on a disk that fails: whoever works in it, RocksDB included, has its writes refused, lost, torn or
//! reordered, as a power failure at that moment would have it.
//!
//! The C functions that change files are defined in `directory::calls`, in place of the C library's, for every program that
//! links this crate. They make the same system calls; and for paths below a [`FaultyDirectory`] they also tell its
//! [`model`] of what a disk may hold. Programs read the directory as it is. When power fails, the directory is made again
//! from the model. While there is no such directory, the functions do nothing of their own.
//!
//! A sync is made in the model only, so a thousand of them take no time. What the model knows is compared with the
//! directory at every restart: a write that came another way is found there.
//!
//! Faults come to the calls of the thread that asked for them ([`FaultyDirectory::during`]), so that a seed decides
//! them. A database's own threads see a disk that is full, and a machine that is off, as everybody does.

mod calls;
mod model;

pub use model::Losses;

use model::{FileId, Model, Node, Tree};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;

/// The longest that a slow disk takes for one sync, in virtual microseconds.
const SLOW_SYNC_US: u64 = 30_000;

/// How many such directories there are: with none, calls go straight to the kernel.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static STATE: Mutex<State> = Mutex::new(State { roots: BTreeMap::new(), open: BTreeMap::new(), made: 0 });

thread_local! {
    /// The directory whose faults come to this thread's calls; 0 is none.
    static WORKS_IN: Cell<u64> = const { Cell::new(0) };
    /// Whether this thread's calls go straight to the kernel: the model is at work itself.
    static PASSES: Cell<bool> = const { Cell::new(false) };
}

/// What comes to a thread's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Chance follows from it.
    pub seed: u64,
    /// After how many changes and syncs the machine is off.
    pub off_after: Option<u64>,
    /// How many changes and syncs fill the disk, 0 to 1. It stays full until a restart.
    pub full: f64,
    /// How many syncs take up to 30 ms, 0 to 1.
    pub slow: f64,
}

/// What came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Changes and syncs.
    pub calls: u64,
    /// Syncs.
    pub syncs: u64,
    /// How long syncs took, in virtual microseconds.
    pub slow_us: u64,
    /// Whether the machine went off.
    pub is_off: bool,
    /// Whether the disk is full.
    pub is_full: bool,
}

/// A directory on a disk that fails. Dropped, it is removed.
#[derive(Debug)]
pub struct FaultyDirectory {
    id: u64,
    path: TempDir,
}

impl FaultyDirectory {
    /// An empty one. Of files whose path in it begins and ends like `careless` (`begin*end`), syncs do nothing at all.
    ///
    /// # Panics
    /// When files of this program change without the functions of this module.
    pub fn new(careless: Option<&'static str>) -> Self {
        IN_USE.fetch_add(1, Ordering::SeqCst);
        let path = tempfile::tempdir().expect("a directory for temporary files");
        let root = Root {
            path: path.path().to_owned(),
            model: Model::of(Tree::new()),
            careless: careless.and_then(|pattern| pattern.split_once('*')),
            faults: Faults::default(),
            rng: ChaCha8Rng::seed_from_u64(0),
            seen: Seen::default(),
        };
        let id = state(|state| {
            state.made += 1;
            state.roots.insert(state.made, root);
            state.made
        });
        let directory = Self { id, path };
        let probe = directory.path().join("probe");
        fs::write(&probe, b"probe").expect("a file is written");
        let seen = directory.root(|root| root.model.live());
        let expected = Tree::from([("probe".into(), Some(b"probe".to_vec()))]);
        assert!(seen == expected, "this program's files change without the functions that would see it");
        fs::remove_file(&probe).expect("a file is removed");
        fs::File::open(directory.path()).and_then(|root| root.sync_all()).expect("a directory is synced");
        directory
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.path.path()
    }

    /// Does something, with faults coming to the calls of this thread.
    pub fn during<T>(&self, faults: Faults, work: impl FnOnce() -> T) -> (T, Seen) {
        self.root(|root| {
            root.faults = faults;
            root.rng = ChaCha8Rng::seed_from_u64(faults.seed);
            root.seen = Seen { is_off: root.seen.is_off, is_full: root.seen.is_full, ..Seen::default() };
        });
        let before = WORKS_IN.replace(self.id);
        let done = work();
        WORKS_IN.set(before);
        (done, self.root(|root| root.seen))
    }

    /// The machine goes off: nothing changes any more, and nothing is synced.
    pub fn turn_off(&self) {
        self.root(|root| root.seen.is_off = true);
    }

    /// Whether the machine is off.
    pub fn is_off(&self) -> bool {
        self.root(|root| root.seen.is_off)
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        self.root(|root| root.seen.is_full)
    }

    /// The process ended and begins again, on a disk with room: all that was written is there, synced or not.
    ///
    /// # Panics
    /// When somebody has something open in it, or something was written that the model does not know.
    pub fn restart_process(&self) {
        self.restart();
    }

    fn restart(&self) -> Tree {
        let (live, is_open) = state(|state| {
            let is_open = state.open.values().any(|open| open.root == self.id);
            (state.root(self.id).model.live(), is_open)
        });
        assert!(!is_open, "files are still open in {}", self.path().display());
        assert!(passing(|| read_tree(self.path())) == live, "files changed in a way that the model has not seen");
        self.root(|root| root.seen = Seen::default());
        live
    }

    /// The power failed and is back: the directory is what a disk may have kept, as the seed has it.
    ///
    /// # Panics
    /// As [`FaultyDirectory::restart_process`] does.
    pub fn restart_machine(&self, seed: u64) -> Losses {
        let live = self.restart();
        let (tree, losses) = self.root(|root| root.model.after_power_failure(seed));
        passing(|| write_tree(self.path(), &live, &tree));
        self.root(|root| root.model = Model::of(tree));
        losses
    }

    /// A file is deleted for good.
    pub fn delete(&self, path: &Path) {
        // It may never have been there.
        let _ = fs::remove_file(self.path().join(path));
        let parent = path.parent().unwrap_or(Path::new(""));
        self.root(|root| {
            if root.model.find(parent) == Some(Node::Directory) {
                root.model.sync_directory(parent);
            }
        });
    }

    fn root<T>(&self, work: impl FnOnce(&mut Root) -> T) -> T {
        state(|state| work(state.root(self.id)))
    }
}

impl Drop for FaultyDirectory {
    fn drop(&mut self) {
        state(|state| {
            state.roots.remove(&self.id);
            state.open.retain(|_, open| open.root != self.id);
        });
        IN_USE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// All such directories.
struct State {
    roots: BTreeMap<u64, Root>,
    /// What is open in them, by the number of the descriptor.
    open: BTreeMap<i32, Open>,
    made: u64,
}

/// A descriptor of a directory, or of a file that can be written to.
#[derive(Clone)]
struct Open {
    root: u64,
    path: PathBuf,
    node: Node,
}

struct Root {
    path: PathBuf,
    model: Model,
    careless: Option<(&'static str, &'static str)>,
    faults: Faults,
    rng: ChaCha8Rng,
    seen: Seen,
}

/// What a call would do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    /// It takes room.
    Grow,
    /// It changes something and takes no room.
    Change,
    Sync,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Off,
    /// It filled the disk, and what was to be written goes in by half.
    FullNow,
    Full,
}

impl State {
    fn root(&mut self, id: u64) -> &mut Root {
        self.roots.get_mut(&id).expect("a directory is there until it is dropped")
    }

    /// The directory that a path is in, and the path in it.
    fn find(&self, path: &Path) -> Option<(u64, PathBuf)> {
        self.roots.iter().find_map(|(id, root)| Some((*id, path.strip_prefix(&root.path).ok()?.to_owned())))
    }

    /// Lets a call happen, or not.
    fn begin(&mut self, id: u64, call: Call) -> Result<(), Refusal> {
        let is_foreground = WORKS_IN.get() == id;
        let root = self.root(id);
        let was_full = root.seen.is_full;
        if is_foreground {
            root.meet_faults(call);
        }
        if root.seen.is_off {
            return Err(Refusal::Off);
        }
        match (root.seen.is_full, call) {
            (false, _) | (_, Call::Change) => Ok(()),
            // What was written before the disk became full has its room, if it was not full at the sync.
            (true, Call::Sync) if was_full => Ok(()),
            (true, _) if was_full => Err(Refusal::Full),
            (true, _) => Err(Refusal::FullNow),
        }
    }

    fn sync(&mut self, open: &Open) {
        let root = self.root(open.root);
        let is_ignored = root.careless.is_some_and(|(begin, end)| {
            let path = open.path.to_string_lossy();
            path.starts_with(begin) && path.ends_with(end)
        });
        match open.node {
            _ if is_ignored => {}
            Node::File(file) => root.model.sync_file(file),
            Node::Directory => root.model.sync_directory(&open.path),
        }
    }
}

impl Root {
    fn meet_faults(&mut self, call: Call) {
        self.seen.is_off |= self.faults.off_after == Some(self.seen.calls);
        self.seen.calls += 1;
        self.seen.is_full |= self.faults.full > 0.0 && self.rng.random_bool(self.faults.full);
        if call == Call::Sync {
            self.seen.syncs += 1;
            if self.faults.slow > 0.0 && self.rng.random_bool(self.faults.slow) {
                self.seen.slow_us += self.rng.random_range(0..SLOW_SYNC_US);
            }
        }
    }
}

/// Works on what all directories share. Calls that this thread makes meanwhile go straight to the kernel.
fn state<T>(work: impl FnOnce(&mut State) -> T) -> T {
    passing(|| work(&mut STATE.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn passing<T>(work: impl FnOnce() -> T) -> T {
    let before = PASSES.replace(true);
    let done = work();
    PASSES.set(before);
    done
}

/// Whether the calls of this thread concern nobody here.
fn is_passing() -> bool {
    IN_USE.load(Ordering::Relaxed) == 0 || PASSES.get()
}

fn read_tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory is read") {
            let path = entry.expect("an entry is read").path();
            let name = path.strip_prefix(root).expect("a path in it").to_owned();
            let content = (!path.is_dir()).then(|| fs::read(&path).expect("a file is read"));
            if content.is_none() {
                directories.push(path);
            }
            tree.insert(name, content);
        }
    }
    tree
}

/// Makes of what is there what is to be there.
fn write_tree(root: &Path, before: &Tree, after: &Tree) {
    // What is in a directory goes before it, and comes after it.
    for (path, content) in before.iter().rev().filter(|(path, content)| after.get(*path) != Some(content)) {
        let path = root.join(path);
        let removed = if content.is_none() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        removed.expect("what was there is removed");
    }
    for (path, content) in after.iter().filter(|(path, content)| before.get(*path) != Some(content)) {
        let path = root.join(path);
        let made = content.as_ref().map_or_else(|| fs::create_dir(&path), |bytes| fs::write(&path, bytes));
        made.expect("what the disk kept is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::{File, OpenOptions},
        io::{self, Write as _},
        os::unix::fs::FileExt as _,
    };

    /// A log in a directory of its own, with both synced.
    fn with_log(careless: Option<&'static str>) -> (FaultyDirectory, PathBuf) {
        let directory = FaultyDirectory::new(careless);
        let path = directory.path().join("inside/log");
        let make = || -> io::Result<()> {
            fs::create_dir(directory.path().join("inside"))?;
            File::open(directory.path())?.sync_all()?;
            File::create(&path)?.sync_all()?;
            File::open(directory.path().join("inside"))?.sync_all()
        };
        make().unwrap();
        (directory, path)
    }

    fn append(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(bytes)?;
        if sync { file.sync_data() } else { Ok(()) }
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_may_not() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..60 {
            let (directory, path) = with_log(None);
            append(&path, &[1; 700], true).unwrap();
            append(&path, &[2; 700], false).unwrap();
            fs::rename(&path, path.with_file_name("renamed")).unwrap();
            directory.restart_machine(seed);
            let is_renamed = !path.exists();
            let content = fs::read(if is_renamed { path.with_file_name("renamed") } else { path }).unwrap();
            assert_eq!(content[..700], [1; 700], "seed {seed}");
            seen.insert((is_renamed, content.len()));
        }
        for expected in [(false, 700), (false, 1_400), (true, 700), (true, 1_400), (false, 1_024)] {
            assert!(seen.contains(&expected), "{expected:?} is not in {seen:?}");
        }
    }

    #[test]
    fn a_killed_process_loses_nothing() {
        let (directory, path) = with_log(None);
        append(&path, &[1; 700], false).unwrap();
        directory.restart_process();
        assert_eq!(fs::read(&path).unwrap(), [1; 700]);
        let lost = (0..20).filter(|seed| directory.restart_machine(*seed).lost > 0).count();
        assert!(lost == 1, "what was not synced before the process ended may be lost after it, and only once: {lost}");
    }

    #[test]
    fn a_machine_that_is_off_changes_nothing() {
        let (directory, path) = with_log(None);
        for off_after in 0..4 {
            let faults = Faults { off_after: Some(off_after), ..Faults::default() };
            let (done, seen) = directory.during(faults, || append(&path, &[1; 10], true));
            assert_eq!(done.is_err(), off_after < 2, "a write and a sync");
            assert_eq!(seen.is_off, off_after < 2);
            directory.turn_off();
            for refused in
                [append(&path, &[2], false), fs::remove_file(&path), fs::create_dir(path.with_extension("d"))]
            {
                assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EIO));
            }
            directory.restart_process();
        }
        assert_eq!(fs::read(&path).unwrap(), [1; 30], "that the machine went off after a write does not undo it");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_disk_takes_the_half_of_a_write_and_then_nothing() {
        let (directory, path) = with_log(None);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let faults = Faults { full: 1.0, ..Faults::default() };
        let (done, seen) = directory.during(faults, || file.write_all_at(&[1; 100], 0));
        assert_eq!(done.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(seen.is_full && !seen.is_off);
        assert_eq!(File::create(path.with_file_name("new")).unwrap_err().kind(), io::ErrorKind::StorageFull);
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), [1; 50]);
        directory.restart_process();
        append(&path, &[2; 50], true).unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), 100, "there is room again");
    }

    #[test]
    fn careless_syncs_keep_nothing() {
        let lost = |careless| {
            (0..20).any(|seed| {
                let (directory, path) = with_log(careless);
                append(&path, &[1; 700], true).unwrap();
                directory.restart_machine(seed);
                fs::read(&path).map_or(0, |content| content.len()) < 700
            })
        };
        assert!(!lost(None) && lost(Some("inside/*log")) && lost(Some("in*side")));
    }

    #[test]
    #[should_panic(expected = "in a way that the model has not seen")]
    fn a_change_past_the_model_is_found() {
        let (directory, path) = with_log(None);
        passing(|| fs::write(&path, b"past it")).unwrap();
        directory.restart_process();
    }

    #[test]
    #[should_panic(expected = "still open")]
    fn a_file_that_stays_open_is_found() {
        let (directory, path) = with_log(None);
        let _open = OpenOptions::new().write(true).open(&path).unwrap();
        directory.restart_process();
    }
}
