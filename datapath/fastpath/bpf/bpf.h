/* What our program needs of the kernel's BPF interface, so that building it takes clang and no header package.
 * Layouts and numbers are the kernel's UAPI (include/uapi/linux/bpf.h), which never changes. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

struct __sk_buff {
  u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto;
  u32 priority, ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
  u32 napi_id, family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta;
  u64 flow_keys, tstamp;
  u32 wire_len, gso_segs;
  u64 sk;
  u32 gso_size;
};

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_RINGBUF = 27 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_MMAPABLE = 1 << 10 };
enum { BPF_NOEXIST = 1 };
enum { BPF_F_INGRESS = 1, BPF_F_PSEUDO_HDR = 1 << 4, BPF_F_MARK_MANGLED_0 = 1 << 5, BPF_F_MARK_ENFORCE = 1 << 6, BPF_F_RECOMPUTE_CSUM = 1 };
enum { TC_ACT_UNSPEC = -1, TC_ACT_SHOT = 2 };
enum { PACKET_HOST = 0 };

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define inline_always inline __attribute__((always_inline))

#define HELPER(number, result, name, ...) static result (*const name)(__VA_ARGS__) = (void *)(number)
HELPER(1, void *, bpf_map_lookup_elem, void *map, const void *key);
HELPER(2, long, bpf_map_update_elem, void *map, const void *key, const void *value, u64 flags);
HELPER(5, u64, bpf_ktime_get_ns, void);
HELPER(7, u32, bpf_get_prandom_u32, void);
HELPER(8, u32, bpf_get_smp_processor_id, void);
HELPER(9, long, bpf_skb_store_bytes, struct __sk_buff *skb, u32 offset, const void *from, u32 len, u64 flags);
HELPER(10, long, bpf_l3_csum_replace, struct __sk_buff *skb, u32 offset, u64 from, u64 to, u64 size);
HELPER(11, long, bpf_l4_csum_replace, struct __sk_buff *skb, u32 offset, u64 from, u64 to, u64 flags);
HELPER(13, long, bpf_clone_redirect, struct __sk_buff *skb, u32 ifindex, u64 flags);
HELPER(18, long, bpf_skb_vlan_push, struct __sk_buff *skb, u16 proto, u16 tci);
HELPER(19, long, bpf_skb_vlan_pop, struct __sk_buff *skb);
HELPER(23, long, bpf_redirect, u32 ifindex, u64 flags);
HELPER(26, long, bpf_skb_load_bytes, const void *skb, u32 offset, void *to, u32 len);
HELPER(28, s64, bpf_csum_diff, const void *from, u32 from_size, const void *to, u32 to_size, u32 seed);
HELPER(32, long, bpf_skb_change_type, struct __sk_buff *skb, u32 type);
HELPER(38, long, bpf_skb_change_tail, struct __sk_buff *skb, u32 len, u64 flags);
HELPER(39, long, bpf_skb_pull_data, struct __sk_buff *skb, u32 len);
HELPER(131, void *, bpf_ringbuf_reserve, void *ring, u64 size, u64 flags);
HELPER(132, void, bpf_ringbuf_submit, void *data, u64 flags);
HELPER(155, long, bpf_redirect_peer, u32 ifindex, u64 flags);

HELPER(160, u64, bpf_ktime_get_coarse_ns, void);

#define ntohs(x) __builtin_bswap16(x)
#define htons(x) __builtin_bswap16(x)
#define ntohl(x) __builtin_bswap32(x)
#define ntohll(x) __builtin_bswap64(x)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the program assumes a little-endian machine"
#endif
