//! Bad files, full disks and others at work in the same place: each ends with an error that says what to do, and leaves
//! neither a wrong file under a final name nor anything else.

use allod_protocol::{ground::ids::ArtifactId, rules::artifact::ArtifactKind};
use allod_storage::artifacts::{
    ArtifactError, ArtifactStore, ByteRange, GROUP_SIZE_BYTES, ImportMode, KEPT_FREE_BYTES, Overwrite, PartialFile,
    Progress, ReceiveError, Started,
};
use allod_tests::small_disk::SmallDisk;
use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Barrier,
    thread,
    time::Instant,
};

/// More than the threads of an import can have read when its caller first hears of it: see the queue there.
const LARGE_SIZE_BYTES: u64 = 160 * 1024 * 1024;
const MODES: [ImportMode; 3] = [ImportMode::Copy, ImportMode::HardLink, ImportMode::Reference];

/// What somebody does to a file, and its name.
type Change<'a> = (&'a str, &'a dyn Fn(&Path));

struct Place {
    directory: tempfile::TempDir,
    store: ArtifactStore,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = ArtifactStore::open(&directory.path().join("artifacts")).unwrap();
        Self { directory, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A file of zeroes that takes no room.
    fn sparse(&self, name: &str, size_bytes: u64) -> PathBuf {
        let path = self.write(name, b"");
        File::options().write(true).open(&path).unwrap().set_len(size_bytes).unwrap();
        path
    }

    fn import(&self, path: &Path) -> ArtifactId {
        self.store.import(path, ImportMode::Copy, &mut |_| {}).unwrap().artifact.address
    }

    /// That nothing of a failed operation is left.
    fn is_empty(&self) {
        assert_eq!(self.store.list().unwrap(), []);
        for below in ["blobs", "roots", "temporary", "partial"] {
            let left: Vec<_> = fs::read_dir(self.path("artifacts").join(below)).unwrap().collect();
            assert!(left.is_empty(), "{below}: {left:?}");
        }
        assert_eq!(self.store.used_bytes(), 0, "and nothing counts");
    }
}

fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&len.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn quiet(_: Progress) {}

#[test]
fn a_file_that_changes_while_it_is_taken_in_is_refused_whatever_happens_to_it() {
    let place = Place::new();
    let open = |path: &Path| File::options().write(true).open(path).unwrap();
    let changes: [Change<'_>; 6] = [
        ("truncated", &|path| open(path).set_len(1024 * 1024).unwrap()),
        ("grown", &|path| open(path).set_len(LARGE_SIZE_BYTES + 1).unwrap()),
        ("flipped", &|path| open(path).write_all_at(b"x", LARGE_SIZE_BYTES - 1).unwrap()),
        ("flipped where it was read already", &|path| open(path).write_all_at(b"x", 0).unwrap()),
        ("renamed", &|path| fs::rename(path, path.with_extension("moved")).unwrap()),
        ("gone", &|path| fs::remove_file(path).unwrap()),
    ];
    for mode in MODES {
        for (what, change) in changes {
            let path = place.sparse("source/large", LARGE_SIZE_BYTES);
            let mut heard = 0;
            let mut on_progress = |_: Progress| {
                if heard == 0 {
                    change(&path);
                }
                heard += 1;
            };
            let refused = place.store.import(&path, mode, &mut on_progress).unwrap_err();
            assert!(matches!(&refused, ArtifactError::SourceChanged(of) if of.ends_with("large")), "{what}: {refused}");
            assert!(refused.to_string().contains("try again"));
            place.is_empty();
            fs::remove_dir_all(place.path("source")).unwrap();
        }
    }
}

#[test]
fn files_that_go_while_their_directory_is_taken_in_are_named_and_nothing_of_it_stays() {
    for mode in MODES {
        let place = Place::new();
        let first = place.sparse("model/a", LARGE_SIZE_BYTES);
        for number in 0..2_000 {
            place.write(&format!("model/z/{number:04}"), &bytes(number));
        }
        let last = place.path("model/z/1999");
        let mut on_progress = |_: Progress| drop(fs::remove_file(&last));
        let refused = place.store.import(first.parent().unwrap(), mode, &mut on_progress).unwrap_err();
        assert!(matches!(&refused, ArtifactError::SourceChanged(path) if path.ends_with("z/1999")), "{refused}");
        assert_eq!(place.store.list().unwrap(), [], "no artifact; files of it that came first are garbage");
        place.store.collect_garbage(false, |_| false).unwrap();
        place.is_empty();
    }
}

#[test]
fn a_disk_with_no_room_but_the_ledgers_takes_no_files_in_and_writes_none_out() {
    let place = Place::new();
    let reserve_mib = u32::try_from(KEPT_FREE_BYTES / 1024 / 1024).unwrap();
    let Some(disk) = SmallDisk::mount(&place.path("artifacts"), reserve_mib + 32) else { return };
    // The store was opened on the directory beneath.
    let store = ArtifactStore::open(&place.path("artifacts/store")).unwrap();
    let large = place.write("large", &bytes(48 * 1024 * 1024));
    for number in 0..100 {
        place.write(&format!("model/{number}"), &bytes(512 * 1024 + number));
    }
    for source in [large, place.path("model")] {
        let refused = store.import(&source, ImportMode::Copy, &mut quiet).unwrap_err();
        assert!(matches!(refused, ArtifactError::Reserve { .. }), "{refused}");
        let said = refused.to_string();
        assert!(said.contains("reserve") && said.contains("ledger") && said.contains("free some space"), "{said}");
        assert!(disk.free_bytes() >= KEPT_FREE_BYTES, "{} bytes are left", disk.free_bytes());
        assert_eq!(store.list().unwrap(), []);
        assert_eq!(fs::read_dir(place.path("artifacts/store/temporary")).unwrap().count(), 0);
        let collected = store.collect_garbage(false, |_| false).unwrap();
        assert_eq!(store.used_bytes(), 0, "{collected:?}");
    }
    let small = place.write("small", &bytes(1024 * 1024));
    store.import(&small, ImportMode::Copy, &mut quiet).unwrap();
    // Less than as much again is free beside the reserve: it is not written out on the same disk.
    let held = place.write("held", &bytes(16 * 1024 * 1024));
    let held = store.import(&held, ImportMode::Copy, &mut quiet).unwrap().artifact.address;
    let target = place.path("artifacts/out");
    let refused = store.export(&held, &target, Overwrite::Refuse, &mut quiet).unwrap_err();
    assert!(matches!(refused, ArtifactError::Reserve { .. }) && !target.exists(), "{refused}");
    store.export(&held, &place.path("out"), Overwrite::Refuse, &mut quiet).unwrap();
    assert!(disk.free_bytes() >= KEPT_FREE_BYTES, "{} bytes are left", disk.free_bytes());
    drop(disk);
}

fn started(from: &Place, to: &ArtifactStore, address: &ArtifactId, size_bytes: u64) -> PartialFile {
    let tail = ByteRange::tail(size_bytes, 0);
    match to.start(address, size_bytes, tail, &slice(from, address, tail)).unwrap() {
        Started::Partial(partial) => partial,
        Started::Complete => panic!("more than a group"),
    }
}

fn slice(from: &Place, address: &ArtifactId, range: ByteRange) -> Vec<u8> {
    let mut slice = Vec::new();
    from.store.reader(address).unwrap().encode(range, &mut slice).unwrap();
    slice
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_download_keeps_what_came_and_goes_on() {
    let (from, to) = (Place::new(), Place::new());
    let size_bytes = 12 * 1024 * 1024;
    let address = from.import(&from.write("file", &bytes(size_bytes as usize)));
    let Some(disk) = SmallDisk::mount(&to.path("artifacts"), 160) else { return };
    let store = ArtifactStore::open(&to.path("artifacts/store")).unwrap();
    let partial = started(&from, &store, &address, size_bytes);
    let pieces: Vec<_> = partial.missing().into_iter().flat_map(|run| run.pieces(64 * GROUP_SIZE_BYTES)).collect();
    let (first, rest) = pieces.split_first().unwrap();
    partial.receive(*first, &slice(&from, &address, *first)).unwrap();
    disk.fill();
    let refused = rest.iter().find_map(|piece| partial.receive(*piece, &slice(&from, &address, *piece)).err()).unwrap();
    assert!(matches!(refused, ReceiveError::Store(ArtifactError::DiskFull(_))), "{refused}");
    assert!(matches!(partial.finish(), Err(ArtifactError::Incomplete { .. })));
    assert!(!store.has_blob(&address) && fs::read_dir(to.path("artifacts/store/blobs")).unwrap().count() == 0);
    drop(partial);
    disk.make_room();
    let partial = store.resume(&address).unwrap().unwrap();
    assert!(partial.verified_bytes() > first.size_bytes(), "what came is kept");
    for piece in partial.missing() {
        partial.receive(piece, &slice(&from, &address, piece)).unwrap();
    }
    partial.finish().unwrap();
    drop(partial);
    store.adopt(&address, ArtifactKind::File).unwrap();
    store.verify(&address, &mut quiet).unwrap();
}

#[test]
fn writing_out_to_the_same_place_at_the_same_time_gives_whole_files() {
    let place = Place::new();
    for number in 0..300usize {
        place.write(&format!("model/{}/{number}", number % 7), &bytes(number * 100));
    }
    let address = place.import(&place.path("model"));
    for overwrite in [Overwrite::Refuse, Overwrite::Replace] {
        let out = place.path("out");
        let start = Barrier::new(3);
        thread::scope(|scope| {
            let write = || {
                start.wait();
                place.store.export(&address, &out, overwrite, &mut quiet).unwrap();
            };
            for _ in 0..3 {
                scope.spawn(write);
            }
        });
        assert_eq!(place.import(&out), address, "nothing else is there, and all of it is right");
        let hidden = walk(&out).into_iter().filter(|path| path.contains("partial")).count();
        assert_eq!(hidden, 0);
        fs::remove_dir_all(&out).unwrap();
    }
}

fn walk(directory: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(walk(&path)) } else { all.push(path.display().to_string()) }
    }
    all
}

