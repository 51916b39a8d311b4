//! A disk that a test can fill: a file system of a few mebibytes, in memory, mounted for as long as the value lives.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// Set in the environment, it says that this machine lets nobody mount anything, so that tests of full disks are left
/// out. `tests/run` sets it where that is so, and says it.
pub const WITHOUT_MOUNTS: &str = "ALLOD_TESTS_WITHOUT_MOUNTS";
/// The file that takes up the room.
const FILLER: &str = "filler";
/// Bytes of one write of it.
const PIECE_SIZE_BYTES: usize = 64 * 1024;

/// A mounted file system of its own; unmounted at the end.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one on a directory, which keeps what is in it. None where the one who runs the tests has said that nothing
    /// can be mounted ([`WITHOUT_MOUNTS`]): the caller then tests nothing.
    ///
    /// # Panics
    /// When it cannot be mounted and nobody has said so: a test that did not run must not look like one that passed.
    pub fn mount(path: &Path, size_mib: u32) -> Option<Self> {
        if std::env::var_os(WITHOUT_MOUNTS).is_some() {
            eprintln!("SKIPPED, as {WITHOUT_MOUNTS} is set: no full disk was tested");
            return None;
        }
        let beside = path.with_extension("before");
        fs::rename(path, &beside).expect("a directory moved aside");
        fs::create_dir(path).expect("a directory");
        let options = format!("size={size_mib}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).output();
        let mount = mount.expect("the mount command");
        assert!(
            mount.status.success(),
            "nothing can be mounted here ({}); run as root, or set {WITHOUT_MOUNTS}=1 to go without this test",
            String::from_utf8_lossy(&mount.stderr).trim()
        );
        let disk = Self { path: path.to_owned() };
        let copied = Command::new("cp").arg("-a").arg(beside.join(".")).arg(path).status();
        assert!(copied.is_ok_and(|status| status.success()), "the directory's files are copied");
        fs::remove_dir_all(&beside).expect("a directory removed");
        Some(disk)
    }

    /// Writes until nothing more goes in.
    pub fn fill(&self) {
        self.fill_but(0);
    }

    /// Writes until about `left_mib` mebibytes are left.
    pub fn fill_but(&self, left_mib: u64) {
        let mut file = File::create(self.path.join(FILLER)).expect("a file");
        let piece = vec![0x5a; PIECE_SIZE_BYTES];
        while file.write_all(&piece).is_ok() {}
        let size_bytes = file.metadata().expect("its size").len();
        file.set_len(size_bytes.saturating_sub(left_mib * 1024 * 1024)).expect("made shorter");
    }

    /// Bytes that nobody has taken.
    pub fn free_bytes(&self) -> u64 {
        let df = Command::new("df").args(["--output=avail", "--block-size=1"]).arg(&self.path).output();
        let df = String::from_utf8(df.expect("the df command").stdout).expect("digits");
        df.lines().nth(1).and_then(|line| line.trim().parse().ok()).expect("a number of bytes")
    }

    /// Gives the room back.
    pub fn make_room(&self) {
        fs::remove_file(self.path.join(FILLER)).expect("a file removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, in case a process that is being killed still has a file open.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.path).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path.display());
        }
    }
}
