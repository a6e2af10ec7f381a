//! What a connection, a datagram and a segment may cost.
pub(crate) fn check() -> Result<(), String> {
    Ok(())
}
