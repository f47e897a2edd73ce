//! A folder in place of a server: for trying things out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::message::{Mail, Shown};
use crate::transport::{Answer, Delivery, Outcome, Transport, Trouble};

/// Mails that are kept; the oldest make room.
pub const OUTBOX_MAILS_MAX: usize = 500;
/// Ends of the names of the two files of a mail: the mail itself, and what a page shows of it.
const MAIL_END: &str = "eml";
const PAGE_END: &str = "json";
/// Digits of the number a name begins with, so that names sort as mails came.
const DIGITS: usize = 10;

/// Keeps mails as files in a folder: each as `.eml`, which mail programs open, and what it shows as JSON beside it. One
/// process writes a folder.
#[derive(Clone, Debug)]
pub struct Outbox {
    folder: Arc<PathBuf>,
    /// Held while the folder is changed.
    writing: Arc<Mutex<()>>,
}

/// A mail in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxMail {
    /// Its name, by which [`Outbox::read`] finds it; later mails have greater ones.
    pub name: String,
    /// Its Message-ID.
    pub message_id: String,
    /// Its date.
    pub at: Timestamp,
    /// Whom it is for.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its plain text.
    pub text: String,
    /// Its page: to be shown apart from everything else, as the mail program of a stranger would.
    pub html: String,
    /// The iCalendar object in it, if there is one.
    pub invitation: Option<String>,
}

impl Outbox {
    /// Opens a folder, which is made if there is none.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: Arc::new(folder.to_owned()), writing: Arc::default() })
    }

    /// The last mails, the latest first, at most so many.
    ///
    /// # Errors
    /// When the folder cannot be read. A mail whose files were taken away meanwhile is left out.
    pub async fn list(&self, count_max: usize) -> io::Result<Vec<OutboxMail>> {
        let folder = Arc::clone(&self.folder);
        blocking(move || {
            let latest = names(&folder)?.into_iter().rev().take(count_max);
            Ok(latest.filter_map(|name| page(&folder, &name)).collect())
        })
        .await
    }

    /// A mail of a name, as it would have been sent. `None` when there is none.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub async fn read(&self, name: &str) -> io::Result<Option<(OutboxMail, Vec<u8>)>> {
        if !is_name(name) {
            return Ok(None);
        }
        let (folder, name) = (Arc::clone(&self.folder), name.to_owned());
        blocking(move || {
            let Some(page) = page(&folder, &name) else { return Ok(None) };
            match fs::read(file(&folder, &name, MAIL_END)) {
                Ok(bytes) => Ok(Some((page, bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn keep(&self, mail: Mail) -> io::Result<String> {
        let _writing = self.writing.lock().await;
        let folder = Arc::clone(&self.folder);
        blocking(move || keep(&folder, &mail)).await
    }
}

#[async_trait]
impl Transport for Outbox {
    async fn send(&self, mail: &Mail) -> Vec<Delivery> {
        let outcome = match self.keep(mail.clone()).await {
            Ok(name) => Outcome::Delivered(Answer::new(250, &format!("2.0.0 kept as {name}"))),
            Err(error) => Outcome::Later(Trouble::Outbox(error.to_string())),
        };
        mail.to.iter().map(|to| Delivery { recipient: to.clone(), outcome: outcome.clone() }).collect()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A mail that is there already, by its Message-ID, is written again under the name it has.
fn keep(folder: &Path, mail: &Mail) -> io::Result<String> {
    let hash: String = Sha256::digest(&mail.message_id).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let names = names(folder)?;
    let same = names.iter().find(|name| name.ends_with(&hash)).cloned();
    let next = names.last().and_then(|name| number_of(name)).map_or(1, |last| last + 1);
    let name = same.unwrap_or_else(|| format!("{next:0DIGITS$}-{hash}"));
    let Shown { subject, text, html } = mail.shown.clone();
    let to = mail.to.iter().map(ToString::to_string).collect();
    let (message_id, invitation) = (mail.message_id.clone(), mail.invitation.clone());
    let page = OutboxMail { name: name.clone(), message_id, at: mail.at, to, subject, text, html, invitation };
    // The page first: a mail is listed by the file that comes last.
    write(&file(folder, &name, PAGE_END), &serde_json::to_vec(&page)?)?;
    write(&file(folder, &name, MAIL_END), &mail.bytes)?;
    let surplus = (names.len() + usize::from(!names.contains(&name))).saturating_sub(OUTBOX_MAILS_MAX);
    for old in &names[..surplus] {
        fs::remove_file(file(folder, old, MAIL_END))?;
        fs::remove_file(file(folder, old, PAGE_END))?;
    }
    Ok(name)
}

/// Whole or not at all, for whoever reads meanwhile.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = file.with_extension("draft");
    fs::write(&draft, bytes)?;
    fs::rename(draft, file)
}

/// Names of the mails in a folder, ascending. What else lies there is nobody's business.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let name = name.strip_suffix(MAIL_END).and_then(|name| name.strip_suffix('.'));
        names.extend(name.filter(|name| is_name(name)).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

fn page(folder: &Path, name: &str) -> Option<OutboxMail> {
    let text = fs::read(file(folder, name, PAGE_END)).ok()?;
    serde_json::from_slice(&text).ok()
}

fn file(folder: &Path, name: &str, end: &str) -> PathBuf {
    folder.join(format!("{name}.{end}"))
}

/// A number and a hash: nothing that leads out of the folder.
fn is_name(name: &str) -> bool {
    let Some((_, hash)) = name.split_once('-') else { return false };
    number_of(name).is_some() && hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.split('-').next()?;
    let are_digits = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| digits.parse().ok()).flatten()
}
