//! stub
/// stub
#[derive(Debug)]
pub struct Rejection;
