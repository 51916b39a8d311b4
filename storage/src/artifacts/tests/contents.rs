//! What model files and cards say of themselves.

use super::*;

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
