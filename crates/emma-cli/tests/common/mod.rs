//! The real program in a fresh folder.
#![allow(dead_code, clippy::unwrap_used)] // Each test file uses what it needs.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

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

    /// Runs `emma` with arguments separated by spaces; nothing of the caller's data is in reach.
    pub(crate) fn run(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_emma"))
            .args(arguments.split_whitespace())
            .current_dir(self.path())
            .env_remove("EMMA_DATA_DIR")
            .env("COLUMNS", "100")
            .output()
            .unwrap()
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
