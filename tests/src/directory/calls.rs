//! The C functions that change files, in place of the C library's: see [`super`].
//!
//! Each makes the system call of its name, unless it is refused, and tells the model. Descriptors are followed from `open` to
//! `close`, those of directories and of files that can be written to; nobody who works in such a directory copies one.

#![allow(unsafe_code, reason = "only unsafe functions can stand in the place of the C library's")]
#![allow(clippy::cast_possible_truncation, reason = "a system call gives a register, its function an int")]

use super::{Call, FileId, Node, Open, Refusal, Root, State, is_passing, state};
use libc::{
    AT_FDCWD, EIO, ENOSPC, EOPNOTSUPP, FALLOC_FL_KEEP_SIZE, O_ACCMODE, O_CREAT, O_RDONLY, O_TRUNC, SEEK_CUR, c_char,
    c_int, c_long, c_uint, c_void, iovec, mode_t, off_t, size_t, ssize_t, statfs, syscall,
};
use std::{
    ffi::{CStr, OsStr},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// What a call gives, or the number of its error.
type Done = Result<c_long, c_int>;

impl From<Refusal> for c_int {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Off => EIO,
            Refusal::Full | Refusal::FullNow => ENOSPC,
        }
    }
}

fn done(result: c_long) -> Done {
    // SAFETY: a thread's error number is always there.
    if result < 0 { Err(unsafe { *libc::__errno_location() }) } else { Ok(result) }
}

fn give(done: Done) -> c_long {
    done.unwrap_or_else(|errno| {
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = errno };
        -1
    })
}

/// The directory that a path is in, and the path in it. Nobody works in one by relative paths.
///
/// # Safety
/// The path is a string of C.
unsafe fn find(state: &State, path: *const c_char) -> Option<(u64, PathBuf)> {
    // SAFETY: the caller's.
    let path = unsafe { CStr::from_ptr(path) };
    state.find(Path::new(OsStr::from_bytes(path.to_bytes())))
}

impl State {
    /// What a descriptor stands for in a directory of ours.
    fn open(&self, descriptor: c_int) -> Option<Open> {
        self.open.get(&descriptor).cloned()
    }

    /// The file of a descriptor, and the directory that it is in.
    fn open_file(&mut self, descriptor: c_int) -> Option<(u64, FileId)> {
        match self.open.get(&descriptor)? {
            Open { root, node: Node::File(file), .. } => Some((*root, *file)),
            Open { node: Node::Directory, .. } => None,
        }
    }
}

