//! The package as a tree, before any of it is on disk: one node a name, every link resolved.
//!
//! Invariants of a planned tree:
//! - a name stands for one thing: no file comes twice, nothing lies below a file or a link;
//! - no chain of links leads above the root;
//! - directories count as entries, whether the archive lists them or only implies them.

use std::collections::BTreeMap;

use lambent_core::ports::CodeRefusal;

use super::Limits;
use super::archive::Entry;
use super::inflate::Inflater;
use super::names::{components, forbidden};

/// Index of a node; the root is 0.
type NodeId = usize;

pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    pub file_count: usize,
    pub unpacked_bytes: u64,
}

pub(super) enum Node<'a> {
    Directory { children: BTreeMap<&'a str, NodeId>, mode: u32 },
    File { entry: &'a Entry, mode: u32 },
    Link { entry: &'a Entry, target: String },
}

const ROOT: NodeId = 0;

/// Mode bits, as stat(2) has them.
const TYPE_MASK: u32 = 0o170_000;
const TYPE_DIRECTORY: u32 = 0o040_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_LINK: u32 = 0o120_000;
const MODE_DIRECTORY: u32 = 0o755;
const MODE_FILE: u32 = 0o644;
const MODE_PROGRAM: u32 = 0o755;

/// The kernel's PATH_MAX, which counts the final NUL.
const TARGET_BYTES_MAX: u64 = 4_095;

/// The kernel follows 40 links on one path and then gives up.
const LINKS_FOLLOWED_MAX: usize = 40;

/// Steps of resolving all links of a package together; a tangle of links would else take minutes.
const RESOLVE_STEPS_MAX: usize = 5_000_000;

const TWO_THINGS: &str = "the name stands for two things in the archive";
const BELOW_NO_DIRECTORY: &str = "it lies below a file or a link";

impl<'a> Tree<'a> {
    pub fn plan(zip: &[u8], entries: &'a [Entry], limits: &Limits) -> Result<Self, CodeRefusal> {
        let root = Node::Directory { children: BTreeMap::new(), mode: MODE_DIRECTORY };
        let mut tree = Self { nodes: vec![root], file_count: 0, unpacked_bytes: 0 };
        for entry in entries {
            tree.unpacked_bytes = tree.unpacked_bytes.saturating_add(entry.size);
            if tree.unpacked_bytes > limits.unzipped_bytes_max {
                return Err(CodeRefusal::TooLarge { max_bytes: limits.unzipped_bytes_max });
            }
            tree.add(zip, entry)?;
            if tree.nodes.len() - 1 > limits.entries_max {
                return Err(CodeRefusal::TooManyEntries { max: limits.entries_max });
            }
        }
        if tree.file_count == 0 {
            return Err(CodeRefusal::Empty);
        }
        tree.refuse_escapes()?;
        Ok(tree)
    }

    pub fn root(&self) -> &Node<'a> {
        &self.nodes[ROOT]
    }

    pub fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id]
    }

    fn add(&mut self, zip: &[u8], entry: &'a Entry) -> Result<(), CodeRefusal> {
        let name = &*entry.name;
        let parts = components(name)?;
        let listed_as_directory = name.ends_with('/');
        let directory = match (entry.mode & TYPE_MASK, listed_as_directory) {
            (TYPE_DIRECTORY, _) | (0 | TYPE_FILE, true) => true,
            (0 | TYPE_FILE, false) | (TYPE_LINK, false) => false,
            _ => return Err(forbidden(name, "only files, directories and symbolic links may be packed")),
        };
        if directory {
            if entry.size != 0 {
                return Err(forbidden(name, "a directory can't have contents"));
            }
            let at = self.directory(name, &parts)?;
            match &mut self.nodes[at] {
                Node::Directory { mode, .. } => *mode = directory_mode(entry.mode),
                _ => return Err(forbidden(name, TWO_THINGS)),
            }
            return Ok(());
        }
        let Some((last, above)) = parts.split_last() else {
            return Err(forbidden(name, "the name is that of the package itself"));
        };
        let node = if entry.mode & TYPE_MASK == TYPE_LINK {
            Node::Link { entry, target: link_target(zip, entry)? }
        } else {
            Node::File { entry, mode: file_mode(entry.mode, above.is_empty() && *last == "bootstrap") }
        };
        let parent = self.directory(name, above)?;
        let id = self.nodes.len();
        let below = self.children_mut(parent).ok_or_else(|| forbidden(name, BELOW_NO_DIRECTORY))?;
        if below.insert(last, id).is_some() {
            return Err(forbidden(name, TWO_THINGS));
        }
        self.nodes.push(node);
        self.file_count += 1;
        Ok(())
    }

    /// The node of these components; missing directories are made. Only the last may be something else.
    fn directory(&mut self, name: &str, parts: &[&'a str]) -> Result<NodeId, CodeRefusal> {
        let mut at = ROOT;
        for part in parts {
            let next_id = self.nodes.len();
            let below = self.children_mut(at).ok_or_else(|| forbidden(name, BELOW_NO_DIRECTORY))?;
            at = *below.entry(part).or_insert(next_id);
            if at == next_id {
                self.nodes.push(Node::Directory { children: BTreeMap::new(), mode: MODE_DIRECTORY });
            }
        }
        Ok(at)
    }

    fn children_mut(&mut self, id: NodeId) -> Option<&mut BTreeMap<&'a str, NodeId>> {
        match &mut self.nodes[id] {
            Node::Directory { children, .. } => Some(children),
            _ => None,
        }
    }

    /// Follows every link as the kernel would, with the other links of the package in force: a look at the
    /// target's text alone would miss `a -> b/../..` where `b` is a link.
    fn refuse_escapes(&self) -> Result<(), CodeRefusal> {
        let mut steps = RESOLVE_STEPS_MAX;
        let mut path = vec![ROOT];
        let mut cursors = vec![self.children(ROOT)];
        while let Some(cursor) = cursors.last_mut() {
            let Some((_, id)) = cursor.next() else {
                cursors.pop();
                path.pop();
                continue;
            };
            match &self.nodes[*id] {
                Node::Directory { .. } => {
                    path.push(*id);
                    cursors.push(self.children(*id));
                }
                Node::Link { entry, target } => {
                    self.follow(path.clone(), target, &mut steps)
                        .map_err(|detail| forbidden(&entry.name, detail))?;
                }
                Node::File { .. } => {}
            }
        }
        Ok(())
    }

    fn children(&self, id: NodeId) -> impl Iterator<Item = (&&'a str, &NodeId)> {
        let children = match &self.nodes[id] {
            Node::Directory { children, .. } => Some(children.iter()),
            _ => None,
        };
        children.into_iter().flatten()
    }

    fn follow(&self, mut path: Vec<NodeId>, target: &str, steps: &mut usize) -> Result<(), &'static str> {
        // Components below the last thing that exists: a target may dangle, but not above the root.
        let mut missing = 0usize;
        let mut followed = 0;
        let mut pending: Vec<&str> = target.rsplit('/').collect();
        while let Some(part) = pending.pop() {
            *steps = steps.checked_sub(1).ok_or("the package's links are too entangled")?;
            match part {
                "" | "." => {}
                ".." if missing > 0 => missing -= 1,
                ".." => {
                    path.pop();
                    if path.is_empty() {
                        return Err("the link leads out of the package");
                    }
                }
                name => match self.child(&path, name).filter(|_| missing == 0) {
                    Some(id) => match &self.nodes[id] {
                        Node::Link { target, .. } => {
                            followed += 1;
                            if followed == LINKS_FOLLOWED_MAX {
                                return Err("the link goes round in a circle");
                            }
                            pending.extend(target.rsplit('/'));
                        }
                        _ => path.push(id),
                    },
                    None => missing += 1,
                },
            }
        }
        Ok(())
    }

    fn child(&self, path: &[NodeId], name: &str) -> Option<NodeId> {
        match &self.nodes[*path.last()?] {
            Node::Directory { children, .. } => children.get(name).copied(),
            _ => None,
        }
    }
}

