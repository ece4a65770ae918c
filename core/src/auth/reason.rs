//! What can be wrong with a token, as logs and `explain` name it. Few and fixed, so that they can be metric labels too.

/// `alg` is not one of those configured (RFC 8725, section 3.1); "none" never is.
pub const ALGORITHM: &str = "algorithm";
/// `aud` is missing, not text, or does not name us (RFC 7519, section 4.1.3).
pub const AUDIENCE: &str = "audience";
/// A claim that is to be forwarded is not fit for a header.
pub const CLAIM: &str = "claim";
/// Not exactly one well-formed credential (RFC 6750, section 2.1).
pub const CREDENTIALS: &str = "credentials";
/// The header asks for an extension (`crit`, `b64`), for compression or for decryption; we implement none.
pub const EXTENSION: &str = "extension";
/// `exp` has come (RFC 7519, section 4.1.4).
pub const EXPIRED: &str = "expired";
/// The id is missing, not text, empty, over 256 bytes, or has control characters.
pub const ID: &str = "id";
/// `iss` is missing or not the issuer (RFC 7519, section 4.1.1).
pub const ISSUER: &str = "issuer";
/// No key is the token's: its `kid` is unknown, the key of that name is for something else, or it names none and more than
/// one could be meant, or none.
pub const KEY: &str = "key";
/// Not three parts of strict base64url around strict JSON objects (RFC 7515, section 7.1).
pub const MALFORMED: &str = "malformed";
/// `nbf` has not come (RFC 7519, section 4.1.5).
pub const NOT_YET_VALID: &str = "not_yet_valid";
/// The signature does not hold.
pub const SIGNATURE: &str = "signature";
/// `exp` is missing, or `exp`, `nbf` or `iat` is not a time.
pub const TIME: &str = "time";
/// Longer than a token may be.
pub const TOO_LONG: &str = "too_long";
/// `typ` says that this is something else than an access token (RFC 8725, section 3.11).
pub const TYPE: &str = "type";
/// An API key that nobody has.
pub const UNKNOWN_KEY: &str = "unknown_key";
