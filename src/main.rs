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
