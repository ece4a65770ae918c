//! Checks: each server of an upstream is asked by itself whether it is well.
//!
//! They run on the background thread, each over a connection of its own that nothing else uses, and keep nobody waiting. What their
//! results mean, the roster says.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_core::plan::HealthCheck;
use portcullis_core::time::Clock;
use portcullis_core::upstream::{Endpoint, Roster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::forward::connect;
use crate::h1::MOST_FIELDS;
use crate::servers::Server;

/// More than this of a head is not read.
const MOST_HEAD: usize = 16 * 1024;

/// The checks of one upstream: a task for each of its servers. They end with this.
#[derive(Debug, Default)]
pub(crate) struct Checks(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    check: Option<HealthCheck>,
    tasks: Vec<(Arc<Endpoint>, AbortHandle)>,
}

impl Checks {
    /// Checks the servers of `roster` as `check` says. Those that are there and are checked like that already go on as they are.
    pub(crate) fn follow(
        &self,
        check: Option<&HealthCheck>,
        roster: &Arc<Roster>,
        runtime: impl FnOnce() -> io::Result<Handle>,
        clock: &Clock,
    ) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let endpoints = if check.is_some() { roster.endpoints() } else { Vec::new() };
        let goes_on = running.check.as_ref() == check;
        running.tasks.retain(|(endpoint, task)| {
            let stays = goes_on && endpoints.iter().any(|other| Arc::ptr_eq(other, endpoint));
            if !stays {
                task.abort();
            }
            stays
        });
        running.check = check.cloned();
        let Some(check) = check else { return };
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, upstream = &**roster.name(), "servers cannot be checked: no thread for it");
                return;
            }
        };
        for endpoint in endpoints {
            if running.tasks.iter().all(|(other, _)| !Arc::ptr_eq(other, &endpoint)) {
                let task = watch(Arc::clone(&endpoint), check.clone(), Arc::clone(roster), clock.clone());
                running.tasks.push((endpoint, runtime.spawn(task).abort_handle()));
            }
        }
    }

    /// Ends all of them.
    pub(crate) fn stop(&self) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.tasks.drain(..).for_each(|(_, task)| task.abort());
        running.check = None;
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Checks one server again and again.
async fn watch(endpoint: Arc<Endpoint>, check: HealthCheck, roster: Arc<Roster>, clock: Clock) {
    // Not all at the same time, of all servers of all gateways: the first somewhere in the first interval, and then each a tenth
    // earlier or later.
    sleep(check.interval.mul_f64(rand::random())).await;
    loop {
        let Some(server) = Server::of(&endpoint) else { return };
        let ailment = ask(server, &check).await.err();
        let passed = ailment.is_none();
        *server.ailment.lock().unwrap_or_else(PoisonError::into_inner) = ailment;
        roster.check(&endpoint, passed, clock.now());
        sleep(check.interval.mul_f64(0.9 + 0.2 * rand::random::<f64>())).await;
    }
}

/// One check.
///
/// # Errors
/// Why the server is not well, for whoever looks.
async fn ask(server: &Server, check: &HealthCheck) -> Result<(), String> {
    let Ok(answer) = timeout(check.timeout, status(server, check)).await else {
        return Err(format!("no answer within {:?}", check.timeout));
    };
    match answer {
        Ok(status) if check.accepts(status) => Ok(()),
        Ok(status) => Err(format!("status {status}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The status of the answer, over a connection that is closed then.
async fn status(server: &Server, check: &HealthCheck) -> io::Result<u16> {
    let mut stream = connect::dial(&server.address).await?;
    let mut request = format!("GET {} HTTP/1.1\r\nhost: ", check.path).into_bytes();
    request.extend_from_slice(server.authority.as_bytes());
    request.extend_from_slice(b"\r\nuser-agent: portcullis (health)\r\naccept: */*\r\nconnection: close\r\n\r\n");
    stream.write_all(&request).await?;
    let mut head = Vec::with_capacity(1024);
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(&head) {
            Ok(httparse::Status::Complete(length)) => match response.code {
                // Not the answer yet (RFC 9110, section 15.2).
                Some(100..200) => drop(head.drain(..length)),
                Some(code) => return Ok(code),
                None => return Err(io::Error::other("an answer without a status")),
            },
            Ok(httparse::Status::Partial) if head.len() < MOST_HEAD => {
                if stream.read_buf(&mut head).await? == 0 {
                    return Err(io::Error::other("the connection was closed before an answer"));
                }
            }
            Ok(httparse::Status::Partial) => return Err(io::Error::other("a head that does not end")),
            Err(error) => return Err(io::Error::other(format!("no HTTP: {error}"))),
        }
    }
}
