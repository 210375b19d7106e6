//! The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 5929, 7677) on stored keys.
//!
//! Invariants: the proof is compared in constant time; a name without keys runs through the same steps on made-up
//! keys and fails at the last of them; every failure after the syntax of messages reads the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq};

use crate::roles::ScramKeys;
use crate::roles::secret::{KEY_BYTES, hmac_sha256, sha256};
use crate::sqlstate::{ServerError, Severity};

/// The mechanism without channel binding.
pub(super) const PLAIN: &str = "SCRAM-SHA-256";
/// The mechanism that binds the conversation to the TLS connection.
pub(super) const PLUS: &str = "SCRAM-SHA-256-PLUS";

const BINDING_TYPE: &str = "tls-server-end-point";
/// The longest message of a conversation.
const MESSAGE_BYTES_MAX: usize = 4096;

/// One conversation.
pub(super) struct Scram {
    keys: ScramKeys,
    /// Whether the keys belong to a role that may log in with them.
    known: Choice,
    /// Hash of the server's certificate, when the connection is under TLS.
    binding: Option<Vec<u8>>,
    nonce: String,
}

/// What was said first, kept for the end.
pub(super) struct Waiting {
    scram: Scram,
    /// What the client must repeat in `c=`.
    expected_binding: Vec<u8>,
    nonce: String,
    /// `client-first-message-bare,server-first-message`.
    said: String,
}

impl Scram {
    /// A conversation about these keys; `known` is false for made-up ones.
    pub(super) fn new(
        keys: ScramKeys,
        known: bool,
        binding: Option<Vec<u8>>,
    ) -> Result<Scram, ServerError> {
        let nonce = crate::roles::secret::random::<18>()
            .map_err(|error| ServerError::internal(error.to_string()))?;
        Ok(Scram {
            keys,
            known: Choice::from(u8::from(known)),
            binding,
            nonce: STANDARD.encode(nonce),
        })
    }

    /// The mechanisms to offer, the best first.
    pub(super) fn mechanisms(&self) -> Vec<String> {
        let plus = self.binding.as_ref().map(|_| PLUS.to_owned());
        plus.into_iter().chain([PLAIN.to_owned()]).collect()
    }

    /// Reads the client's first message; gives the server's first.
    pub(super) fn first(
        self,
        mechanism: &str,
        message: &[u8],
    ) -> Result<(Waiting, String), ServerError> {
        let message = text(message)?;
        let (header, bare) = split_header(message)?;
        let bound = match (mechanism, header.binding) {
            (PLAIN, Binding::Unsupported) => None,
            // The client could bind and believes that the server cannot: somebody took our offer away.
            (PLAIN, Binding::ServerCannot) if self.binding.is_some() => {
                return Err(malformed("SCRAM channel binding negotiation error").hint(
                    "The client supports SCRAM channel binding but thinks the server does not.",
                ));
            }
            (PLAIN, Binding::ServerCannot) => None,
            (PLUS, Binding::Used(BINDING_TYPE)) if self.binding.is_some() => {
                self.binding.as_deref()
            }
            (PLUS, Binding::Used(_)) if self.binding.is_some() => {
                return Err(malformed("unsupported SCRAM channel-binding type"));
            }
            (PLAIN | PLUS, _) => return Err(malformed("malformed SCRAM message")),
            _ => {
                return Err(malformed(
                    "client selected an invalid SASL authentication mechanism",
                ));
            }
        };
        let mut expected_binding = header.text.as_bytes().to_vec();
        expected_binding.extend_from_slice(bound.unwrap_or_default());
        let mut attributes = bare.split(',');
        // n= is ignored, as in PostgreSQL: the start-up message named the user.
        attribute(attributes.next(), "n=")?;
        let client_nonce = attribute(attributes.next(), "r=")?;
        let printable = |c: char| ('\u{21}'..='\u{7e}').contains(&c);
        if client_nonce.is_empty() || !client_nonce.chars().all(printable) {
            return Err(malformed("malformed SCRAM message"));
        }
        let nonce = format!("{client_nonce}{}", self.nonce);
        let reply = format!(
            "r={nonce},s={},i={}",
            STANDARD.encode(&self.keys.salt),
            self.keys.iterations
        );
        let waiting = Waiting {
            said: format!("{bare},{reply}"),
            scram: self,
            expected_binding,
            nonce,
        };
        Ok((waiting, reply))
    }
}

