/* The fast path: what the switch has decided for a flow, done in the kernel.
 *
 * The program sits at the ingress of each port (TCX) and at the egress of internal interfaces, where the host sends. A frame's headers are read into a key; each mask in use is tried on it, most used first; the flow that is found
 * is counted and its operations are carried out. Everything else goes to user space whole: from ports by way of the punt
 * device, with the port's mark in a tag beside it; from internal interfaces as the tap delivers it.
 *
 * Reading must agree with frame/src/parse.rs in every field that a mask may have. Where that would be long (extension
 * headers, MPLS, a third tag) the frame is left to user space. */
#include "layout.h"
#include "meter.h"

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct config); } CONFIG SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct count); } COUNTS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct flow); } FLOWS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4096); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct port); } PUNTS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1024); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct program); } PROGRAMS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, STATS); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, u64); } STATISTICS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4096); __type(key, u32); __type(value, u32); } PORTS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, BUCKETS); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct bucket); } KEYS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, MAX_METERS); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct meter); } METERS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, MAX_PASSES); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct dropped); } DROPPED SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, RECENT); __type(key, u32); __type(value, struct recent); } FOUND SEC(".maps");

/* Bits of the key, as frame/src/field.rs has them. */
#define PRESENT_L3 1
#define PRESENT_L4 2
#define FRAG_ANY 1
#define FRAG_LATER 2
enum { SHIFT_VLAN2 = 48, SHIFT_COUNT = 44, SHIFT_SERVICE = 43, SHIFT_SERVICE2 = 42 };
enum { SHIFT_PROTO = 56, SHIFT_TOS = 48, SHIFT_TTL = 40, SHIFT_FRAG = 38, SHIFT_FLABEL = 16 };

#define ETH_VLAN 0x8100
#define ETH_SVLAN 0x88a8
#define MIN_FRAME 60
/* Fixed parts of the longest headers read: IPv6 and TCP. */
#define L3_BYTES 64

struct frame {
  u64 word[FULL_WORDS];
  u32 at;    /* of the payload behind the EtherType */
  u32 l3_end; /* of the IP packet */
  u32 l4_at; /* of a transport header that was read */
  u32 is_read; /* what lies behind Ethernet is */
  u32 kind;  /* EtherType behind the tags */
  u32 bytes; /* whole length, tag included */
};

static inline_always void note(u32 what) {
  u64 *value = bpf_map_lookup_elem(&STATISTICS, &what);
  if (value) __sync_fetch_and_add(value, 1);
}

static inline_always int is_tag(u32 kind) { return kind == ETH_VLAN || kind == ETH_SVLAN; }

/* Ethernet and tags. Returns 0, or -1 for what is left to user space. */
static inline_always int read_ethernet(struct __sk_buff *skb, struct frame *frame) {
  u8 *data = (u8 *)(long)skb->data, *end = (u8 *)(long)skb->data_end;
  if (data + 14 > end) return -1;
  u64 dst = ntohll(*(u64 *)data) >> 16, src = ntohll(*(u64 *)(data + 6));
  u32 kind = src & 0xffff, tags = 0, at = 14;
  u64 tci = 0, rest = 0;
  src >>= 16;
  frame->bytes = skb->len;
  if (skb->vlan_present) {
    tci = (u16)skb->vlan_tci | 0x1000;
    if (skb->vlan_proto == htons(ETH_SVLAN)) rest |= 1ULL << SHIFT_SERVICE;
    tags = 1;
    frame->bytes += 4;
  }
  if (is_tag(kind)) {
    /* The kernel keeps the outermost tag out of the frame; one that is not there came by an unusual way. */
    if (!tags || data + 18 > end) return -1;
    rest |= (u64)(ntohs(*(u16 *)(data + 14)) | 0x1000) << SHIFT_VLAN2;
    if (kind == ETH_SVLAN) rest |= 1ULL << SHIFT_SERVICE2;
    kind = ntohs(*(u16 *)(data + 16));
    at = 18;
    tags = 2;
    if (is_tag(kind)) return -1;
  }
  if (kind < 0x0600) return -1; /* 802.3 length, SNAP */
  frame->word[1] = dst << 16 | kind;
  frame->word[2] = src << 16 | tci;
  frame->word[3] = rest | (u64)tags << SHIFT_COUNT;
  frame->at = at;
  frame->kind = kind;
  return 0;
}

