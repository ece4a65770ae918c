//! The whole gateway inside a program of your own, on a listener of your own.
//!
//! `cargo run -p portcullis --example embedded` in a folder with a `portcullis.toml`, then ask `http://127.0.0.1:8080`. Ctrl-C ends it
//! politely.

use std::error::Error;
use std::future::Future;

use tokio::net::TcpListener;

#[rustfmt::skip]
async fn run(listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn Error>> {
    let plan = portcullis::config::load("portcullis.toml")?;          // every problem at once, with file and line
    let gateway = portcullis::Gateway::new(plan).await?;
    gateway.serve(listener, shutdown).await?;                          // or gateway.handle(request).await for one request,
                                                                       // and `gateway` is a tower `Service` as it is
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(TcpListener::bind("127.0.0.1:8080").await?, async { drop(tokio::signal::ctrl_c().await) }).await
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use tokio::sync::oneshot;

    use super::*;

    /// The only test of this program, so the working directory is its own.
    #[tokio::test]
    async fn the_sample_serves_what_the_file_says() {
        let folder = tempfile::tempdir().unwrap();
        std::env::set_current_dir(&folder).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = run(listener, async {}).await.unwrap_err();
        assert!(error.to_string().contains("cannot read portcullis.toml"), "{error}");

        let text = "[log]\naccess = \"off\"\n[[routes]]\npath = \"/**\"\nrespond = { status = 200, body = \"from the file\" }\n";
        std::fs::write("portcullis.toml", text).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let client = tokio::task::spawn_blocking(move || {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            drop(stop);
            answer
        });
        run(listener, async { drop(stopped.await) }).await.unwrap();
        let answer = client.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nfrom the file"), "{answer}");
    }
}
