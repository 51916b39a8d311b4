#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use allod_protocol::ground::ids::{ModelId, Timestamp};
use proptest::prelude::*;
use std::os::unix::fs::{FileExt, symlink};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

struct Bench {
    _directory: tempfile::TempDir,
    root: PathBuf,
    store: ArtifactStore,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let store = ArtifactStore::open(&root.join("artifacts")).unwrap();
        Self { _directory: directory, root, store }
    }

    fn reopen(&mut self) {
        let elsewhere = self.root.join("elsewhere");
        drop(std::mem::replace(&mut self.store, ArtifactStore::open(&elsewhere).unwrap()));
        self.store = ArtifactStore::open(&self.root.join("artifacts")).unwrap();
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, path: &Path) -> Imported {
        self.store.import(path, ImportMode::Copy, &mut |_| {}).unwrap()
    }

    fn blob(&self, bytes: &[u8]) -> ArtifactId {
        self.import(&self.file("source", bytes)).artifact.address
    }

    fn slice(&self, address: &ArtifactId, range: ByteRange) -> Vec<u8> {
        let mut encoded = Vec::new();
        self.store.reader(address).unwrap().encode(range, &mut encoded).unwrap();
        encoded
    }

    fn flip(&self, file: &str, offset: u64) {
        let path = self.root.join("artifacts").join(file);
        let file = File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    }
}

fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&len.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn quiet(_: Progress) {}

const GROUP: usize = GROUP_SIZE_BYTES as usize;

#[test]
fn a_file_keeps_its_hashes_and_is_imported_once() {
    let bench = Bench::new();
    for len in [0, 1, GROUP, GROUP + 1, BUFFER_SIZE_BYTES, BUFFER_SIZE_BYTES + 1, 5 * BUFFER_SIZE_BYTES + 77] {
        let content = bytes(len);
        let path = bench.file("model.bin", &content);
        let mut last = None;
        let imported = bench.store.import(&path, ImportMode::Copy, &mut |progress| last = Some(progress)).unwrap();
        let address = imported.artifact.address;
        assert_eq!(address, ArtifactId::of(&content), "{len}");
        assert_eq!(imported.sha256.as_bytes()[..], Sha256::digest(&content)[..], "{len}");
        assert_eq!((imported.artifact.size_bytes, imported.new_bytes), (len as u64, len as u64));
        assert_eq!(last.unwrap(), Progress { done_bytes: len as u64, total_bytes: len as u64 });
        assert!(bench.store.has(&address) && bench.store.size(&address).unwrap() == len as u64);
        bench.store.verify(&address, &mut quiet).unwrap();
        assert_eq!(bench.import(&path).new_bytes, 0, "a second import copies nothing");
        let target = bench.root.join("out").join(len.to_string());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        bench.store.export(&address, &target, Overwrite::Refuse, &mut quiet).unwrap();
        assert_eq!(fs::read(target).unwrap(), content);
    }
    assert_eq!(bench.store.list().unwrap().len(), 7);
    assert_eq!(fs::read_dir(bench.root.join("artifacts/temporary")).unwrap().count(), 0);
}

#[test]
fn a_large_file_that_was_left_alone_is_not_read_again() {
    let bench = Bench::new();
    let content = bytes(3_000_000);
    let path = bench.file("weights", &content);
    let settle = |path: &Path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    };
    settle(&path);
    // That has just changed its inode.
    let first = bench.import(&path);
    let records = || fs::read_dir(bench.store.layout.hashed()).unwrap().count();
    assert_eq!(records(), 0, "a file that has just changed is not remembered");
    let deadline = SystemTime::now() + Duration::from_secs(60);
    while records() == 0 && SystemTime::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(bench.import(&path).artifact, first.artifact);
    }
    assert_eq!(records(), 1);
    // A record is believed: one that names other bytes which are here gives a wrong answer.
    let other = bench.import(&bench.file("other", &bytes(3_000_001)));
    let record = fs::read_dir(bench.store.layout.hashed()).unwrap().next().unwrap().unwrap().path();
    let kept = fs::read(&record).unwrap();
    let place = kept.windows(32).position(|window| window == first.artifact.address.as_bytes()).unwrap();
    let mut forged = kept.clone();
    forged[place..place + 32].copy_from_slice(other.artifact.address.as_bytes());
    fs::write(&record, forged).unwrap();
    assert_eq!(bench.import(&path).artifact.address, other.artifact.address, "the file was not read");
    fs::write(&record, &kept).unwrap();
    // A change that keeps the size and the modification time is detected by the inode's change time.
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let mut changed = content;
    changed[7] ^= 1;
    fs::write(&path, &changed).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(bench.import(&path).artifact.address, ArtifactId::of(&changed));
    // The record goes together with the bytes.
    bench.store.collect_garbage(false, |_| false).unwrap();
    assert_eq!(records(), 0);
}

#[test]
fn a_directory_becomes_a_collection_without_its_junk() {
    let bench = Bench::new();
    bench.file("model/config.json", b"{}");
    bench.file("model/weights/one.pt", &bytes(100_000));
    bench.file("model/weights/empty", b"");
    bench.file("model/.gitattributes", b"x");
    bench.file("model/.allodignore", b"# mine\n!.gitattributes\n!.allodignore\n/drafts/\n*.onnx\n!kept.onnx\n");
    for junk in [
        ".git/config",
        ".DS_Store",
        "weights/__pycache__/a.pyc",
        "weights/two.part",
        "a.tmp",
        "b~",
        "drafts/one",
        "c.onnx",
    ] {
        bench.file(&format!("model/{junk}"), b"junk");
    }
    bench.file("model/weights/kept.onnx", b"");
    let imported = bench.import(&bench.root.join("model"));
    let manifest = imported.manifest.unwrap();
    let paths: Vec<&str> = manifest.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [".allodignore", ".gitattributes", "config.json", "weights/empty", "weights/kept.onnx", "weights/one.pt"]
    );
    assert_eq!(imported.excluded.len(), 8);
    assert_eq!(imported.artifact, bench.store.list().unwrap()[0]);
    assert_eq!((imported.artifact.files, imported.artifact.size_bytes), (6, 100_067));
    let address = imported.artifact.address;
    assert_eq!(bench.store.manifest(&address).unwrap(), manifest);
    bench.store.verify(&address, &mut quiet).unwrap();

    let out = bench.root.join("out");
    bench.store.export(&address, &out, Overwrite::Refuse, &mut quiet).unwrap();
    assert_eq!(bench.import(&out).artifact.address, address, "the export equals the import");
    bench.store.export(&address, &out, Overwrite::Refuse, &mut quiet).unwrap();
    fs::write(out.join("config.json"), b"[]").unwrap();
    let refused = bench.store.export(&address, &out, Overwrite::Refuse, &mut quiet);
    assert!(matches!(refused, Err(ArtifactError::TargetExists(path)) if path == out.join("config.json")));
    bench.store.export(&address, &out, Overwrite::Replace, &mut quiet).unwrap();
    assert_eq!(fs::read(out.join("config.json")).unwrap(), b"{}");
}

