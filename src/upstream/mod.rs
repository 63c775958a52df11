//! Backends: who they are, whether they are well, which of them takes a request, and how OAP/1 is spoken to one.
//!
//! | part | decides |
//! |---|---|
//! | [`discovery`], [`membership`] | who belongs to a cluster, now |
//! | [`balance`] | which backend takes a request |
//! | [`health`], [`ejection`] | who is left alone: by checks, by failures of requests |
//! | [`retry`], [`hedge`], [`budget`] | whether a request may be sent once more |
//! | [`client`], [`dial`] | connections and streams |
//!
//! Each knows nothing of the configuration, of metrics and of the request that is served; `cluster` puts them together.

pub mod backend;
pub mod balance;
pub mod budget;
pub mod client;
pub mod dial;
pub mod discovery;
pub mod ejection;
pub mod health;
pub mod hedge;
pub mod membership;
pub mod retry;

pub use backend::BackendId;
