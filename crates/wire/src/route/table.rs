//! A table of REST operations: method, path template, and what the service calls it.
//!
//! A template is `/2015-03-31/functions/{FunctionName}/configuration`. A capture takes one segment, so a name
//! may hold an encoded `/`; a greedy `{Resource+}` takes one or more. `?List=ALL` behind the path asks for that
//! query parameter too. A slash at the end means nothing, in templates and in requests.

use http::Method;

use crate::Fault;
use crate::percent::decode_segment;

/// One operation's row.
pub type Route<T> = (&'static str, &'static str, T);

/// The operations of one service, most specific first.
#[derive(Debug)]
pub struct Table<T> {
    rows: Vec<Row<T>>,
}

#[derive(Debug)]
struct Row<T> {
    method: Method,
    segments: Vec<Segment>,
    query: Option<(&'static str, &'static str)>,
    operation: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(&'static str),
    One(&'static str),
    Greedy(&'static str),
}

/// The values of a template's captures, decoded.
pub type Captures = Vec<(&'static str, String)>;

/// The operation that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a, T> {
    pub operation: &'a T,
    captures: Captures,
}

impl<T> Found<'_, T> {
    /// A capture by the name it has in the template; empty when the template has none of that name.
    pub fn capture(&self, name: &str) -> &str {
        self.captures.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }

    /// All of them, in the template's order.
    pub fn into_captures(self) -> Captures {
        self.captures
    }
}

/// Why no operation was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// No template has this path.
    UnknownPath,
    /// The path is there, with these methods.
    WrongMethod { allowed: Vec<Method> },
    /// A segment of the path isn't the encoding of UTF-8.
    Malformed,
}

impl Miss {
    /// The fault as the REST services word it.
    pub fn into_fault(self) -> Fault {
        match self {
            Self::UnknownPath => {
                Fault::new(404, "UnknownOperationException", "The requested operation is not supported.")
            }
            // The reference tells the operation before it asks whether the caller may: it can do neither here.
            Self::WrongMethod { .. } => Fault::new(
                403,
                "AccessDeniedException",
                "Unable to determine service/operation name to be authorized",
            ),
            Self::Malformed => {
                Fault::new(400, "InvalidRequestException", "The request path is not valid UTF-8.")
            }
        }
    }
}

impl<T> Table<T> {
    /// Reads the templates. Order in the list doesn't matter: a literal is tried before a capture.
    ///
    /// # Panics
    /// For a method or a template that is malformed: tables are constants, and a test builds each of them.
    pub fn new(routes: impl IntoIterator<Item = Route<T>>) -> Self {
        let mut rows: Vec<Row<T>> = routes.into_iter().map(Row::new).collect();
        rows.sort_by(|a, b| a.rank().cmp(&b.rank()));
        Self { rows }
    }

    /// Finds the operation of a method, an encoded path and decoded query pairs.
    pub fn find(
        &self,
        method: &Method,
        path: &str,
        query: &[(String, String)],
    ) -> Result<Found<'_, T>, Miss> {
        let segments: Vec<&str> = segments(path).collect();
        let mut allowed: Vec<Method> = Vec::new();
        for row in self.rows.iter().filter(|row| row.matches(&segments)) {
            if row.method != *method {
                if !allowed.contains(&row.method) {
                    allowed.push(row.method.clone());
                }
            } else if row.asks_for(query) {
                return Ok(Found { operation: &row.operation, captures: row.captures(&segments)? });
            }
        }
        if allowed.is_empty() { Err(Miss::UnknownPath) } else { Err(Miss::WrongMethod { allowed }) }
    }
}

impl<T> Row<T> {
    fn new((method, template, operation): Route<T>) -> Self {
        let (path, query) = match template.split_once('?') {
            None => (template, None),
            Some((path, query)) => (path, Some(query.split_once('=').unwrap_or((query, "")))),
        };
        let segments: Vec<Segment> = segments(path).map(Segment::new).collect();
        let greedy = segments.iter().filter(|segment| matches!(segment, Segment::Greedy(_))).count();
        assert!(greedy <= 1, "a template has one greedy capture at most: {template}");
        let method = method.parse().expect("a table names methods of HTTP");
        Self { method, segments, query, operation }
    }

    /// Sorts literals before captures, captures before greedy ones, and a wanted query before none.
    fn rank(&self) -> (&[Segment], bool) {
        (&self.segments, self.query.is_none())
    }

    fn matches(&self, path: &[&str]) -> bool {
        let fits = |(segment, text): (&Segment, &&str)| match segment {
            Segment::Literal(literal) => literal == text,
            // Signatures are of the normalised path: a dot segment is no name, or a signed address could be
            // stretched into that of another operation.
            Segment::One(_) => !matches!(*text, "" | "." | ".."),
            Segment::Greedy(_) => !text.is_empty(),
        };
        match self.segments.iter().position(|segment| matches!(segment, Segment::Greedy(_))) {
            None => self.segments.len() == path.len() && self.segments.iter().zip(path).all(fits),
            Some(at) => {
                let after = self.segments.len() - at - 1;
                path.len() >= self.segments.len()
                    && self.segments[..at].iter().zip(path).all(fits)
                    && self.segments[at + 1..].iter().zip(&path[path.len() - after..]).all(fits)
            }
        }
    }

    fn asks_for(&self, query: &[(String, String)]) -> bool {
        self.query.is_none_or(|(name, value)| query.iter().any(|(n, v)| n == name && v == value))
    }

    fn captures(&self, path: &[&str]) -> Result<Captures, Miss> {
        let mut captures = Vec::new();
        let mut rest = path;
        for (i, segment) in self.segments.iter().enumerate() {
            let width = match segment {
                Segment::Greedy(_) => rest.len() - (self.segments.len() - i - 1),
                _ => 1,
            };
            let (taken, after) = rest.split_at(width);
            rest = after;
            if let Segment::One(name) | Segment::Greedy(name) = segment {
                let value = decode_segment(&taken.join("/")).map_err(|_| Miss::Malformed)?;
                captures.push((*name, value));
            }
        }
        Ok(captures)
    }
}

impl Segment {
    fn new(text: &'static str) -> Self {
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            None => Self::Literal(text),
            Some(name) => match name.strip_suffix('+') {
                None => Self::One(name),
                Some(name) => Self::Greedy(name),
            },
        }
    }
}

/// A path's segments, without the first slash and one at the end.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/')
}
