use super::*;
use crate::machine::trials::Setup;
use crate::machine::{Container, TunNode};
use crate::run::{SetupError, Step};

fn facts() -> Facts {
    Facts {
        kernel: "6.8".to_owned(),
        architecture: "x86_64".to_owned(),
        uid: 1000,
        gid: 1000,
        ..Facts::default()
    }
}

fn trials(setup: Result<Setup, SetupError>) -> Trials {
    Trials {
        setup,
        names: Names::Answered {
            server: "192.0.2.53".parse().unwrap(),
            elapsed: Duration::from_millis(8),
        },
        outside_v6: false,
        ping: false,
    }
}

fn error(step: Step, errno: i32) -> SetupError {
    SetupError {
        step,
        errno,
        tried: "try it".to_owned(),
    }
}

#[test]
fn everything_is_there() {
    let mut trials = trials(Ok(Setup { instead_of: None }));
    trials.ping = true;
    insta::assert_snapshot!(report(&facts(), &trials));
}

#[test]
fn a_container_without_tun() {
    let mut facts = facts();
    facts.container = Some(Container::Podman);
    let missing = error(Step::TunOpen, libc::ENOENT);
    let trials = trials(Ok(Setup {
        instead_of: Some(missing),
    }));
    insta::assert_snapshot!(report(&facts, &trials));
}

#[test]
fn a_container_without_tun_or_veth() {
    let mut facts = facts();
    facts.container = Some(Container::Podman);
    let trials = trials(Err(error(Step::TunOpen, libc::ENOENT)));
    insta::assert_snapshot!(report(&facts, &trials));
}

#[test]
fn a_desktop_with_apparmor() {
    let mut facts = facts();
    facts.apparmor_restricts = true;
    facts.tun = TunNode::Present { mode: 0o666 };
    // Ubuntu grants the namespace itself, and refuses what one would do in it.
    let trials = trials(Err(error(Step::NetworkNamespace, libc::EPERM)));
    insta::assert_snapshot!(report(&facts, &trials));
}

#[test]
fn no_line_is_longer_than_80_columns() {
    let steps = [
        Step::UserNamespace,
        Step::UserMap,
        Step::NetworkNamespace,
        Step::MountNamespace,
        Step::TunOpen,
        Step::TunAttach,
        Step::Veth,
        Step::Files,
    ];
    let errors = [
        libc::EPERM,
        libc::EACCES,
        libc::ENOENT,
        libc::ENOSPC,
        libc::EINVAL,
    ];
    let containers = [
        None,
        Some(Container::Docker),
        Some(Container::Podman),
        Some(Container::Kubernetes),
        Some(Container::Lxc),
        Some(Container::Other),
    ];
    for step in steps {
        for errno in errors {
            for container in containers {
                let mut facts = facts();
                facts.container = container;
                facts.seccomp_filter = true;
                let text = report(&facts, &trials(Err(error(step, errno))));
                for line in text.lines() {
                    assert!(line.chars().count() <= 80, "{line}");
                }
            }
        }
    }
}
