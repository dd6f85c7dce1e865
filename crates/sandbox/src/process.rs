//! The weakest level: no mounts, so the folders that a program expects are stood in for by their real places.
//!
//! Where the program's words (arguments, environment, working folder) name a mount's target, they are given the source
//! instead; several sources become one folder of links. Paths that are written in the program's own files are not
//! touched: a program that names `/var/task` by itself doesn't find it at this level. `TMPDIR` leads to a folder that
//! goes with the sandbox; `/tmp` is the host's.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use lambent_core::ports::sandbox::{Mount, Program};

/// Rewrites a program for a host without mounts. `scratch` is the sandbox's own folder, and is made. Blocks.
pub fn localise(program: &mut Program, mounts: &[Mount], scratch: &Path) -> io::Result<()> {
    let tmp = scratch.join("tmp");
    fs::create_dir_all(&tmp)?;
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o700))?;
    let mut places = Vec::new();
    for (number, mount) in mounts.iter().enumerate() {
        let source = match mount.sources.as_slice() {
            [only] => only.clone(),
            several => {
                let merged = scratch.join(format!("mount-{number}"));
                for source in several {
                    link_over(source, &merged)?;
                }
                merged
            }
        };
        places.push((words(&mount.target)?, words(&source)?));
    }
    for word in program.argv.iter_mut().chain(program.env.iter_mut().map(|(_, value)| value)) {
        *word = replace(word, &places);
    }
    program.cwd = PathBuf::from(replace(&words(&program.cwd)?, &places));
    if !program.env.iter().any(|(name, _)| name == "TMPDIR") {
        program.env.push(("TMPDIR".to_owned(), words(&tmp)?));
    }
    Ok(())
}

fn words(path: &Path) -> io::Result<String> {
    let text =
        path.to_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path is not UTF-8"))?;
    Ok(text.to_owned())
}

/// Replaces each place where a target is named as a whole path or as the beginning of one.
fn replace(text: &str, places: &[(String, String)]) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    let mut at_start = true;
    while let Some(next) = rest.chars().next() {
        let named = places
            .iter()
            .filter(|(target, _)| at_start && rest.strip_prefix(target.as_str()).is_some_and(is_end))
            .max_by_key(|(target, _)| target.len());
        if let Some((target, source)) = named {
            replaced.push_str(source);
            rest = &rest[target.len()..];
            at_start = false;
            continue;
        }
        replaced.push(next);
        at_start = matches!(next, ':' | '=' | ',' | ';' | ' ');
        rest = &rest[next.len_utf8()..];
    }
    replaced
}

fn is_end(rest: &str) -> bool {
    rest.chars().next().is_none_or(|next| matches!(next, '/' | ':' | ',' | ';' | ' '))
}

/// Lays a folder over another one: folders are made, files are linked to, later ones win.
fn link_over(source: &Path, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let to = target.join(entry.file_name());
        let there = fs::symlink_metadata(&to).ok();
        if entry.file_type()?.is_dir() {
            if there.is_some_and(|there| !there.is_dir()) {
                fs::remove_file(&to)?;
            }
            link_over(&entry.path(), &to)?;
            continue;
        }
        match there {
            Some(there) if there.is_dir() => fs::remove_dir_all(&to)?,
            Some(_) => fs::remove_file(&to)?,
            None => {}
        }
        symlink(entry.path(), &to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Vec<(String, String)> {
        vec![
            ("/var/task".to_owned(), "/data/code".to_owned()),
            ("/opt".to_owned(), "/data/layers".to_owned()),
            ("/var/task/deep".to_owned(), "/data/deep".to_owned()),
        ]
    }

    #[test]
    fn targets_are_replaced_where_they_stand_as_paths() {
        let replaced = |text| replace(text, &places());
        assert_eq!(replaced("/var/task"), "/data/code");
        assert_eq!(replaced("/var/task/app.py"), "/data/code/app.py");
        assert_eq!(replaced("/opt/bin:/usr/bin:/opt"), "/data/layers/bin:/usr/bin:/data/layers");
        assert_eq!(replaced("--require=/opt/x.js"), "--require=/data/layers/x.js");
        assert_eq!(replaced("/var/task/deep/f"), "/data/deep/f");
    }

    #[test]
    fn other_words_stay_as_they_are() {
        for text in ["", "/optional", "/usr/opt/x", "/var/tasks", "é/opt", "http://host/opt"] {
            assert_eq!(replace(text, &places()), text);
        }
    }

    #[test]
    fn several_sources_become_one_folder_and_the_last_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [("one/a", "1"), ("one/d/x", "1"), ("two/a", "2"), ("two/d/y", "2")] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), text).unwrap();
        }
        let mut program =
            Program { argv: vec!["/opt/a".to_owned()], env: Vec::new(), cwd: PathBuf::from("/opt/d") };
        let mounts = [Mount { sources: vec![at("one"), at("two")], target: "/opt".into() }];
        localise(&mut program, &mounts, &at("scratch")).unwrap();
        assert_eq!(fs::read_to_string(&program.argv[0]).unwrap(), "2");
        assert_eq!(fs::read_dir(&program.cwd).unwrap().count(), 2);
        assert_eq!(program.env[0].0, "TMPDIR");
    }
}
