/* What a NIC's driver is stood in for by: frames that the kernel makes of one template, each of a flow at random. */
#include "bpf.h"

struct xdp_md {
  u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

enum { XDP_DROP = 1, XDP_PASS = 2 };
/* Ethernet, IPv4 without options: where the UDP source port lies. */
enum { SOURCE_PORT = 14 + 20 };

/* Set when the program is loaded. */
volatile const u32 flows = 1;
volatile const u32 first_port = 1024;

SEC("xdp")
int inject(struct xdp_md *ctx) {
  u8 *data = (u8 *)(u64)ctx->data, *end = (u8 *)(u64)ctx->data_end;
  if (data + SOURCE_PORT + 2 > end) return XDP_DROP;
  u32 flow = flows > 1 ? bpf_get_prandom_u32() % flows : 0;
  *(u16 *)(data + SOURCE_PORT) = htons((u16)(first_port + flow));
  return XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
