//! What is removed, what stays, and how much there may be.

use super::*;

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
