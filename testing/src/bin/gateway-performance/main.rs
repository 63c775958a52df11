//! The load runs behind the scripts of `testing/performance`: each starts what it needs, at ports that the system
//! chooses, measures, prints a table, stops everything, and ends with 1 when something is not as it has to be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measuring tool fails by panicking, and reads the clock"
)]

mod bombs;
mod holding;
mod house;
mod leaving;
mod objects;
mod quota;
mod reloads;
mod slow_reader;
mod tenants;
mod upstream_calls;
mod ways_up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Load runs against the gateway that was built beside this program.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Run {
    /// The cost of a request to an `oap` and an `http1` cluster of the same gateway.
    WaysUp(ways_up::Arguments),
    /// What a slow reader, and a slow writer, do to their neighbours and to memory.
    SlowReader(slow_reader::Arguments),
    /// Stores the files of a folder through the gateway and reads them back.
    Objects(objects::Arguments),
    /// How soon the backend knows of clients that leave half way, and what stays behind.
    Leaving(leaving::Arguments),
    /// Reloads under load: no request fails, nothing is refilled.
    Reloads(reloads::Arguments),
    /// The default rate: what passes of 600 a second, whether Retry-After is true, what a refusal costs.
    Quota(quota::Arguments),
    /// The cost of a request with one tenant and with 100,000.
    Tenants(tenants::Arguments),
    /// Idle, slow and flooding connections, and what they cost the others.
    Holding(holding::Arguments),
    /// What memory does under encoded bodies that grow.
    Bombs(bombs::Arguments),
    /// An HTTP/1.1 origin, until it is killed.
    Origin,
}

fn main() -> ExitCode {
    let well = match Arguments::parse().run {
        Run::WaysUp(arguments) => ways_up::run(&arguments),
        Run::SlowReader(arguments) => slow_reader::run(&arguments),
        Run::Objects(arguments) => objects::run(&arguments),
        Run::Leaving(arguments) => leaving::run(&arguments),
        Run::Reloads(arguments) => reloads::run(&arguments),
        Run::Quota(arguments) => quota::run(&arguments),
        Run::Tenants(arguments) => tenants::run(&arguments),
        Run::Holding(arguments) => holding::run(&arguments),
        Run::Bombs(arguments) => bombs::run(&arguments),
        Run::Origin => house::origin(),
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