/* Transport header at `at`, the IP packet ending at `end` (offsets into the skb). */
static inline_always int read_transport(struct frame *frame, u8 *data, u8 *data_end, u32 at, u32 end, u8 proto) {
  u32 needed;
  switch (proto) {
  case 6: needed = 20; break;
  case 17: case 1: case 58: needed = 8; break;
  case 132: needed = 12; break;
  default: return 0;
  }
  if (at + needed > end) return 0;
  u8 *header = data + at;
  if (header + 20 > data_end && (header + needed > data_end || proto == 6)) return -1;
  if (header + 8 > data_end) return -1;
  u64 word;
  if (proto == 1 || proto == 58) {
    if (proto == 58 && (header[0] == 135 || header[0] == 136)) return -1; /* neighbour discovery */
    word = (u64)header[0] << 48 | (u64)header[1] << 32;
  } else {
    word = (u64)ntohl(*(u32 *)header) << 32;
    if (proto == 6) {
      if (header + 20 > data_end) return -1;
      word |= (u64)(ntohs(*(u16 *)(header + 12)) & 0x0fff) << 16;
    }
  }
  frame->word[10] = word;
  frame->word[3] |= PRESENT_L4;
  frame->l4_at = at;
  return 0;
}

static inline_always int read_ipv4(struct frame *frame, u8 *data, u8 *data_end, u32 at, u32 length) {
  u8 *header = data + at;
  if (at + 20 > length) return 0;
  if (header + 20 > data_end) return -1;
  u32 header_len = (header[0] & 15) * 4, total = ntohs(*(u16 *)(header + 2));
  if (header[0] >> 4 != 4 || header_len < 20 || at + header_len > length) return 0;
  u32 end = total && at + total < length ? at + total : length;
  if (end < at + header_len) return 0;
  frame->l3_end = end;
  u16 fragment = ntohs(*(u16 *)(header + 6));
  u64 flags = (fragment & 0x3fff ? FRAG_ANY : 0) | (fragment & 0x1fff ? FRAG_LATER : 0);
  u8 proto = header[9];
  frame->word[4] = (u64)proto << SHIFT_PROTO | (u64)header[1] << SHIFT_TOS | (u64)header[8] << SHIFT_TTL | flags << SHIFT_FRAG;
  frame->word[5] = ntohll(*(u64 *)(header + 12));
  frame->word[3] |= PRESENT_L3;
  if (flags & FRAG_LATER) return 0;
  if (header_len != 20) return -1;
  return read_transport(frame, data, data_end, at + 20, end, proto);
}

static inline_always int read_ipv6(struct frame *frame, u8 *data, u8 *data_end, u32 at, u32 length) {
  u8 *header = data + at;
  if (at + 40 > length) return 0;
  if (header + 40 > data_end) return -1;
  u32 first = ntohl(*(u32 *)header), payload = ntohs(*(u16 *)(header + 4));
  if (first >> 28 != 6) return 0;
  u32 end = payload && at + 40 + payload < length ? at + 40 + payload : length;
  frame->l3_end = end;
  u8 proto = header[6];
  switch (proto) { /* extension headers */
  case 0: case 43: case 44: case 50: case 51: case 59: case 60: return -1;
  }
  frame->word[4] = (u64)proto << SHIFT_PROTO | (u64)(first >> 20 & 0xff) << SHIFT_TOS | (u64)header[7] << SHIFT_TTL |
                   (u64)(first & 0xfffff) << SHIFT_FLABEL;
  frame->word[6] = ntohll(*(u64 *)(header + 8));
  frame->word[7] = ntohll(*(u64 *)(header + 16));
  frame->word[8] = ntohll(*(u64 *)(header + 24));
  frame->word[9] = ntohll(*(u64 *)(header + 32));
  frame->word[3] |= PRESENT_L3;
  return read_transport(frame, data, data_end, at + 40, end, proto);
}