#[test]
fn links_and_special_files_are_refused_by_name() {
    let bench = Bench::new();
    bench.file("model/a", b"a");
    symlink("/etc/passwd", bench.root.join("model/link")).unwrap();
    let refused = bench.store.import(&bench.root.join("model"), ImportMode::Copy, &mut quiet).unwrap_err();
    assert!(matches!(&refused, ArtifactError::Symlink(path) if path.ends_with("model/link")));
    assert!(refused.to_string().contains("replace it by the file it points to"));
    fs::remove_file(bench.root.join("model/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.root.join("model/socket")).unwrap();
    let refused = bench.store.import(&bench.root.join("model"), ImportMode::Copy, &mut quiet);
    assert!(matches!(refused, Err(ArtifactError::Special(_))));
    fs::create_dir(bench.root.join("empty")).unwrap();
    let refused = bench.store.import(&bench.root.join("empty"), ImportMode::Copy, &mut quiet);
    assert!(matches!(refused, Err(ArtifactError::Collection { .. })));
    assert!(bench.store.list().unwrap().is_empty());
}

#[test]
fn an_export_never_writes_through_a_link_in_the_target() {
    let bench = Bench::new();
    bench.file("model/weights/a", b"a");
    let address = bench.import(&bench.root.join("model")).artifact.address;
    let outside = bench.root.join("outside");
    fs::create_dir_all(&outside).unwrap();
    let out = bench.root.join("out");
    fs::create_dir_all(&out).unwrap();
    symlink(&outside, out.join("weights")).unwrap();
    let refused = bench.store.export(&address, &out, Overwrite::Replace, &mut quiet);
    assert!(matches!(refused, Err(ArtifactError::Symlink(path)) if path == out.join("weights")));
    fs::remove_file(out.join("weights")).unwrap();
    fs::create_dir(out.join("weights")).unwrap();
    symlink(outside.join("victim"), out.join("weights/a")).unwrap();
    let refused = bench.store.export(&address, &out, Overwrite::Replace, &mut quiet);
    assert!(matches!(refused, Err(ArtifactError::Symlink(path)) if path == out.join("weights/a")));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_reference_serves_until_its_file_changes() {
    let bench = Bench::new();
    for len in [100, 100_000, BUFFER_SIZE_BYTES * 2 + 5] {
        let content = bytes(len);
        let path = bench.file("referenced", &content);
        let imported = bench.store.import(&path, ImportMode::Reference, &mut quiet).unwrap();
        let address = imported.artifact.address;
        bench.store.verify(&address, &mut quiet).unwrap();
        assert!(!bench.root.join("artifacts/blobs").join(address.to_string()).exists());

        // Same size and modification time, other bytes: only the hash shows it.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[content[50] ^ 1], 50).unwrap();
        file.set_modified(modified).unwrap();
        let refused = bench.store.verify(&address, &mut quiet);
        assert!(
            matches!(refused, Err(ArtifactError::ReferenceChanged { how: Reference::Different, .. })),
            "{refused:?}"
        );
        file.set_len(10).unwrap();
        let refused = bench.store.reader(&address);
        assert!(matches!(refused, Err(ArtifactError::ReferenceChanged { how: Reference::Changed, .. })));
        fs::remove_file(&path).unwrap();
        assert!(
            matches!(bench.store.reader(&address), Err(ArtifactError::Marked(_))),
            "found once, marked from then on"
        );
        let refused = bench.store.verify(&address, &mut quiet).unwrap_err();
        assert!(matches!(refused, ArtifactError::ReferenceChanged { how: Reference::Gone, .. }));
        assert!(refused.to_string().contains("referenced"));

        // Published again by copy, it is whole again.
        bench.file("referenced", &content);
        bench.import(&path);
        bench.store.verify(&address, &mut quiet).unwrap();
    }
}

#[test]
fn a_hard_link_takes_no_room_and_what_is_written_into_it_is_never_served() {
    use std::os::unix::fs::MetadataExt as _;
    let bench = Bench::new();
    for len in [100, 100_000, BUFFER_SIZE_BYTES * 2 + 5] {
        let content = bytes(len);
        let path = bench.file("linked", &content);
        let imported = bench.store.import(&path, ImportMode::HardLink, &mut quiet).unwrap();
        let address = imported.artifact.address;
        let stored = bench.root.join("artifacts/blobs").join(address.to_string());
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(&path), inode(&stored));
        bench.store.verify(&address, &mut quiet).unwrap();
        assert_eq!(bench.store.import(&path, ImportMode::HardLink, &mut quiet).unwrap().new_bytes, 0);

        // Replaced by another file of the same name, as most programs write: the store's file stays.
        let other = bench.file("other", b"other");
        fs::rename(&other, &path).unwrap();
        bench.store.verify(&address, &mut quiet).unwrap();

        // Written in place: the damage is found.
        fs::remove_file(&path).unwrap();
        fs::hard_link(&stored, &path).unwrap();
        bench.flip(&format!("blobs/{address}"), 50);
        assert!(matches!(bench.store.verify(&address, &mut quiet), Err(ArtifactError::Damaged { .. })));
        let whole = ByteRange::whole(len as u64);
        assert!(bench.store.reader(&address).unwrap().encode(whole, &mut Vec::new()).is_err());
    }
    assert_eq!(fs::read_dir(bench.root.join("artifacts/temporary")).unwrap().count(), 0);
}

#[test]
fn a_hard_link_to_another_file_system_is_refused_with_what_to_do() {
    use std::os::unix::fs::MetadataExt as _;
    let bench = Bench::new();
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    assert_ne!(device(&bench.root), device(elsewhere.path()), "the test needs two file systems");
    let path = elsewhere.path().join("file");
    fs::write(&path, b"bytes").unwrap();
    let refused = bench.store.import(&path, ImportMode::HardLink, &mut quiet).unwrap_err();
    assert!(matches!(refused, ArtifactError::Link { .. }), "{refused}");
    assert!(refused.to_string().contains("publish it by copy or by reference"));
    assert_eq!((bench.store.list().unwrap(), bench.store.used_bytes()), (vec![], 0));
}

#[test]
fn every_flipped_bit_on_disk_is_found_and_never_served() {
    let bench = Bench::new();
    let content = bytes(10 * GROUP + 100);
    let address = bench.blob(&content);
    let whole = ByteRange::whole(content.len() as u64);
    let (data, outboard) = (format!("blobs/{address}"), format!("blobs/{address}.obao"));
    let outboard_size = fs::metadata(bench.root.join("artifacts").join(&outboard)).unwrap().len();
    assert_eq!(outboard_size, 64 * 10);
    let places = [(&data, 0), (&data, 5 * GROUP as u64 + 3), (&data, content.len() as u64 - 1)];
    for (file, offset) in places.into_iter().chain((0..outboard_size).step_by(32).map(|offset| (&outboard, offset))) {
        bench.flip(file, offset);
        let mut encoded = Vec::new();
        let refused = bench.store.reader(&address).unwrap().encode(whole, &mut encoded);
        assert!(matches!(refused, Err(ArtifactError::Damaged { .. })), "{file} {offset}");
        assert!(bench.store.verify(&address, &mut quiet).is_err());
        let target = bench.root.join("out");
        assert!(bench.store.export(&address, &target, Overwrite::Refuse, &mut quiet).is_err());
        assert!(!target.exists(), "no wrong file under the final name");
        assert_eq!(bench.store.damaged_blobs(), [address], "the first reader marks it");
        bench.flip(file, offset);
        bench.store.verify(&address, &mut quiet).unwrap();
    }
    let file = File::options().write(true).open(bench.root.join("artifacts").join(&data)).unwrap();
    for len in [content.len() as u64 - 1, 3 * GROUP as u64, 0] {
        file.set_len(len).unwrap();
        assert!(bench.store.verify(&address, &mut quiet).is_err(), "truncated to {len}");
    }
}

fn tail(len: usize, max: u64) -> ByteRange {
    ByteRange::tail(len as u64, max)
}

fn start(from: &Bench, to: &Bench, address: &ArtifactId, len: usize) -> PartialFile {
    let tail = tail(len, 0);
    match to.store.start(address, len as u64, tail, &from.slice(address, tail)).unwrap() {
        Started::Partial(partial) => partial,
        Started::Complete => panic!("one group"),
    }
}

#[test]
fn a_download_resumes_after_a_kill_and_ends_whole() {
    let (from, mut to) = (Bench::new(), Bench::new());
    let len = 40 * GROUP + 1234;
    let content = bytes(len);
    let address = from.blob(&content);
    let partial = start(&from, &to, &address, len);
    let piece = ByteRange { start: 8 * GROUP_SIZE_BYTES, end: 24 * GROUP_SIZE_BYTES };
    assert_eq!(partial.receive(piece, &from.slice(&address, piece)).unwrap(), piece.size_bytes());
    assert_eq!(partial.receive(piece, &from.slice(&address, piece)).unwrap(), 0, "nothing new the second time");
    assert!(matches!(partial.finish(), Err(ArtifactError::Incomplete { .. })));
    assert!(matches!(to.store.resume(&address), Err(ArtifactError::UnderWay(_))));
    // As after a kill: no destructor writes anything.
    drop(partial);
    to.reopen();
    assert_eq!(to.store.partials().unwrap(), [address]);
    let partial = to.store.resume(&address).unwrap().unwrap();
    assert_eq!(partial.verified_bytes(), piece.size_bytes() + 1234);
    let missing = partial.missing();
    let expected =
        [(0, 8), (24, 40)].map(|(a, b)| ByteRange { start: a * GROUP_SIZE_BYTES, end: b * GROUP_SIZE_BYTES });
    assert_eq!(missing, expected);
    for range in missing {
        partial.receive(range, &from.slice(&address, range)).unwrap();
    }
    partial.finish().unwrap();
    drop(partial);
    to.store.verify(&address, &mut quiet).unwrap();
    assert!(!to.store.has(&address) && to.store.has_blob(&address));
    to.store.adopt(&address, ArtifactKind::File).unwrap();
    assert!(to.store.has(&address));
    assert_eq!(fs::read_dir(to.root.join("artifacts/partial")).unwrap().count(), 0);
}

#[test]
fn recorded_groups_that_never_reached_the_disk_are_fetched_again() {
    let (from, mut to) = (Bench::new(), Bench::new());
    let len = 40 * GROUP;
    let address = from.blob(&bytes(len));
    let partial = start(&from, &to, &address, len);
    let rest = partial.missing()[0];
    partial.receive(rest, &from.slice(&address, rest)).unwrap();
    assert_eq!(partial.verified_bytes(), len as u64);
    drop(partial);
    to.flip(&format!("partial/{address}.data"), 3 * GROUP_SIZE_BYTES);
    to.reopen();
    let partial = to.store.resume(&address).unwrap().unwrap();
    assert_eq!(partial.missing(), [ByteRange { start: 3 * GROUP_SIZE_BYTES, end: 4 * GROUP_SIZE_BYTES }]);
    for range in partial.missing() {
        partial.receive(range, &from.slice(&address, range)).unwrap();
    }
    partial.finish().unwrap();
    to.store.verify(&address, &mut quiet).unwrap();
}

#[test]
fn a_partial_file_whose_size_lost_its_proof_is_thrown_away() {
    let (from, mut to) = (Bench::new(), Bench::new());
    let len = 40 * GROUP + 5;
    let address = from.blob(&bytes(len));
    for (file, offset) in [("data", len as u64 - 1), ("groups", 1), ("groups", 0)] {
        drop(start(&from, &to, &address, len));
        to.flip(&format!("partial/{address}.{file}"), offset);
        to.reopen();
        assert!(to.store.resume(&address).unwrap().is_none(), "{file}");
        assert_eq!(fs::read_dir(to.root.join("artifacts/partial")).unwrap().count(), 0);
    }
    fs::write(to.root.join(format!("artifacts/partial/{address}.data")), b"no record").unwrap();
    fs::write(to.root.join("artifacts/temporary/7"), b"interrupted").unwrap();
    to.reopen();
    assert_eq!(fs::read_dir(to.root.join("artifacts/partial")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(to.root.join("artifacts/temporary")).unwrap().count(), 0);
}

#[test]
fn a_wrong_slice_writes_nothing_wrong() {
    let (from, to) = (Bench::new(), Bench::new());
    let len = 20 * GROUP + 5;
    let address = from.blob(&bytes(len));
    let last = tail(len, 0);
    let honest = from.slice(&address, last);
    for index in (0..honest.len()).step_by(7) {
        let mut lie = honest.clone();
        lie[index] ^= 0x10;
        let refused = to.store.start(&address, len as u64, last, &lie);
        assert!(matches!(refused, Err(ReceiveError::WrongBytes { .. })), "{index}");
    }
    for size in [len - 5, len - 1, len + 1, len + GROUP, 2 * len, 5] {
        let claimed = tail(size, 0);
        let refused = to.store.start(&address, size as u64, claimed, &honest);
        assert!(matches!(refused, Err(ReceiveError::WrongBytes { .. })), "another size is not proven: {size}");
    }
    assert_eq!(fs::read_dir(to.root.join("artifacts/partial")).unwrap().count(), 0);

    let partial = start(&from, &to, &address, len);
    let piece = ByteRange { start: 0, end: 16 * GROUP_SIZE_BYTES };
    let honest = from.slice(&address, piece);
    let mut lie = honest.clone();
    let place = honest.len() / 2;
    lie[place] ^= 1;
    assert!(matches!(partial.receive(piece, &lie), Err(ReceiveError::WrongBytes { .. })));
    let kept = partial.verified_bytes();
    assert!(kept > 5 && kept < piece.size_bytes(), "groups before the lie are kept: {kept}");
    assert!(matches!(partial.receive(piece, &honest[..honest.len() - 1]), Err(ReceiveError::WrongBytes { .. })));
    let longer = [honest.as_slice(), &[0]].concat();
    assert!(matches!(partial.receive(piece, &longer), Err(ReceiveError::WrongBytes { .. })));
    for range in partial.missing() {
        partial.receive(range, &from.slice(&address, range)).unwrap();
    }
    partial.finish().unwrap();
    to.store.verify(&address, &mut quiet).unwrap();
}

#[test]
fn a_manifest_that_lies_about_a_file_is_found() {
    let bench = Bench::new();
    bench.file("model/a", b"a");
    let imported = bench.import(&bench.root.join("model"));
    let mut files: Vec<ManifestFile> = imported.manifest.unwrap().into();
    files[0].sha256 = ContentHash::from_bytes([7; 32]);
    let lying = Manifest::try_from(files).unwrap();
    bench.store.insert(&lying.address(), &lying.encode()).unwrap();
    bench.store.adopt(&lying.address(), ArtifactKind::Collection).unwrap();
    assert!(matches!(bench.store.verify(&lying.address(), &mut quiet), Err(ArtifactError::ManifestWrong { .. })));
}

#[test]
fn an_artifact_is_adopted_only_when_it_is_whole() {
    let (from, to) = (Bench::new(), Bench::new());
    from.file("model/a", b"a");
    from.file("model/b", b"b");
    from.file("model/c", b"b");
    let manifest = from.import(&from.root.join("model")).manifest.unwrap();
    let address = manifest.address();
    assert!(matches!(to.store.adopt(&address, ArtifactKind::Collection), Err(ArtifactError::NotFound(_))));
    to.store.insert(&address, &manifest.encode()).unwrap();
    assert_eq!(to.store.missing_files(manifest.files(), |_| true).len(), 2, "one content has one address");
    assert!(to.store.adopt(&address, ArtifactKind::Collection).is_err());
    assert!(to.store.insert(&ArtifactId::of(b"a"), b"x").is_err());
    to.store.insert(&ArtifactId::of(b"a"), b"a").unwrap();
    to.store.insert(&ArtifactId::of(b"b"), b"b").unwrap();
    assert!(!to.store.has(&address));
    to.store.adopt(&address, ArtifactKind::Collection).unwrap();
    assert!(to.store.has(&address));
    assert!(matches!(to.store.manifest(&ArtifactId::of(b"a")), Err(ArtifactError::NotACollection(_))));
}

#[test]
fn a_store_has_one_owner() {
    let bench = Bench::new();
    let refused = ArtifactStore::open(&bench.root.join("artifacts")).unwrap_err();
    assert!(matches!(refused, ArtifactError::InUse(_)));
}

#[test]
fn ten_directories_of_500_small_files_are_a_collection() {
    let bench = Bench::new();
    for directory in 0..10 {
        fs::create_dir_all(bench.root.join(format!("many/{directory}"))).unwrap();
        for file in 0..500u32 {
            fs::write(bench.root.join(format!("many/{directory}/{file}")), (directory * 1000 + file).to_le_bytes())
                .unwrap();
        }
    }
    let imported = bench.import(&bench.root.join("many"));
    assert_eq!((imported.artifact.files, imported.artifact.size_bytes), (5000, 20_000));
    bench.store.verify(&imported.artifact.address, &mut quiet).unwrap();
    bench.store.export(&imported.artifact.address, &bench.root.join("out"), Overwrite::Refuse, &mut quiet).unwrap();
    assert_eq!(bench.import(&bench.root.join("out")).artifact, imported.artifact);
}

#[test]
fn what_cannot_be_written_is_named() {
    let bench = Bench::new();
    let address = bench.blob(&bytes(100));
    let full = Path::new("/dev/full");
    let error = error::at("write", full)(std::io::Error::from(std::io::ErrorKind::StorageFull));
    assert!(error.to_string().starts_with("no space left to write /dev/full"));
    let refused = bench.store.export(&address, &bench.root.join("absent/file"), Overwrite::Refuse, &mut quiet);
    assert!(refused.unwrap_err().to_string().contains("absent"));
    let refused = bench.store.export(&address, &bench.root, Overwrite::Replace, &mut quiet);
    assert!(matches!(refused, Err(ArtifactError::Target { .. })));
}

#[test]
fn pieces_cover_a_range_once() {
    let pieces =
        |start, end| ByteRange { start, end }.pieces(100).map(|piece| (piece.start, piece.end)).collect::<Vec<_>>();
    assert_eq!(pieces(0, 250), [(0, 100), (100, 200), (200, 250)]);
    assert_eq!(pieces(50, 100), [(50, 100)]);
    assert_eq!(pieces(0, 0), [(0, 0)]);
    assert_eq!(tail(0, 100), ByteRange { start: 0, end: 0 });
    assert_eq!(tail(GROUP + 1, 0), ByteRange { start: GROUP_SIZE_BYTES, end: GROUP_SIZE_BYTES + 1 });
    assert_eq!(tail(GROUP * 2, 0).start, GROUP_SIZE_BYTES);
    assert_eq!(tail(GROUP * 2 + 1, GROUP_SIZE_BYTES * 2).start, GROUP_SIZE_BYTES);
    assert_eq!(tail(GROUP * 2, GROUP_SIZE_BYTES * 2).start, 0);
}

fn len_near_group_border() -> impl Strategy<Value = usize> {
    (0usize..70, -2i64..3).prop_map(|(groups, off)| (groups * GROUP).saturating_add_signed(off as isize))
}

#[test]
fn any_size_travels_in_any_pieces() {
    let (from, to) = (Bench::new(), Bench::new());
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(len in len_near_group_border(), tail_groups in 0u64..80, piece_groups in 1u64..20)| {
        let content = bytes(len);
        let address = from.blob(&content);
        let tail = tail(len, tail_groups * GROUP_SIZE_BYTES);
        let slice = from.slice(&address, tail);
        prop_assert_eq!(slice.len() as u64, encoded_size_bytes(len as u64, tail));
        if let Started::Partial(partial) = to.store.start(&address, len as u64, tail, &slice).unwrap() {
            for piece in partial.missing().into_iter().flat_map(|run| run.pieces(piece_groups * GROUP_SIZE_BYTES)) {
                let slice = from.slice(&address, piece);
                prop_assert_eq!(slice.len() as u64, encoded_size_bytes(len as u64, piece));
                prop_assert_eq!(partial.receive(piece, &slice).unwrap(), piece.size_bytes());
            }
            partial.finish().unwrap();
        }
        to.store.verify(&address, &mut quiet).unwrap();
        prop_assert_eq!(to.store.reader(&address).unwrap().read_all().unwrap(), content);
    });
}

#[test]
fn a_collection_of_garbage_leaves_what_is_pinned_wanted_or_shared() {
    let bench = Bench::new();
    let directory = |name: &str, files: &[(&str, usize)]| {
        for (file, len) in files {
            bench.file(&format!("{name}/{file}"), &bytes(*len));
        }
        bench.import(&bench.root.join(name)).artifact.address
    };
    let pinned = directory("pinned", &[("shared.bin", 3 * GROUP), ("own.bin", 10)]);
    let wanted = bench.blob(&bytes(77));
    let gone = directory("gone", &[("shared.bin", 3 * GROUP), ("lost.bin", 5 * GROUP)]);
    bench.store.pin(&pinned).unwrap();
    let before = bench.store.used_bytes();
    let tried = bench.store.collect_garbage(true, |address| *address == wanted).unwrap();
    assert_eq!(bench.store.used_bytes(), before, "a dry run removes nothing");
    let hold = bench.store.hold();
    assert!(matches!(bench.store.collect_garbage(false, |_| false), Err(ArtifactError::Held)));
    drop(hold);
    let collected = bench.store.collect_garbage(false, |address| *address == wanted).unwrap();
    assert_eq!(collected, tried);
    assert_eq!(
        (collected.artifacts.clone(), collected.blobs),
        (vec![gone], 2),
        "its manifest and the file that only it names"
    );
    assert_eq!(bench.store.used_bytes(), before - collected.freed_bytes);
    assert!(!bench.store.has(&gone) && !bench.store.has_blob(&ArtifactId::of(&bytes(5 * GROUP))));
    for kept in [pinned, wanted] {
        bench.store.verify(&kept, &mut quiet).unwrap();
    }
    assert!(bench.store.unpin(&pinned).unwrap() && !bench.store.unpin(&pinned).unwrap());
    bench.store.collect_garbage(false, |_| false).unwrap();
    assert_eq!((bench.store.used_bytes(), bench.store.list().unwrap()), (0, vec![]));
    assert!(matches!(bench.store.pin(&pinned), Err(ArtifactError::NotFound(_))));
}

#[test]
fn a_quota_is_a_bound_for_imports_and_downloads_alike() {
    let mut bench = Bench::new();
    let source = Bench::new();
    let large = bytes(4 * GROUP);
    let address = source.blob(&large);
    let size_bytes = large.len() as u64;
    bench.store = {
        drop(std::mem::replace(&mut bench.store, ArtifactStore::open(&bench.root.join("other")).unwrap()));
        ArtifactStore::open(&bench.root.join("artifacts")).unwrap().with_quota(Some(size_bytes - 1))
    };
    assert!(bench.store.check_quota(size_bytes - 1).is_ok() && bench.store.check_quota(size_bytes).is_err());
    let path = bench.file("model.bin", &large);
    let refused = bench.store.import(&path, ImportMode::Copy, &mut quiet).unwrap_err();
    assert!(
        matches!(refused, ArtifactError::Quota { asked_bytes, .. } if asked_bytes == size_bytes + 3 * 64),
        "{refused}"
    );
    let tail = ByteRange::tail(size_bytes, GROUP_SIZE_BYTES);
    let refused = bench.store.start(&address, size_bytes, tail, &source.slice(&address, tail)).unwrap_err();
    assert!(matches!(refused, ReceiveError::Store(ArtifactError::Quota { .. })), "{refused}");
    assert_eq!(bench.store.partials().unwrap(), vec![], "nothing was begun");
    bench.file("many/small", &bytes(GROUP));
    bench.file("many/too-large", &large);
    let refused = bench.store.import(&bench.root.join("many"), ImportMode::Copy, &mut quiet).unwrap_err();
    assert!(matches!(refused, ArtifactError::Quota { .. }), "{refused}");
    assert_eq!(bench.store.used_bytes(), 0, "what was not written does not count");
    bench.store.import(&path, ImportMode::Reference, &mut quiet).unwrap();
}

#[test]
fn a_pattern_that_cannot_be_read_is_named() {
    let bench = Bench::new();
    bench.file("model/a", b"a");
    bench.file("model/.allodignore", b"[z-a]\n");
    let refused = bench.store.import(&bench.root.join("model"), ImportMode::Copy, &mut quiet).unwrap_err();
    assert!(matches!(refused, ArtifactError::Pattern(_)) && refused.to_string().contains(".allodignore"));
}

#[test]
fn files_are_selected_by_pattern_and_written_out_without_the_rest() {
    let bench = Bench::new();
    for (file, len) in [("config.json", 5), ("a.pt", 6), ("deep/b.pt", 7), ("deep/c.bin", 8)] {
        bench.file(&format!("model/{file}"), &bytes(len));
    }
    let imported = bench.import(&bench.root.join("model"));
    let (address, manifest) = (imported.artifact.address, imported.manifest.unwrap());
    let taken = |patterns: &[&str]| {
        let selection = Selection::new(patterns.iter().copied()).unwrap();
        let files = manifest.files().iter().filter(|file| selection.takes(&file.path));
        files.map(|file| file.path.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(taken(&["*.pt"]), ["a.pt", "deep/b.pt"]);
    assert_eq!(taken(&["deep/", "!*.bin"]), ["deep/b.pt"]);
    assert_eq!(taken(&["/*.pt", "config.json"]), ["a.pt", "config.json"]);
    let out = bench.root.join("out");
    let some = Selection::new(["deep"]).unwrap();
    bench.store.export_some(&address, &some, &out, Overwrite::Refuse, &mut quiet).unwrap();
    assert!(out.join("deep/c.bin").is_file() && !out.join("config.json").exists());
    let none = Selection::new(["nothing"]).unwrap();
    let refused = bench.store.export_some(&address, &none, &out, Overwrite::Refuse, &mut quiet);
    assert!(matches!(refused, Err(ArtifactError::NothingSelected(_))));
}

#[test]
fn a_model_file_says_what_it_holds_and_half_of_one_is_refused() {
    let bench = Bench::new();
    let text = br#"{"w":{"dtype":"F16","shape":[3,4],"data_offsets":[0,24]}}"#;
    let whole = [&(text.len() as u64).to_le_bytes()[..], text, &[0; 24]].concat();
    let imported = bench.import(bench.file("model/weights.safetensors", &whole).parent().unwrap());
    let contents = |address| bench.store.contents(&address).unwrap();
    let of_collection = contents(imported.artifact.address);
    let [ModelFile { path: Some(path), header }] = of_collection.model_files.as_slice() else {
        panic!("{of_collection:?}")
    };
    assert_eq!((path.as_str(), header.format, header.parameters), ("weights.safetensors", Format::Safetensors, 12));
    let alone = contents(bench.blob(&whole));
    assert_eq!(alone.model_files, [ModelFile { path: None, header: header.clone() }], "by its first bytes");
    assert_eq!(*contents(bench.blob(b"other")), Contents::default());
    assert!(Arc::ptr_eq(&of_collection, &contents(imported.artifact.address)), "read once");
    let half = bench.file("model/weights.safetensors", &whole[..whole.len() - 1]);
    for source in [half.as_path(), half.parent().unwrap()] {
        let refused = bench.store.import(source, ImportMode::Copy, &mut quiet).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("weights.safetensors") && text.contains("24 bytes, but 23 follow"), "{text}");
    }
}

#[test]
fn a_model_file_that_is_newer_than_the_reader_is_taken_and_says_why_it_tells_nothing() {
    let bench = Bench::new();
    // No tensor, no metadata, of version 9.
    let gguf = [b"GGUF\x09\0\0\0".as_slice(), &[0; 16]].concat();
    let imported = bench.import(bench.file("model/new.gguf", &gguf).parent().unwrap());
    let contents = bench.store.contents(&imported.artifact.address).unwrap();
    assert!(contents.model_files.is_empty(), "{contents:?}");
    let [UnreadFile { path: Some(path), reason }] = contents.unread_files.as_slice() else { panic!("{contents:?}") };
    assert!(path.as_str() == "new.gguf" && reason.contains("version 9"), "{path}: {reason}");
    let text = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let safetensors = [&(text.len() as u64).to_le_bytes()[..], text, &[0; 8]].concat();
    // Bytes from elsewhere were not checked: a truncated file is reported as such.
    let half = bench.store.contents(&bench.blob(&safetensors[..safetensors.len() - 1])).unwrap();
    let [UnreadFile { path: None, reason }] = half.unread_files.as_slice() else { panic!("{half:?}") };
    assert!(reason.starts_with("damaged or incomplete") && reason.contains("but 7 follow"), "{reason}");
}

#[test]
fn a_card_is_told_and_a_broken_one_is_no_reason_to_refuse() {
    let bench = Bench::new();
    let contents = |readme: &[u8]| {
        bench.file("model/README.md", readme);
        let imported = bench.import(&bench.root.join("model"));
        bench.store.verify(&imported.artifact.address, &mut quiet).unwrap();
        bench.store.contents(&imported.artifact.address).unwrap()
    };
    let long = [b"---\nlicense: mit\ntags: [a]\n---\n".as_slice(), &bytes(3 * CARD_SIZE_BYTES as usize)].concat();
    let card = contents(&long).card.clone().unwrap();
    assert_eq!((card.license.as_deref(), card.tags), (Some("mit"), vec!["a".to_owned()]));
    assert_eq!(*contents(b"# No card"), Contents::default());
    let bomb = contents(b"---\na: &a [x]\nb: &b [*a, *a]\ntags: [*b, *b]\n---\n");
    assert!(bomb.card.is_none() && bomb.card_fault.as_ref().unwrap().contains("model card"), "{bomb:?}");
}

impl Bench {
    /// Goes over everything once.
    fn scrub(&self) -> (u64, Vec<ArtifactId>) {
        let mut scrub = self.store.scrub(Place::default()).unwrap();
        let (mut checked_bytes, mut damaged) = (0, Vec::new());
        while !scrub.place().ended {
            let step = scrub.step(&self.store);
            checked_bytes += step.checked_bytes;
            if let Some((address, error)) = step.fault {
                assert!(error.is_damage(), "{error}");
                assert!(self.store.mark_damaged(&address, &error).unwrap(), "found once");
                damaged.push(address);
            }
        }
        (checked_bytes, damaged)
    }
}

#[test]
fn a_pass_over_everything_finds_each_damaged_blob_and_goes_on_where_it_was() {
    let bench = Bench::new();
    let (small, large) = (bench.blob(&bytes(100)), bench.blob(&bytes(5 * BUFFER_SIZE_BYTES + 7)));
    let kept = bench.blob(&bytes(3 * BUFFER_SIZE_BYTES));
    assert_eq!(bench.scrub().1, []);
    bench.flip(&format!("blobs/{small}"), 7);
    bench.flip(&format!("blobs/{large}"), 4 * BUFFER_SIZE_BYTES as u64 + 3);
    let (checked_bytes, mut damaged) = bench.scrub();
    damaged.sort();
    let mut expected = [small, large];
    expected.sort();
    assert_eq!(damaged, expected);
    assert!(checked_bytes >= 3 * BUFFER_SIZE_BYTES as u64);
    assert!(!bench.store.has(&small) && !bench.store.has_blob(&large) && bench.store.has(&kept));
    assert!(matches!(bench.store.reader(&large), Err(ArtifactError::Marked(_))));
    assert_eq!(bench.store.damaged_artifacts().unwrap().len(), 2);
    assert_eq!(bench.scrub().1, [], "what is marked is not looked at again");

    // One step at a time, each in a pass of its own that starts where the last one stopped.
    let (mut place, mut steps) = (Place { began_s: 7, ..Place::default() }, 0);
    while !place.ended {
        let mut scrub = bench.store.scrub(place).unwrap();
        scrub.step(&bench.store);
        place = *scrub.place();
        bench.store.keep_scrub_place(&place).unwrap();
        assert_eq!(bench.store.scrub_place(), Some(place));
        steps += 1;
    }
    assert_eq!((steps, place.began_s), (3, 7), "three mebibytes of one sound blob");
}

#[test]
fn a_mark_outlives_the_process_and_goes_when_the_bytes_are_right() {
    let mut bench = Bench::new();
    let content = bytes(4 * GROUP);
    let address = bench.blob(&content);
    bench.flip(&format!("blobs/{address}"), 0);
    assert_eq!(bench.scrub().1, [address]);
    bench.reopen();
    assert_eq!(bench.store.damaged_blobs(), [address]);
    assert!(!bench.store.has(&address) && bench.store.verify(&address, &mut quiet).is_err());
    bench.flip(&format!("blobs/{address}"), 0);
    bench.store.verify(&address, &mut quiet).unwrap();
    assert!(bench.store.has(&address) && bench.store.damaged_blobs().is_empty());
    // Published again, it is rewritten.
    bench.flip(&format!("blobs/{address}"), 0);
    assert_eq!(bench.scrub().1, [address]);
    assert_eq!(bench.blob(&content), address);
    assert!(bench.store.has(&address));
    bench.store.verify(&address, &mut quiet).unwrap();
    bench.reopen();
    assert_eq!(bench.store.damaged_blobs(), []);
}

/// Resumes what was salvaged and supplies the missing bytes. Returns their number.
fn refetch(from: &Bench, to: &Bench, address: &ArtifactId) -> u64 {
    let partial = to.store.resume(address).unwrap().unwrap();
    let missing = partial.missing();
    for range in &missing {
        partial.receive(*range, &from.slice(address, *range)).unwrap();
    }
    partial.finish().unwrap();
    missing.iter().map(ByteRange::size_bytes).sum()
}

#[test]
fn only_the_damaged_groups_of_a_blob_are_needed_again() {
    let (from, mut to) = (Bench::new(), Bench::new());
    let len = 40 * GROUP + 9;
    let address = from.blob(&bytes(len));
    to.blob(&bytes(len));
    let used_bytes = to.store.used_bytes();
    for places in [&[5u64][..], &[0, 17], &[39]] {
        for group in places {
            to.flip(&format!("blobs/{address}"), group * GROUP_SIZE_BYTES + 1);
        }
        assert_eq!(to.scrub().1, [address]);
        assert_eq!(to.store.salvage(&address).unwrap(), Salvaged::Part);
        to.reopen();
        assert_eq!(to.store.salvage(&address).unwrap(), Salvaged::Part, "again");
        assert!(!to.store.has(&address));
        assert_eq!(refetch(&from, &to, &address), places.len() as u64 * GROUP_SIZE_BYTES);
        assert!(to.store.has(&address));
        to.store.verify(&address, &mut quiet).unwrap();
        assert!(to.store.used_bytes().abs_diff(used_bytes) < 100, "but for the record of the groups");
    }
    // Only the hash tree, and a truncated file: the tree is rebuilt, and nothing of the file can be proven.
    for offset in (0..64 * 40).step_by(640) {
        to.flip(&format!("blobs/{address}.obao"), offset);
        assert_eq!(to.scrub().1, [address]);
        assert_eq!(to.store.salvage(&address).unwrap(), Salvaged::Whole);
        to.store.verify(&address, &mut quiet).unwrap();
    }
    fs::remove_file(to.root.join(format!("artifacts/blobs/{address}.obao"))).unwrap();
    assert_eq!(to.scrub().1, [address]);
    assert_eq!(to.store.salvage(&address).unwrap(), Salvaged::Whole);
    let file = File::options().write(true).open(to.root.join(format!("artifacts/blobs/{address}"))).unwrap();
    file.set_len(len as u64 - 1).unwrap();
    assert_eq!(to.scrub().1, [address]);
    assert_eq!(to.store.salvage(&address).unwrap(), Salvaged::Nothing);
    assert_eq!(to.store.missing_files(&[], |_| true).len(), 0);
    let partial = start(&from, &to, &address, len);
    for range in partial.missing() {
        partial.receive(range, &from.slice(&address, range)).unwrap();
    }
    partial.finish().unwrap();
    to.store.verify(&address, &mut quiet).unwrap();
    assert_eq!(fs::read_dir(to.root.join("artifacts/partial")).unwrap().count(), 0);
}

#[test]
fn a_users_own_file_is_never_written_when_the_store_mends_its_copy() {
    for mode in [ImportMode::HardLink, ImportMode::Reference] {
        let (from, to) = (Bench::new(), Bench::new());
        let content = bytes(40 * GROUP + 9);
        let address = from.blob(&content);
        let path = to.file("mine", &content);
        to.store.import(&path, mode, &mut quiet).unwrap();
        if mode == ImportMode::Reference {
            // Only touched: the store updates its record.
            File::options().write(true).open(&path).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(to.scrub().1, [address]);
            assert_eq!(to.store.salvage(&address).unwrap(), Salvaged::Whole);
            to.store.verify(&address, &mut quiet).unwrap();
        }
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"changed", 3 * GROUP_SIZE_BYTES).unwrap();
        let changed = fs::read(&path).unwrap();
        assert_eq!(to.scrub().1, [address], "{mode:?}");
        assert_eq!(to.store.salvage(&address).unwrap(), Salvaged::Part, "{mode:?}");
        assert_eq!(refetch(&from, &to, &address), GROUP_SIZE_BYTES, "{mode:?}");
        to.store.verify(&address, &mut quiet).unwrap();
        assert_eq!(fs::read(&path).unwrap(), changed, "{mode:?}");
        fs::write(&path, b"something else").unwrap();
        to.store.verify(&address, &mut quiet).unwrap();
        assert!(!to.root.join(format!("artifacts/blobs/{address}.ref")).exists());
    }
}

#[test]
fn a_damaged_file_makes_the_collection_wait_and_its_garbage_is_collected() {
    let bench = Bench::new();
    bench.file("model/a", &bytes(5 * GROUP));
    bench.file("model/b", &bytes(7));
    let address = bench.import(&bench.root.join("model")).artifact.address;
    let file = ArtifactId::of(&bytes(5 * GROUP));
    bench.flip(&format!("blobs/{file}"), 1);
    assert_eq!(bench.scrub().1, [file]);
    let manifest = bench.store.manifest(&address).unwrap();
    assert_eq!(bench.store.missing_files(manifest.files(), |_| true).len(), 1);
    assert_eq!(bench.store.damaged_artifacts().unwrap()[0].address, address);
    bench.store.salvage(&file).unwrap();
    bench.store.pin(&address).unwrap();
    bench.store.collect_garbage(false, |_| false).unwrap();
    assert_eq!(bench.store.partials().unwrap(), [file], "the salvaged part of a pinned artifact stays");
    bench.store.unpin(&address).unwrap();
    bench.store.collect_garbage(false, |_| false).unwrap();
    assert_eq!(bench.store.list().unwrap(), []);
}

#[test]
fn whose_a_file_is_can_be_told_as_long_as_it_is_here_and_what_nobody_wants_goes() {
    let (from, to) = (Bench::new(), Bench::new());
    from.file("model/a", &bytes(3 * GROUP));
    from.file("model/b", &bytes(5 * GROUP));
    let imported = from.import(&from.root.join("model"));
    let (address, manifest) = (imported.artifact.address, imported.manifest.unwrap());
    let is_begun = |fate| to.store.begun_of(&address).unwrap() == Some(Begun { kind: ArtifactKind::Collection, fate });
    to.store.begin(&address, ArtifactKind::Collection).unwrap();
    to.store.insert(&address, &manifest.encode()).unwrap();
    let [one, other] = manifest.files() else { panic!("two files") };
    let size_bytes = one.size_bytes;
    to.store
        .start(
            &one.address,
            size_bytes,
            ByteRange::whole(size_bytes),
            &from.slice(&one.address, ByteRange::whole(size_bytes)),
        )
        .unwrap();
    let tail = ByteRange::tail(other.size_bytes, 0);
    to.store.start(&other.address, other.size_bytes, tail, &from.slice(&other.address, tail)).unwrap();
    // Interrupted here, it goes neither by itself nor on the operator's request, unless that says so.
    to.store.tidy().unwrap();
    let collected = to.store.collect_garbage(false, |_| false).unwrap();
    assert_eq!((collected.blobs, collected.downloads), (0, 0), "{collected:?}");
    assert!(to.store.has_blob(&one.address) && is_begun(Fate::Arrives));
    let tried = to.store.collect_garbage_with(true, true, |_| false).unwrap();
    assert_eq!((tried.blobs, tried.downloads), (2, 1));
    assert!(to.store.has_blob(&one.address) && to.store.partials().unwrap() == [other.address]);
    // A week later it goes by itself.
    let record = File::options().write(true).open(to.store.layout.begun().join(address.to_string())).unwrap();
    record.set_modified(SystemTime::now() - ABANDONED_AFTER - Duration::from_secs(60)).unwrap();
    assert_eq!(to.store.tidy().unwrap(), Garbage { blobs: 2, downloads: 1, ..tried });
    assert_eq!((to.store.used_bytes(), to.store.begun().unwrap()), (0, vec![]));
    // A whole artifact is no longer begun; one being collected is, until its last file is gone.
    let whole = to.blob(&bytes(9));
    to.store.remove_root(&whole).unwrap();
    assert_eq!(to.store.begun_of(&whole).unwrap(), Some(Begun { kind: ArtifactKind::File, fate: Fate::Goes }));
    assert!(to.store.has_blob(&whole) && to.store.tidy().unwrap().blobs == 1);
    assert_eq!(to.store.begun().unwrap(), []);
    let again = to.blob(&bytes(9));
    assert_eq!((again, to.store.begun().unwrap()), (whole, vec![]));
}

#[test]
fn what_a_publish_brings_stays_if_the_ledger_takes_it_and_goes_if_not() {
    let bench = Bench::new();
    let model = ModelId::from_bytes([1; 32]);
    let publish = |name: &str, content: &[u8]| {
        let publication = Publication { model, until: &|| Timestamp::new(5) };
        let path = bench.file(name, content);
        let (mode, publication) = (ImportMode::Copy, Some(publication));
        let imported = bench.store.import_for(&path, mode, publication, &AtomicBool::new(false), &mut quiet).unwrap();
        imported.artifact.address
    };
    let (taken, refused) = (publish("one", b"one"), publish("two", b"two"));
    let awaited = bench.store.awaited(&taken).unwrap().unwrap();
    assert_eq!(awaited, Awaited { model, until: Timestamp::new(5), brought: true });
    bench.store.collect_garbage(false, |_| false).unwrap();
    bench.store.settle(&taken).unwrap();
    assert!(bench.store.let_go(&refused).unwrap() && !bench.store.let_go(&refused).unwrap());
    assert_eq!(bench.store.tidy().unwrap().blobs, 1);
    assert!(bench.store.is_pinned(&taken) && !bench.store.has_blob(&refused));
    // Published a second time and refused: it was here before.
    assert_eq!(publish("one", b"one"), taken);
    assert!(!bench.store.let_go(&taken).unwrap() && bench.store.is_pinned(&taken));
    // Refused twice: the first publish brought it.
    let twice = publish("three", b"three");
    assert_eq!((publish("three", b"three"), bench.store.let_go(&twice).unwrap()), (twice, true));
    assert_eq!(bench.store.all_awaited().unwrap(), []);
}

#[test]
fn the_nodes_own_files_are_not_taken_in_by_whatever_name_and_nothing_is_written_among_them() {
    let mut bench = Bench::new();
    let data = bench.root.join("data");
    bench.store = ArtifactStore::open(&data.join("artifacts")).unwrap().within(&data);
    let key = bench.file("data/node.key", b"secret");
    bench.file("data/ledger/000001.log", b"blocks");
    symlink(&key, bench.root.join("linked")).unwrap();
    symlink(&data, bench.root.join("way")).unwrap();
    bench.file("innocent/config.json", b"{}");
    fs::hard_link(&key, bench.root.join("innocent/weights.bin")).unwrap();
    fs::hard_link(&key, bench.root.join("second name")).unwrap();
    for path in [
        "data",
        "data/node.key",
        "data/ledger",
        "data/artifacts",
        "linked",
        "way/node.key",
        "second name",
        "innocent",
        "",
    ] {
        for mode in [ImportMode::Copy, ImportMode::HardLink, ImportMode::Reference] {
            let refused = bench.store.import(&bench.root.join(path), mode, &mut quiet).unwrap_err();
            assert!(matches!(refused, ArtifactError::Own(_)), "{path}: {refused}");
            assert!(refused.to_string().contains("choose another path"), "{refused}");
        }
    }
    assert_eq!(bench.store.list().unwrap(), []);
    // A stored file has a second name that belongs to its owner: it may be imported again.
    let mine = bench.file("mine", b"mine");
    for _ in 0..2 {
        bench.store.import(&mine, ImportMode::HardLink, &mut quiet).unwrap();
    }
    let file = bench.blob(b"config");
    bench.file("evil/data/config.toml", b"x");
    bench.file("evil/data/new/deep", b"x");
    let collection = bench.import(&bench.root.join("evil")).artifact.address;
    let out =
        |address, target: &str| bench.store.export(&address, &bench.root.join(target), Overwrite::Replace, &mut quiet);
    for (address, target) in [
        (file, "data/node.key"),
        (file, "data/new"),
        (file, "way/config.toml"),
        (collection, "data"),
        (collection, "data/new/dir"),
        (collection, "way"),
        (collection, ""),
    ] {
        let refused = out(address, target).unwrap_err();
        assert!(matches!(refused, ArtifactError::Own(_)), "{target}: {refused}");
    }
    assert_eq!(fs::read(&key).unwrap(), b"secret");
    let names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    out(collection, "elsewhere").unwrap();
}
