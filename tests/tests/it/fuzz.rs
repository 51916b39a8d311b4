//! The fuzz targets on seeded mutations of the golden vectors: a bounded run on every change, with the toolchain at hand.

use allod_tests::{
    fuzz::TARGETS,
    vectors::{self, Vector},
};
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// Time for one target. The seed is fixed, so a failure comes again: how far the run gets is all that varies.
const TIME: Duration = Duration::from_millis(900);
const SEED: u64 = 20_261_123;
/// Inputs that mutations begin with, for one target.
const READABLE: usize = 4_096;
/// A quarter of what the threads have that read strangers' bytes, so that deep recursion ends the test before a peer.
const STACK_SIZE_BYTES: usize = 512 * 1024;
/// What a run of the same few bytes grows to: enough for recursion to show, and read in a moment where there is none.
const REPEATED_SIZE_BYTES: usize = 16 * 1024;
/// Bytes that choose what follows: a variant's number, alone and with the byte that an option or a boolean is.
const CHOICE_SIZES_BYTES: [usize; 2] = [4, 5];

/// Inputs to begin with: every vector, whole, and as it travels.
fn corpus() -> Vec<Vec<u8>> {
    let all = vectors::all();
    let every: Vec<&Vector> = all.values().flatten().collect();
    let mut corpus: Vec<Vec<u8>> = every.iter().map(|vector| vector.bytes.0.clone()).collect();
    let bodies = |prefix: &str| -> Vec<Vec<u8>> {
        every.iter().filter(|vector| vector.name.starts_with(prefix)).map(|vector| vector.bytes.0.clone()).collect()
    };
    for message in bodies("message.") {
        corpus.push(allod_protocol::ground::codec::encode(&(7u64, message)));
    }
    // A list is its length and its members, which stand in it without their version byte.
    let list = |members: &[Vec<u8>]| -> Vec<u8> {
        let mut bytes = (members.len() as u64).to_le_bytes().to_vec();
        members.iter().for_each(|member| bytes.extend_from_slice(&member[1..]));
        bytes
    };
    corpus.push([vec![1], list(&bodies("transaction."))].concat());
    let blocks = bodies("decided_block.");
    corpus.push([vec![1], 7u64.to_le_bytes().to_vec(), list(&blocks)].concat());
    corpus.push([vec![1], 7u64.to_le_bytes().to_vec(), list(&blocks[..1])].concat());
    corpus.push(serde_json::to_vec(&vectors::genesis()).unwrap());
    corpus.push(b"---\nlicense: mit\nlanguage: [en, no]\ntags:\n- a\n- {b: c}\nbase_model: &x d/e\n---\n".to_vec());
    let header = br#"{"w":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]}}"#;
    corpus.push([&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat());
    corpus.push(gguf());
    corpus.extend(["northfield/digits", "v1.2.0"].map(|text| text.as_bytes().to_vec()));
    corpus.extend(every.iter().flat_map(|vector| vector.derived.values()).map(|text| text.as_bytes().to_vec()));
    corpus
}

/// A GGUF file: a list of words, and a tensor of two numbers.
fn gguf() -> Vec<u8> {
    let (word, number) = (u32::to_le_bytes, u64::to_le_bytes);
    let text = |text: &str| [&number(text.len() as u64)[..], text.as_bytes()].concat();
    let entry = [text("words"), word(9).to_vec(), word(8).to_vec(), number(2).to_vec(), text("a"), text("bc")].concat();
    let tensor = [text("w"), word(1).to_vec(), number(2).to_vec(), word(0).to_vec(), number(0).to_vec()].concat();
    let mut file = [b"GGUF".to_vec(), word(3).to_vec(), number(1).to_vec(), number(1).to_vec(), entry, tensor].concat();
    file.resize(file.len().next_multiple_of(32) + 8, 0);
    file
}

const EXTREMES: [u64; 8] = [0, 1, 0x7f, 0xff, 0xffff, u32::MAX as u64, i64::MAX as u64, u64::MAX];

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut impl Rng) {
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..bytes.len().max(1));
        match random.random_range(0..8) {
            _ if bytes.is_empty() => bytes.push(1),
            0 => bytes[at] = random.random(),
            1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes.insert(at, random.random()),
            3 => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            5 => {
                let extreme = EXTREMES[random.random_range(0..EXTREMES.len())].to_le_bytes();
                let end = bytes.len().min(at + 8);
                bytes[at..end].copy_from_slice(&extreme[..end - at]);
            }
            6 => {
                let end = random.random_range(at..=bytes.len());
                bytes.extend_from_within(at..end);
                let copied = end - at;
                bytes[at..].rotate_right(copied);
            }
            _ => {
                let other = &corpus[random.random_range(0..corpus.len())];
                let from = random.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
}

/// Each choice of each input again and again: what can hold itself does so, deeper than any stack. Random mutations need
/// millions of inputs for that.
fn nested(inputs: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    let places = inputs.iter().flat_map(|bytes| (0..bytes.len()).map(move |at| (bytes, at)));
    let choices = places.flat_map(|(bytes, at)| CHOICE_SIZES_BYTES.map(|size_bytes| (bytes, at, at + size_bytes)));
    choices.filter(|(bytes, _, end)| *end <= bytes.len()).map(|(bytes, at, end)| {
        let choice = &bytes[at..end];
        [&bytes[..at], &choice.repeat(REPEATED_SIZE_BYTES / choice.len()), &bytes[end..]].concat()
    })
}

#[test]
fn no_bytes_of_strangers_make_a_peer_panic() {
    let run = std::thread::Builder::new().stack_size(STACK_SIZE_BYTES).spawn(run_every_target).unwrap();
    run.join().unwrap();
}

fn run_every_target() {
    let corpus = corpus();
    for (name, target) in TARGETS {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let run = |bytes: &[u8]| {
            catch_unwind(AssertUnwindSafe(|| target(bytes)))
                .unwrap_or_else(|_| panic!("target {name} panics on {}", vectors::hex(bytes)))
        };
        // What this target reads is where its mutations begin: most of the others stop at the first field.
        let mut readable: Vec<Vec<u8>> = corpus.iter().filter(|bytes| run(bytes)).cloned().collect();
        assert!(!readable.is_empty(), "nothing in the corpus is for target {name}");
        readable.sort_by_key(Vec::len);
        let began = Instant::now();
        nested(&readable).take_while(|_| began.elapsed() < TIME).for_each(|bytes| _ = run(&bytes));
        let (began, mut runs, mut read) = (Instant::now(), 0u64, 0u64);
        while began.elapsed() < TIME {
            let mut bytes = readable[random.random_range(0..readable.len())].clone();
            mutate(&mut bytes, &corpus, &mut random);
            runs += 1;
            if run(&bytes) {
                read += 1;
                if readable.len() < READABLE {
                    readable.push(bytes);
                }
            }
        }
        println!("{name}: {runs} inputs, {read} of them readable");
    }
}