impl Waiting {
    /// Reads the client's last message. Some: the client knows the password; the text proves to it that the server
    /// knows the keys.
    pub(super) fn last(self, message: &[u8]) -> Result<Option<String>, ServerError> {
        let message = text(message)?;
        let (unproved, proof) = message
            .rsplit_once(",p=")
            .ok_or_else(|| malformed("malformed SCRAM message"))?;
        let mut attributes = unproved.split(',');
        let binding = attribute(attributes.next(), "c=")?;
        let binding = STANDARD
            .decode(binding)
            .map_err(|_| malformed("malformed SCRAM message"))?;
        if !bool::from(binding.ct_eq(&self.expected_binding)) {
            return Err(malformed("SCRAM channel binding check failed"));
        }
        let nonce = attribute(attributes.next(), "r=")?;
        if !bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(malformed("invalid SCRAM response"));
        }
        let proof = STANDARD.decode(proof).ok();
        let proof: [u8; KEY_BYTES] = proof
            .and_then(|proof| proof.try_into().ok())
            .ok_or_else(|| malformed("malformed SCRAM message"))?;
        let keys = &self.scram.keys;
        let said = format!("{},{unproved}", self.said);
        let signature = hmac_sha256(&keys.stored_key, said.as_bytes());
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let proved = sha256(&client_key).ct_eq(&keys.stored_key) & self.scram.known;
        let server_signature = hmac_sha256(&keys.server_key, said.as_bytes());
        Ok(bool::from(proved).then(|| format!("v={}", STANDARD.encode(server_signature))))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Binding<'a> {
    /// `n`
    Unsupported,
    /// `y`
    ServerCannot,
    /// `p=…`
    Used(&'a str),
}

struct Header<'a> {
    binding: Binding<'a>,
    text: &'a str,
}

/// The GS2 header and the rest.
fn split_header(message: &str) -> Result<(Header<'_>, &str), ServerError> {
    let mut commas = message.match_indices(',').map(|(at, _)| at);
    let (Some(first), Some(second)) = (commas.next(), commas.next()) else {
        return Err(malformed("malformed SCRAM message"));
    };
    let binding = match &message[..first] {
        "n" => Binding::Unsupported,
        "y" => Binding::ServerCannot,
        flag => Binding::Used(
            flag.strip_prefix("p=")
                .ok_or_else(|| malformed("malformed SCRAM message"))?,
        ),
    };
    if second != first + 1 {
        let text = "client uses authorization identity, but it is not supported";
        return Err(ServerError::unsupported(text).severity(Severity::Fatal));
    }
    let header = Header {
        binding,
        text: &message[..=second],
    };
    Ok((header, &message[second + 1..]))
}

fn attribute<'a>(found: Option<&'a str>, name: &str) -> Result<&'a str, ServerError> {
    found
        .and_then(|found| found.strip_prefix(name))
        .ok_or_else(|| malformed("malformed SCRAM message"))
}

fn text(message: &[u8]) -> Result<&str, ServerError> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(malformed("malformed SCRAM message"));
    }
    std::str::from_utf8(message).map_err(|_| malformed("malformed SCRAM message"))
}

