//! The runtime identifiers that the reference knows, and what it thinks of each today.
//!
//! Source: *Lambda runtimes* in the developer guide (supported and deprecated tables) and the `Runtime`
//! enumeration of the API. Whether this node can run one is another question: [`crate::ports::Runtimes`].

/// What the functions of a runtime have in common: which client runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    Python,
    NodeJs,
    Java,
    Ruby,
    Dotnet,
    Go,
    /// The package brings its own executable, `bootstrap`.
    Provided,
}

/// Whether new functions may name a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Functions may be created with it.
    Live,
    /// The reference refuses to create functions with it; the text names the runtime that it recommends.
    Blocked { recommended: &'static str },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtime {
    pub id: &'static str,
    pub family: Family,
    /// The language's version as the identifier carries it: `3.12`, `20`, `17`; empty for `provided`.
    pub language_version: &'static str,
    pub standing: Standing,
}

impl Runtime {
    /// Whether the interpreter is told the size of its heap when it starts, and never again.
    pub fn settles_heap_at_start(&self) -> bool {
        matches!(self.family, Family::NodeJs | Family::Java)
    }

    /// Whether functions may ask for SnapStart: of the runtimes that the reference names (*Improving startup performance
    /// with Lambda SnapStart*), those whose client here can. Python from 3.12 on.
    pub fn has_snap_start(&self) -> bool {
        let minor = self.language_version.strip_prefix("3.").and_then(|minor| minor.parse::<u32>().ok());
        self.family == Family::Python && minor.is_some_and(|minor| minor >= 12)
    }
}

const fn live(id: &'static str, family: Family, language_version: &'static str) -> Runtime {
    Runtime { id, family, language_version, standing: Standing::Live }
}

const fn blocked(
    id: &'static str,
    family: Family,
    language_version: &'static str,
    recommended: &'static str,
) -> Runtime {
    Runtime { id, family, language_version, standing: Standing::Blocked { recommended } }
}

/// All identifiers of the API's enumeration.
pub const RUNTIMES: &[Runtime] = &[
    blocked("nodejs", Family::NodeJs, "0.10", "nodejs24.x"),
    blocked("nodejs4.3", Family::NodeJs, "4.3", "nodejs24.x"),
    blocked("nodejs4.3-edge", Family::NodeJs, "4.3", "nodejs24.x"),
    blocked("nodejs6.10", Family::NodeJs, "6", "nodejs24.x"),
    blocked("nodejs8.10", Family::NodeJs, "8", "nodejs24.x"),
    blocked("nodejs10.x", Family::NodeJs, "10", "nodejs24.x"),
    blocked("nodejs12.x", Family::NodeJs, "12", "nodejs24.x"),
    blocked("nodejs14.x", Family::NodeJs, "14", "nodejs24.x"),
    blocked("nodejs16.x", Family::NodeJs, "16", "nodejs24.x"),
    live("nodejs18.x", Family::NodeJs, "18"),
    live("nodejs20.x", Family::NodeJs, "20"),
    live("nodejs22.x", Family::NodeJs, "22"),
    live("nodejs24.x", Family::NodeJs, "24"),
    blocked("python2.7", Family::Python, "2.7", "python3.14"),
    blocked("python3.6", Family::Python, "3.6", "python3.14"),
    blocked("python3.7", Family::Python, "3.7", "python3.14"),
    blocked("python3.8", Family::Python, "3.8", "python3.14"),
    live("python3.9", Family::Python, "3.9"),
    live("python3.10", Family::Python, "3.10"),
    live("python3.11", Family::Python, "3.11"),
    live("python3.12", Family::Python, "3.12"),
    live("python3.13", Family::Python, "3.13"),
    live("python3.14", Family::Python, "3.14"),
    blocked("java8", Family::Java, "8", "java25"),
    live("java8.al2", Family::Java, "8"),
    live("java11", Family::Java, "11"),
    live("java17", Family::Java, "17"),
    live("java21", Family::Java, "21"),
    live("java25", Family::Java, "25"),
    blocked("dotnetcore1.0", Family::Dotnet, "1.0", "dotnet10"),
    blocked("dotnetcore2.0", Family::Dotnet, "2.0", "dotnet10"),
    blocked("dotnetcore2.1", Family::Dotnet, "2.1", "dotnet10"),
    blocked("dotnetcore3.1", Family::Dotnet, "3.1", "dotnet10"),
    blocked("dotnet6", Family::Dotnet, "6", "dotnet10"),
    live("dotnet8", Family::Dotnet, "8"),
    live("dotnet10", Family::Dotnet, "10"),
    blocked("ruby2.5", Family::Ruby, "2.5", "ruby3.4"),
    blocked("ruby2.7", Family::Ruby, "2.7", "ruby3.4"),
    live("ruby3.2", Family::Ruby, "3.2"),
    live("ruby3.3", Family::Ruby, "3.3"),
    live("ruby3.4", Family::Ruby, "3.4"),
    live("ruby4.0", Family::Ruby, "4.0"),
    blocked("go1.x", Family::Go, "1", "provided.al2023"),
    blocked("provided", Family::Provided, "", "provided.al2023"),
    live("provided.al2", Family::Provided, ""),
    live("provided.al2023", Family::Provided, ""),
];

/// The runtime of this identifier, if the reference knows it.
pub fn find(id: &str) -> Option<&'static Runtime> {
    RUNTIMES.iter().find(|r| r.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_unique_and_recommendations_are_live() {
        for (i, runtime) in RUNTIMES.iter().enumerate() {
            assert!(RUNTIMES[i + 1..].iter().all(|other| other.id != runtime.id), "{}", runtime.id);
            if let Standing::Blocked { recommended } = runtime.standing {
                assert_eq!(find(recommended).unwrap().standing, Standing::Live);
            }
        }
    }
}
