//! The API server, as a pod with a service account reaches it.
//!
//! Token and certificate authority are read for each request, because both are replaced while the process lives. The token
//! goes to the API server and nowhere else: no proxy, no redirect, no log.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";

/// For a question and its answer.
const QUESTION: Duration = Duration::from_secs(15);
/// How long the server is asked to tell of changes in one answer, and how long that answer may then take.
pub const WATCH_SECONDS: u64 = 240;
const WATCH: Duration = Duration::from_secs(WATCH_SECONDS + 30);
/// Of an answer; 5,000 nodes have some 100 MB.
const ANSWER_BYTES: u64 = 512 << 20;
/// Of what the server says about a refusal, in the log.
const MESSAGE_BYTES: usize = 300;

/// Why the API server did not give an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This is no pod.
    #[error("{HOST} is not set: this is no pod of a cluster; give --pod-cidr instead")]
    NotInCluster,
    /// The service account's files.
    #[error("{}: {source}: the pod needs a service account, with automountServiceAccountToken", .path.display())]
    Account {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The certificate authority's file has no certificate.
    #[error("{} has no certificate: the API server cannot be told from others", .0.display())]
    Certificate(PathBuf),
    /// No answer came.
    #[error(
        "{server}{path}: {source}: is the API server up, and does the node reach {server} (kube-proxy)?"
    )]
    Unreachable {
        /// The server's URL.
        server: String,
        /// What was asked for.
        path: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
    /// The server answered, but not with what was asked for.
    #[error("{path}: {status} {message}: {}", remedy(*.status))]
    Refused {
        /// What was asked for.
        path: String,
        /// HTTP's number.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// The answer is no JSON.
    #[error("{path}: the API server's answer makes no sense: {why}")]
    Nonsense {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

const fn remedy(status: u16) -> &'static str {
    match status {
        401 => "the service account is gone or its token is stale; apply the manifests again",
        403 => {
            "apply the manifests' ClusterRole and its binding: hawser-node gets nodes, and with --routes lists and watches them"
        }
        404 => "does the name in NODE_NAME belong to a Node, and has kubelet registered it?",
        410 => "the server has forgotten that version; it is asked for everything again",
        429 => "the server has too much to do; it is asked again",
        _ => "see the API server's log",
    }
}

impl Error {
    /// HTTP's number, where the server answered.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::NotInCluster
            | Self::Account { .. }
            | Self::Certificate(_)
            | Self::Unreachable { .. }
            | Self::Nonsense { .. } => None,
        }
    }
}

/// How the API server is reached.
#[derive(Clone, Debug)]
pub struct Api {
    server: String,
    account: PathBuf,
}

impl Api {
    /// As kubelet tells every pod.
    pub fn in_cluster() -> Result<Self, Error> {
        let host = env::var(HOST).ok().filter(|host| !host.is_empty());
        let host = host.ok_or(Error::NotInCluster)?;
        let port = env::var(PORT).unwrap_or_else(|_| "443".to_owned());
        let server = if host.contains(':') {
            format!("https://[{host}]:{port}")
        } else {
            format!("https://{host}:{port}")
        };
        // Refused only where one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            server,
            account: PathBuf::from(ACCOUNT),
        })
    }

    /// Asks for an object or a list.
    pub fn get(&self, path: &str) -> Result<Value, Error> {
        let mut text = String::new();
        let mut body = self.ask(path, QUESTION)?;
        body.read_to_string(&mut text)
            .map_err(|error| nonsense(path, error))?;
        serde_json::from_str(&text).map_err(|error| nonsense(path, error))
    }

    /// Asks for changes as they come: one JSON object each, until the server ends the answer.
    pub fn watch(
        &self,
        path: &str,
    ) -> Result<impl Iterator<Item = Result<Value, Error>> + use<>, Error> {
        let path = path.to_owned();
        let lines = BufReader::new(self.ask(&path, WATCH)?).lines();
        Ok(lines.map(move |line| {
            let line = line.map_err(|error| nonsense(&path, error))?;
            serde_json::from_str(&line).map_err(|error| nonsense(&path, error))
        }))
    }

    fn ask(&self, path: &str, limit: Duration) -> Result<impl Read + use<>, Error> {
        let token = self.read("token")?;
        let answer = self
            .agent(limit)?
            .get(format!("{}{path}", self.server))
            .header("Authorization", format!("Bearer {}", token.trim()))
            .header("Accept", "application/json")
            .call()
            .map_err(|source| Error::Unreachable {
                server: self.server.clone(),
                path: path.to_owned(),
                source: Box::new(source),
            })?;
        let status = answer.status().as_u16();
        let body = answer.into_body().into_with_config().limit(ANSWER_BYTES);
        if status == 200 {
            return Ok(body.reader());
        }
        let told = body.limit(1 << 16).lossy_utf8(true).read_to_string();
        Err(Error::Refused {
            path: path.to_owned(),
            status,
            message: message(&told.unwrap_or_default()),
        })
    }

    fn agent(&self, limit: Duration) -> Result<Agent, Error> {
        let pem = self.read("ca.crt")?;
        let authorities: Vec<_> = parse_pem(pem.as_bytes())
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if authorities.is_empty() {
            return Err(Error::Certificate(self.account.join("ca.crt")));
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&authorities));
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("hawser-node/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(QUESTION))
            .timeout_recv_response(Some(QUESTION))
            .timeout_global(Some(limit));
        Ok(config.build().new_agent())
    }

    fn read(&self, name: &str) -> Result<String, Error> {
        let path = self.account.join(name);
        fs::read_to_string(&path).map_err(|source| Error::Account { path, source })
    }
}

fn nonsense(path: &str, why: impl ToString) -> Error {
    Error::Nonsense {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// The words of a Status object, or of whatever came instead.
fn message(body: &str) -> String {
    let status: Option<Value> = serde_json::from_str(body).ok();
    let words = status
        .as_ref()
        .and_then(|status| status["message"].as_str());
    let words = words.unwrap_or(body).trim();
    let end = words.floor_char_boundary(MESSAGE_BYTES);
    words.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_in_a_line() {
        assert_eq!(
            message(r#"{"kind": "Status", "message": "nodes \"n\" not found"}"#),
            "nodes \"n\" not found"
        );
        assert_eq!(message("upstream error\n"), "upstream error");
        assert_eq!(message(&"ä".repeat(1000)), "ä".repeat(MESSAGE_BYTES / 2));
    }
}