static inline_always int read_arp(struct frame *frame, u8 *data, u8 *data_end, u32 at, u32 length) {
  u8 *message = data + at;
  if (at + 28 > length) return 0;
  if (message + 28 > data_end) return -1;
  if (*(u32 *)message != 0x00080100 || *(u16 *)(message + 4) != 0x0406) return 0;
  frame->word[5] = (u64)ntohl(*(u32 *)(message + 14)) << 32 | ntohl(*(u32 *)(message + 24));
  frame->word[10] = ntohs(*(u16 *)(message + 6));
  frame->word[3] |= PRESENT_L3;
  return 0;
}

/* What lies behind Ethernet. Returns 0, or -1 for what is left to user space. */
static inline_always int read_network(struct __sk_buff *skb, struct frame *frame) {
  u32 length = skb->len, at = frame->at & 31, wanted = at + L3_BYTES;
  frame->is_read = 1;
  if (wanted > length) wanted = length;
  u8 *data = (u8 *)(long)skb->data, *end = (u8 *)(long)skb->data_end;
  if (data + wanted > end) {
    if (bpf_skb_pull_data(skb, wanted)) return -1;
    data = (u8 *)(long)skb->data;
    end = (u8 *)(long)skb->data_end;
  }
  switch (frame->kind) {
  case 0x0800: return read_ipv4(frame, data, end, at, length);
  case 0x86dd: return read_ipv6(frame, data, end, at, length);
  case 0x0806: case 0x8035: return read_arp(frame, data, end, at, length);
  case 0x8847: case 0x8848: case 0x88e7: return -1;
  default: return 0;
  }
}

/* A hash that only who knows the seed can make collide (NH: sums of products of halves), its bits then spread. */
static inline_always u64 mix(u64 word, u64 seed) {
  return (u64)((u32)word + (u32)seed) * ((u32)(word >> 32) + (u32)(seed >> 32));
}

static inline_always u64 finish(u64 sum) {
  sum ^= sum >> 29;
  sum *= 0x9e3779b97f4a7c15ULL;
  return sum ^ sum >> 32;
}

/* The record with this key. */
static inline_always s64 probe(const u64 *key, u32 words, u64 hash) {
  u32 at = hash & (BUCKETS - 1);
  const struct bucket *bucket = bpf_map_lookup_elem(&KEYS, &at);
  if (!bucket) return -1;
  u64 entry = 0;
  for (u32 i = 0; i < BUCKET_ENTRIES; i++) {
    entry = bucket->entry[i];
    if (!entry || !((entry ^ hash) >> NUMBER_BITS)) break;
  }
  /* Anything else is a number whose record has another key. */
  u32 number = (entry & ((1 << NUMBER_BITS) - 1)) - 1;
  const struct flow *flow = bpf_map_lookup_elem(&FLOWS, &number);
  if (!flow) return -1;
  u64 differs = 0;
#pragma unroll
  for (u32 w = 0; w < words; w++) differs |= flow->key[w] ^ key[w];
  return differs ? -1 : (s64)number;
}

#include "observe.h"

/* The finders and what carries flows out are verified by themselves: inlined, their paths would multiply. They give the
 * number of the flow's record, or -1. */
__attribute__((noinline)) s64 find_short(const struct frame *frame) {
  u32 zero = 0;
  const struct config *config = bpf_map_lookup_elem(&CONFIG, &zero);
  if (!config || !frame) return -1;
  for (u32 i = 0; i < MAX_SHORT_MASKS; i++) {
    if (i >= config->n_short) break;
    u32 id = config->short_order[i] & (MAX_SHORT_MASKS - 1);
    const u64 *mask = config->short_mask[id];
    u64 key[SHORT_WORDS] = {frame->word[0] | id};
    u64 sum = mix(key[0], config->seed[0]);
#pragma unroll
    for (u32 w = 1; w < SHORT_WORDS; w++) {
      key[w] = frame->word[w] & mask[w];
      sum += mix(key[w], config->seed[w]);
    }
    s64 found = probe(key, SHORT_WORDS, finish(sum));
    if (found >= 0) return found;
  }
  return -1;
}

