//! Addresses of hosts and networks: `inet`.

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use super::{Received, bad_format};
use crate::sqlstate::ServerError;

/// An address, with how many of its bits tell the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inet {
    address: IpAddr,
    bits: u8,
}

/// What `typsend` calls the family of addresses of 4 bytes; the next number is that of 16 bytes.
const FAMILY: u8 = 2;

impl Inet {
    /// The address of a host.
    pub(crate) fn host(address: IpAddr) -> Inet {
        let address = address.to_canonical();
        Inet {
            address,
            bits: width(address),
        }
    }

    /// `10.0.0.1`, `10.0.0.1/8`; None for what is no address.
    pub(crate) fn parse(text: &str) -> Option<Inet> {
        let (address, bits) = match text.trim().split_once('/') {
            None => (text.trim(), None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = width(address);
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
        };
        Some(Inet { address, bits })
    }

    /// The text with the bits of the network, whether it is a host or not: what a cast to text gives.
    pub(crate) fn in_full(self) -> String {
        format!("{}/{}", self.address, self.bits)
    }

    /// Appends the binary form.
    pub(crate) fn send(self, out: &mut BytesMut) {
        let (family, octets) = match self.address {
            IpAddr::V4(address) => (FAMILY, address.octets().to_vec()),
            IpAddr::V6(address) => (FAMILY + 1, address.octets().to_vec()),
        };
        out.put_slice(&[family, self.bits, 0, width(self.address) / 8]);
        out.put_slice(&octets);
    }

    /// Takes the binary form: family, bits, whether it is a network, bytes of the address, the address.
    ///
    /// # Errors
    /// 08P01 for too few bytes, 22P03 for what is no address.
    pub(crate) fn receive(value: &mut Received) -> Result<Inet, ServerError> {
        let invalid = |what: &str| {
            let text = format!("invalid {what} in external \"inet\" value");
            bad_format(&text)
        };
        let family = value.byte()?;
        let most = match family {
            FAMILY => 32,
            family if family == FAMILY + 1 => 128,
            _ => return Err(invalid("address family")),
        };
        let bits = value.byte()?;
        if bits > most {
            return Err(invalid("bits"));
        }
        let _is_network = value.byte()?;
        if value.byte()? != most / 8 {
            return Err(invalid("length"));
        }
        let octets = value.take(usize::from(most / 8))?;
        let short = <[u8; 4]>::try_from(&octets[..]).map(IpAddr::from);
        let long = || <[u8; 16]>::try_from(&octets[..]).map(IpAddr::from);
        let address = short.or_else(|_| long()).map_err(|_| invalid("length"))?;
        Ok(Inet { address, bits })
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl std::fmt::Display for Inet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.bits == width(self.address) {
            true => write!(f, "{}", self.address),
            false => f.write_str(&self.in_full()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_read_back_from_both_forms() {
        for (text, told, hex) in [
            ("127.0.0.1", "127.0.0.1", "02200004 7f000001"),
            (" 10.1.2.3/8", "10.1.2.3/8", "02080004 0a010203"),
            ("10.0.0.0/32", "10.0.0.0", "02200004 0a000000"),
            ("::1", "::1", "03800010 00000000000000000000000000000001"),
        ] {
            let inet = Inet::parse(text).unwrap();
            assert_eq!(inet.to_string(), told);
            let mut out = BytesMut::new();
            inet.send(&mut out);
            let sent: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(sent, hex.replace(' ', ""));
            let mut received = Received(out.freeze());
            assert_eq!(Inet::receive(&mut received).unwrap(), inet);
            assert!(received.0.is_empty());
        }
        for wrong in ["", "10.0.0", "10.0.0.1/33", "::1/129", "x"] {
            assert_eq!(Inet::parse(wrong), None, "{wrong}");
        }
        let table: [(&'static [u8], &str); 5] = [
            (&[], "no data left in message"),
            (&[2, 32, 0, 4, 1, 2, 3], "insufficient data left in message"),
            (&[2, 32, 0, 3, 1, 2, 3], "invalid length in external"),
            (&[2, 33, 0, 4, 1, 2, 3, 4], "invalid bits in external"),
            (
                &[7, 32, 0, 4, 1, 2, 3, 4],
                "invalid address family in external",
            ),
        ];
        for (bytes, message) in table {
            let error = Inet::receive(&mut Received(bytes.into())).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
        }
    }
}
