//! The command: flags to configuration to a running process, errors to exit codes.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use svc_gateway::cli::{self, Answer, Cli, Command, Exit};
use svc_gateway::config::Config;
use svc_gateway::{clock, control, server, serving, tls};

/// glibc's allocator costs twice the processor time on bodies of 64 KiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    small_pages();
    return_memory();
    // Before anybody asks for it: towards backends too.
    tls::install_provider();
    let answer = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Check(args) => cli::check(&args),
        Command::Config(args) => cli::config(&args),
        Command::Reload(args) => control::reload(&args),
        Command::Backend(args) => backend(&args),
        Command::Token(args) => cli::token(&args, &mut std::io::stdin(), clock::since_epoch()),
    };
    // Whoever closed our output does not want to read it.
    drop(std::io::stdout().write_all(answer.stdout.as_bytes()));
    drop(std::io::stderr().write_all(answer.stderr.as_bytes()));
    ExitCode::from(answer.exit.code())
}

/// One slow client must cost what it holds, not the 2 MiB page around it.
fn small_pages() {
    // A kernel that does not know the question keeps its pages: more memory, nothing worse.
    let _unknown = rustix::thread::disable_transparent_huge_pages(true);
}

/// What a burst has left behind goes back to the system within a tenth of a second, not a whole one: memory is bounded for
/// those who hold it at a time. `MIMALLOC_PURGE_DELAY` in the environment wins.
#[expect(unsafe_code, reason = "the allocator's option has no safe name")]
fn return_memory() {
    // SAFETY: sets a number, before there is a second thread.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, 100) }
}

/// mimalloc.h, `mi_option_purge_delay`: milliseconds.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn run(args: &cli::RunArgs) -> Answer {
    let path = args.config.clone().filter(|path| !path.as_os_str().is_empty());
    let loaded = match Config::load(path.as_deref()) {
        Ok(loaded) => loaded,
        Err(errors) => return ended(format!("{errors}\n"), Exit::Usage),
    };
    // Told before the first line of the log, which is JSON.
    drop(std::io::stderr().write_all(cli::warning_lines(&loaded.warnings).as_bytes()));
    match server::run(loaded.config, path) {
        Ok(()) => ended(String::new(), Exit::Done),
        Err(e) => ended(format!("svc-gateway: {e}\n"), Exit::Failed),
    }
}

fn backend(args: &cli::BackendArgs) -> Answer {
    match serving::run(args) {
        Ok(()) => ended(String::new(), Exit::Done),
        Err(e) => ended(format!("svc-gateway backend: {}: {e}\n", args.listen), Exit::Failed),
    }
}

fn ended(stderr: String, exit: Exit) -> Answer {
    Answer { stdout: String::new(), stderr, exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "as above")]
    fn freed_memory_is_returned_early() {
        // SAFETY: reads a number.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        // What the allocator has it at, by which it is known to be this option.
        assert_eq!(delay(), 1000);
        return_memory();
        assert_eq!(delay(), 100);
    }
}
