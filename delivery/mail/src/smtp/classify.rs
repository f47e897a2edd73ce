//! What an error of the conversation means.

use std::error::Error as StdError;
use std::io;

use lettre::transport::smtp::Error;

use crate::transport::{Answer, Moment, Outcome, Trouble};

/// Answers that ask for a login, whatever they are an answer to (RFC 4954, 6).
const LOGIN_WANTED: [u16; 4] = [530, 534, 535, 538];
/// "Too many recipients" in the words of old servers, which means: the rest another time (RFC 5321, 4.5.3.1.10).
const TOO_MANY_RECIPIENTS: u16 = 552;

/// What went wrong, told by an error.
pub(super) fn trouble_of(error: &Error, moment: Moment) -> Trouble {
    if let Some(code) = error.status() {
        let words = error.source().map(ToString::to_string).unwrap_or_default();
        return Trouble::Answered(Answer::new(code.into(), &words));
    }
    if let Some(tls) = cause::<rustls::Error>(error) {
        return Trouble::Tls(tls.to_string());
    }
    match cause::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidData) => Trouble::Garbled(moment),
        Some(io::ErrorKind::TimedOut) => Trouble::Silent(moment),
        Some(_) => Trouble::Lost(moment),
        None if ended(error) => Trouble::Lost(moment),
        None => Trouble::Garbled(moment),
    }
}

/// The library tells the end of a connection by these words alone.
fn ended(error: &Error) -> bool {
    error.source().is_some_and(|source| source.to_string() == "incomplete response")
}

/// The first error of a kind among the causes, also where an input or output error wraps it.
fn cause<E: StdError + 'static>(error: &Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(found) = source.downcast_ref::<E>() {
            return Some(found);
        }
        let wrapped = source.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        if let Some(found) = wrapped.and_then(|wrapped| wrapped.downcast_ref::<E>()) {
            return Some(found);
        }
        next = source.source();
    }
    None
}

/// What trouble before any recipient was named means: nothing that is about one.
pub(super) fn of_server(trouble: Trouble) -> Outcome {
    match &trouble {
        Trouble::Answered(answer) if answer.code >= 500 => Outcome::Unusable(trouble),
        Trouble::NotEncrypted | Trouble::NoLogin | Trouble::Tls(_) => Outcome::Unusable(trouble),
        _ => Outcome::Later(trouble),
    }
}

/// What the answer to one recipient means.
pub(super) fn of_recipient(trouble: Trouble) -> Outcome {
    match trouble {
        Trouble::Answered(answer) if LOGIN_WANTED.contains(&answer.code) => {
            Outcome::Unusable(Trouble::Answered(answer))
        }
        Trouble::Answered(answer) if answer.code == TOO_MANY_RECIPIENTS => Outcome::Later(Trouble::Answered(answer)),
        Trouble::Answered(answer) if answer.code >= 500 => Outcome::Refused(answer),
        other => Outcome::Later(other),
    }
}

/// What the end of a mail means: without an answer nobody knows.
pub(super) fn of_mail(trouble: Trouble) -> Outcome {
    match trouble {
        Trouble::Answered(answer) if answer.code >= 500 => Outcome::Refused(answer),
        Trouble::Answered(answer) => Outcome::Later(Trouble::Answered(answer)),
        _ => Outcome::Later(Trouble::InDoubt),
    }
}
