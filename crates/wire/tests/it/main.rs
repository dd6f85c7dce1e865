//! The wire crate against what others signed.

mod sigv4_botocore;
mod sigv4_chunked;
