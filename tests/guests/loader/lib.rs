//! A policy with the optional interface `loading`, whose answers are good or bad as the key says.

use larder_policy::*;

struct Loader {
    token: String,
}

impl Rules for Loader {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self { token: settings.text("token", "secret") };
        Ok((policy, Description::new(env!("CARGO_PKG_VERSION")).enveloped()))
    }

    fn plan(&self, _request: &Request) -> Result<Plan, Refusal> {
        Ok(Plan::verbatim().load(seconds(1)))
    }

    fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
        Lifetime::forever().at_most(candidate.asked_ttl()).into()
    }
}

impl Loading for Loader {
    fn origin_request_for(&self, request: &Request) -> Result<OriginRequest, Refusal> {
        let path = match request.key.as_str() {
            "refused" => return Err(Refusal::InvalidKey("this one is not loaded".into())),
            "trap" => panic!("a trap in a load, as asked"),
            "absolute" => "http://169.254.169.254/latest/meta-data".into(),
            "outside" => "/../admin".into(),
            "split" => "/a\r\nhost: elsewhere".into(),
            key => format!("/items/{key}?full=1"),
        };
        let mut headers = vec![("Authorization".to_owned(), format!("Bearer {}", self.token))];
        if request.key == "host" {
            headers.push(("Host".into(), "elsewhere".into()));
        }
        Ok(OriginRequest { path, headers })
    }

    fn batch_request_for(&self, requests: &[Request]) -> Option<OriginRequest> {
        let keys: Vec<&str> = requests.iter().map(|request| request.key.as_str()).collect();
        match keys.as_slice() {
            [_] => None,
            ["outside", ..] => Some(OriginRequest { path: "/../admin".into(), headers: Vec::new() }),
            keys => Some(OriginRequest { path: format!("/items?ids={}", keys.join(",")), headers: Vec::new() }),
        }
    }

    fn accept(&self, _request: &Request, response: &OriginResponse) -> Acceptance {
        let empty = response.headers.iter().any(|(name, value)| name == "x-empty" && value == "yes");
        match response.status {
            200 if empty => Acceptance::Absent,
            200 => Acceptance::Value,
            status => Acceptance::Failed(format!("{status}\nwith {} bytes", response.size_bytes)),
        }
    }

    /// One line for each value; an empty one is an absent value.
    fn split(&self, _requests: &[Request], body: &[u8]) -> Result<Vec<Option<Vec<u8>>>, String> {
        let text = std::str::from_utf8(body).map_err(|_| "the answer is no text".to_owned())?;
        Ok(text.lines().map(|line| (!line.is_empty()).then(|| line.as_bytes().to_vec())).collect())
    }
}

export!(Loader with loading);
