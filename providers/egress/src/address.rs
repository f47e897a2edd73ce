//! What kind of network an address belongs to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of network an address belongs to, as far as it concerns who may be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// Reachable by everybody.
    Public,
    /// This very machine.
    Loopback,
    /// RFC 1918 and unique local addresses.
    Private,
    /// Never spoken to: metadata services, translation prefixes, multicast and whatever else is nobody's server. Says
    /// which.
    Never(&'static str),
}

/// The instance metadata address of a large cloud, inside the unique local range.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The class of an address.
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [0, ..] => AddressClass::Never("unspecified"),
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::Never("carrier-grade NAT"),
        [169, 254, ..] => AddressClass::Never("link-local"),
        [192, 0, 0, _] => AddressClass::Never("protocol assignment"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Never("documentation"),
        [192, 88, 99, _] => AddressClass::Never("6to4 relay"),
        [198, 18 | 19, ..] => AddressClass::Never("benchmarking"),
        [224..=239, ..] => AddressClass::Never("multicast"),
        [255, 255, 255, 255] => AddressClass::Never("broadcast"),
        [240..=255, ..] => AddressClass::Never("reserved"),
        _ => AddressClass::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if address == METADATA_V6 {
        return AddressClass::Never("instance metadata");
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0, 0, 0, 0, 0, 0, ..] => AddressClass::Never("IPv4-compatible"),
        [0, 0, 0, 0, 0, 0xffff, ..] => AddressClass::Never("IPv4-mapped"),
        [0, 0, 0, 0, 0xffff, 0, ..] => AddressClass::Never("IPv4-translated"),
        [0x64, 0xff9b, ..] => AddressClass::Never("NAT64"),
        [0x2001, 0, ..] => AddressClass::Never("Teredo"),
        [0x2001, 2, 0, ..] => AddressClass::Never("benchmarking"),
        [0x2001, 0x0001..=0x01ff, ..] => AddressClass::Never("protocol assignment"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressClass::Never("documentation"),
        [0x2002, ..] => AddressClass::Never("6to4"),
        [0xfc00..=0xfdff, ..] => AddressClass::Private,
        [0xfe80..=0xfebf, ..] => AddressClass::Never("link-local"),
        [0xfec0..=0xfeff, ..] => AddressClass::Never("site-local"),
        [0xff00..=0xffff, ..] => AddressClass::Never("multicast"),
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Never("not global unicast"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use AddressClass::{Loopback, Never, Private, Public};

    fn check(address: &str, expected: AddressClass) {
        assert_eq!(classify(address.parse().expect("a literal address")), expected, "{address}");
    }

    #[test]
    fn every_class_of_ipv4_address_is_told_apart() {
        check("1.1.1.1", Public);
        check("9.255.255.255", Public);
        check("10.0.0.0", Private);
        check("10.255.255.255", Private);
        check("11.0.0.0", Public);
        check("172.15.255.255", Public);
        check("172.16.0.0", Private);
        check("172.31.255.255", Private);
        check("172.32.0.0", Public);
        check("192.167.255.255", Public);
        check("192.168.0.1", Private);
        check("192.169.0.0", Public);
        check("127.0.0.1", Loopback);
        check("127.255.255.254", Loopback);
        check("126.255.255.255", Public);
        check("128.0.0.0", Public);
        check("0.0.0.0", Never("unspecified"));
        check("0.1.2.3", Never("unspecified"));
        check("100.63.255.255", Public);
        check("100.64.0.0", Never("carrier-grade NAT"));
        check("100.100.100.200", Never("carrier-grade NAT"));
        check("100.127.255.255", Never("carrier-grade NAT"));
        check("100.128.0.0", Public);
        check("169.253.255.255", Public);
        check("169.254.169.254", Never("link-local"));
        check("192.0.0.170", Never("protocol assignment"));
        check("192.0.2.1", Never("documentation"));
        check("198.51.100.7", Never("documentation"));
        check("203.0.113.255", Never("documentation"));
        check("192.88.99.1", Never("6to4 relay"));
        check("198.17.255.255", Public);
        check("198.18.0.0", Never("benchmarking"));
        check("198.19.255.255", Never("benchmarking"));
        check("198.20.0.0", Public);
        check("223.255.255.255", Public);
        check("224.0.0.1", Never("multicast"));
        check("239.255.255.255", Never("multicast"));
        check("240.0.0.1", Never("reserved"));
        check("255.255.255.255", Never("broadcast"));
    }

    #[test]
    fn every_class_of_ipv6_address_is_told_apart() {
        check("::", Never("unspecified"));
        check("::1", Loopback);
        check("::127.0.0.1", Never("IPv4-compatible"));
        check("::10.0.0.1", Never("IPv4-compatible"));
        check("::ffff:127.0.0.1", Never("IPv4-mapped"));
        check("::ffff:1.1.1.1", Never("IPv4-mapped"));
        check("::ffff:0:10.0.0.1", Never("IPv4-translated"));
        check("64:ff9b::10.0.0.1", Never("NAT64"));
        check("64:ff9b:1::a00:1", Never("NAT64"));
        check("100::1", Never("not global unicast"));
        check("2001::1", Never("Teredo"));
        check("2001:2::1", Never("benchmarking"));
        check("2001:20::1", Never("protocol assignment"));
        check("2001:1ff::1", Never("protocol assignment"));
        check("2001:200::1", Public);
        check("2001:db8::1", Never("documentation"));
        check("3fff::1", Never("documentation"));
        check("3fff:1000::1", Public);
        check("2002:a00:1::1", Never("6to4"));
        check("2606:4700:4700::1111", Public);
        check("fc00::1", Private);
        check("fd12:3456::1", Private);
        check("fd00:ec2::254", Never("instance metadata"));
        check("fe80::1", Never("link-local"));
        check("fec0::1", Never("site-local"));
        check("ff02::1", Never("multicast"));
        check("4000::1", Never("not global unicast"));
    }
}
