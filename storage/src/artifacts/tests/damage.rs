//! Damage on disk: how it is found, kept from readers and mended.

use super::*;

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
