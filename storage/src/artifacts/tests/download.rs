//! What arrives from other peers, in pieces and across restarts.

use super::*;

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
