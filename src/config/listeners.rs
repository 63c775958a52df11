//! What concerns several keys of one listener: those of Unix sockets, and TLS with what its files hold.

use super::address::Address;
use super::listener::{Listener, Protocol};
use super::listener_tls::{ListenerTls, MinVersion, Pq};
use super::report::{Report, Spot};
use crate::clock;
use crate::tls::{Part, Server};

pub(super) fn check(listener: &Listener, spot: &Spot, report: &mut Report) {
    check_unix(listener, spot, report);
    check_protocols(listener, spot, report);
    let tls_at = spot.key("tls");
    if let Some(tls) = &listener.tls {
        check_tls(tls, &tls_at, report);
        check_files(listener, tls, &tls_at, report);
    }
}

fn check_unix(listener: &Listener, spot: &Spot, report: &mut Report) {
    if matches!(listener.address, Address::Unix(_)) {
        return;
    }
    let keys = [
        ("mode", "a mode", listener.mode.is_some()),
        ("group", "a group", listener.group.is_some()),
        ("peer_uids", "peers with uids", !listener.peer_uids.is_empty()),
    ];
    for (key, what, written) in keys {
        if written {
            let message = format!("only a Unix socket has {what}, remove it or write address: unix:/path");
            report.error(&spot.key(key), message);
        }
    }
}

fn check_protocols(listener: &Listener, spot: &Spot, report: &mut Report) {
    let at = spot.key("protocols");
    for (n, protocol) in listener.protocols.iter().enumerate() {
        match (protocol, &listener.tls) {
            (Protocol::H2, None) if !report.is_spoiled(&spot.key("tls")) => {
                report.error(&at.item(n), "`h2` is HTTP/2 over TLS, add `tls` or write h2c");
            }
            (Protocol::H2c, Some(_)) => {
                report.error(&at.item(n), "`h2c` is HTTP/2 without TLS, write h2 or remove `tls`");
            }
            _ => {}
        }
    }
}

fn check_tls(tls: &ListenerTls, at: &Spot, report: &mut Report) {
    if tls.client_auth.is_some() && tls.client_ca.is_none() && !report.is_spoiled(&at.key("client_ca")) {
        let message = "nobody is named who signs clients' certificates, add `client_ca`";
        report.error(&at.key("client_auth"), message);
    }
    if tls.pq == Pq::Require && tls.min_version == MinVersion::V12 {
        let message = "TLS 1.2 has no post-quantum key exchange, write min_version: \"1.3\" or pq: prefer";
        report.error(&at.key("pq"), message);
    }
}

/// Reads what a start would read.
fn check_files(listener: &Listener, tls: &ListenerTls, at: &Spot, report: &mut Report) {
    let pair = |n| at.key("certificates").item(n);
    match Server::new(&tls.policy(&listener.protocols)) {
        Ok(server) => {
            let now = i64::try_from(clock::since_epoch().as_secs()).unwrap_or(i64::MAX);
            for expiry in server.invalid_at(now) {
                report
                    .warn(&pair(expiry.certificate).key("cert"), format!("{}, have it renewed", expiry.why));
            }
        }
        Err(all) => {
            for wrong in all {
                let spot = match wrong.at {
                    Part::Certificate(n) => pair(n).key("cert"),
                    Part::Key(n) => pair(n).key("key"),
                    Part::Authorities => at.key("client_ca"),
                    Part::Whole => at.clone(),
                };
                report.error(&spot, wrong.why);
            }
        }
    }
}
