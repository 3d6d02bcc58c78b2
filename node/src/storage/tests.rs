//! The log on a disk in memory that loses power, fails and rots; and records in a directory.

mod damage;
pub(crate) mod disk;
mod power;
mod records;
mod script;
