//! Why a handshake failed, as a label: one word each, so that nothing of what a client sends becomes one.

use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

use super::hello::NoHello;

/// Why a handshake failed. Append-only: dashboards and alerts hold on to the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// `tls.handshake_timeout` was over.
    Timeout,
    /// The slowest of too many at once.
    Crowded,
    /// The client left.
    Closed,
    /// The first bytes are not TLS.
    NotTls,
    /// The client knows no version that is spoken here.
    Version,
    /// No key exchange, cipher suite or signature in common.
    Parameters,
    /// No protocol in common.
    Alpn,
    /// The client showed no certificate and has to.
    NoCertificate,
    /// The client's certificate is not one of `tls.client_ca`'s, or not valid now.
    Certificate,
    /// The client does not want what it was shown: it knows not who signed it, or expects another name.
    Alert,
    /// The client broke the protocol.
    Malformed,
    /// Anything else.
    Other,
}

impl Failure {
    /// Every one, so that each series exists from the start.
    pub const ALL: [Self; 12] = [
        Self::Timeout,
        Self::Crowded,
        Self::Closed,
        Self::NotTls,
        Self::Version,
        Self::Parameters,
        Self::Alpn,
        Self::NoCertificate,
        Self::Certificate,
        Self::Alert,
        Self::Malformed,
        Self::Other,
    ];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Crowded => "crowded",
            Self::Closed => "closed",
            Self::NotTls => "not_tls",
            Self::Version => "version",
            Self::Parameters => "parameters",
            Self::Alpn => "alpn",
            Self::NoCertificate => "no_certificate",
            Self::Certificate => "certificate",
            Self::Alert => "alert",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }

    /// Of what a handshake over a socket came to.
    pub fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::of_tls(error),
            None if error.kind() == io::ErrorKind::InvalidData => Self::Malformed,
            None => Self::Closed,
        }
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::PeerIncompatible(why) => match why {
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::ServerDoesNotSupportTls12Or13 => Self::Version,
                _ => Self::Parameters,
            },
            Error::NoApplicationProtocol => Self::Alpn,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(_) => Self::Certificate,
            // A client that knows no version that was offered says so itself.
            Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            Error::AlertReceived(_) => Self::Alert,
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::InvalidMessage(_)
            | Error::PeerMisbehaved(_)
            | Error::DecryptError
            | Error::PeerSentOversizedRecord
            | Error::UnsupportedNameType => Self::Malformed,
            _ => Self::Other,
        }
    }
}

impl From<NoHello> for Failure {
    fn from(no: NoHello) -> Self {
        match no {
            NoHello::NotTls => Self::NotTls,
            NoHello::TooLong => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_failure_has_a_word_of_its_own() {
        let words: HashSet<_> = Failure::ALL.iter().map(|why| why.as_str()).collect();
        assert_eq!(words.len(), Failure::ALL.len());
    }

    #[test]
    fn a_connection_that_ends_is_told_from_one_that_breaks_the_protocol() {
        for (error, why) in [
            (io::ErrorKind::UnexpectedEof.into(), Failure::Closed),
            (io::ErrorKind::ConnectionReset.into(), Failure::Closed),
            (io::Error::new(io::ErrorKind::InvalidData, Error::DecryptError), Failure::Malformed),
            (io::Error::new(io::ErrorKind::InvalidData, Error::NoApplicationProtocol), Failure::Alpn),
        ] {
            assert_eq!(Failure::of(&error), why);
        }
    }
}
