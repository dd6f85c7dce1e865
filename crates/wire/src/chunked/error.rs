//! Why a chunked body was refused.

use crate::Fault;
use crate::checksum::Algorithm;

/// Why a chunked body was refused. The encoding is S3's, and so are the names of its faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("x-amz-decoded-content-length is missing or no number")]
    NoDecodedLength,
    #[error("the body ends within a chunk, or goes on behind the last one")]
    Incomplete,
    #[error("a chunk's first line is malformed")]
    ChunkLine,
    #[error("the payload does not have the {declared} bytes that were announced")]
    Length { declared: u64 },
    #[error("a chunk's or the trailer's signature does not match")]
    Signature,
    #[error("the trailer is malformed or is not the one that was announced")]
    Trailer,
    #[error("the trailer {name} is not supported")]
    UnsupportedTrailer { name: String },
    #[error("the {} checksum does not match", algorithm.as_str())]
    Checksum { algorithm: Algorithm },
}

impl Error {
    /// The fault in S3's words.
    pub fn into_fault(self) -> Fault {
        match self {
            Self::NoDecodedLength => {
                Fault::new(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
            }
            Self::Incomplete | Self::ChunkLine => {
                Fault::new(400, "IncompleteBody", "The request body terminated unexpectedly")
            }
            Self::Length { .. } => Fault::new(
                400,
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
            ),
            Self::Signature => Fault::new(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key \
                 and signing method.",
            ),
            Self::Trailer => Fault::new(
                400,
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform to our \
                 published schema.",
            ),
            Self::UnsupportedTrailer { name } => Fault::new(
                400,
                "InvalidRequest",
                format!("The value specified in the x-amz-trailer header is not supported: {name}"),
            ),
            Self::Checksum { algorithm } => Fault::new(
                400,
                "BadDigest",
                format!("The {} you specified did not match the calculated checksum.", algorithm.as_str()),
            ),
        }
    }
}
