use super::*;

fn java(full_version: &str) -> Interpreter {
    let version = full_version.split('.').next().unwrap().to_owned();
    let home = PathBuf::from("/usr/lib/jvm/java");
    Interpreter {
        version,
        full_version: full_version.to_owned(),
        program: home.join("bin/java"),
        prefix: home,
        beside: Vec::new(),
    }
}

fn has(java: &Interpreter, memory_mb: u32, meets: Meets, option: &str) -> bool {
    arguments(java, memory_mb, meets).iter().any(|word| word.starts_with(option))
}

#[test]
fn no_machine_is_given_an_option_that_it_does_not_know() {
    for (version, option, is_known) in [
        ("11.0.22", "-XX:ArchiveRelocationMode", false),
        ("17.0.2", "-XX:ArchiveRelocationMode=0", true),
        ("25", "-XX:ArchiveRelocationMode=0", true),
        ("17.0.11", "-XX:TrimNativeHeapInterval", false),
        ("17.0.12", "-XX:TrimNativeHeapInterval", true),
        ("21.0.3", "-XX:TrimNativeHeapInterval", false),
        ("21.0.4+7", "-XX:TrimNativeHeapInterval", true),
        ("22.0.2", "-XX:TrimNativeHeapInterval", false),
        ("25.0.1", "-XX:TrimNativeHeapInterval", true),
        ("21.0.9", "-XX:CompileCommand", false),
        ("25-ea", "-XX:CompileCommand=exclude,", true),
    ] {
        assert_eq!(has(&java(version), 512, Meets::Waiting, option), is_known, "{version} {option}");
    }
}

#[test]
fn a_heap_begins_as_on_a_machine_of_the_functions_memory() {
    for (memory_mb, option) in [(128, "-XX:InitialHeapSize=8m"), (1_024, "-XX:InitialHeapSize=16m")] {
        assert!(has(&java("17.0.15"), memory_mb, Meets::Function, option), "{option}");
    }
}

#[test]
fn only_a_machine_that_waits_gives_native_memory_back_by_the_clock() {
    assert!(!has(&java("25.0.1"), 512, Meets::Function, "-XX:TrimNativeHeapInterval"));
}
