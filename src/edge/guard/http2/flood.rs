//! Why an HTTP/2 connection is cut.

/// What a client sent that only costs, or that no client sends. The connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Flood {
    /// The connection does not begin with the preface and SETTINGS (RFC 9113 §3.4).
    #[error("the preface is none")]
    Preface,
    /// A header block that another frame interrupts, or a continuation of none (RFC 9113 §4.3).
    #[error("a header block is interrupted, or continued without one")]
    Framing,
    /// A frame longer than we said that we take (RFC 9113 §4.2).
    #[error("a frame is too long")]
    FrameSize,
    /// A header block longer than a header list may be.
    #[error("a header block is too long")]
    HeaderList,
    /// A header block in more frames than any client needs.
    #[error("a header block has too many frames")]
    Continuations,
    /// Resets, of the client's or caused by it.
    #[error("too many resets a second")]
    Resets,
    /// SETTINGS, acknowledgements too.
    #[error("too many settings a second")]
    Settings,
    /// PING, answers too.
    #[error("too many pings a second")]
    Pings,
    /// DATA without content that does not end its stream.
    #[error("too many empty frames of data a second")]
    EmptyData,
    /// DATA with next to no content that does not end its stream.
    #[error("too many small frames of data a second")]
    TinyData,
    /// WINDOW_UPDATE by next to nothing.
    #[error("too many small window updates a second")]
    WindowUpdates,
    /// PRIORITY, which nobody heeds.
    #[error("too many priorities a second")]
    Priorities,
    /// Frames of unknown types, and of those that a client has no use for.
    #[error("too many frames of unknown types a second")]
    UnknownFrames,
}

impl Flood {
    /// Every one, so that each series exists from the start.
    pub const ALL: [Self; 13] = [
        Self::Preface,
        Self::Framing,
        Self::FrameSize,
        Self::HeaderList,
        Self::Continuations,
        Self::Resets,
        Self::Settings,
        Self::Pings,
        Self::EmptyData,
        Self::TinyData,
        Self::WindowUpdates,
        Self::Priorities,
        Self::UnknownFrames,
    ];

    /// The word for logs and metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Preface => "h2_preface",
            Self::Framing => "h2_framing",
            Self::FrameSize => "h2_frame_size",
            Self::HeaderList => "h2_header_list",
            Self::Continuations => "h2_continuations",
            Self::Resets => "h2_resets",
            Self::Settings => "h2_settings",
            Self::Pings => "h2_pings",
            Self::EmptyData => "h2_empty_data",
            Self::TinyData => "h2_tiny_data",
            Self::WindowUpdates => "h2_window_updates",
            Self::Priorities => "h2_priorities",
            Self::UnknownFrames => "h2_unknown_frames",
        }
    }
}