fn link_target(zip: &[u8], entry: &Entry) -> Result<String, CodeRefusal> {
    let refuse = |detail| Err(forbidden(&entry.name, detail));
    if entry.size == 0 || entry.size > TARGET_BYTES_MAX {
        return refuse("the link's target is empty or too long");
    }
    let mut target = Vec::new();
    Inflater::new().unpack(zip, entry, |bytes| {
        target.extend_from_slice(bytes);
        Ok(())
    })?;
    match String::from_utf8(target) {
        Ok(target) if target.contains('\0') => refuse("the link's target holds a NUL"),
        Ok(target) if target.starts_with('/') => refuse("the link's target is absolute"),
        Ok(target) => Ok(target),
        Err(_) => refuse("the link's target is not UTF-8"),
    }
}

/// The archive's permissions without set-uid, set-gid, sticky and others' write; everyone may read, because the
/// function runs as a user of its own.
fn file_mode(mode: u32, bootstrap: bool) -> u32 {
    match mode {
        // Made on a system without permissions: nobody could have marked the program.
        0 if bootstrap => MODE_PROGRAM,
        0 => MODE_FILE,
        _ => mode & 0o775 | 0o444,
    }
}

fn directory_mode(mode: u32) -> u32 {
    mode & 0o775 | MODE_DIRECTORY
}
