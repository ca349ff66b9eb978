//! Owns: what the requests of one connection have in common: the host that they ask for, in normal form, and the words in which an
//! upstream is told of the hop.
//! Refuses: taking what was asked once for what is asked now, unless it is so byte for byte.
//! Always holds: what is kept is a copy, so that an idle connection holds on to no buffer of a request.

use std::{cell::RefCell, net::IpAddr, rc::Rc};

use http::{Version, header};

use super::{
    FieldLines as _, HostError, NormalHost, RequestHead,
    forwarded::{Hop, OwnHop},
};

/// One host as it is asked for on one connection.
#[derive(Debug)]
pub struct Arrival {
    host: NormalHost,
    hop: OwnHop,
}

/// The arrivals on one connection, of which the last one is remembered: to read a host and to write of the hop takes 1,500
/// instructions a request, to compare the host with the last one 100.
#[derive(Debug)]
pub struct Arrivals {
    peer: IpAddr,
    tls: bool,
    last: RefCell<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    /// The host as it came.
    asked: Box<[u8]>,
    arrival: Rc<Arrival>,
}

impl Arrivals {
    /// Those of the connection of `peer`, which is under TLS or not.
    #[must_use]
    pub const fn new(peer: IpAddr, tls: bool) -> Self {
        Self { peer, tls, last: RefCell::new(None) }
    }

    /// The arrival of a request.
    ///
    /// # Errors
    /// Those of [`NormalHost::from_request`].
    pub fn of(&self, request: &RequestHead) -> Result<Rc<Arrival>, HostError> {
        let asked = only_host(request);
        if let (Some(asked), Some(last)) = (asked, &*self.last.borrow())
            && *asked == *last.asked
        {
            return Ok(Rc::clone(&last.arrival));
        }
        let host = NormalHost::from_request(request)?;
        let hop = OwnHop::new(&Hop { peer: self.peer, tls: self.tls, host: &host });
        let arrival = Rc::new(Arrival { host, hop });
        if let Some(asked) = asked {
            *self.last.borrow_mut() = Some(Last { asked: asked.into(), arrival: Rc::clone(&arrival) });
        }
        Ok(arrival)
    }
}

impl Arrival {
    /// The host that is asked for.
    #[must_use]
    pub const fn host(&self) -> &NormalHost {
        &self.host
    }

    /// What upstreams are told of the hop.
    #[must_use]
    pub const fn hop(&self) -> &OwnHop {
        &self.hop
    }
}

/// The host as it came, where it came in one place only, and in the one in which it must.
fn only_host(request: &RequestHead) -> Option<&[u8]> {
    let mut fields = request.fields.lines(&header::HOST);
    match (request.uri.authority(), fields.next(), fields.next()) {
        (None, Some(field), None) => Some(field),
        (Some(authority), None, _) if request.version == Version::HTTP_2 => Some(authority.as_str().as_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{super::Fields, *};

    fn parts(version: Version, target: &str, hosts: &[&str]) -> RequestHead {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        request.body(()).unwrap().into_parts().0.into()
    }

    /// Whatever came before on the connection, a request is answered as the only one on a connection is.
    #[test]
    fn what_came_before_changes_nothing() {
        let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
        let requests = [
            (h1, "/", vec!["a.example"]),
            (h1, "/", vec!["A.example."]),
            (h1, "/", vec!["a.example:80"]),
            (h1, "/", vec![]),
            (h1, "/", vec!["a.example", "a.example"]),
            (h1, "http://a.example/", vec![]),
            (h1, "http://a.example/", vec!["a.example"]),
            (h1, "http://b.example/", vec!["a.example"]),
            (h1, "/", vec!["a@b"]),
            (h2, "https://a.example/", vec![]),
            (h2, "https://a.example/", vec!["b.example"]),
            (h2, "https://b.example/", vec!["b.example"]),
            (Version::HTTP_10, "http://a.example/", vec![]),
        ];
        let arrivals = || Arrivals::new("192.0.2.1".parse().unwrap(), true);
        let told = |arrivals: &Arrivals, (version, target, hosts): &(Version, &str, Vec<&str>)| {
            arrivals.of(&parts(*version, target, hosts)).map(|arrival| {
                let mut fields = Fields::default();
                arrival.hop().add_to(&mut fields, &[]);
                (arrival.host().clone(), fields)
            })
        };
        for first in &requests {
            for second in &requests {
                let shared = arrivals();
                let _first = told(&shared, first);
                assert_eq!(told(&shared, second), told(&arrivals(), second), "{first:?} {second:?}");
            }
        }
    }

    #[test]
    fn a_host_is_read_once() {
        let arrivals = Arrivals::new("192.0.2.1".parse().unwrap(), false);
        let of = |hosts: &[&str]| arrivals.of(&parts(Version::HTTP_11, "/", hosts)).unwrap();
        let (first, second, other) = (of(&["a.example"]), of(&["a.example"]), of(&["b.example"]));
        assert!(Rc::ptr_eq(&first, &second) && !Rc::ptr_eq(&first, &other));
        assert_eq!(other.host().as_str(), "b.example");
    }
}