/* Whether a record, found somehow, is of a flow that this frame belongs to. */
static inline_always int belongs(const struct config *config, const struct frame *frame, u32 number) {
  const struct flow *flow = bpf_map_lookup_elem(&FLOWS, &number);
  if (!flow) return 0;
  u32 id = (u32)flow->key[0] - MAX_SHORT_MASKS;
  if (id >= MAX_FULL_MASKS || flow->key[0] >> 32 != frame->word[0] >> 32) return 0;
  const u64 *mask = config->full_mask[id];
  u64 differs = 0;
#pragma unroll
  for (u32 w = 1; w < FULL_WORDS; w++) differs |= flow->key[w] ^ (frame->word[w] & mask[w]);
  return !differs;
}

__attribute__((noinline)) s64 find_full(const struct frame *frame) {
  u32 zero = 0;
  const struct config *config = bpf_map_lookup_elem(&CONFIG, &zero);
  if (!config || !frame) return -1;
  u32 *recent = 0;
  if (config->n_full > 1) {
    u64 sum = mix(frame->word[0], config->seed[0]);
#pragma unroll
    for (u32 w = 1; w < FULL_WORDS; w++) sum += mix(frame->word[w] & config->full_union[w], config->seed[w]);
    sum = finish(sum);
    u32 at = sum & (RECENT - 1);
    struct recent *pair = bpf_map_lookup_elem(&FOUND, &at);
    if (!pair) return -1;
    recent = sum >> 63 ? &pair->number[1] : &pair->number[0];
    u32 guess = *recent;
    if (guess && belongs(config, frame, guess - 1)) return guess - 1;
  }
  for (u32 i = 0; i < MAX_FULL_MASKS; i++) {
    if (i >= config->n_full) break;
    u32 id = config->full_order[i] & (MAX_FULL_MASKS - 1);
    const u64 *mask = config->full_mask[id];
    u64 key[FULL_WORDS];
    key[0] = frame->word[0] | (id + MAX_SHORT_MASKS);
    u64 sum = mix(key[0], config->seed[0]);
#pragma unroll
    for (u32 w = 1; w < FULL_WORDS; w++) {
      key[w] = frame->word[w] & mask[w];
      sum += mix(key[w], config->seed[w]);
    }
    s64 found = probe(key, FULL_WORDS, finish(sum));
    if (found < 0) continue;
    if (recent && i) *recent = found + 1;
    return found;
  }
  return -1;
}

/* The record of a frame's flow; -1: there is none, -2: the frame is left to user space. */
static inline_always s64 find(struct __sk_buff *skb, const struct config *config, struct frame *frame) {
  s64 found = find_short(frame);
  if (found >= 0 || !config->n_full) return found;
  if (!frame->is_read && read_network(skb, frame)) return -2;
  return find_full(frame);
}

static inline_always u32 changes_of(const struct config *config) { return *(const volatile u32 *)&config->changes; }

struct work {
  u32 bytes;       /* of the frame as it came in */
  u32 first_tci;   /* of its outermost tag */
  u32 counter;     /* number of the flow's counters on this CPU */
  u32 l3;          /* where the network header is now: a tag beside the frame takes no room in it */
};

static inline_always u32 length_of(const struct __sk_buff *skb) { return skb->len + (skb->vlan_present ? 4 : 0); }

/* A frame of legal length leaves with legal length, as in pipeline/src/execute.rs. */
static inline_always long pad(struct __sk_buff *skb, struct work *work, u32 counted) {
  u32 length = length_of(skb);
  if (length >= MIN_FRAME || work->bytes < MIN_FRAME) return 0;
  if (counted) {
    u32 number = work->counter;
    struct count *count = bpf_map_lookup_elem(&COUNTS, &number);
    if (count) count->padding += MIN_FRAME - length;
  }
  return bpf_skb_change_tail(skb, skb->len + MIN_FRAME - length, 0);
}

static inline_always int redirect(struct __sk_buff *skb, const struct op *op) {
  if (op->flags & OUT_PEER) {
    /* It is the receiver's own, but Linux before 6.15 would leave it what it was to the device it came in by. */
    if (skb->pkt_type != PACKET_HOST) bpf_skb_change_type(skb, PACKET_HOST);
    return bpf_redirect_peer(op->word, 0);
  }
  return bpf_redirect(op->word, op->flags & OUT_INGRESS ? BPF_F_INGRESS : 0);
}

