//! Several questions in one request.

use agentcal_engine::ports::ProviderError;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::answer::Answer;
use crate::error::of_reading;
use crate::session::{Session, batch_headers};

/// Most questions of one batch.
const BATCH_MAX: usize = 20;
/// Of a batch's questions Graph works on no more than four of one mailbox at once, and refuses the others.
const ROUNDS_MAX: usize = 8;

#[derive(Deserialize)]
struct BatchAnswer {
    responses: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    id: String,
    status: u16,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    #[serde(default)]
    body: Value,
}

/// The answers to questions, in their order. A question that is refused for asking too much is asked again, as long as
/// others get through.
pub(crate) async fn get_all(session: &Session, urls: &[Url]) -> Result<Vec<Answer>, ProviderError> {
    if let [url] = urls {
        return Ok(vec![session.get(url.clone()).await?]);
    }
    let mut answers: Vec<Option<Answer>> = vec![None; urls.len()];
    for _ in 0..ROUNDS_MAX {
        let open: Vec<usize> = (0..urls.len()).filter(|&index| is_open(answers[index].as_ref())).collect();
        if open.is_empty() {
            break;
        }
        let before = open.len();
        for indices in open.chunks(BATCH_MAX) {
            ask(session, urls, indices, &mut answers).await?;
        }
        let after = answers.iter().filter(|answer| is_open(answer.as_ref())).count();
        if after == before {
            break;
        }
    }
    let missing = || ProviderError::Unavailable("Microsoft Graph leaves a question unanswered".to_owned());
    answers.into_iter().map(|answer| answer.ok_or_else(missing)).collect()
}

fn is_open(answer: Option<&Answer>) -> bool {
    answer.is_none_or(|answer| answer.status.as_u16() == 429)
}

async fn ask(
    session: &Session,
    urls: &[Url],
    indices: &[usize],
    answers: &mut [Option<Answer>],
) -> Result<(), ProviderError> {
    let requests: Vec<Value> = indices
        .iter()
        .map(|&index| {
            let url = session.urls.in_batch(&urls[index]);
            json!({ "id": index.to_string(), "method": "GET", "url": url, "headers": batch_headers() })
        })
        .collect();
    let answer = session.post(session.urls.batch()?, &json!({ "requests": requests })).await?;
    if !answer.status.is_success() {
        return Err(of_reading(&answer));
    }
    for part in answer.read::<BatchAnswer>()?.responses {
        let index = part.id.parse::<usize>().ok().filter(|index| indices.contains(index));
        let Some(index) = index else { continue };
        let wait = part.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        answers[index] = Some(Answer::in_batch(part.status, wait.and_then(|(_, wait)| wait.as_str()), &part.body));
    }
    Ok(())
}
