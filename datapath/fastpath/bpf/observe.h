/* Sampling and accounting: what rules show to observers (pipeline/src/observe), done before a frame is changed. A flow that is
 * shown to nobody has no watch, and pays for none of this. See src/observe.rs, which reads what is written here.
 *
 * Accounts are kept in two maps by turns: user space turns from one to the other, waits until no program is at work on the
 * first (`struct turn`), and then empties it undisturbed; so nothing is lost between reading and deleting. What finds no room
 * here goes to user space, which accounts for it itself. */
#pragma once

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, MAX_WATCHES); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct watch); } WATCHES SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct seen); } SEEN SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __uint(map_flags, BPF_F_MMAPABLE); __type(key, u32); __type(value, struct turn); } TURNS SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, SAMPLE_RING); } SAMPLES SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, MAX_ACCOUNTS); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct account_key); __type(value, struct account); } ACCOUNTS_0 SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, MAX_ACCOUNTS); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct account_key); __type(value, struct account); } ACCOUNTS_1 SEC(".maps");

/* The packets on the wire that a frame stands for, as pipeline/src/observe/tuple.rs has them. */
struct measure { u64 packets, octets; };

static inline_always void measure(const struct __sk_buff *skb, const struct frame *frame, struct measure *out) {
  u32 at = frame->at, size = skb->gso_size;
  out->packets = 1;
  out->octets = frame->l3_end - at;
  if (!size || !frame->l4_at) return;
  u32 headers = frame->l4_at, length = skb->len;
  u8 proto = frame->word[4] >> SHIFT_PROTO, offset = 0;
  if (proto == 6) {
    if (bpf_skb_load_bytes(skb, headers + 12, &offset, 1)) return;
    headers += (offset >> 4) * 4;
  } else {
    headers += 8;
  }
  if (headers >= length) return;
  u32 payload = length - headers;
  out->packets = (payload + size - 1) / size;
  out->octets = payload + out->packets * (headers - at);
}

static inline_always void pick(struct __sk_buff *skb, struct seen *seen, u32 number, u32 place, const struct sight *sight, u64 packets) {
  seen->pool += packets;
  u64 times = (((u64)sight->threshold + 1) * packets + bpf_get_prandom_u32()) >> 32;
  if (!times) return;
  struct sample *sample = bpf_ringbuf_reserve(&SAMPLES, sizeof(*sample), 0);
  if (!sample) {
    seen->drops += times;
    return;
  }
  sample->at = bpf_ktime_get_ns();
  sample->watch = number;
  sample->place = place;
  sample->times = times;
  sample->length = skb->len;
  sample->tci = skb->vlan_tci;
  sample->tpid = skb->vlan_present ? ntohs((u16)skb->vlan_proto) : 0;
  sample->gso_size = skb->gso_size;
  u32 wanted = sight->header_bytes;
  if (wanted > skb->len) wanted = skb->len;
  if (wanted > MAX_HEADER) wanted = MAX_HEADER;
  sample->kept = 0;
  if (wanted) {
    /* In other words, those that the verifier before Linux 6.2 understands: 1 to MAX_HEADER. */
    u32 more = wanted - 1;
    asm volatile("%0 &= %1" : "+r"(more) : "i"(MAX_HEADER - 1));
    wanted = more + 1;
    if (!bpf_skb_load_bytes(skb, 0, sample->header, wanted)) sample->kept = wanted;
  }
  bpf_ringbuf_submit(sample, 0);
}

static inline_always struct account *account_of(u64 which, const struct account_key *key) {
  return which & 1 ? bpf_map_lookup_elem(&ACCOUNTS_1, key) : bpf_map_lookup_elem(&ACCOUNTS_0, key);
}

/* Lets the compiler believe that a value is used. */
#define keep(value) asm volatile("" : : "r"(value))

/* Adds to a flow's account; nonzero: there is no room for it. */
static inline_always int account(struct __sk_buff *skb, const struct frame *frame, u32 number, u32 place, const struct measure *much) {
  struct account_key key = {.watch = number, .place = place, .kind = frame->kind};
  key.word[0] = frame->word[4] & (0xffULL << SHIFT_PROTO | 0xffULL << SHIFT_TOS);
#pragma unroll
  for (u32 w = 0; w < 5; w++) key.word[w + 1] = frame->word[w + 5];
  key.word[6] = frame->word[10] & 0xffffffff00000000ULL;
  u32 zero = 0, cpu = bpf_get_smp_processor_id();
  struct turn *turn = bpf_map_lookup_elem(&TURNS, &zero);
  u32 mine = cpu + 1;
  struct turn *work = bpf_map_lookup_elem(&TURNS, &mine);
  if (!turn || !work) return -1;
  /* Odd: at work. An atomic operation whose result is used orders what stands around it. */
  u64 before = __sync_fetch_and_add(&work->value, 1);
  keep(before);
  u64 which = *(volatile u64 *)&turn->value;
  u64 now = bpf_ktime_get_coarse_ns();
  struct account *sum = account_of(which, &key);
  if (!sum) {
    struct account fresh = {.first = now};
    fresh.eth[0] = frame->word[1] >> 16;
    fresh.eth[1] = frame->word[2] >> 16;
    if (which & 1)
      bpf_map_update_elem(&ACCOUNTS_1, &key, &fresh, BPF_NOEXIST);
    else
      bpf_map_update_elem(&ACCOUNTS_0, &key, &fresh, BPF_NOEXIST);
    sum = account_of(which, &key);
  }
  int full = !sum;
  if (sum) {
    u8 proto = frame->word[4] >> SHIFT_PROTO;
    u64 flags = proto == 6 ? frame->word[10] >> 16 & 0xfff : 0;
    __sync_fetch_and_add(&sum->packets, much->packets);
    __sync_fetch_and_add(&sum->octets, much->octets);
    if (flags & ~sum->flags) __sync_fetch_and_or(&sum->flags, flags);
    sum->last = now;
  }
  before = __sync_fetch_and_add(&work->value, 1);
  keep(before);
  return full;
}

/* Shows a frame, as it came in, to all that want to see it. Nonzero: it has to be left to user space, and nobody has seen it. */
__attribute__((noinline)) int observe(struct __sk_buff *skb, struct frame *frame, u32 number) {
  const struct watch *watch = bpf_map_lookup_elem(&WATCHES, &number);
  if (!watch || !frame) return 0;
  if ((watch->accounts || skb->gso_size) && !frame->is_read && read_network(skb, frame)) return -1;
  struct measure much = {.packets = 1};
  int is_ip = frame->word[3] & PRESENT_L3 && (frame->kind == 0x0800 || frame->kind == 0x86dd);
  if (is_ip) measure(skb, frame, &much);
  int counted = 0;
  for (u32 i = 0; i < MAX_SIGHTS; i++) {
    if (i >= watch->n) break;
    const struct sight *sight = &watch->sight[i];
    u32 cpu = bpf_get_smp_processor_id(), at = cpu * MAX_OBSERVED + sight->slot;
    struct seen *seen = bpf_map_lookup_elem(&SEEN, &at);
    if (!seen) continue;
    if (sight->kind == SIGHT_SAMPLE) {
      pick(skb, seen, number, i, sight, much.packets);
      continue;
    }
    if (!is_ip || (sight->threshold != 0xffffffff && bpf_get_prandom_u32() > sight->threshold)) continue;
    if (account(skb, frame, number, i, &much)) {
      /* The first of them finds no room: nobody has seen it yet. */
      if (!counted) return -1;
      seen->lost += much.packets;
      continue;
    }
    counted = 1;
  }
  return 0;
}
