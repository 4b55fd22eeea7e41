//! An API server: what a test says is there, over TLS, with a certificate authority of its own, and a service account for it.

use crate::host::Host;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Where kubelet puts a service account; /var/run is /run.
pub const ACCOUNT: &str = "/run/secrets/kubernetes.io/serviceaccount";
const TOKEN: &str = "a-token-that-nobody-may-see";

#[derive(Debug, Default)]
struct State {
    token: String,
    answers: BTreeMap<String, (u16, Value)>,
    /// Changes of nodes; the version of a list is how many of them it knows. Null ends an answer.
    events: Vec<Value>,
    asked: Vec<String>,
}

/// A server that runs as long as the test does.
#[derive(Debug)]
pub struct Server {
    state: Arc<Shared>,
    port: u16,
}

type Shared = (Mutex<State>, Condvar);

/// A thread that panics fails its test; the others' state is still good.
fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Starts on a host, and gives it a service account.
    pub fn start(host: &Host) -> Self {
        let (config, authority) = secured();
        let listener = host.run(|| TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("listen on the host");
        let port = listener.local_addr().expect("an address").port();
        let state: Arc<Shared> = Arc::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, shared) = (Arc::clone(&config), Arc::clone(&shared));
                // A client that goes away is not the server's concern.
                thread::spawn(move || serve(stream, config, &shared));
            }
        });
        host.write(format!("{ACCOUNT}/ca.crt"), &authority);
        let server = Self { state, port };
        server.change_token(host, TOKEN);
        server
    }

    /// Where it listens, on the host's 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// From now on this token alone is good.
    pub fn change_token(&self, host: &Host, token: &str) {
        lock(&self.state).token = token.to_owned();
        host.write(format!("{ACCOUNT}/token"), token);
    }

    /// From now on no token is good.
    pub fn forget_account(&self) {
        lock(&self.state).token.clear();
    }

    /// What there is at a path.
    pub fn answer(&self, path: &str, status: u16, body: Value) {
        let mut state = lock(&self.state);
        state.answers.insert(path.to_owned(), (status, body));
    }

    /// Nodes, as a list and each by its name.
    pub fn nodes(&self, nodes: &[Value]) {
        let version = lock(&self.state).events.len();
        let metadata = json!({"resourceVersion": version.to_string()});
        self.answer(
            "/api/v1/nodes",
            200,
            json!({"metadata": metadata, "items": nodes}),
        );
        for node in nodes {
            let name = node["metadata"]["name"]
                .as_str()
                .expect("a node has a name");
            self.answer(&format!("/api/v1/nodes/{name}"), 200, node.clone());
        }
    }

    /// A change of a node, told to whoever watches.
    pub fn event(&self, kind: &str, mut object: Value) {
        let mut state = lock(&self.state);
        let version = state.events.len() + 1;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        state.events.push(json!({"type": kind, "object": object}));
        self.state.1.notify_all();
    }

    /// Ends the answers to whoever watches, as a server does after some time.
    pub fn end_watches(&self) {
        lock(&self.state).events.push(Value::Null);
        self.state.1.notify_all();
    }

    /// What was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state).asked.clone()
    }
}

/// What a server needs for TLS, and the certificate of the authority that vouches for it.
fn secured() -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key_pair()).expect("an authority");
    let key = key_pair();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]);
    let params = params.expect("a name for a certificate");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = rustls::crypto::ring::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    (Arc::new(config.expect("a key")), authority.pem())
}

fn key_pair() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// A Node with pod CIDRs and InternalIPs.
pub fn node(name: &str, cidrs: &[&str], addresses: &[&str]) -> Value {
    let addresses: Vec<_> = addresses
        .iter()
        .map(|address| json!({"type": "InternalIP", "address": address}))
        .collect();
    json!({
        "metadata": {"name": name}, "spec": {"podCIDR": cidrs.first(), "podCIDRs": cidrs},
        "status": {"addresses": addresses}
    })
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, shared: &Shared) -> io::Result<()> {
    let session = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut state = lock(shared);
    state.asked.push(target.clone());
    let wanted = format!("bearer {}\r", state.token);
    let authorized = !state.token.is_empty()
        && head.lines().any(|line| {
            format!("{}\r", line.to_lowercase().replace("authorization: ", "")) == wanted
        });
    let refusal = |status: u16| {
        (
            status,
            json!({"kind": "Status", "message": format!("refused with {status}")}),
        )
    };
    let (status, body) = if authorized {
        state
            .answers
            .get(path)
            .cloned()
            .unwrap_or_else(|| refusal(404))
    } else {
        refusal(401)
    };
    if status == 200 && query.contains("watch=true") {
        drop(state);
        return tell(&mut stream, query, shared);
    }
    drop(state);
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    finish(&mut stream)
}

fn tell(
    stream: &mut StreamOwned<ServerConnection, TcpStream>,
    query: &str,
    shared: &Shared,
) -> io::Result<()> {
    let version = query
        .split('&')
        .find_map(|part| part.strip_prefix("resourceVersion="));
    let mut next: usize = version
        .and_then(|version| version.parse().ok())
        .unwrap_or(0);
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")?;
    stream.flush()?;
    loop {
        let mut state = lock(shared);
        while state.events.len() <= next {
            state = shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let event = state.events[next].clone();
        next += 1;
        if event.is_null() {
            // Whoever comes again goes on behind it.
            let metadata = json!({"resourceVersion": next.to_string()});
            state.events[next - 1] = json!({"type": "BOOKMARK", "object": {"metadata": metadata}});
        }
        drop(state);
        if event.is_null() {
            stream.write_all(b"0\r\n\r\n")?;
            return finish(stream);
        }
        let line = format!("{event}\n");
        write!(stream, "{:x}\r\n{line}\r\n", line.len())?;
        stream.flush()?;
    }
}

fn finish(stream: &mut StreamOwned<ServerConnection, TcpStream>) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.flush()
}
