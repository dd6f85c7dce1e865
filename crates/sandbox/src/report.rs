//! What this host gives to sandboxes, what is missing, and how to get it.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::cgroup::{self, Roles};
use crate::config::{Isolation, StartError};
use crate::spawner::users;
use crate::{kernel, restoring, volumes};

/// The outcome of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// Works, with less than there could be.
    Degraded,
    /// Needed for a level of isolation, and not there.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    pub state: State,
    pub detail: String,
    pub remedy: Option<String>,
    /// The strongest level that can be had without it.
    #[serde(skip)]
    without: Isolation,
}

/// What a host gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostReport {
    pub checks: Vec<Check>,
    /// The strongest level that works here.
    pub highest: Isolation,
}

const VOLUMES: &str = "tmp volumes";
const EGRESS: &str = "internet egress";
const USER_IDS: &str = "user ids";

/// The oldest kernel with every mount call that the spawner makes (`mount_setattr`).
const KERNEL_MIN: (u32, u32) = (5, 12);

impl Check {
    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Ok,
            detail: detail.into(),
            remedy: None,
            without: Isolation::Full,
        }
    }

    fn degraded(name: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Degraded, remedy: Some(remedy.into()), ..Self::ok(name, detail) }
    }

    fn missing(name: &str, detail: impl Into<String>, remedy: impl Into<String>, without: Isolation) -> Self {
        Self { state: State::Missing, without, ..Self::degraded(name, detail, remedy) }
    }
}

/// Looks at the host. Changes nothing: a child process that tries namespaces out ends at once.
pub fn examine_host() -> HostReport {
    let mut checks = vec![kernel_release(), namespaces(), proc_mount(), seccomp(), landlock()];
    checks.extend(control_groups(cgroup::look().roles));
    checks.extend([user_ids(), tmp_volumes(), network_device(), snapshots()]);
    HostReport::of(checks)
}

impl HostReport {
    fn of(checks: Vec<Check>) -> Self {
        let missing =
            |level| checks.iter().any(|check| check.state == State::Missing && check.without == level);
        let highest = if missing(Isolation::Process) {
            Isolation::Process
        } else if missing(Isolation::Namespaces) {
            Isolation::Namespaces
        } else {
            Isolation::Full
        };
        Self { checks, highest }
    }

    /// Refuses a level that this host can't give, naming what is missing and the remedy.
    pub(crate) fn demand(&self, level: Isolation) -> Result<(), StartError> {
        let in_the_way = |check: &&Check| {
            check.state == State::Missing
                && match level {
                    Isolation::Full => true,
                    Isolation::Namespaces => check.without == Isolation::Process,
                    Isolation::Process => false,
                }
        };
        let missing: Vec<&Check> = self.checks.iter().filter(in_the_way).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let told =
            missing.iter().map(|check| format!("{}: {}", check.name, check.detail)).collect::<Vec<_>>();
        let remedies = missing.iter().filter_map(|check| check.remedy.clone()).collect::<Vec<_>>();
        Err(StartError::Unavailable { level, missing: told.join("; "), remedy: remedies.join("; ") })
    }

    /// Takes over what only trying showed.
    pub(crate) fn add_trial(&mut self, no_device: Option<String>, notes: Vec<String>) {
        if let Some(reason) = no_device {
            self.replace(Check::degraded(
                EGRESS,
                format!("functions reach the node only: {reason}"),
                "let the node's user open /dev/net/tun (modprobe tun; chmod 0666 /dev/net/tun)",
            ));
        }
        for note in notes {
            self.checks.push(Check::degraded("note", note, "see the other checks"));
        }
    }

    pub(crate) fn volumes_missing(&mut self, reason: &str) {
        self.replace(no_volumes(reason));
    }

    fn replace(&mut self, check: Check) {
        self.checks.retain(|other| other.name != check.name);
        self.checks.push(check);
    }
}

/// The refusal when control groups that looked usable turned out not to be.
pub(crate) fn no_limits(roles: Roles) -> StartError {
    let report = HostReport::of(control_groups(roles).collect());
    report.demand(Isolation::Full).err().unwrap_or_else(|| StartError::Unavailable {
        level: Isolation::Full,
        missing: "control groups".to_owned(),
        remedy: CGROUP_REMEDY.to_owned(),
    })
}

const CGROUP_REMEDY: &str = "run the node as root, or in a systemd unit with Delegate=yes \
                             (systemd-run --user --scope -p Delegate=yes lambent up)";

fn control_groups(roles: Roles) -> impl Iterator<Item = Check> {
    let has = [
        ("memory limit", roles.memory),
        ("cpu limit", roles.cpu),
        ("process limit", roles.pids),
        ("freezer", roles.freeze),
    ];
    has.into_iter().map(|(name, there)| {
        if there {
            Check::ok(name, "control group can be used")
        } else {
            Check::missing(
                name,
                "no control group for it may be written",
                CGROUP_REMEDY,
                Isolation::Namespaces,
            )
        }
    })
}

fn snapshots() -> Check {
    let name = "snapshots";
    match restoring::missing() {
        None => Check::ok(name, "processes can be restored"),
        Some(reason) => {
            let remedy = "none: functions do without SnapStart, which is refused";
            Check::degraded(name, reason, remedy)
        }
    }
}

fn kernel_release() -> Check {
    let name = "kernel";
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|digit: char| !digit.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= KERNEL_MIN {
        return Check::ok(name, release);
    }
    let (major, minor) = KERNEL_MIN;
    Check::missing(
        name,
        format!("{release} lacks mount calls that sandboxes are made with"),
        format!("use Linux {major}.{minor} or newer"),
        Isolation::Process,
    )
}

