//! Finds the handler in the sources: the file that a person would open first, and the function that looks
//! like one.

use std::path::Path;

use lambent_core::runtime::Family;

use super::project::{Kind, Project};
use crate::cli::failure::Failure;

/// Files by how likely they hold the handler, without their ending.
const STEMS: [&str; 7] = ["lambda_function", "index", "app", "main", "handler", "function", "lambda"];

const NAMES: [&str; 4] = ["lambda_handler", "handler", "lambdaHandler", "main"];

/// Folders that sources may be in.
const FOLDERS: [&str; 2] = ["", "src/"];

/// A source file is read this far: a handler further down is named with `--handler`.
const SOURCE_BYTES_MAX: u64 = 1024 * 1024;

/// The handler that the sources have; where none is seen, the one that the function has already.
pub fn guess(project: &Project, current: Option<&str>) -> Result<String, Failure> {
    let found = match project.kind {
        Kind::Python => in_folder(&project.path, &["py"], python_handler),
        Kind::NodeJs => in_folder(&project.path, &["mjs", "js", "cjs"], node_handler),
        Kind::Rust | Kind::Prebuilt => Some("bootstrap".to_owned()),
        Kind::Zip if current.is_some() => None,
        Kind::Zip => in_zip(&project.path),
    };
    if let Some(found) = found.or_else(|| current.map(str::to_owned)) {
        return Ok(found);
    }
    let failure = Failure::usage(format!("no handler was found in {}", project.path.display()));
    Err(match project.kind {
        Kind::NodeJs if project.has("tsconfig.json") => failure
            .hint("TypeScript is not compiled here: compile it first, then name the result, e.g. --handler dist/index.handler"),
        Kind::NodeJs => failure.hint("name it with --handler FILE.FUNCTION, e.g. --handler index.handler"),
        _ => failure.hint("name it with --handler FILE.FUNCTION, e.g. --handler app.handler"),
    })
}

fn in_folder(dir: &Path, endings: &[&str], find: fn(&str) -> Option<&'static str>) -> Option<String> {
    for folder in FOLDERS {
        for stem in STEMS {
            for ending in endings {
                let text = read(&dir.join(format!("{folder}{stem}.{ending}")));
                if let Some(name) = text.as_deref().and_then(find) {
                    return Some(format!("{folder}{stem}.{name}"));
                }
            }
        }
    }
    only_one(dir, endings, find)
}

/// The handler of another file in the project's root, when just one has any.
fn only_one(dir: &Path, endings: &[&str], find: fn(&str) -> Option<&'static str>) -> Option<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let ending = path.extension().and_then(|ending| ending.to_str());
        if let (Some(stem), Some(ending)) = (stem, ending)
            && endings.contains(&ending)
            // A further dot would be taken for the one before the function's name.
            && !stem.contains('.')
            && let Some(name) = read(&path).as_deref().and_then(find)
        {
            found.push(format!("{stem}.{name}"));
        }
    }
    if found.len() == 1 { found.pop() } else { None }
}

fn read(path: &Path) -> Option<String> {
    let length = std::fs::metadata(path).ok().filter(|meta| meta.is_file())?.len();
    if length > SOURCE_BYTES_MAX {
        return None;
    }
    std::fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// A function or a name at the module's top level.
pub(super) fn python_handler(source: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|name| {
        source.lines().any(|line| {
            let line = line.strip_prefix("async ").unwrap_or(line);
            let rest = match line.strip_prefix("def ") {
                Some(definition) => definition.trim_start().strip_prefix(name),
                None => line.strip_prefix(name),
            };
            let rest = rest.map(str::trim_start).unwrap_or("");
            if line.starts_with("def ") {
                rest.starts_with('(')
            } else {
                rest.starts_with('=') && !rest.starts_with("==")
            }
        })
    })
}

/// An export under one of the usual names, as ECMAScript or CommonJS modules write it.
pub(super) fn node_handler(source: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|name| {
        let exported = [
            format!("export const {name}"),
            format!("export let {name}"),
            format!("export var {name}"),
            format!("export function {name}"),
            format!("export async function {name}"),
            format!("exports.{name}"),
        ];
        if exported.iter().any(|form| contains_word(source, form)) {
            return true;
        }
        // `export { a, handler }` and `module.exports = { a, handler: b }`.
        ["export {", "export{", "module.exports = {", "module.exports={"].iter().any(|open| {
            source.split(open).skip(1).any(|rest| {
                let list = rest.split('}').next().unwrap_or("");
                list.split([',', ' ', ':', '\n', '\t', '(']).any(|word| word.trim() == *name)
            })
        })
    })
}

fn contains_word(source: &str, form: &str) -> bool {
    source.match_indices(form).any(|(at, _)| {
        let after = source[at + form.len()..].chars().next();
        !after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
    })
}

/// What a package's file names say of its language.
pub fn family_of_zip(path: &Path) -> Option<Family> {
    let names = names_in_zip(path)?;
    if names.iter().any(|name| name == "bootstrap") {
        return Some(Family::Provided);
    }
    let has = |endings: &[&str]| {
        STEMS.iter().any(|stem| endings.iter().any(|ending| names.contains(&format!("{stem}.{ending}"))))
    };
    if has(&["py"]) {
        Some(Family::Python)
    } else if has(&["mjs", "js", "cjs"]) {
        Some(Family::NodeJs)
    } else {
        None
    }
}

fn in_zip(path: &Path) -> Option<String> {
    let names = names_in_zip(path)?;
    if names.iter().any(|name| name == "bootstrap") {
        return Some("bootstrap".to_owned());
    }
    let usual = [("py", "lambda_handler"), ("mjs", "handler"), ("js", "handler"), ("cjs", "handler")];
    STEMS.iter().find_map(|stem| {
        usual
            .iter()
            .find(|(ending, _)| names.contains(&format!("{stem}.{ending}")))
            .map(|(_, name)| format!("{stem}.{name}"))
    })
}

fn names_in_zip(path: &Path) -> Option<Vec<String>> {
    let archive = zip::ZipArchive::new(std::fs::File::open(path).ok()?).ok()?;
    Some(archive.file_names().map(str::to_owned).collect())
}
