//! What is taken in: files, directories, links, references, and what a publish brings.

use super::*;

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
fn files_are_taken_in_and_written_only_below_the_roots_that_the_operator_names() {
    let mut bench = Bench::new();
    let inside = bench.file("roots/models/weights.bin", b"weights");
    let outside = bench.file("elsewhere/secret", b"secret");
    symlink(&outside, bench.root.join("roots/models/linked")).unwrap();
    symlink(bench.root.join("elsewhere"), bench.root.join("roots/way")).unwrap();
    symlink(bench.root.join("roots/models"), bench.root.join("models")).unwrap();
    bench.file("roots-too/weights.bin", b"weights");
    let store = ArtifactStore::open(&bench.root.join("store")).unwrap();
    let missing = bench.root.join("not there");
    let refused = store.only_below(std::slice::from_ref(&missing)).unwrap_err();
    assert!(refused.to_string().contains("not there"), "{refused}");
    bench.store =
        ArtifactStore::open(&bench.root.join("store")).unwrap().only_below(&[bench.root.join("roots")]).unwrap();
    let is_outside = |refused: ArtifactError| {
        assert!(matches!(refused, ArtifactError::OutsideRoots { .. }), "{refused}");
        assert!(refused.to_string().contains("choose a path there"), "{refused}");
    };
    for path in [
        "elsewhere",
        "elsewhere/secret",
        "roots/models/linked",
        "roots/way/secret",
        "roots-too",
        "roots/../elsewhere",
        "",
    ] {
        is_outside(bench.store.import(&bench.root.join(path), ImportMode::Copy, &mut quiet).unwrap_err());
    }
    assert_eq!(bench.store.list().unwrap(), []);
    let address = bench.store.import(&inside, ImportMode::Copy, &mut quiet).unwrap().artifact.address;
    bench.store.import(&bench.root.join("models/weights.bin"), ImportMode::Copy, &mut quiet).unwrap();
    for target in ["elsewhere/copy", "roots/way/copy", "roots/../copy", "roots-too/copy"] {
        let target = bench.root.join(target);
        is_outside(bench.store.export(&address, &target, Overwrite::Refuse, &mut quiet).unwrap_err());
        assert!(!target.exists(), "{}", target.display());
    }
    let target = bench.root.join("roots/copy");
    bench.store.export(&address, &target, Overwrite::Refuse, &mut quiet).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"weights");
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
