//! From a request's content to the store.

use crate::backend::store::{Receiving, Refused, Stored};
use crate::backend::{Content, Gone};
use crate::object::Address;

/// Stores the content, at most `most` bytes, if it is what `named` says.
///
/// # Errors
/// [`Gone`] when the content will never be whole: then nothing is stored.
pub(super) async fn receive(
    mut receiving: Receiving,
    mut content: Content,
    most: u64,
    named: Option<Address>,
) -> Result<Result<Stored, Refused>, Gone> {
    let mut size = 0u64;
    while let Some(piece) = content.next().await? {
        size += piece.len() as u64;
        if size > most {
            return Ok(Err(Refused::TooLarge));
        }
        if let Err(refused) = receiving.push(piece).await {
            return Ok(Err(refused));
        }
    }
    Ok(receiving.finish(named).await)
}
