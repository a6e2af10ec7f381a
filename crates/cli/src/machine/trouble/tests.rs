use super::*;

fn error(step: Step, errno: i32) -> SetupError {
    SetupError {
        step,
        errno,
        tried: "make a user namespace".to_owned(),
    }
}

fn in_container(container: Container) -> Facts {
    Facts {
        container: Some(container),
        seccomp_filter: true,
        ..Facts::default()
    }
}

/// One refusal, three machines, three different fixes.
#[test]
fn the_same_refusal_has_the_fix_of_the_place() {
    let refused = error(Step::UserNamespace, libc::EPERM);
    let sysctl = Facts {
        userns_clone: Some(0),
        ..Facts::default()
    };
    let ubuntu = Facts {
        apparmor_restricts: true,
        ..Facts::default()
    };
    let chroot = Facts {
        chroot: true,
        ..Facts::default()
    };
    let table = [
        (
            sysctl,
            "no user namespace, kernel.unprivileged_userns_clone is 0: \
             sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            ubuntu,
            "no user namespace: Ubuntu's AppArmor grants it to listed programs: \
             switchboard doctor --apparmor-profile | sudo tee /etc/apparmor.d/switchboard && \
             sudo systemctl reload apparmor",
        ),
        (
            chroot,
            "no user namespace inside a chroot: \
             start it outside the chroot, or enter it with pivot_root",
        ),
        (
            in_container(Container::Podman),
            "no user namespace, the container's seccomp filter forbids it: \
             start the container with --security-opt seccomp=unconfined",
        ),
        (
            in_container(Container::Docker),
            "no user namespace, the container's seccomp filter forbids it: \
             start the container with --security-opt seccomp=unconfined \
             --security-opt apparmor=unconfined",
        ),
        (
            Facts::default(),
            "cannot make a user namespace: Operation not permitted (os error 1)",
        ),
    ];
    for (facts, line) in table {
        assert_eq!(Trouble::of(&refused, &facts).line(), line);
    }
}

#[test]
fn a_missing_device_is_loaded_or_passed_in() {
    let missing = error(Step::TunOpen, libc::ENOENT);
    let outside = Trouble::of(&missing, &Facts::default());
    assert_eq!(outside.line(), "no /dev/net/tun: sudo modprobe tun");
    let inside = Trouble::of(&missing, &in_container(Container::Podman));
    assert_eq!(
        inside.line(),
        "no /dev/net/tun: start the container with --device /dev/net/tun"
    );
}

#[test]
fn a_closed_device_says_whom_it_leaves_out() {
    let facts = Facts {
        uid: 1000,
        tun: TunNode::Present { mode: 0o600 },
        ..Facts::default()
    };
    let closed = Trouble::of(&error(Step::TunOpen, libc::EACCES), &facts);
    assert_eq!(
        closed.finding,
        "/dev/net/tun: mode 0600 leaves uid 1000 out"
    );
    assert_eq!(
        closed.line(),
        "/dev/net/tun is closed to uid 1000 (mode 0600): sudo chmod 0666 /dev/net/tun"
    );
}

#[test]
fn limits_name_their_sysctl() {
    let facts = Facts {
        max_user_namespaces: Some(0),
        ..Facts::default()
    };
    let none = Trouble::of(&error(Step::UserNamespace, libc::ENOSPC), &facts);
    assert_eq!(none.finding, "user.max_user_namespaces is 0");
    let facts = Facts {
        max_net_namespaces: Some(10),
        ..Facts::default()
    };
    let reached = Trouble::of(&error(Step::NetworkNamespace, libc::ENOSPC), &facts);
    assert_eq!(reached.finding, "user.max_net_namespaces is reached");
}

#[test]
fn a_veth_pair_that_is_refused_names_what_the_kernel_lacks() {
    let driver = Trouble::of(&error(Step::Veth, libc::EOPNOTSUPP), &Facts::default());
    assert_eq!(
        driver.line(),
        "no veth pair, the kernel has no veth driver: sudo modprobe veth"
    );
    let sockets = Trouble::of(&error(Step::Veth, libc::EAFNOSUPPORT), &Facts::default());
    assert_eq!(
        sockets.line(),
        "no veth pair, the kernel has no packet sockets: sudo modprobe af_packet"
    );
}
