//! A name server on loopback whose answers a test decides, one question at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Header, HeaderCounts, MessageType, Metadata, ResponseCode};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::UdpSocket;

/// What is asked for, in lower case with its dot at the end, the kind of record, and how often that was asked before.
type Answers = dyn Fn(&str, RecordType, usize) -> Vec<RData> + Send + Sync;

pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    _server: Server<Handler>,
}

impl DnsServer {
    /// Answers no record at all with "no such name".
    pub(crate) async fn new(answers: impl Fn(&str, RecordType, usize) -> Vec<RData> + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a loopback port can be had");
        let address = socket.local_addr().expect("a bound socket has an address");
        let mut server = Server::new(Handler { answers: Arc::new(answers), asked: AtomicUsize::new(0) });
        server.register_socket(socket);
        Self { address, _server: server }
    }
}

struct Handler {
    answers: Arc<Answers>,
    asked: AtomicUsize,
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut response: R) -> ResponseInfo {
        let info = request.request_info().expect("one question");
        let (name, kind) = (info.query.name().to_string(), info.query.query_type());
        let times = match kind {
            // Both kinds of address are asked for at once; they count as one question.
            RecordType::AAAA => self.asked.load(Ordering::SeqCst),
            _ => self.asked.fetch_add(1, Ordering::SeqCst),
        };
        let owner: Name = name.parse().expect("a name that was asked for");
        let data = (self.answers)(&name.to_lowercase(), kind, times);
        let records: Vec<Record> = data.into_iter().map(|data| Record::from_rdata(owner.clone(), 0, data)).collect();
        let mut metadata = Metadata::response_from_request(info.metadata);
        if records.is_empty() {
            metadata.response_code = ResponseCode::NXDomain;
        }
        let answer = MessageResponseBuilder::from_message_request(request).build(metadata, &records, [], [], []);
        let failed = Metadata::new(info.metadata.id, MessageType::Response, info.metadata.op_code);
        let failed = ResponseInfo::from(Header { metadata: failed, counts: HeaderCounts::default() });
        response.send_response(answer).await.unwrap_or(failed)
    }
}
