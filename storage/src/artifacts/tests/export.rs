//! What is written out, whole or in part, and where.

use super::*;

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
