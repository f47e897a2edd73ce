//! Output that ends.

use std::io;

/// Takes so many bytes and refuses the next.
pub(super) struct Bounded {
    bytes: Vec<u8>,
    len_max: usize,
}

impl Bounded {
    pub(super) fn new(len_max: usize) -> Self {
        Self { bytes: Vec::new(), len_max }
    }

    pub(super) fn into_text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.len_max {
            return Err(io::Error::other(format!("more than {} bytes came out", self.len_max)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