#[test]
fn of_two_artifacts_that_want_one_place_the_second_is_refused_and_neither_is_mixed_up() {
    let place = Place::new();
    let addresses = ["one", "two"].map(|name| {
        place.write(&format!("{name}/weights"), &[bytes(3_000_000), name.as_bytes().to_vec()].concat());
        place.import(&place.path(name))
    });
    for _ in 0..10 {
        let out = place.path("out");
        let start = Barrier::new(2);
        let results = thread::scope(|scope| {
            let threads = addresses.map(|address| {
                let (place, out, start) = (&place, &out, &start);
                scope.spawn(move || {
                    start.wait();
                    place.store.export(&address, out, Overwrite::Refuse, &mut quiet)
                })
            });
            threads.map(|thread| thread.join().unwrap())
        });
        let winner = results.iter().position(Result::is_ok).expect("one of them");
        let refused = results[1 - winner].as_ref().unwrap_err();
        assert!(matches!(refused, ArtifactError::TargetExists(path) if path.ends_with("weights")), "{refused}");
        assert_eq!(walk(&out).len(), 1);
        assert_eq!(place.import(&out), addresses[winner]);
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn other_files_in_the_target_stay_and_different_ones_of_a_name_stop_it_before_anything_is_written() {
    let place = Place::new();
    for name in ["a", "deep/b", "z"] {
        place.write(&format!("model/{name}"), &bytes(100_000));
    }
    let address = place.import(&place.path("model"));
    place.write("out/mine", b"mine");
    place.write("out/z", b"another z");
    let refused = place.store.export(&address, &place.path("out"), Overwrite::Refuse, &mut quiet).unwrap_err();
    assert!(matches!(&refused, ArtifactError::TargetExists(path) if path.ends_with("out/z")), "{refused}");
    assert!(refused.to_string().contains("ask to overwrite"));
    assert_eq!(walk(&place.path("out")).len(), 2, "nothing was written");
    fs::remove_file(place.path("out/z")).unwrap();
    fs::create_dir(place.path("out/z")).unwrap();
    let refused = place.store.export(&address, &place.path("out"), Overwrite::Replace, &mut quiet).unwrap_err();
    assert!(matches!(refused, ArtifactError::Target { .. }), "{refused}");
    assert_eq!(walk(&place.path("out")).len(), 1, "nothing was written");
    fs::remove_dir(place.path("out/z")).unwrap();
    place.store.export(&address, &place.path("out"), Overwrite::Refuse, &mut quiet).unwrap();
    assert_eq!(fs::read(place.path("out/mine")).unwrap(), b"mine");
}

/// The most memory that this process has had, in mebibytes.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Does something, and tells how long it took.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    println!("{what}: {:.1} s, {} MiB at most so far", started.elapsed().as_secs_f64(), peak_mib());
    result
}

#[test]
fn a_hundred_thousand_small_files_are_one_collection_slow_() {
    const FILES: usize = 100_000;
    let place = Place::new();
    timed("writing the files", || {
        for number in 0..FILES {
            place.write(&format!("model/{}/{number}", number % 100), number.to_string().repeat(100).as_bytes());
        }
    });
    let source = place.path("model");
    let imported = timed("import", || place.store.import(&source, ImportMode::Copy, &mut quiet).unwrap());
    assert_eq!((imported.artifact.files, imported.manifest.unwrap().files().len()), (FILES as u32, FILES));
    let address = imported.artifact.address;
    let again = timed("import again", || place.store.import(&source, ImportMode::Copy, &mut quiet).unwrap());
    assert_eq!((again.artifact.address, again.new_bytes), (address, 0));
    timed("verify", || place.store.verify(&address, &mut quiet).unwrap());
    let to = Place::new();
    timed("to another store, slice by slice", || {
        let manifest = place.store.manifest(&address).unwrap();
        to.store.insert(&address, &manifest.encode()).unwrap();
        for file in manifest.files() {
            let whole = ByteRange::whole(file.size_bytes);
            let slice = slice(&place, &file.address, whole);
            assert!(matches!(to.store.start(&file.address, file.size_bytes, whole, &slice), Ok(Started::Complete)));
        }
        to.store.adopt(&address, ArtifactKind::Collection).unwrap();
    });
    timed("export", || to.store.export(&address, &to.path("out"), Overwrite::Refuse, &mut quiet).unwrap());
    assert_eq!(to.import(&to.path("out")), address);
    assert!(peak_mib() < 1_024, "{} MiB", peak_mib());
}

#[test]
fn a_file_of_fifty_gigabytes_is_taken_in_verified_and_served_in_little_memory_slow_() {
    const SIZE_BYTES: u64 = 50_000_000_000;
    let place = Place::new();
    let path = place.sparse("large", SIZE_BYTES);
    let imported =
        timed("import by reference", || place.store.import(&path, ImportMode::Reference, &mut quiet).unwrap());
    let address = imported.artifact.address;
    assert_eq!(imported.artifact.size_bytes, SIZE_BYTES);
    timed("import by hard link", || place.store.import(&path, ImportMode::HardLink, &mut quiet).unwrap());
    timed("verify", || place.store.verify(&address, &mut quiet).unwrap());
    // A download asks for the room beforehand: a file system in memory says that it has it.
    let to = Place::new();
    let Some(_disk) = SmallDisk::mount(&to.path("artifacts"), 60_000) else { return };
    let store = ArtifactStore::open(&to.path("artifacts/store")).unwrap();
    timed("a thousand slices from all over it", || {
        let partial = started(&place, &store, &address, SIZE_BYTES);
        let stride = (SIZE_BYTES / 1_000).next_multiple_of(GROUP_SIZE_BYTES);
        for start in (0..SIZE_BYTES).step_by(stride as usize) {
            let range = ByteRange { start, end: (start + 16 * GROUP_SIZE_BYTES).min(SIZE_BYTES) };
            partial.receive(range, &slice(&place, &address, range)).unwrap();
        }
        assert!(partial.verified_bytes() > 900 * 16 * GROUP_SIZE_BYTES);
    });
    timed("taking the download up again", || store.resume(&address).unwrap().unwrap());
    assert!(peak_mib() < 1_024, "{} MiB", peak_mib());
}
