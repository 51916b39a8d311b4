//! The `allod` binary: see [`allod::cli`].

/// Unlike the system's allocator, jemalloc returns memory after a busy period, so an idle peer is small again.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    allod::cli::main()
}
