//! Flags, sockets, folders and rights agree: between containers, and with the executables that they start.

use std::process::Command;

use serde_json::Value;
use testkit::Plugins;

use crate::rendered::{OVERLAYS, container, find, id, list, render, text, texts, workloads};

const KUBELET: &str = "/var/lib/kubelet";

/// The value of a container's flag.
#[track_caller]
fn flag<'a>(container: &'a Value, name: &str) -> &'a str {
    texts(container, "/args")
        .into_iter()
        .find_map(|arg| {
            arg.strip_prefix("--")?
                .strip_prefix(name)?
                .strip_prefix('=')
        })
        .unwrap_or_else(|| panic!("{} has no --{name}", text(container, "/name")))
}

/// The host's folder at `path` in a container, or the name of the volume that is none of the host's.
#[track_caller]
fn behind(workload: &Value, container: &Value, path: &str) -> String {
    let mount = list(container, "/volumeMounts")
        .iter()
        .filter(|mount| path.starts_with(text(mount, "/mountPath")))
        .max_by_key(|mount| text(mount, "/mountPath").len())
        .unwrap_or_else(|| panic!("nothing is mounted at {path}"));
    let volume = list(workload, "/spec/template/spec/volumes")
        .iter()
        .find(|volume| volume["name"] == mount["name"])
        .unwrap();
    let rest = &path[text(mount, "/mountPath").len()..];
    match volume.pointer("/hostPath/path") {
        Some(host) => format!("{}{rest}", host.as_str().unwrap()),
        None => format!("{}:{rest}", text(volume, "/name")),
    }
}

fn storage() -> impl Iterator<Item = Vec<Value>> {
    OVERLAYS
        .into_iter()
        .filter(|name| *name != "overlays/cni-only")
        .map(render)
}

#[test]
fn every_mount_has_a_volume_and_every_volume_a_mount() {
    for workload in OVERLAYS
        .iter()
        .flat_map(|name| workloads(&render(name)).cloned().collect::<Vec<_>>())
    {
        let mut volumes: Vec<_> = list(&workload, "/spec/template/spec/volumes")
            .iter()
            .map(|volume| text(volume, "/name"))
            .collect();
        let mut mounted: Vec<_> = list(&workload, "/spec/template/spec/containers")
            .iter()
            .flat_map(|container| list(container, "/volumeMounts"))
            .map(|mount| text(mount, "/name"))
            .collect();
        volumes.sort_unstable();
        mounted.sort_unstable();
        mounted.dedup();
        assert_eq!(volumes, mounted, "{}", id(&workload));
    }
}

#[test]
fn sidecars_reach_the_drivers_socket() {
    for objects in storage() {
        let mut sidecars = 0;
        for name in ["hawser-csi-node", "hawser-csi-controller"] {
            let workload = objects
                .iter()
                .find(|it| it["metadata"]["name"] == name && it.pointer("/spec/template").is_some())
                .unwrap();
            let driver = container(workload, "driver");
            let socket = flag(driver, "endpoint").strip_prefix("unix://").unwrap();
            let socket = behind(workload, driver, socket);
            for sidecar in list(workload, "/spec/template/spec/containers") {
                if sidecar["name"] == "driver" {
                    continue;
                }
                let address = flag(sidecar, "csi-address");
                assert_eq!(behind(workload, sidecar, address), socket);
                sidecars += 1;
            }
        }
        assert_eq!(sidecars, 4);
    }
}

#[test]
fn kubelet_finds_the_driver_and_sees_its_mounts() {
    for objects in storage() {
        let workload = find(&objects, "DaemonSet", "hawser-csi-node");
        let driver = container(workload, "driver");
        let name = text(
            find(&objects, "CSIDriver", "hostpath.hawser.io"),
            "/metadata/name",
        );
        // What the driver tells kubelet by itself: plugins/<drivername>/<socket>.
        let socket = flag(driver, "endpoint").strip_prefix("unix://").unwrap();
        assert_eq!(
            behind(workload, driver, socket),
            format!("{KUBELET}/plugins/{name}/csi.sock")
        );
        assert_eq!(flag(driver, "kubelet-dir"), KUBELET);
        // Kubelet's paths come with the calls, so that they are the same inside.
        assert_eq!(behind(workload, driver, KUBELET), KUBELET);
        let mounts = list(driver, "/volumeMounts");
        let kubelet = mounts.iter().find(|it| it["mountPath"] == KUBELET).unwrap();
        assert_eq!(text(kubelet, "/mountPropagation"), "Bidirectional");
        assert_eq!(
            driver.pointer("/securityContext/privileged"),
            Some(&Value::Bool(true))
        );
        assert_eq!(behind(workload, driver, "/dev"), "/dev");
        let pool = behind(workload, driver, flag(driver, "statedir"));
        assert!(pool.ends_with("/hawser/pool"), "{pool}");
    }
}

