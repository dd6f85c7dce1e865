//! Who the program is inside: the reference's own numbers (user `sbx_user1051`).

pub const PROGRAM_UID: u32 = 993;
pub const PROGRAM_GID: u32 = 990;
