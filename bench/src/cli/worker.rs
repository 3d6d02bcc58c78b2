//! `dsbench worker`: one of the processes of `dsbench run --jobs`. Not for people.

use crate::report::terminal::tell_error;
use crate::series;

/// Does the errand; gives the exit code.
pub(super) fn worker() -> u8 {
    series::work().map_or_else(
        |error| {
            tell_error(&error);
            error.exit_code()
        },
        |()| 0,
    )
}
