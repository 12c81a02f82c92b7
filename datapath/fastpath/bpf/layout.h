/* What user space and the program share: see src/layout.rs, which mirrors this file. */
#pragma once
#include "bpf.h"

/* Keys have the words of user space's FlowKey (frame/src/field.rs), so that masks and values are the same bits in both.
 * Word 0 is (ifindex << 32 | mask id); then the words 13, 14 and 15 (Ethernet and VLAN); a full key has 16 to 22, too. */
#define SHORT_WORDS 4
#define FULL_WORDS 11
struct short_key { u64 word[SHORT_WORDS]; };
struct full_key { u64 word[FULL_WORDS]; };

#define MAX_SHORT_MASKS 16
#define MAX_FULL_MASKS 32

struct config {
  u32 punt_ifindex;  /* where frames go that user space has to see */
  u32 punt_limit;    /* frames of one port that may be under way there */
  u32 flows;         /* counters per CPU */
  u32 n_short, n_full;
  u32 reserved;
  u32 short_order[MAX_SHORT_MASKS]; /* mask ids, most used first */
  u32 full_order[MAX_FULL_MASKS];
  u64 short_mask[MAX_SHORT_MASKS][SHORT_WORDS]; /* by id; word 0 unused */
  u64 full_mask[MAX_FULL_MASKS][FULL_WORDS];
};

enum op_code {
  OP_OUTPUT = 1,   /* word: ifindex; small: longest frame */
  OP_POP_VLAN = 2, /* small: 1: what is padded is counted */
  OP_PUSH_VLAN = 3,/* small: TPID; word: TCI | kept bits of the first tag's << 16 */
  OP_SET_VLAN = 4, /* word: TCI | kept bits << 16 */
  OP_SET_ETH = 5,  /* flags: 0 destination, 1 source; six bytes from small on */
  OP_QUEUE = 6,    /* word: skb->priority, which chooses a class of the device's queueing discipline */
  OP_WRITE = 7,    /* flags: log2 of the bytes, write_flags; small: offset | that of the transport checksum << 8, both from
                      the network header on; word: as in the frame; of a byte the value | bits to write << 8 */
  OP_WRITE_IPV4 = 8, /* up to 12: the same in an IPv4 header, so many words from its begin */
};
enum op_flags { OUT_LAST = 1, OUT_PEER = 2, OUT_INGRESS = 4, PUSH_RESTORE = 1 };

enum write_flags { WRITE_SIZE = 3, WRITE_TRANSPORT = 4, WRITE_PSEUDO = 8, WRITE_UDP = 16, WRITE_ALWAYS = 32 };

struct op { u8 code, flags; u16 small; u32 word; };

/* A flow's record. The hash maps lead to its number; as their elements are used again at once, the key is compared here,
 * in a record that user space leaves alone until no program can be at it any more. */
#define INLINE_OPS 3
struct flow {
  u16 n_ops;
  u16 program; /* with more than INLINE_OPS: where they are */
  u32 reserved;
  struct op op[INLINE_OPS];
  u64 key[FULL_WORDS + 1];
};

#define MAX_OPS 128
struct program { struct op op[MAX_OPS]; };

struct count { u64 packets, bytes, padding; };

/* A port. Frames on their way to user space are counted; those of an internal interface go there by themselves. */
struct port { u64 sent, dropped, taken, internal; };

enum stat { STAT_MISS, STAT_DEEP, STAT_ERROR, STAT_TOO_LONG, STAT_PUNT_DROP, STATS = 16 };