fn namespaces() -> Check {
    let name = "namespaces";
    let wanted = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    match kernel::probe_fork(wanted).and_then(|tried| tried) {
        Ok(()) => Check::ok(name, "user, mount, pid, network, ipc, uts, cgroup"),
        Err(error) => Check::missing(name, error.to_string(), namespace_remedy(), Isolation::Process),
    }
}

fn namespace_remedy() -> String {
    let switches = [
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with userns",
        ),
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    ];
    for (file, off, remedy) in switches {
        if std::fs::read_to_string(file).is_ok_and(|text| text.trim() == off) {
            return remedy.to_owned();
        }
    }
    "run the node as root, outside of a container or in one that may make namespaces".to_owned()
}

/// A sandbox gets a `/proc` of its own only where the host's is whole: container engines cover parts of it.
fn proc_mount() -> Check {
    let name = "proc";
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let covered = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .find(|point| point.starts_with("/proc/") && *point != "/proc/sys/fs/binfmt_misc");
    match covered {
        None => Check::ok(name, "whole"),
        Some(point) => Check::missing(
            name,
            format!("{point} is covered, so the kernel grants sandboxes no /proc of their own"),
            "run the node outside of a container, or in one with an unmasked /proc \
             (--security-opt systempaths=unconfined)",
            Isolation::Process,
        ),
    }
}

fn seccomp() -> Check {
    let name = "system call filter";
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    if actions.contains("errno") && actions.contains("kill_process") {
        return Check::ok(name, "seccomp");
    }
    let remedy = "use a kernel with CONFIG_SECCOMP_FILTER";
    Check::missing(name, "the kernel has no seccomp filters", remedy, Isolation::Process)
}

fn landlock() -> Check {
    let name = "landlock";
    match kernel::landlock_version() {
        Some(version) => Check::ok(name, format!("version {version}")),
        None => Check::degraded(
            name,
            "absent: only the mounts keep a program from writing to its root",
            "boot with lsm=landlock,... on Linux 5.13 or newer",
        ),
    }
}

fn user_ids() -> Check {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return Check::ok(USER_IDS, "each sandbox has its own");
    }
    let helpers = ["newuidmap", "newgidmap"]
        .iter()
        .all(|tool| ["/usr/bin", "/bin"].iter().any(|folder| Path::new(folder).join(tool).exists()));
    let granted = ["/etc/subuid", "/etc/subgid"]
        .iter()
        .all(|file| users::subordinate_ids(file, user.as_raw()).is_some());
    if helpers && granted {
        return Check::ok(USER_IDS, "each sandbox has its own, from the user's sub-ids");
    }
    Check::degraded(
        USER_IDS,
        "all sandboxes share the node's user and keep its groups",
        "install newuidmap and newgidmap (package uidmap) and grant sub-ids (usermod --add-subuids \
         100000-165535 --add-subgids 100000-165535 USER)",
    )
}

fn no_volumes(reason: &str) -> Check {
    Check::degraded(
        VOLUMES,
        format!("/tmp is a memory file system and counts as the function's memory: {reason}"),
        "run the node as root, with loop devices and mkfs.ext4 (package e2fsprogs)",
    )
}

fn tmp_volumes() -> Check {
    if !rustix::process::geteuid().is_root() {
        return no_volumes("volumes need root");
    }
    if volumes::mkfs().is_none() {
        return no_volumes("mkfs.ext4 is not installed");
    }
    match opens("/dev/loop-control") {
        Ok(()) => Check::ok(VOLUMES, "on disk, bounded"),
        Err(error) => no_volumes(&format!("/dev/loop-control: {error}")),
    }
}

fn network_device() -> Check {
    match opens("/dev/net/tun") {
        Ok(()) => Check::ok(EGRESS, "through the node"),
        Err(error) => Check::degraded(
            EGRESS,
            format!("functions reach the node only: /dev/net/tun: {error}"),
            "let the node's user open /dev/net/tun (modprobe tun; chmod 0666 /dev/net/tun)",
        ),
    }
}

fn opens(path: &str) -> io::Result<()> {
    std::fs::OpenOptions::new().read(true).write(true).open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(without: Isolation) -> Check {
        Check::missing("thing", "not there", "get it", without)
    }

    #[test]
    fn the_highest_level_is_the_one_that_lacks_nothing() {
        let highest = |checks| HostReport::of(checks).highest;
        assert_eq!(highest(vec![Check::degraded("a", "b", "c")]), Isolation::Full);
        assert_eq!(highest(vec![missing(Isolation::Namespaces)]), Isolation::Namespaces);
        assert_eq!(
            highest(vec![missing(Isolation::Namespaces), missing(Isolation::Process)]),
            Isolation::Process
        );
    }

    #[test]
    fn a_level_that_cannot_be_given_is_refused_with_the_remedy() {
        let report = HostReport::of(vec![missing(Isolation::Namespaces)]);
        assert_eq!(report.demand(Isolation::Namespaces), Ok(()));
        let refused = report.demand(Isolation::Full).unwrap_err().to_string();
        assert_eq!(refused, "isolation level full can't be given: thing: not there; remedy: get it");
        let report = HostReport::of(vec![missing(Isolation::Process)]);
        assert!(report.demand(Isolation::Namespaces).is_err());
        assert_eq!(report.demand(Isolation::Process), Ok(()));
    }

    #[test]
    fn a_report_is_readable_by_machines() {
        let report = HostReport::of(vec![Check::ok("kernel", "6.1")]);
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"checks":[{"name":"kernel","state":"ok","detail":"6.1","remedy":null}],"highest":"full"}"#
        );
    }

    #[test]
    fn limits_that_cannot_be_written_are_named() {
        let error = no_limits(Roles { memory: false, cpu: true, pids: true, freeze: true });
        assert!(error.to_string().contains("memory limit"), "{error}");
    }
}