#[test]
fn only_the_driver_of_a_node_is_privileged() {
    for name in OVERLAYS {
        let objects = render(name);
        for workload in workloads(&objects) {
            let spec = "/spec/template/spec";
            assert_eq!(
                text(
                    workload,
                    &format!("{spec}/securityContext/seccompProfile/type")
                ),
                "RuntimeDefault"
            );
            for container in list(workload, &format!("{spec}/containers")) {
                let who = format!("{name}: {} {}", id(workload), text(container, "/name"));
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true, "{who}");
                assert!(
                    container.pointer("/resources/limits/memory").is_some(),
                    "{who}"
                );
                assert!(
                    container.pointer("/resources/requests/cpu").is_some(),
                    "{who}"
                );
                if context["privileged"] == true {
                    assert_eq!(
                        who,
                        format!("{name}: DaemonSet hawser-system/hawser-csi-node driver")
                    );
                    continue;
                }
                assert_eq!(context["allowPrivilegeEscalation"], false, "{who}");
                assert_eq!(texts(context, "/capabilities/drop"), ["ALL"], "{who}");
                let added = texts(context, "/capabilities/add");
                let routes = texts(container, "/args").contains(&"--routes");
                let needed: &[_] = match text(container, "/name") {
                    "hawser-node" if routes => &["DAC_OVERRIDE", "NET_ADMIN"],
                    "hawser-node" => &["DAC_OVERRIDE"],
                    _ => &[],
                };
                assert_eq!(added, needed, "{who}");
            }
        }
    }
}

#[test]
fn the_agent_has_the_two_folders_and_nothing_else_of_the_host() {
    for name in OVERLAYS
        .into_iter()
        .filter(|name| *name != "overlays/csi-only")
    {
        let objects = render(name);
        let workload = find(&objects, "DaemonSet", "hawser-node");
        let agent = container(workload, "hawser-node");
        for folder in ["bin-dir", "conf-dir"] {
            let path = flag(agent, folder);
            assert_eq!(behind(workload, agent, path), path);
        }
        assert_eq!(list(agent, "/volumeMounts").len(), 2);
        let routes = texts(agent, "/args").contains(&"--routes");
        assert_eq!(routes, name == "overlays/multi-node");
        // docs/node.md: 30 or more.
        let grace = workload.pointer("/spec/template/spec/terminationGracePeriodSeconds");
        assert!(
            grace
                .and_then(Value::as_u64)
                .is_some_and(|grace| grace >= 30)
        );
    }
}

#[test]
fn last_words_are_read_where_they_are_left_and_leave_nothing_on_the_node() {
    for name in OVERLAYS {
        for workload in workloads(&render(name)) {
            for container in list(workload, "/spec/template/spec/containers") {
                if !text(container, "/image").starts_with("hawser/") {
                    continue;
                }
                let mut env = list(container, "/env").iter();
                let told = env.find(|it| it["name"] == "HAWSER_TERMINATION_LOG");
                let left = told.map_or("/dev/termination-log", |it| text(it, "/value"));
                let read = text(container, "/terminationMessagePath");
                assert_eq!(read, left, "{name}: {}", id(workload));
                // The runtime makes a file to mount at, which stays in a folder of the node.
                for mount in list(container, "/volumeMounts") {
                    let folder = format!("{}/", text(mount, "/mountPath"));
                    assert!(!read.starts_with(&folder), "{name}: {}", id(workload));
                }
            }
        }
    }
}

#[test]
fn probes_ask_where_the_program_answers() {
    for name in OVERLAYS {
        for workload in workloads(&render(name)) {
            for container in list(workload, "/spec/template/spec/containers") {
                let probes = ["startupProbe", "livenessProbe", "readinessProbe"];
                let probes: Vec<_> = probes
                    .iter()
                    .filter_map(|probe| container.get(probe))
                    .collect();
                if !text(container, "/image").starts_with("hawser/") {
                    assert!(probes.is_empty());
                    continue;
                }
                assert!(probes.len() >= 2, "{}", id(workload));
                let (host, port) = flag(container, "http-endpoint").rsplit_once(':').unwrap();
                for probe in probes {
                    let get = &probe["httpGet"];
                    assert_eq!(get["host"].as_str().unwrap_or_default(), host);
                    let asked = if get["port"] == "http" {
                        &list(container, "/ports")[0]["containerPort"]
                    } else {
                        &get["port"]
                    };
                    assert_eq!(asked.to_string(), port);
                }
                let scraped =
                    workload.pointer("/spec/template/metadata/annotations/prometheus.io~1port");
                assert_eq!(
                    scraped.and_then(Value::as_str),
                    (text(container, "/name") == "driver").then_some(port)
                );
            }
        }
    }
}

#[test]
fn the_executables_have_every_flag_that_they_are_given() {
    let built = Plugins::built_here();
    let mut checked = 0;
    for name in OVERLAYS {
        for workload in workloads(&render(name)) {
            for container in list(workload, "/spec/template/spec/containers") {
                if container.get("command").is_none() {
                    continue;
                }
                let [command] = texts(container, "/command")[..] else {
                    panic!("{}", id(workload));
                };
                let program = command.strip_prefix("/usr/local/bin/").unwrap();
                let help = Command::new(built.executable(program))
                    .arg("--help")
                    .output()
                    .unwrap();
                assert!(help.status.success());
                let help = String::from_utf8(help.stdout).unwrap();
                let known: Vec<_> = help
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                    .collect();
                for arg in texts(container, "/args") {
                    let flag = arg.split('=').next().unwrap();
                    assert!(known.contains(&flag), "{program} has no {flag}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 30, "{checked}");
}
