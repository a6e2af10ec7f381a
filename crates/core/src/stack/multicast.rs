//! Groups: sockets join and leave them, routers ask, reports leave.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use switchboard_wire::Instant;
use switchboard_wire::ip::IpProtocol;
use switchboard_wire::ipv6::extensions::ROUTER_ALERT_HEADER_LEN;
use switchboard_wire::membership::{
    ALL_IGMP_ROUTERS, ALL_MLD_ROUTERS, Query, REPORT_HEADER_LEN, Record, report_header,
};

use super::Stack;
use super::inputs::Admitted;
use crate::demux::addresses::unspecified;
use crate::drop_reason::DropReason;
use crate::entropy::Entropy;
use crate::error::MembershipError;
use crate::ip::egress::{Message, ip_header_len};
use crate::ip::icmp;
use crate::multicast::is_everybody;
use crate::socket::UdpId;

/// "Internetwork control", which IGMP reports are sent with (RFC 3376 section 4).
const INTERNETWORK_CONTROL: u8 = 0xc0;

impl Stack {
    /// Datagrams to `group` that come to the socket's port are for it too, from now on. There
    /// is one link, so there is no interface to choose.
    ///
    /// # Errors
    ///
    /// [`MembershipError`].
    pub fn call_udp_join(
        &mut self,
        now: Instant,
        id: UdpId,
        group: IpAddr,
    ) -> Result<(), MembershipError> {
        let max = self.config.limits.groups_per_socket;
        let has_route = self.has_route(group);
        let (_, socket) = self
            .udp_socket_mut(id)
            .ok_or(MembershipError::NoSuchSocket)?;
        if !group.is_multicast() {
            return Err(MembershipError::NotMulticast);
        }
        if socket.groups.contains(&group) {
            return Err(MembershipError::AlreadyMember);
        }
        if !has_route {
            return Err(MembershipError::NoRoute);
        }
        if socket.groups.len() >= max || !self.groups.join(now, group) {
            return Err(MembershipError::NoBuffers);
        }
        if let Some((_, socket)) = self.udp_socket_mut(id) {
            socket.groups.push(group);
        }
        self.report_groups(now);
        Ok(())
    }

    /// Ends that.
    ///
    /// # Errors
    ///
    /// [`MembershipError::NotMember`], `NoSuchSocket`.
    pub fn call_udp_leave(
        &mut self,
        now: Instant,
        id: UdpId,
        group: IpAddr,
    ) -> Result<(), MembershipError> {
        let (_, socket) = self
            .udp_socket_mut(id)
            .ok_or(MembershipError::NoSuchSocket)?;
        let place = socket.groups.iter().position(|joined| *joined == group);
        socket
            .groups
            .swap_remove(place.ok_or(MembershipError::NotMember)?);
        self.leave_groups(now, &[group]);
        Ok(())
    }

    /// A socket is in these no more.
    pub(super) fn leave_groups(&mut self, now: Instant, groups: &[IpAddr]) {
        for group in groups {
            self.groups.leave(now, *group);
        }
        self.report_groups(now);
    }

    /// Whether a socket of ours may hear what is sent to `group`.
    pub(super) fn hears_group(&self, group: IpAddr) -> bool {
        is_everybody(group) || self.groups.contains(group)
    }

    /// An IGMP message. Hosts answer queries; what other hosts report is for routers.
    pub(super) fn igmp_arrives(&mut self, now: Instant, admitted: &Admitted<'_>) {
        match Query::parse_igmp(admitted.packet.body()) {
            Ok(Some(query)) => self.query_arrives(now, false, &query),
            Ok(None) => self.drop_packet(DropReason::MembershipIgnored),
            Err(rule) => self.stats.drop_malformed(rule),
        }
    }

    /// An MLD query. Only from the link itself: RFC 3810 section 6.2 wants a link-local source,
    /// hop limit 1 and a router alert, and silence otherwise.
    pub(super) fn mld_query_arrives(
        &mut self,
        now: Instant,
        admitted: &Admitted<'_>,
        word: [u8; 4],
        body: &[u8],
    ) {
        let packet = &admitted.packet;
        let is_near = match packet.source {
            IpAddr::V6(source) => source.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        };
        if !is_near || packet.hop_limit != 1 || !packet.router_alert {
            return self.drop_packet(DropReason::MembershipIgnored);
        }
        match Query::parse_mld(word, body) {
            Ok(query) => self.query_arrives(now, true, &query),
            Err(rule) => self.stats.drop_malformed(rule),
        }
    }

    fn query_arrives(&mut self, now: Instant, ipv6: bool, query: &Query) {
        let entropy = &mut self.entropy;
        self.groups
            .on_query(now, ipv6, query, &mut |max| pick(entropy, max));
    }

    /// Tells routers what is due.
    pub(super) fn report_groups(&mut self, now: Instant) {
        for ipv6 in [false, true] {
            let entropy = &mut self.entropy;
            let records = self
                .groups
                .take_due(now, ipv6, &mut |max| pick(entropy, max));
            // Without its options the IPv4 header has 20 octets; the router alert has 4.
            let alert = if ipv6 { ROUTER_ALERT_HEADER_LEN } else { 4 };
            let room = self.config.mtu - ip_header_len(ipv6) - alert - REPORT_HEADER_LEN;
            let at_once = (room / Record::len(ipv6)).max(1);
            for records in records.chunks(at_once) {
                self.emit_report(now, ipv6, records);
            }
        }
    }

    fn emit_report(&mut self, now: Instant, ipv6: bool, records: &[Record]) {
        let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
        let mut body = Vec::with_capacity(records.len() * Record::len(ipv6));
        for record in records {
            record.emit(&mut body);
        }
        let message = Message::icmp(report_header(ipv6, count), body.into(), ipv6);
        let (to, protocol) = if ipv6 {
            (IpAddr::V6(ALL_MLD_ROUTERS), icmp::protocol(true))
        } else {
            (IpAddr::V4(ALL_IGMP_ROUTERS), IpProtocol::IGMP)
        };
        let mut ip = self.ip_head(self.report_source(to), to, protocol);
        ip.hop_limit = 1;
        ip.router_alert = true;
        if !ipv6 {
            ip.traffic_class = INTERNETWORK_CONTROL;
        }
        self.stats.membership_reports_sent += 1;
        self.emit_message(now, ip, message);
    }

    /// Who reports: over IPv6 a link-local address or nobody (RFC 3590, RFC 3810 section
    /// 5.2.13), over IPv4 an address or nobody (RFC 3376 section 4.2.13).
    fn report_source(&self, to: IpAddr) -> IpAddr {
        let own = self.addresses.source_for(to);
        own.filter(|own| match own {
            IpAddr::V4(_) => true,
            IpAddr::V6(own) => own.is_unicast_link_local(),
        })
        .unwrap_or(unspecified(to.is_ipv6()))
    }
}

/// A part of `max` that others cannot foretell.
fn pick(entropy: &mut Entropy, max: Duration) -> Duration {
    let nanos = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(entropy.visible_u64() % nanos.max(1))
}
