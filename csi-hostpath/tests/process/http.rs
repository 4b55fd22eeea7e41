//! Health and metrics.

use std::fs;

use proto::csi::ProbeRequest;
use proto::csi::identity_client::IdentityClient;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::running::{Caller, Home, call};

#[test]
fn a_pool_that_is_gone_is_told_everywhere() {
    let home = Home::new();
    let pool = home.path("pool");
    fs::create_dir(&pool).unwrap();
    let flag = format!("--pool=fast={}", pool.display());
    let mut driver = home.start(&[&flag, "--http-endpoint=127.0.0.1:0"]);
    let http = driver.http();
    driver.says("recovered");
    let caller = driver.caller();
    let ready = call!(caller, IdentityClient, probe, ProbeRequest {}).unwrap();
    assert_eq!(ready.ready, Some(true));
    let (code, body) = http.get("/healthz");
    assert!(
        code.contains("200") && body.starts_with("ok"),
        "{code} {body}"
    );
    let health = |caller: &Caller| {
        let request = HealthCheckRequest::default();
        call!(caller, HealthClient, check, request)
            .unwrap()
            .status()
    };
    assert_eq!(health(&caller), ServingStatus::Serving);

    // A directory in its place is not the pool: its filesystem is not mounted.
    fs::rename(&pool, home.path("elsewhere")).unwrap();
    for says in ["No such file", "another directory"] {
        let refused = call!(caller, IdentityClient, probe, ProbeRequest {}).unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("pool fast"), "{refused}");
        let (code, body) = http.get("/healthz");
        assert!(code.contains("500") && body.contains(says), "{code} {body}");
        assert_eq!(health(&caller), ServingStatus::NotServing);
        fs::create_dir_all(&pool).unwrap();
    }
}

#[test]
fn calls_and_pools_are_counted() {
    let home = Home::new();
    let mut driver = home.start(&["--http-endpoint=127.0.0.1:0", "--capacity=default=1Mi"]);
    let http = driver.http();
    let caller = driver.caller();
    for _ in 0..3 {
        call!(caller, IdentityClient, probe, ProbeRequest {}).unwrap();
    }
    let (code, body) = http.get("/metrics");
    assert!(code.contains("200"), "{code}");
    for line in [
        "csi_hostpath_calls_total{rpc=\"Probe\",code=\"Ok\"} 3",
        "csi_hostpath_call_duration_seconds_count{rpc=\"Probe\"} 3",
        "csi_hostpath_pool_size_bytes{pool=\"default\"} 1048576",
        "csi_hostpath_pool_promised_bytes{pool=\"default\"} 0",
        "csi_hostpath_registered{driver=\"hostpath.hawser.io\"} 0",
        "# EOF",
    ] {
        assert!(body.contains(line), "{line} is not in\n{body}");
    }
}

#[test]
fn nothing_else_is_served() {
    let home = Home::new();
    let mut driver = home.start(&["--http-endpoint=127.0.0.1:0"]);
    let http = driver.http();
    assert!(http.get("/debug").0.contains("404"));
    assert!(http.ask("POST", "/metrics").0.contains("405"));
}
