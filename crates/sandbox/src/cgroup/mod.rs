//! Control groups: limits, freezing, killing, and what a sandbox used.
//!
//! A host may have the old interface (a folder tree for each controller), the new one (one tree), or both. A sandbox
//! has a folder of the same name in every tree that serves something ([`Tree`]); what differs between the interfaces
//! stands behind [`Interface`]. The node writes limits and freezes; the spawner makes the folders, puts processes in
//! and removes them; both know the trees as a [`Layout`].
//!
//! Not here: which limits a function has.

mod detect;
mod group;
mod interface;
mod sweep;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use detect::{detect, enable_cheap_attach, look};
pub use group::{Group, Limits};
pub use interface::Interface;
pub use sweep::{PATIENCE, kill_and_remove, remove_tree};

/// Which interface a tree speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    V1,
    V2,
}

/// What a tree is used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    pub memory: bool,
    pub cpu: bool,
    pub pids: bool,
    pub freeze: bool,
}

impl Roles {
    pub fn any(self) -> bool {
        self.memory || self.cpu || self.pids || self.freeze
    }
}

/// One hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    pub version: Version,
    pub roles: Roles,
    /// The instance's own folder. Sandboxes have theirs below it.
    pub folder: PathBuf,
}

/// All trees in use; empty where none may be written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    pub trees: Vec<Tree>,
}

impl Layout {
    /// Everything that some tree does.
    pub fn roles(&self) -> Roles {
        self.trees.iter().fold(Roles::default(), |all, tree| Roles {
            memory: all.memory || tree.roles.memory,
            cpu: all.cpu || tree.roles.cpu,
            pids: all.pids || tree.roles.pids,
            freeze: all.freeze || tree.roles.freeze,
        })
    }
}

impl Version {
    pub fn interface(self) -> &'static dyn Interface {
        match self {
            Self::V1 => &v1::V1,
            Self::V2 => &v2::V2,
        }
    }
}
