//! The log on a disk in memory that loses power, fails and rots.

mod damage;
mod disk;
mod power;
mod script;
