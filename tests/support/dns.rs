//! A DNS server by script, over UDP and TCP: each name is answered as it was last told, and every question is written down.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Instant,
};

use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::CNAME},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};

/// What is said of a name. Unless it is told otherwise, there is no such name.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// These addresses, for so many seconds; none of a family is an answer without records.
    Addresses(u32, Vec<IpAddr>),
    /// The same, but by UDP only that it does not fit.
    ByTcpOnly(u32, Vec<IpAddr>),
    /// Another name for so many seconds, and its addresses for so many.
    Alias(u32, &'static str, u32, Vec<IpAddr>),
    /// No records of any kind.
    Nothing,
    /// This error.
    Error(ResponseCode),
    /// No answer.
    Silence,
    /// Bytes that are no answer.
    Garbage,
}

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The name, with a dot at its end.
    pub(crate) name: String,
    pub(crate) record_type: RecordType,
    pub(crate) at: Instant,
    pub(crate) by_tcp: bool,
}

/// The server, stopped when dropped.
pub(crate) struct ScriptedDns {
    pub(crate) address: SocketAddr,
    house: Arc<House>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Default)]
struct House {
    script: Mutex<HashMap<(String, Option<RecordType>), Said>>,
    questions: Mutex<Vec<Question>>,
}

impl ScriptedDns {
    /// A server that knows no name.
    pub(crate) async fn start() -> Self {
        let (socket, listener) = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            // The same port has to be free for TCP as well.
            if let Ok(listener) = TcpListener::bind(socket.local_addr().expect("an address")).await {
                break (socket, listener);
            }
        };
        let address = socket.local_addr().expect("an address");
        let house = Arc::new(House::default());
        let tasks =
            [tokio::spawn(datagrams(socket, Arc::clone(&house))), tokio::spawn(streams(listener, Arc::clone(&house)))];
        Self { address, house, tasks }
    }

    /// From now on this is said of `name`, which ends with a dot.
    pub(crate) fn say(&self, name: &str, said: Said) {
        self.house.script.lock().expect("not poisoned").insert((name.to_owned(), None), said);
    }

    /// The same for one type of record, whatever is said of the others.
    pub(crate) fn say_of(&self, name: &str, record_type: RecordType, said: Said) {
        self.house.script.lock().expect("not poisoned").insert((name.to_owned(), Some(record_type)), said);
    }

    /// All questions so far.
    pub(crate) fn questions(&self) -> Vec<Question> {
        self.house.questions.lock().expect("not poisoned").clone()
    }

    /// How often the addresses of `name` were asked for so far.
    pub(crate) fn asked(&self, name: &str) -> usize {
        let questions = self.questions();
        questions.iter().filter(|question| question.name == name && question.record_type == RecordType::A).count()
    }
}

impl Drop for ScriptedDns {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// IPv4 addresses that all are this machine: 127.0.0.`last`.
pub(crate) fn loopback(last: &[u8]) -> Vec<IpAddr> {
    last.iter().map(|last| IpAddr::from([127, 0, 0, *last])).collect()
}

async fn datagrams(socket: UdpSocket, house: Arc<House>) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = house.answer(&buffer[..length], false) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn streams(listener: TcpListener, house: Arc<House>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(stream_of_questions(stream, Arc::clone(&house)));
    }
}

/// Each message has its length before it (RFC 1035 section 4.2.2).
async fn stream_of_questions(mut stream: TcpStream, house: Arc<House>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; length.into()];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        if let Some(answer) = house.answer(&question, true) {
            let length = u16::try_from(answer.len()).expect("short");
            if stream.write_u16(length).await.is_err() || stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

impl House {
    fn answer(&self, question: &[u8], by_tcp: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?.clone();
        let (name, record_type) = (query.name().to_string(), query.query_type());
        let asked = Question { name: name.clone(), record_type, at: Instant::now(), by_tcp };
        self.questions.lock().expect("not poisoned").push(asked);
        let said = {
            let script = self.script.lock().expect("not poisoned");
            let of_type = script.get(&(name.clone(), Some(record_type)));
            of_type.or_else(|| script.get(&(name, None))).cloned().unwrap_or(Said::Error(ResponseCode::NXDomain))
        };
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        let owner = query.name().clone();
        match said {
            Said::Addresses(ttl, addresses) => _ = answer.add_answers(records(&owner, ttl, &addresses, record_type)),
            Said::ByTcpOnly(_, _) if !by_tcp => answer.metadata.truncation = true,
            Said::ByTcpOnly(ttl, addresses) => _ = answer.add_answers(records(&owner, ttl, &addresses, record_type)),
            Said::Alias(alias_ttl, target, ttl, addresses) => {
                let target: Name = target.parse().expect("a name");
                answer.add_answer(Record::from_rdata(owner, alias_ttl, RData::CNAME(CNAME(target.clone()))));
                answer.add_answers(records(&target, ttl, &addresses, record_type));
            }
            Said::Nothing => {}
            Said::Error(code) => answer.metadata.response_code = code,
            Said::Silence => return None,
            Said::Garbage => return Some(b"\xff\xff this is no answer \x00\x00".to_vec()),
        }
        answer.to_vec().ok()
    }
}

fn records(owner: &Name, ttl: u32, addresses: &[IpAddr], record_type: RecordType) -> Vec<Record> {
    let of_type = |address: &&IpAddr| match record_type {
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        _ => false,
    };
    let record = |address: &IpAddr| Record::from_rdata(owner.clone(), ttl, RData::from(*address));
    addresses.iter().filter(of_type).map(record).collect()
}
