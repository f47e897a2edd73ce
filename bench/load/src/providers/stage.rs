//! A node whose calendars are at the fakes, what it takes to ring them, and how to look whether that was heard.

use std::path::Path;

use agentcal_engine::model::ProviderKind;
use agentcal_engine::signed::CalendarBell;
use agentcal_store_vault::KeyRing;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::vendors::{Vendors, spare_address};
use crate::connection::{Connection, Reply};
use crate::data::{Connected, Data, FirstSync, Mailbox};
use crate::drive::runtime;
use crate::node::Node;

pub(super) struct Stage {
    // It ends before those it asks.
    pub(super) node: Node,
    pub(super) vendors: Vendors,
    pub(super) people: Vec<Connected>,
    pub(super) data: Data,
    /// What providers were given to say about each of them.
    tokens: Vec<String>,
}

impl Stage {
    /// Connects mailboxes, and starts a node on them.
    pub(super) fn build(
        binary: &Path,
        folder: &Path,
        vendors: Vendors,
        (mailboxes, first_sync): (&[Mailbox], FirstSync),
    ) -> Result<Self, String> {
        let (data, people) = runtime()?.block_on(Data::write_connected(folder, mailboxes, first_sync))?;
        let signing = KeyRing::parse(&data.keyring).map_err(|error| error.to_string())?.signing_keys();
        let token = |whom: &Connected| {
            CalendarBell { account_id: whom.account_id, calendar_id: whom.calendar_id }.token(&signing)
        };
        let tokens = people.iter().map(token).collect();
        let settings = vendors.settings(spare_address()?);
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let node = Node::start_with(binary, &data, "node.log", &settings)?;
        Ok(Self { node, vendors, people, data, tokens })
    }

    /// Posts what the provider would post about one of the people.
    pub(super) async fn notify(&self, connection: &mut Connection, whom: usize) -> Result<(), String> {
        let token = &self.tokens[whom];
        let (request, expected) = match self.people[whom].provider {
            ProviderKind::Google => (
                format!(
                    "POST /v1/notifications/google HTTP/1.1\r\nHost: bench\r\nX-Goog-Channel-Token: {token}\r\n\
                     X-Goog-Resource-State: exists\r\nContent-Length: 0\r\n\r\n"
                ),
                204,
            ),
            _ => {
                let told = json!({ "clientState": token, "changeType": "created", "resource": "me/events/1" });
                let body = json!({ "value": [told] }).to_string();
                let len = body.len();
                let head = "POST /v1/notifications/microsoft HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json";
                (format!("{head}\r\nContent-Length: {len}\r\n\r\n{body}"), 202)
            }
        };
        let reply = connection.exchange(request.as_bytes()).await;
        let status = reply.map_err(|error| format!("a notification failed: {error}"))?.status;
        if status == expected { Ok(()) } else { Err(format!("a notification was answered with status {status}")) }
    }

    /// Whether half an hour from an instant on is offered; what is known of the calendar must be all there is to know.
    pub(super) async fn is_offered(
        &self,
        connection: &mut Connection,
        whom: usize,
        at: DateTime<Utc>,
    ) -> Result<bool, String> {
        let reply = self.ask(connection, whom, at).await?;
        let text = String::from_utf8_lossy(reply.body);
        if !is_complete(&reply) {
            return Err(format!("a question was answered with status {}: {text}", reply.status));
        }
        Ok(text.contains(&format!("\"start_time\":\"{}", at.format("%Y-%m-%dT%H:%M:%S"))))
    }

    /// Whether anything is known of the calendar at an instant.
    pub(super) async fn is_known(
        &self,
        connection: &mut Connection,
        whom: usize,
        at: DateTime<Utc>,
    ) -> Result<bool, String> {
        self.ask(connection, whom, at).await.map(|reply| is_complete(&reply))
    }

    async fn ask<'c>(
        &self,
        connection: &'c mut Connection,
        whom: usize,
        at: DateTime<Utc>,
    ) -> Result<Reply<'c>, String> {
        let Connected { account_id, user_id, .. } = &self.people[whom];
        let (date, key) = (at.date_naive(), &self.data.secret_key);
        let request = format!(
            "GET /v1/accounts/{account_id}/availability?user_id={user_id}&duration_minutes=30&start_date={date}\
             &end_date={date}&timezone=UTC HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n"
        );
        connection.exchange(request.as_bytes()).await.map_err(|error| format!("a question failed: {error}"))
    }

    /// What a gauge of the node stands at.
    pub(super) fn gauge(&self, name: &str) -> Result<f64, String> {
        runtime()?.block_on(async {
            let opened = Connection::open(self.node.internal_address()).await;
            let mut connection = opened.map_err(|error| format!("the program takes no connection: {error}"))?;
            let request = b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n";
            let reply = connection.exchange(request).await.map_err(|error| format!("no metrics: {error}"))?;
            gauge_in(&String::from_utf8_lossy(reply.body), name).ok_or_else(|| format!("there is no gauge {name}"))
        })
    }

    /// An error, with what the node last said.
    pub(super) fn told(&self, error: String) -> String {
        format!("{error}\nthe program's last lines:\n{}", self.node.last_words())
    }
}

fn is_complete(reply: &Reply<'_>) -> bool {
    reply.status == 200 && String::from_utf8_lossy(reply.body).contains("\"state\":\"complete\"")
}

fn gauge_in(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_gauge_is_found_by_its_whole_name() {
    let metrics = "# HELP awake calendars\nawake_total 3\nawake 2\nawake_of{a=\"b\"} 1\n";
    let check = |name: &str, expected: Option<f64>| assert_eq!(gauge_in(metrics, name), expected, "{name}");
    check("awake", Some(2.0));
    check("awake_total", Some(3.0));
    check("awake_of", None);
}
