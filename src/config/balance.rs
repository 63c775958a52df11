//! `clusters.NAME.balance`: how one backend of a cluster is chosen.

use serde::{Deserialize, Serialize};

use super::name::HeaderName;
use super::schema::{Schema, key, one_of, section, shapes, text, words};

/// How one backend is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The less busy of two taken at random by weight.
    #[default]
    LeastRequests,
    /// The same backend for the same key, as long as it is there.
    Hash(HashOn),
}

/// The key of consistent hashing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashOn {
    /// The object's address; on object routes.
    Object,
    /// The value of a request header field.
    Header(HeaderName),
}

pub(super) fn schema() -> Schema {
    let header =
        key("header", "a request header field", text::<HeaderName>("a header field's name")).required();
    shapes([
        words(&["round_robin", "least_requests"]),
        one_of([key("hash", "consistent hashing", shapes([words(&["object"]), section([header])]))]),
    ])
}
