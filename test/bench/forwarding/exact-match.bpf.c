/*
 * The least that a switch of exact flows must do for a frame, on one of two ports: look its flow up in a hash map, which learns
 * it by its first frame, and send it out of the port that the map says. It is no switch: it learns no addresses.
 * Built with -DOUT=n, the other port's index, and -DOUT_IS_VETH where frames can go right to the host at its far end.
 */
#include "bpf.h"

/* if_packet.h */
enum { PACKET_OTHERHOST = 3 };
enum { ETHERNET = 14, IPV4 = 20, TCP = 6, UDP = 17 };

struct flow {
  u32 ingress_ifindex;
  u16 type;
  u8 addresses[12];
  u8 protocol, zero;
  u32 source, destination, ports;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, struct flow);
  __type(value, u32);
} flows SEC(".maps");

SEC("tc")
int exact_match(struct __sk_buff *skb) {
  u8 *data = (u8 *)(u64)skb->data, *end = (u8 *)(u64)skb->data_end;
  struct flow flow = {.ingress_ifindex = skb->ifindex};
  if (data + ETHERNET > end) return TC_ACT_SHOT;
  __builtin_memcpy(flow.addresses, data, sizeof flow.addresses);
  flow.type = *(u16 *)(data + 12);
  u8 *ip = data + ETHERNET;
  if (flow.type == htons(0x0800) && ip + IPV4 + 4 <= end) {
    flow.protocol = ip[9];
    flow.source = *(u32 *)(ip + 12);
    flow.destination = *(u32 *)(ip + 16);
    if (ip[0] == 0x45 && (flow.protocol == UDP || flow.protocol == TCP)) flow.ports = *(u32 *)(ip + IPV4);
  }
  u32 *known = bpf_map_lookup_elem(&flows, &flow), out = OUT;
  if (known)
    out = *known;
  else
    bpf_map_update_elem(&flows, &flow, &out, BPF_NOEXIST);
#ifdef OUT_IS_VETH
  /* The frame is told to be for another host, as the port's own address is not its destination. */
  if (skb->pkt_type == PACKET_OTHERHOST) bpf_skb_change_type(skb, PACKET_HOST);
  return bpf_redirect_peer(out, 0);
#else
  return bpf_redirect(out, 0);
#endif
}

char _license[] SEC("license") = "Apache-2.0";
