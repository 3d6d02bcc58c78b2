//! dsnode: the reference node as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    dsbench_node::cli::main()
}
