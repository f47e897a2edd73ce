//! What somebody does to a database beside the program.

use crate::common::Database;

impl Database {
    pub(crate) fn superuser_url(&self) -> String {
        self.server.superuser_url(&self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements as the superuser.
    pub(crate) fn execute(&self, statements: &str) -> String {
        self.server.execute(&self.name, statements)
    }
}
