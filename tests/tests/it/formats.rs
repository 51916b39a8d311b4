//! Model files as the readers of their formats judge them: `tests/interop/model-files.py` makes thousands, whole and
//! broken in one place each, with the packages `safetensors` and `gguf` of PyPI, and asks both. What they read is read here,
//! with the same tensors and numbers; what they refuse is refused here, and called damaged unless it is only unknown to them.

use allod_storage::artifacts::{Format, Header, HeaderError};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// What to do where the packages cannot be installed.
const REMEDY: &str = "this test needs Python 3.11 or newer with venv (testnet/prerequisites --tests installs it) and a \
                      registry of Python packages, which PIP_INDEX_URL may name";

/// What a reader says when a file has what it does not know, and may be right.
const UNKNOWN: [&str; 4] = [
    "is not a valid GGMLQuantizationType", // a type of GGUF's tensors
    "is not a valid GGUFValueType",        // a type of GGUF's metadata
    "which we cannot handle",              // a version of GGUF
    "maximum supported dimension",         // of numpy's arrays
];

/// Where the packages are not followed.
const EXCEPTIONS: [Exception; 6] = [
    Exception {
        package: "read",
        here: "damaged: it ends within its header",
        why: "`gguf` does not see that the last value of the metadata is cut off where no tensor follows: a slice of \
              numpy that is too long is a shorter one",
    },
    Exception {
        package: "no answer",
        here: "damaged: it ends within its header",
        why: "likewise, as often as the cut-off array claims, without a bound",
    },
    Exception {
        package: "read",
        here: "damaged: its tensors end at byte",
        why: "`gguf` adds an offset of nearly 2^64 in 64 bits, and reads the header as numbers",
    },
    Exception {
        package: "refused: KeyError: 'Duplicate GGUF.",
        here: "read",
        why: "`gguf` keeps the counts among the file's own metadata, and no name of the format's is reserved",
    },
    Exception {
        package: "refused: IndexError: tuple index out of range",
        here: "read",
        why: "`gguf` fails on a tensor without dimensions where the type is not numpy's; of F32 it reads one",
    },
    Exception {
        package: "read",
        here: "not understood: its metadata nests more than 64 arrays",
        why: "a bound: `gguf` reads as deep as Python goes",
    },
];

struct Exception {
    /// What the package says, from its beginning.
    package: &'static str,
    /// What is said here, from its beginning.
    here: &'static str,
    #[allow(dead_code, reason = "for whoever reads the list")]
    why: &'static str,
}

/// A file, and what its format's package says of it.
#[derive(Debug, Deserialize)]
struct Case {
    file: String,
    what: String,
    #[serde(flatten)]
    verdict: PackageVerdict,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
enum PackageVerdict {
    Read {
        tensors: u64,
        parameters: u64,
        dtypes: BTreeMap<String, u64>,
    },
    Refused {
        error: String,
    },
    #[serde(rename = "no answer")]
    NoAnswer,
}

impl PackageVerdict {
    fn text(&self) -> String {
        match self {
            Self::Read { .. } => "read".to_owned(),
            Self::Refused { error } => format!("refused: {error}"),
            Self::NoAnswer => "no answer".to_owned(),
        }
    }

    fn agrees(&self, here: &Result<Header, HeaderError>) -> bool {
        let is_unknown = |error: &str| UNKNOWN.iter().any(|text| error.contains(text));
        match (self, here) {
            (Self::Read { tensors, parameters, dtypes }, Ok(header)) => {
                (tensors, parameters, dtypes) == (&header.tensors, &header.parameters, &header.dtypes)
            }
            (Self::Refused { error }, Err(HeaderError::Malformed(_))) => !is_unknown(error),
            (Self::Refused { error }, Err(HeaderError::NotUnderstood(_))) => is_unknown(error),
            _ => false,
        }
    }
}

fn text_of(here: &Result<Header, HeaderError>) -> String {
    match here {
        Ok(_) => "read".to_owned(),
        Err(HeaderError::Malformed(reason)) => format!("damaged: {reason}"),
        Err(HeaderError::NotUnderstood(reason)) => format!("not understood: {reason}"),
        Err(HeaderError::Io(error)) => format!("unreadable: {error}"),
    }
}

/// The interpreter that has the packages. They stay in the build's directory until other versions are asked for.
fn python() -> PathBuf {
    const REQUIREMENTS: &str = include_str!("../../interop/requirements.txt");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("model-files");
    let (python, installed) = (directory.join("bin/python"), directory.join("installed"));
    let lock = File::create(directory.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
        return python;
    }
    let _ = fs::remove_dir_all(&directory);
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/requirements.txt");
    run(Command::new("python3").args(["-m", "venv"]).arg(&directory));
    // Every package is named there with its version: what another one asks for is among them.
    let install = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"];
    run(Command::new(&python).args(install).args(["--only-binary", ":all:", "-r"]).arg(requirements));
    fs::write(installed, REQUIREMENTS).unwrap();
    python
}

fn run(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be run ({error}); {REMEDY}"));
    assert!(output.status.success(), "{command:?} failed; {REMEDY}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn model_files_are_judged_as_by_the_readers_of_their_formats() {
    let directory = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/model-files.py");
    let output = run(Command::new(python()).arg(script).arg(directory.path()));
    let cases: Vec<Case> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let read = cases.iter().filter(|case| matches!(case.verdict, PackageVerdict::Read { .. })).count();
    assert!(read > 500 && cases.len() - read > 500, "{read} of {} files are read", cases.len());

    let (mut met, mut faults) = ([0; EXCEPTIONS.len()], Vec::new());
    for Case { file, what, verdict } in &cases {
        let bytes = fs::read(directory.path().join(file)).unwrap();
        let here = Format::of_name(file).unwrap().read(bytes.as_slice(), bytes.len() as u64);
        if verdict.agrees(&here) {
            continue;
        }
        let (package, here) = (verdict.text(), text_of(&here));
        let is_met = |exception: &Exception| package.starts_with(exception.package) && here.starts_with(exception.here);
        match EXCEPTIONS.iter().position(is_met) {
            // A count that differs is no exception.
            Some(exception) if package != here => met[exception] += 1,
            _ => faults.push(format!("{file} ({what}):\n  the package: {package:.200}\n  here: {here}")),
        }
    }
    println!("{} files, {read} of them read; exceptions: {met:?}", cases.len());
    assert!(faults.is_empty(), "{} of {} files:\n{}", faults.len(), cases.len(), faults.join("\n"));
    assert!(!met.contains(&0), "an exception that is none any more: {met:?}");
}
