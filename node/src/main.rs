//! The `allod` binary: see [`allod::cli`].

/// The system's allocator keeps what a busy time used; this one gives it back, and a peer at rest is small again.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    allod::cli::main()
}