fn malformed(what: &str) -> ServerError {
    ServerError::protocol(what).severity(Severity::Fatal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::roles::secret::ITERATIONS;

    fn rfc(known: bool, binding: Option<Vec<u8>>) -> Scram {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = ScramKeys::derive("pencil", &salt, ITERATIONS);
        Scram {
            nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned(),
            ..Scram::new(keys, known, binding).unwrap()
        }
    }

    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const LAST: &[u8] = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    /// RFC 7677, section 3.
    #[test]
    fn the_conversation_of_the_rfc() {
        let (waiting, reply) = rfc(true, None).first(PLAIN, FIRST).unwrap();
        assert_eq!(
            reply,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        assert_eq!(
            waiting.last(LAST).unwrap().as_deref(),
            Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        );
    }

    #[test]
    fn a_right_proof_of_an_unknown_name_and_a_wrong_one_fail_alike() {
        let (waiting, _) = rfc(false, None).first(PLAIN, FIRST).unwrap();
        assert_eq!(waiting.last(LAST).unwrap(), None);
        let (waiting, _) = rfc(true, None).first(PLAIN, FIRST).unwrap();
        let wrong = String::from_utf8(LAST.to_vec())
            .unwrap()
            .replace("dHzb", "dHzc");
        assert_eq!(waiting.last(wrong.as_bytes()).unwrap(), None);
    }

    /// The client's last message of somebody who knows the password and says `c=` of this binding.
    fn proved(waiting: &Waiting, binding: &[u8]) -> String {
        let keys = &waiting.scram.keys;
        let mut salted = [0; KEY_BYTES];
        ring::pbkdf2::derive(
            ring::pbkdf2::PBKDF2_HMAC_SHA256,
            keys.iterations,
            &keys.salt,
            b"pencil",
            &mut salted,
        );
        let client_key = hmac_sha256(&salted, b"Client Key");
        let unproved = format!("c={},r={}", STANDARD.encode(binding), waiting.nonce);
        let said = format!("{},{unproved}", waiting.said);
        let mut proof = hmac_sha256(&keys.stored_key, said.as_bytes());
        for (byte, mask) in proof.iter_mut().zip(client_key) {
            *byte ^= mask;
        }
        format!("{unproved},p={}", STANDARD.encode(proof))
    }

    /// Somebody in the middle has another certificate: the password is right, and bound to another connection.
    #[test]
    fn a_right_proof_for_another_connection_is_refused() {
        for (mechanism, first, connection, opens) in [
            (PLUS, "p=tls-server-end-point,,", vec![7; 32], true),
            (PLUS, "p=tls-server-end-point,,", vec![8; 32], false),
            (PLUS, "p=tls-server-end-point,,", Vec::new(), false),
            (PLAIN, "n,,", Vec::new(), true),
            (PLAIN, "n,,", vec![7; 32], false),
            (PLAIN, "y,,", Vec::new(), false),
        ] {
            let binding = Some(vec![7; 32]).filter(|_| !first.starts_with('y'));
            let said_first = first.replace('y', "n");
            let message = format!("{said_first}n=user,r=abc");
            let (waiting, _) = rfc(true, binding)
                .first(mechanism, message.as_bytes())
                .unwrap();
            let said = [first.as_bytes(), &connection].concat();
            let last = proved(&waiting, &said);
            let proved = waiting.last(last.as_bytes());
            assert_eq!(
                matches!(proved, Ok(Some(_))),
                opens,
                "{first} {connection:?}"
            );
            assert_eq!(proved.is_err(), !opens, "{first} {connection:?}");
        }
    }

    #[test]
    fn a_binding_that_was_taken_away_is_noticed() {
        let bound = || rfc(true, Some(vec![7; 32]));
        assert_eq!(bound().mechanisms(), [PLUS, PLAIN]);
        assert_eq!(rfc(true, None).mechanisms(), [PLAIN]);
        let downgraded = b"y,,n=user,r=abc";
        let code = |e: Result<(Waiting, String), ServerError>| e.err().map(|e| e.code());
        assert_eq!(code(bound().first(PLAIN, downgraded)), Some("08P01"));
        assert_eq!(code(rfc(true, None).first(PLAIN, downgraded)), None);
        for (mechanism, message) in [
            (PLUS, "n,,n=u,r=abc"),
            (PLUS, "p=tls-unique,,n=u,r=abc"),
            (PLAIN, "p=tls-server-end-point,,n=u,r=abc"),
            ("PLAIN", "n,,n=u,r=abc"),
            (PLAIN, "n,,n=u"),
            (PLAIN, "n,,m=x,n=u,r=abc"),
        ] {
            let refused = bound().first(mechanism, message.as_bytes());
            assert_eq!(code(refused), Some("08P01"), "{mechanism} {message}");
        }
        let (waiting, _) = bound()
            .first(PLUS, b"p=tls-server-end-point,,n=u,r=abc")
            .unwrap();
        let other = STANDARD.encode(b"p=tls-server-end-point,,another certificate");
        let message = format!("c={other},r={},p=AAAA", waiting.nonce);
        assert_eq!(
            waiting.last(message.as_bytes()).unwrap_err().code(),
            "08P01"
        );
    }
}
