//! The `allod` binary: see [`allod::cli`].

fn main() -> std::process::ExitCode {
    allod::cli::main()
}