static inline_always int too_long(const struct __sk_buff *skb, const struct op *op) {
  return skb->len > op->small && !skb->gso_size;
}

/* The last output takes the frame itself. */
static inline_always int leave(struct __sk_buff *skb, const struct op *op) {
  if (!too_long(skb, op)) return redirect(skb, op);
  note(STAT_TOO_LONG);
  return TC_ACT_SHOT;
}

/* Writes into a network or transport header and brings checksums up to date, as frame/src/set_field.rs does. What is left to
 * the device (CHECKSUM_PARTIAL) holds the sum of the pseudo-header, which the helpers know. */
__attribute__((noinline)) int write_header(struct __sk_buff *skb, u32 l3, u32 how, u32 small, u32 word) {
  u32 code = how & 0xff, flags = how >> 8;
  u32 at = l3 + (small & 0xff), sum_at = l3 + (small >> 8), size = flags & WRITE_SIZE, bytes = size == 2 ? 4 : 2;
  u32 from = 0, to = word, start = at;
  if (size == 2) {
    if (bpf_skb_load_bytes(skb, start, &from, 4)) return -1;
  } else {
    u16 old = 0;
    start = at & ~1; /* headers begin at even places */
    if (bpf_skb_load_bytes(skb, start, &old, 2)) return -1;
    from = old;
    if (size == 0) {
      u32 shift = (at & 1) * 8;
      to = (old & ~((word >> 8 & 0xff) << shift)) | (word & 0xff) << shift;
    }
    to &= 0xffff;
  }
  if (from == to) return 0;
  /* What is written and the checksum that covers it cancel out in the sum of the whole frame (CHECKSUM_COMPLETE). The helper
   * does not know that of addresses that have no other checksum, IPv6's. */
  int summed = code >= OP_WRITE_IPV4 || (flags & WRITE_TRANSPORT && !(flags & WRITE_PSEUDO));
  if (size == 2) {
    if (bpf_skb_store_bytes(skb, start, &to, 4, summed ? 0 : BPF_F_RECOMPUTE_CSUM)) return -1;
  } else {
    u16 new = to;
    if (bpf_skb_store_bytes(skb, start, &new, 2, summed ? 0 : BPF_F_RECOMPUTE_CSUM)) return -1;
  }
  if (code >= OP_WRITE_IPV4) {
    u32 header = start - (code - OP_WRITE_IPV4) * 4;
    if (bpf_l3_csum_replace(skb, header + 10, from, to, bytes)) return -1;
  }
  if (flags & WRITE_TRANSPORT) {
    u64 replace = bytes;
    if (flags & WRITE_PSEUDO) replace |= BPF_F_PSEUDO_HDR;
    if (flags & WRITE_UDP) replace |= BPF_F_MARK_MANGLED_0;
    if (flags & WRITE_ALWAYS) replace |= BPF_F_MARK_ENFORCE;
    if (bpf_l4_csum_replace(skb, sum_at, from, to, replace)) return -1;
  }
  return 0;
}

/* Shows a frame to a meter; nonzero: it is to be dropped. */
__attribute__((noinline)) int exceeds_meter(u32 number, u32 place, u32 length, u32 bytes) {
  struct meter *meter = bpf_map_lookup_elem(&METERS, &number);
  if (!meter || !exceeds_any(meter, length, bpf_ktime_get_ns())) return 0;
  u32 at = bpf_get_smp_processor_id() * MAX_PASSES + place;
  struct dropped *dropped = bpf_map_lookup_elem(&DROPPED, &at);
  if (dropped) {
    dropped->packets += 1;
    dropped->bytes += bytes;
  }
  return 1;
}

