//! Golden files: what users see, word for word. `UPDATE_GOLDEN=1` rewrites them.

use std::path::Path;

use clap::CommandFactory;

use super::args::Args;

/// Compares with the file of this name under `tests/golden`.
pub fn compare(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let actual = format!("{}\n", actual.trim_end());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs; UPDATE_GOLDEN=1 rewrites it");
}

#[test]
fn help_stays_as_it_is() {
    let mut command = Args::command().term_width(100);
    command.build();
    compare("help.txt", &command.render_help().to_string());
    for sub in command.get_subcommands_mut() {
        let name = sub.get_name().to_owned();
        compare(&format!("help-{name}.txt"), &sub.render_help().to_string());
        for inner in sub.get_subcommands_mut() {
            let inner_name = inner.get_name().to_owned();
            compare(&format!("help-{name}-{inner_name}.txt"), &inner.render_help().to_string());
        }
    }
}

#[test]
fn the_flags_do_not_contradict_each_other() {
    Args::command().debug_assert();
}
