//! What a switch refuses by looking at a message alone.
use crate::error::OfError;
use crate::message::Message;
/// Checks a request.
pub fn check(_message: &Message) -> Result<(), OfError> {
    Ok(())
}