/* One operation other than the last output; negative: it failed, positive: the frame ends here. */
static inline_always long apply(struct __sk_buff *skb, const struct op *op, struct work *work) {
  u32 kept;
  switch (op->code) {
  case OP_OUTPUT:
    if (too_long(skb, op)) {
      note(STAT_TOO_LONG);
      return 0;
    }
    /* What a port does not take is lost for that port alone. */
    bpf_clone_redirect(skb, op->word, op->flags & OUT_INGRESS ? BPF_F_INGRESS : 0);
    return 0;
  case OP_POP_VLAN:
    if (bpf_skb_vlan_pop(skb)) return -1;
    if (work->l3 > 14) work->l3 -= 4;
    return pad(skb, work, op->small);
  case OP_PUSH_VLAN:
    kept = work->first_tci & op->word >> 16;
    if (skb->vlan_present) work->l3 += 4;
    if (bpf_skb_vlan_push(skb, htons(op->small), (op->word & 0xffff) | kept)) return -1;
    if (op->flags & PUSH_RESTORE) {
      u32 length = length_of(skb);
      if (length > work->bytes) return bpf_skb_change_tail(skb, skb->len - (length - work->bytes), 0);
    }
    return 0;
  case OP_SET_VLAN: {
    u16 proto = skb->vlan_proto;
    kept = skb->vlan_tci & op->word >> 16;
    if (bpf_skb_vlan_pop(skb)) return -1;
    return bpf_skb_vlan_push(skb, proto, (op->word & 0xffff) | kept);
  }
  case OP_METER: return exceeds_meter(op->word, op->small, work->bytes + 4 * (signed char)op->flags, work->bytes);
  case OP_QUEUE:
    skb->priority = op->word;
    return 0;
  case OP_SET_ETH: {
    struct op copy = *op;
    return bpf_skb_store_bytes(skb, op->flags ? 6 : 0, &copy.small, 6, 0);
  }
  default: return write_header(skb, work->l3, op->code | op->flags << 8, op->small, op->word);
  }
}

static inline_always int run(struct __sk_buff *skb, const struct op *op, u32 n, u32 limit, struct work *work) {
  for (u32 i = 0; i < limit; i++, op++) {
    if (i >= n) break;
    if (op->code == OP_OUTPUT && op->flags & OUT_LAST) return leave(skb, op);
    long ended = apply(skb, op, work);
    if (!ended) continue;
    if (ended < 0) note(STAT_ERROR);
    return TC_ACT_SHOT;
  }
  return TC_ACT_SHOT;
}

__attribute__((noinline)) int run_short(struct __sk_buff *skb, u32 number, struct work *work) {
  const struct flow *flow = bpf_map_lookup_elem(&FLOWS, &number);
  if (!flow || !work) return TC_ACT_SHOT;
  return run(skb, flow->op, flow->n_ops, INLINE_OPS, work);
}

/* A program that does not fit the record. */
__attribute__((noinline)) int run_long(struct __sk_buff *skb, u32 number, u32 n, struct work *work) {
  const struct program *program = bpf_map_lookup_elem(&PROGRAMS, &number);
  if (!program || !work) return TC_ACT_SHOT;
  return run(skb, program->op, n, MAX_OPS, work);
}

/* Where what a device has under way to user space is counted; 0: it is no port. */
static inline_always struct port *port_of(struct __sk_buff *skb) {
  u32 ifindex = skb->ifindex;
  u32 *mark = bpf_map_lookup_elem(&PORTS, &ifindex), slot = mark ? SLOT_OF(*mark) : 0;
  return mark ? bpf_map_lookup_elem(&PUNTS, &slot) : 0;
}

/* To user space, unless too much of this port is on its way there: no port may fill the queue of all. What comes by a device
 * that is no port (not yet, or not any more) is not ours. */
static inline_always int punt(struct __sk_buff *skb, const struct config *config, u32 why) {
  u32 zero = 0, ifindex = skb->ifindex, *mark = bpf_map_lookup_elem(&PORTS, &ifindex);
  struct port *port = port_of(skb), *all = bpf_map_lookup_elem(&PUNTS, &zero);
  if (!mark || !port || !all) return TC_ACT_UNSPEC;
  note(why);
  if (port->internal) return TC_ACT_UNSPEC;
  s64 mine = port->sent - port->taken, room = (s64)config->punt_room - (s64)(all->sent - all->taken);
  u64 load = PUNT_LOAD(length_of(skb));
  /* Beside a frame there is room for one tag, so one that it has goes into it. */
  if (mine > (s64)config->punt_limit || 2 * mine > room || bpf_skb_vlan_push(skb, htons(0x88a8), *mark)) {
    __sync_fetch_and_add(&port->dropped, 1);
    note(STAT_PUNT_DROP);
    return TC_ACT_SHOT;
  }
  __sync_fetch_and_add(&port->sent, load);
  __sync_fetch_and_add(&all->sent, load);
  return bpf_redirect(config->punt_ifindex, 0);
}

