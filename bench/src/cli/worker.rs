//! `dsbench worker`: one of the processes of `dsbench run --jobs`. Not for people.

use crate::error::BenchError;
use crate::series;

pub(super) fn worker() -> Result<u8, BenchError> {
    series::work().map(|()| 0)
}
