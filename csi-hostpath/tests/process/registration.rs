//! Registration with kubelet.

use std::fs;

use proto::registration::registration_client::RegistrationClient;
use proto::registration::{InfoRequest, RegistrationStatus};

use super::running::{Caller, Home, call};

fn status(plugin_registered: bool, error: &str) -> RegistrationStatus {
    RegistrationStatus {
        plugin_registered,
        error: error.to_owned(),
    }
}

#[test]
fn kubelet_is_told_name_and_socket() {
    let home = Home::new();
    let mut driver = home.start(&["--kubelet-registration-path=/host/csi.sock"]);
    driver.says("waiting for kubelet");
    let kubelet = Caller::at(&home.registration());
    let info = call!(kubelet, RegistrationClient, get_info, InfoRequest {}).unwrap();
    assert_eq!(info.r#type, "CSIPlugin");
    assert_eq!(info.name, "hostpath.hawser.io");
    assert_eq!(info.endpoint, "/host/csi.sock");
    assert_eq!(info.supported_versions, ["1.0.0"]);
}

#[test]
fn a_socket_that_kubelet_removed_comes_back() {
    let home = Home::new();
    let mut driver = home.start(&[]);
    for remove_directory in [false, true] {
        driver.says("waiting for kubelet");
        fs::remove_file(home.registration()).unwrap();
        if remove_directory {
            fs::remove_dir(home.path("kubelet/plugins_registry")).unwrap();
        }
    }
    driver.says("waiting for kubelet");
    let kubelet = Caller::at(&home.registration());
    call!(kubelet, RegistrationClient, get_info, InfoRequest {}).unwrap();
}

#[test]
fn a_refusal_is_shown_and_tried_again() {
    let home = Home::new();
    let mut driver = home.start(&["--http-endpoint=127.0.0.1:0"]);
    let http = driver.http();
    driver.says("waiting for kubelet");
    let kubelet = Caller::at(&home.registration());
    let refusal = status(false, "no such node");
    call!(
        kubelet,
        RegistrationClient,
        notify_registration_status,
        refusal
    )
    .unwrap();
    driver.says("no such node");
    let (code, body) = http.get("/healthz");
    assert!(
        code.contains("200") && body.contains("registration: no such node"),
        "{code} {body}"
    );

    driver.says("waiting for kubelet");
    let kubelet = Caller::at(&home.registration());
    call!(
        kubelet,
        RegistrationClient,
        notify_registration_status,
        status(true, "")
    )
    .unwrap();
    driver.says("registered with kubelet");
    assert!(http.get("/healthz").1.contains("registration: done"));
    let registered = "csi_hostpath_registered{driver=\"hostpath.hawser.io\"} 1";
    assert!(http.get("/metrics").1.contains(registered));
}

#[test]
fn it_leaves_kubelets_directory_alone_where_another_registers() {
    for flag in ["--registration=false", "--mode=controller"] {
        let home = Home::new();
        let driver = home.start(&[flag]);
        driver.signal(rustix::process::Signal::TERM);
        assert_eq!(driver.end().0.code(), Some(0));
        assert!(!home.registration().parent().unwrap().exists(), "{flag}");
    }
}
