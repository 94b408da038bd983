//! The real program in a fresh folder.
#![allow(dead_code, clippy::unwrap_used)] // Each test file uses what it needs.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

#[path = "../../../emma-data/tests/http_server/mod.rs"]
pub(crate) mod http_server;

pub(crate) mod model;
pub(crate) mod packed;

/// An address on this machine where no server is.
pub(crate) const NOBODY: &str = "http://127.0.0.1:9/htru2.zip";

/// A fresh folder to run `emma` in.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), contents).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path().join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// `emma` with arguments separated by spaces; neither the caller's data nor the network is in
    /// reach.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emma"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.path())
            .env_remove("EMMA_DATA_DIR")
            .env("EMMA_HTRU2_URL", NOBODY)
            .env("NO_PROXY", "127.0.0.1")
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    /// Runs `emma` with arguments separated by spaces.
    pub(crate) fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs `emma`, which must succeed; returns standard output.
    pub(crate) fn succeed(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "emma {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `emma`, which must fail with this exit code; returns standard error.
    pub(crate) fn fail(&self, code: i32, arguments: &str) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "emma {arguments}: {text}");
        text
    }
}