/// # Safety
/// As for `openat`.
unsafe fn open_at(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's.
    let call = || unsafe { syscall(libc::SYS_openat, directory, path, flags, mode) };
    if is_passing() {
        return call() as c_int;
    }
    let opened = state(|state| {
        // SAFETY: the caller's.
        let Some((id, path)) = (unsafe { find(state, path) }) else {
            let descriptor = done(call())?;
            state.open.remove(&(descriptor as c_int));
            return Ok(descriptor);
        };
        let node = state.root(id).model.find(&path);
        let writes = flags & O_ACCMODE != O_RDONLY;
        if node.is_none() && flags & O_CREAT != 0 {
            state.begin(id, Call::Grow)?;
        } else if writes && flags & O_TRUNC != 0 {
            state.begin(id, Call::Change)?;
        } else if writes && state.root(id).seen.is_off {
            return Err(EIO);
        }
        let descriptor = done(call())?;
        let model = &mut state.root(id).model;
        let node = node.unwrap_or_else(|| model.make(&path, false));
        if let Node::File(file) = node
            && flags & O_TRUNC != 0
        {
            model.set_size(file, 0);
        }
        if writes || node == Node::Directory {
            state.open.insert(descriptor as c_int, Open { root: id, path, node });
        } else {
            state.open.remove(&(descriptor as c_int));
        }
        Ok(descriptor)
    });
    give(opened) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's, here and below: each function asks what the C library's of its name asks.
    unsafe { open_at(AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as above.
    unsafe { open_at(AT_FDCWD, path, flags, mode) }
}

/// What a compiler that fortifies makes of `open` without a mode.
#[unsafe(no_mangle)]
unsafe extern "C" fn __open_2(path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: as above.
    unsafe { open_at(AT_FDCWD, path, flags, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __open64_2(path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: as above.
    unsafe { open_at(AT_FDCWD, path, flags, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as above.
    unsafe { open_at(directory, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat64(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as above.
    unsafe { open_at(directory, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close(descriptor: c_int) -> c_int {
    // SAFETY: a system call with a number.
    let call = || unsafe { syscall(libc::SYS_close, descriptor) };
    if is_passing() {
        return call() as c_int;
    }
    let closed = state(|state| {
        state.open.remove(&descriptor);
        done(call())
    });
    give(closed) as c_int
}

/// # Safety
/// As for `write`, and as for `pwrite` where there is an offset.
unsafe fn write_at(descriptor: c_int, bytes: *const c_void, count: size_t, offset: Option<off_t>) -> ssize_t {
    let call = |count: size_t| match offset {
        // SAFETY: the caller's; a count below the caller's is within what it gives.
        Some(offset) => unsafe { syscall(libc::SYS_pwrite64, descriptor, bytes, count, offset) },
        // SAFETY: as above.
        None => unsafe { syscall(libc::SYS_write, descriptor, bytes, count) },
    };
    if is_passing() {
        return call(count) as ssize_t;
    }
    let written = state(|state| {
        let Some((id, file)) = state.open_file(descriptor) else { return done(call(count)) };
        let count = match state.begin(id, Call::Grow) {
            Err(Refusal::FullNow) if count > 1 => count / 2,
            begun => {
                begun?;
                count
            }
        };
        let written = done(call(count))?;
        // SAFETY: a system call with numbers.
        let place = || unsafe { syscall(libc::SYS_lseek, descriptor, 0 as off_t, SEEK_CUR) } - written;
        let offset = offset.unwrap_or_else(place).cast_unsigned();
        // SAFETY: the kernel has read as many bytes there; a slice of none needs no place.
        let bytes: &[u8] = match written.cast_unsigned() as usize {
            0 => &[],
            count => unsafe { std::slice::from_raw_parts(bytes.cast(), count) },
        };
        state.root(id).model.write(file, offset, bytes);
        Ok(written)
    });
    give(written) as ssize_t
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(descriptor: c_int, bytes: *const c_void, count: size_t) -> ssize_t {
    // SAFETY: as above.
    unsafe { write_at(descriptor, bytes, count, None) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(descriptor: c_int, bytes: *const c_void, count: size_t, offset: off_t) -> ssize_t {
    // SAFETY: as above.
    unsafe { write_at(descriptor, bytes, count, Some(offset)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(descriptor: c_int, bytes: *const c_void, count: size_t, offset: off_t) -> ssize_t {
    // SAFETY: as above.
    unsafe { write_at(descriptor, bytes, count, Some(offset)) }
}

/// Writes the first of the pieces, where it is ours: less than all is a good answer.
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(descriptor: c_int, pieces: *const iovec, count: c_int) -> ssize_t {
    if is_passing() || count < 1 || state(|state| state.open_file(descriptor)).is_none() {
        // SAFETY: as above.
        return unsafe { syscall(libc::SYS_writev, descriptor, pieces, count) } as ssize_t;
    }
    // SAFETY: as above; there is at least one.
    unsafe {
        let pieces = std::slice::from_raw_parts(pieces, count.cast_unsigned() as usize);
        let piece = pieces.iter().find(|piece| piece.iov_len > 0).unwrap_or(&pieces[0]);
        write_at(descriptor, piece.iov_base, piece.iov_len, None)
    }
}

fn sync(descriptor: c_int, number: c_long) -> c_int {
    // SAFETY: a system call with a number.
    let call = || unsafe { syscall(number, descriptor) };
    if is_passing() {
        return call() as c_int;
    }
    let synced = state(|state| {
        let Some(open) = state.open(descriptor) else { return done(call()) };
        state.begin(open.root, Call::Sync)?;
        state.sync(&open);
        Ok(0)
    });
    give(synced) as c_int
}

#[unsafe(no_mangle)]
extern "C" fn fsync(descriptor: c_int) -> c_int {
    sync(descriptor, libc::SYS_fsync)
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    sync(descriptor, libc::SYS_fdatasync)
}

/// Only begins to write out: it promises nothing, and in the model does nothing.
#[unsafe(no_mangle)]
extern "C" fn sync_file_range(descriptor: c_int, offset: off_t, count: off_t, flags: c_uint) -> c_int {
    if is_passing() || state(|state| state.open(descriptor)).is_none() {
        // SAFETY: a system call with numbers.
        return unsafe { syscall(libc::SYS_sync_file_range, descriptor, offset, count, flags) } as c_int;
    }
    0
}

fn set_size(descriptor: c_int, size: off_t) -> c_int {
    // SAFETY: a system call with numbers.
    let call = || unsafe { syscall(libc::SYS_ftruncate, descriptor, size) };
    if is_passing() {
        return call() as c_int;
    }
    let set = state(|state| {
        let Some((id, file)) = state.open_file(descriptor) else { return done(call()) };
        let grows = size.cast_unsigned() > state.root(id).model.size(file);
        state.begin(id, if grows { Call::Grow } else { Call::Change })?;
        done(call())?;
        state.root(id).model.set_size(file, size.cast_unsigned());
        Ok(0)
    });
    give(set) as c_int
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate(descriptor: c_int, size: off_t) -> c_int {
    set_size(descriptor, size)
}

#[unsafe(no_mangle)]
extern "C" fn ftruncate64(descriptor: c_int, size: off_t) -> c_int {
    set_size(descriptor, size)
}

/// Room that is only set aside, or given back, behind the end of a file is nothing that the model knows.
fn allocate(descriptor: c_int, mode: c_int, offset: off_t, count: off_t) -> c_int {
    // SAFETY: a system call with numbers.
    let call = || unsafe { syscall(libc::SYS_fallocate, descriptor, mode, offset, count) };
    if is_passing() {
        return call() as c_int;
    }
    let allocated = state(|state| {
        let Some((id, file)) = state.open_file(descriptor) else { return done(call()) };
        let root = state.root(id);
        let is_behind = offset.cast_unsigned() >= root.model.size(file);
        match root.seen {
            seen if seen.is_off => Err(EIO),
            seen if seen.is_full => Err(ENOSPC),
            _ if mode == FALLOC_FL_KEEP_SIZE || (is_behind && mode & FALLOC_FL_KEEP_SIZE != 0) => Ok(0),
            _ => Err(EOPNOTSUPP),
        }
    });
    give(allocated) as c_int
}

#[unsafe(no_mangle)]
extern "C" fn fallocate(descriptor: c_int, mode: c_int, offset: off_t, count: off_t) -> c_int {
    allocate(descriptor, mode, offset, count)
}

#[unsafe(no_mangle)]
extern "C" fn fallocate64(descriptor: c_int, mode: c_int, offset: off_t, count: off_t) -> c_int {
    allocate(descriptor, mode, offset, count)
}

/// Makes a call that changes what one path of ours stands for, and tells the model.
///
/// # Safety
/// The path is a string of C.
unsafe fn change(
    path: *const c_char,
    kind: Call,
    call: impl Fn() -> c_long,
    tell: impl FnOnce(&mut Root, &Path),
) -> c_int {
    if is_passing() {
        return call() as c_int;
    }
    let changed = state(|state| {
        // SAFETY: the caller's.
        let Some((id, path)) = (unsafe { find(state, path) }) else { return done(call()) };
        state.begin(id, kind)?;
        done(call())?;
        tell(state.root(id), &path);
        Ok(0)
    });
    give(changed) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: as above.
    unsafe {
        let call = || syscall(libc::SYS_unlinkat, AT_FDCWD, path, 0);
        change(path, Call::Change, call, |root, path| root.model.remove(path))
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: as above.
    unsafe {
        let call = || syscall(libc::SYS_unlinkat, AT_FDCWD, path, libc::AT_REMOVEDIR);
        change(path, Call::Change, call, |root, path| root.model.remove(path))
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: as above.
    unsafe {
        let call = || syscall(libc::SYS_mkdirat, AT_FDCWD, path, mode);
        change(path, Call::Grow, call, |root, path| {
            root.model.make(path, true);
        })
    }
}

/// The path, in the same directory of ours, that another path stands for.
///
/// # Safety
/// The path is a string of C.
unsafe fn path_in(root: &Root, path: *const c_char) -> Option<PathBuf> {
    // SAFETY: the caller's.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
    path.strip_prefix(&root.path).ok().map(Path::to_owned)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: as above.
    unsafe {
        let call = || syscall(libc::SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
        change(from, Call::Change, call, |root, from| {
            let to = path_in(root, to).expect("nothing leaves the directory");
            root.model.rename(from, &to);
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: as above.
    unsafe {
        let call = || syscall(libc::SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
        change(to, Call::Grow, call, |root, to| {
            let from = path_in(root, from).and_then(|from| root.model.find(&from));
            root.model.put(to, from.expect("nothing comes from outside"));
        })
    }
}

/// Says that what is ours lies on ext4, as the model has it: RocksDB leaves out syncs of directories on some others.
unsafe fn tell_file_system(descriptor: c_int, about: *mut statfs) -> c_int {
    // SAFETY: the caller's, as for `fstatfs`.
    let told = unsafe { syscall(libc::SYS_fstatfs, descriptor, about) } as c_int;
    if told == 0 && !is_passing() && state(|state| state.open(descriptor)).is_some() {
        // SAFETY: the kernel has just written there.
        unsafe { (*about).f_type = libc::EXT4_SUPER_MAGIC };
    }
    told
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fstatfs(descriptor: c_int, about: *mut statfs) -> c_int {
    // SAFETY: as above.
    unsafe { tell_file_system(descriptor, about) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fstatfs64(descriptor: c_int, about: *mut statfs) -> c_int {
    // SAFETY: as above; the two are one on machines of 64 bits.
    unsafe { tell_file_system(descriptor, about) }
}
