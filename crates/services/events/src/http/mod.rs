//! API destinations: HTTP endpoints of others as targets, reached by the authority of a connection.
//!
//! `request` makes the request, `token` asks for and reads OAuth's, and both are pure; `connections` keeps tokens and
//! authorizes; `posts` delivers on a lane of its own, so that a slow endpoint holds up no queue; `pace` says how much
//! one destination gets at a time.

mod connections;
mod pace;
mod posts;
mod request;
mod token;

pub use connections::Tokens;
pub use pace::Paces;
pub use posts::{LANE, RATE_DEFAULT};
pub use request::{filled, is_endpoint};
