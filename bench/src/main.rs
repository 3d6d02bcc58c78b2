//! The `dsbench` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dsbench::cli::main()
}
