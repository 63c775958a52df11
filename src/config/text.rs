//! The way every value that is a word enters: `FromStr` is the only door, serde goes through it.
//!
//! The macro writes what all of them share; what is allowed stands with each type.

/// `Serialize` by `Display`, `Deserialize` by `FromStr`.
macro_rules! text_value {
    ($($type:ty),+ $(,)?) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

/// A value that is text of a certain form: a newtype with `as_str`, `Display`, `Debug` and serde.
macro_rules! text_newtype {
    ($($(#[$doc:meta])* pub struct $type:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }

        crate::config::text::text_value!($type);
    )+};
}

pub(super) use {text_newtype, text_value};

/// `#[serde(serialize_with = …)]` for an absent value that has a word: `none`, `auto`, `off`.
macro_rules! absent_is {
    ($($name:ident => $word:literal),+ $(,)?) => {$(
        #[doc = concat!("Writes `", $word, "` for `None`.")]
        pub(super) fn $name<T: serde::Serialize, S: serde::Serializer>(
            value: &Option<T>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => value.serialize(to),
                None => to.serialize_str($word),
            }
        }
    )+};
}

absent_is! { or_none => "none", or_auto => "auto", or_off => "off", or_pass => "pass" }

super::text::text_value!(super::units::Share);
