//! Why a connection is refused, and what it is told.

/// What is wrong, by the answer that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Breach {
    /// 400 `malformed`.
    #[error("{0}")]
    Malformed(#[from] Fault),
    /// 414 `uri`: the target is longer than its bound.
    #[error("the target is too long")]
    Uri,
    /// 431 `headers`: a head or a trailer section has more bytes than its bound.
    #[error("the head has too many bytes")]
    HeadBytes,
    /// 431 `headers`: a head or a trailer section has more field lines than its bound.
    #[error("the head has too many fields")]
    Fields,
    // http.md §1, never forwarded: CONNECT. What follows it is framed by rules of its own.
    /// 405 `method`: CONNECT.
    #[error("CONNECT is not served")]
    Connect,
}

impl Breach {
    /// The status of the answer (http.md §1).
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Uri => 414,
            Self::HeadBytes | Self::Fields => 431,
            Self::Connect => 405,
        }
    }

    /// The word of the answer, the log and the metric (http.md §1).
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Uri => "uri",
            Self::HeadBytes | Self::Fields => "headers",
            Self::Connect => "method",
        }
    }
}

/// What is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The first byte begins no method: TLS towards a clear-text listener, say.
    #[error("the first byte begins no request")]
    NotHttp,
    /// A line ends with LF alone.
    #[error("a line ends without CR")]
    BareLf,
    /// More than one empty line before a head.
    #[error("more than one empty line before the head")]
    EmptyLines,
    /// The first line is not `method SP target SP version`.
    #[error("the request line is not method, target and version")]
    RequestLine,
    /// The method is no token, or a very long one.
    #[error("the method is no token")]
    Method,
    /// The target is no path, no URI, and not `*` of OPTIONS; or it has a character that none has.
    #[error("the target is none")]
    Target,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    #[error("the version is neither HTTP/1.1 nor HTTP/1.0")]
    Version,
    /// A line that begins with a space: a continued field (obs-fold), or space before the first.
    #[error("a field is continued on a second line")]
    Folded,
    /// A name that is no token, or that does not end with a colon.
    #[error("a field's name is no token")]
    FieldName,
    /// A control character in a value.
    #[error("a field's value has a control character")]
    FieldValue,
    /// There is no `host`.
    #[error("no host")]
    NoHost,
    /// There is more than one `host`.
    #[error("more than one host")]
    ManyHosts,
    /// The `host` is no authority.
    #[error("the host is no authority")]
    BadHost,
    /// The target names another host than `host` does.
    #[error("the target is another host's")]
    OtherHost,
    /// A `content-length` that is not plain digits, or more than 2⁶³ - 1.
    #[error("the content-length is no length")]
    Length,
    /// More than one `content-length`, equal ones too.
    #[error("more than one content-length")]
    ManyLengths,
    /// A `transfer-encoding` other than `chunked`, once.
    #[error("the transfer-encoding is not chunked alone")]
    TransferEncoding,
    /// A `transfer-encoding` on HTTP/1.0 (RFC 9112 §6.1).
    #[error("transfer-encoding on HTTP/1.0")]
    OldTransferEncoding,
    /// `transfer-encoding` and `content-length`.
    #[error("both transfer-encoding and content-length")]
    TwoFramings,
    /// A chunk's size is not one to fifteen hexadecimal digits, or is not followed by what may follow it.
    #[error("a chunk's size is none")]
    ChunkSize,
    /// A chunk's extension has a character that none has, or they are too long together.
    #[error("a chunk's extension is none, or too long")]
    ChunkExtension,
    /// A chunk is not followed by CRLF.
    #[error("a chunk does not end where it said")]
    ChunkEnd,
    /// A trailer that frames or routes the message (RFC 9110 §6.5.1).
    #[error("a trailer that is none")]
    Trailer,
}
