//! The consensus log: what survives a crash, what is cut, what is refused.

use allod_protocol::ground::ids::Height;
use allod_storage::{
    ConsensusLog, LogError,
    wal::{ENTRY_BYTES, LOG_FILE, RESET_BYTES},
};
use std::path::Path;

const ONE: Height = Height::new(1);
const TWO: Height = Height::new(2);

fn entries(dir: &Path, height: Height) -> Vec<Vec<u8>> {
    ConsensusLog::open(dir).unwrap().entries(height).unwrap()
}

fn read(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join(LOG_FILE)).unwrap()
}

fn write(dir: &Path, bytes: &[u8]) {
    std::fs::write(dir.join(LOG_FILE), bytes).unwrap();
}

/// Three syncs: `a` and `b`, then `c` of another height, then `d` and an empty entry. Returns the ends of their frames.
fn filled(dir: &Path) -> Vec<usize> {
    let mut log = ConsensusLog::open(dir).unwrap();
    let mut ends = Vec::new();
    for frame in [vec![(ONE, "a"), (ONE, "b")], vec![(TWO, "c")], vec![(ONE, "d"), (ONE, "")]] {
        for (height, entry) in frame {
            log.append(height, entry.as_bytes()).unwrap();
        }
        assert!(log.is_dirty());
        log.sync().unwrap();
        assert!(!log.is_dirty());
        ends.push(read(dir).len());
    }
    ends
}

fn bytes(entries: &[&str]) -> Vec<Vec<u8>> {
    entries.iter().map(|entry| entry.as_bytes().to_vec()).collect()
}

#[test]
fn synced_entries_come_back_in_order_and_by_height() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    assert_eq!(entries(dir.path(), ONE), bytes(&["a", "b", "d", ""]));
    assert_eq!(entries(dir.path(), TWO), bytes(&["c"]));
    assert_eq!(entries(dir.path(), Height::new(3)), bytes(&[]));
}

#[test]
fn unsynced_entries_are_read_here_but_not_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut log = ConsensusLog::open(dir.path()).unwrap();
    log.append(TWO, b"e").unwrap();
    assert_eq!(log.entries(TWO).unwrap(), bytes(&["c", "e"]));
    drop(log);
    assert_eq!(entries(dir.path(), TWO), bytes(&["c"]));
}

#[test]
fn a_sync_without_entries_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let before = read(dir.path());
    ConsensusLog::open(dir.path()).unwrap().sync().unwrap();
    assert_eq!(read(dir.path()), before);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let ends = filled(dir.path());
    let whole = read(dir.path());
    for end in ends[1]..ends[2] {
        // A torn write may leave the file short, or long with zeros where data should be.
        for zeros in [0, ends[2] - end] {
            write(dir.path(), &[&whole[..end], &vec![0; zeros][..]].concat());
            let is_whole = whole[end..].iter().all(|byte| *byte == 0) && zeros > 0;
            let mut log = ConsensusLog::open(dir.path()).unwrap();
            let expected = if is_whole { bytes(&["a", "b", "d", ""]) } else { bytes(&["a", "b"]) };
            assert_eq!(log.entries(ONE).unwrap(), expected, "torn at {end}");
            log.append(ONE, b"after").unwrap();
            log.sync().unwrap();
            assert_eq!(entries(dir.path(), ONE).last().unwrap(), b"after");
        }
    }
}

#[test]
fn a_flipped_bit_before_the_last_record_is_refused_and_in_it_cut() {
    let dir = tempfile::tempdir().unwrap();
    let ends = filled(dir.path());
    let whole = read(dir.path());
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x40;
        write(dir.path(), &damaged);
        let frame = ends.iter().position(|end| place < *end).unwrap();
        let opened = ConsensusLog::open(dir.path());
        if frame == 2 {
            assert_eq!(opened.unwrap().entries(ONE).unwrap(), bytes(&["a", "b"]), "bit of byte {place}");
            continue;
        }
        let start = if frame == 0 { 0 } else { ends[frame - 1] as u64 };
        let error = opened.unwrap_err();
        assert!(matches!(&error, LogError::Damaged { offset, .. } if *offset == start), "byte {place}: {error}");
        let text = error.to_string();
        assert!(text.contains(LOG_FILE) && text.contains(&format!("byte {start}")) && text.contains("move this file"));
        assert_eq!(read(dir.path()), damaged, "refusing changes nothing");
    }
}

#[test]
fn bytes_that_look_like_a_record_inside_an_entry_are_not_taken_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let ends = filled(dir.path());
    let frames = read(dir.path());
    let mut log = ConsensusLog::open(dir.path()).unwrap();
    log.append(ONE, &frames).unwrap();
    log.sync().unwrap();
    drop(log);
    let mut torn = read(dir.path());
    torn[ends[2]] ^= 1; // the header of the last record is lost, but its content is not
    write(dir.path(), &torn);
    assert_eq!(entries(dir.path(), ONE), bytes(&["a", "b", "d", ""]));
}

#[test]
fn a_reset_keeps_the_file_small_and_the_height_that_begins() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = ConsensusLog::open(dir.path()).unwrap();
    let entry = vec![7; 300_000];
    let mut largest = 0;
    for height in (1..=20).map(Height::new) {
        log.reset(height).unwrap();
        assert_eq!(log.entries(height).unwrap(), Vec::<Vec<u8>>::new());
        for _ in 0..2 {
            log.append(height, &entry).unwrap();
            log.sync().unwrap();
        }
        log.reset(height).unwrap();
        assert_eq!(log.entries(height).unwrap().len(), 2);
        assert_eq!(entries(dir.path(), height).len(), 2, "after a crash");
        largest = largest.max(read(dir.path()).len());
    }
    assert!(largest as u64 <= RESET_BYTES + 3 * 300_000, "{largest}");
}

#[test]
fn refuses_an_entry_that_is_too_large_and_takes_many_large_ones() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = ConsensusLog::open(dir.path()).unwrap();
    assert!(matches!(log.append(ONE, &vec![0; ENTRY_BYTES + 1]), Err(LogError::TooLarge { .. })));
    for number in 0..10 {
        log.append(ONE, &vec![number; ENTRY_BYTES]).unwrap();
    }
    log.sync().unwrap();
    let found = entries(dir.path(), ONE);
    assert_eq!(found.iter().map(|entry| entry[0]).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
}
