//! What is wrong with a message. Always the end of a stream, never of a connection (oap1 §2, `bad_message`).

/// A message that oap1 §5 does not allow, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// The message ends inside its head or inside the content that it announces.
    #[error("cut short")]
    Truncated,
    /// The framing indicator is not the known-length one of this direction.
    #[error("not a known-length message of this direction")]
    Framing,
    /// Method, scheme, authority or path is not one.
    #[error("malformed control data")]
    ControlData,
    /// The status is not in 200–599.
    #[error("status is not a final one")]
    Status,
    /// The head is longer than 80 KiB.
    #[error("head too large")]
    TooLarge,
    /// There are more than 128 fields.
    #[error("too many fields")]
    TooManyFields,
    /// A field name is not a lower-case token.
    #[error("malformed field name")]
    FieldName,
    /// A field value has CR, LF or NUL.
    #[error("malformed field value")]
    FieldValue,
    /// A field that never crosses.
    #[error("field that must not cross")]
    ForbiddenField,
    /// A `content-length` that is no number, or more than one.
    #[error("malformed or repeated content-length")]
    ContentLength,
    /// The frame's `code` is not the message's status.
    #[error("code is not the status")]
    CodeMismatch,
    /// More content than announced, or content where there can be none.
    #[error("more content than announced")]
    TooMuchContent,
    /// Less content than announced.
    #[error("less content than announced")]
    TooLittleContent,
    /// Something other than zero bytes follows the content in its frame.
    #[error("bytes behind the content")]
    Trailing,
}
