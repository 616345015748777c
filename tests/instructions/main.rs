//! How many instructions the engine takes for fixed work, against what is kept in `kept.toml`. No sockets, no time: the
//! count is the same on a busy machine, where seconds tell nothing.
//!
//! * `cargo test --test instructions` runs each piece of work of [`cases`] (and looks at what came of it), and then counts it
//!   under callgrind (`make setup` installs it).
//! * `DUET_KEEP=1 cargo test --test instructions` keeps the new figures.
//!
//! It is the program as tests build it, with little optimized: that finds a copy or an allocation more for each command as
//! well, and needs no second build. How long something takes is measured by `make bench`.

mod cases;
mod kept;
mod link;

/// Where callgrind counts, and nowhere else.
#[inline(never)]
fn under_count<R>(work: impl FnOnce() -> R) -> R {
    work()
}