/* Whether what a flow follows has not been taken yet. Not asked for if half of what a port may have under way is: user space can
 * hardly keep up then. */
static inline_always int is_behind(const struct config *config, const struct port *port, u64 behind) {
  return (s64)((port->taken - behind) << (64 - BEHIND_BITS)) < 0 && 2 * (s64)(port->sent - port->taken) <= (s64)config->punt_limit;
}

/* Sends a packet after those of its flow that may still be on their way through user space. Returns the verdict, or -1: there are
 * none any more. What they are is found here and not when the record is made: a packet that came meanwhile would be left out. */
static inline_always int follow(struct __sk_buff *skb, const struct config *config, struct flow *flow) {
  struct port *port = port_of(skb);
  u64 behind = flow->behind, load = (1ull << BEHIND_BITS) - 1;
  if (port && flow->follows == FOLLOWS_ALL) behind = (behind & ~load) | (port->sent & load);
  if (!port || !is_behind(config, port, behind)) {
    flow->follows = FOLLOWS_NONE;
    return -1;
  }
  int verdict = punt(skb, config, STAT_BEHIND);
  u64 left = (behind >> BEHIND_BITS) - 1;
  flow->behind = left << BEHIND_BITS | (port->sent & load);
  flow->follows = left ? FOLLOWS_OWN : FOLLOWS_NONE;
  return verdict;
}

/* What a packet socket takes of a device: all, until the device is a port here. As the program looks at the same map, the
 * change from one to the other loses no frame; both see one that is just between them then. */
SEC("socket") int gate(struct __sk_buff *skb) {
  u32 ifindex = skb->ifindex;
  return bpf_map_lookup_elem(&PORTS, &ifindex) ? 0 : -1;
}

SEC("classifier/weft") int weft(struct __sk_buff *skb) {
  u32 zero = 0;
  const struct config *config = bpf_map_lookup_elem(&CONFIG, &zero);
  if (!config) return TC_ACT_SHOT;
  struct frame frame = {};
  if (read_ethernet(skb, &frame)) return punt(skb, config, STAT_DEEP);
  frame.word[0] = (u64)skb->ifindex << 32;
  u32 changes = changes_of(config);
  s64 found = find(skb, config, &frame);
  /* A packet that misses its flow by a change beside it would be overtaken by those after it. */
  if (found == -1 && (changes & 1 || changes_of(config) != changes)) found = find(skb, config, &frame);
  if (found < 0) return punt(skb, config, found == -1 ? STAT_MISS : STAT_DEEP);
  u32 number = found, counter = bpf_get_smp_processor_id() * config->flows + number;
  struct count *count = bpf_map_lookup_elem(&COUNTS, &counter);
  struct flow *flow = bpf_map_lookup_elem(&FLOWS, &number);
  if (!count || !flow) return TC_ACT_SHOT;
  if (flow->follows) {
    int verdict = follow(skb, config, flow);
    if (verdict >= 0) return verdict;
  }
  if (flow->watch && observe(skb, &frame, flow->watch)) return punt(skb, config, STAT_UNSEEN);
  /* Each CPU has its own, and the program is never interrupted by itself. */
  count->packets += 1;
  count->bytes += frame.bytes;
  /* Which queue a frame leaves by is the switch's to say, not the sender's. */
  skb->priority = 0;
  u32 n = flow->n_ops;
  /* Most frames leave as they came. */
  if (n == 1) return leave(skb, &flow->op[0]);
  if (!n) return TC_ACT_SHOT;
  struct work work = {.bytes = frame.bytes, .first_tci = skb->vlan_tci, .counter = counter, .l3 = frame.at};
  if (n <= INLINE_OPS) return run_short(skb, number, &work);
  return run_long(skb, flow->program, n, &work);
}

char _license[] SEC("license") = "Apache-2.0";
