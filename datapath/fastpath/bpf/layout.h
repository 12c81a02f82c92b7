/* What user space and the program share: see src/layout.rs, which mirrors this file. */
#pragma once
#include "bpf.h"

/* Keys have the words of user space's FlowKey (frame/src/field.rs), so that masks and values are the same bits in both.
 * Word 0 is (ifindex << 32 | mask id); then the words 13, 14 and 15 (Ethernet and VLAN); a full key has 16 to 22, too. */
#define SHORT_WORDS 4
#define FULL_WORDS 11

/* Ids of masks: short ones first, so that a key's first word tells its kind. */
#define MAX_SHORT_MASKS 16
#define MAX_FULL_MASKS 32

/* The table of keys, kept by user space: a bucket for some bits of a key's hash, and in it the numbers of records, each with
 * the hash's other bits, which differ among the keys of a bucket. There are no gaps: a zero ends the search. */
#define BUCKETS 32768
#define BUCKET_ENTRIES 8
#define NUMBER_BITS 18
struct bucket { u64 entry[BUCKET_ENTRIES]; }; /* hash >> NUMBER_BITS << NUMBER_BITS | number + 1 */

/* Where frames with several masks to try were found lately, by the hash of all bits that any mask has: two words of as many
 * numbers, each plus one. What is there is only a guess. */
#define RECENT 32768
struct recent { u32 number[2]; };

struct config {
  u32 punt_ifindex;  /* where frames go that user space has to see */
  u32 punt_limit;    /* load of one port that may be under way there */
  u32 flows;         /* counters per CPU */
  u32 n_short, n_full;
  u32 punt_room;     /* load of all ports: each may have half of what is left of it */
  u32 changes;       /* odd while user space moves something that is to be found all the time, and then one more */
  u32 reserved;
  u64 seed[FULL_WORDS]; /* of the hash: nobody outside may know which keys meet in a bucket */
  u64 full_union[FULL_WORDS]; /* bits of all full masks in use */
  u32 short_order[MAX_SHORT_MASKS]; /* most used first; ids less those of the kind's first */
  u32 full_order[MAX_FULL_MASKS];
  u64 short_mask[MAX_SHORT_MASKS][SHORT_WORDS]; /* by id; word 0 unused */
  u64 full_mask[MAX_FULL_MASKS][FULL_WORDS]; /* the first has the id MAX_SHORT_MASKS */
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
  OP_METER = 13,   /* drop what exceeds it. word: the meter; small: where that is counted; flags: tags more (signed) than the
                      frame came with, as the meter sees it */
};
enum op_flags { OUT_LAST = 1, OUT_PEER = 2, OUT_INGRESS = 4, PUSH_RESTORE = 1 };

enum write_flags { WRITE_SIZE = 3, WRITE_TRANSPORT = 4, WRITE_PSEUDO = 8, WRITE_UDP = 16, WRITE_ALWAYS = 32 };

struct op { u8 code, flags; u16 small; u32 word; };

/* A flow's record. What leads to its number is only a guess, so the key is compared here, in a record that user space leaves
 * alone until no program can be at it any more; it takes the interface out of the key to end the flow. */
#define INLINE_OPS 3
#define BEHIND_BITS 48
/* Which of what a port has sent through user space a flow's packets go after. */
enum follows {
  FOLLOWS_NONE,
  FOLLOWS_ALL, /* all: none has met the record yet, so packets of its own may be among those */
  FOLLOWS_OWN, /* what the port had sent up to the flow's last one */
};
struct flow {
  u8 n_ops;
  u8 follows;  /* enum follows */
  u16 program; /* with more than INLINE_OPS: where they are */
  u32 watch;   /* who is shown its packets; 0: nobody */
  struct op op[INLINE_OPS];
  u64 key[FULL_WORDS];
  u64 behind;  /* the port's load up to what it follows, and above that how many more packets may go that way */
};

#define MAX_OPS 128
struct program { struct op op[MAX_OPS]; };

struct count { u64 packets, bytes, padding, reserved; }; /* half a cache line */

/* A meter, in memory that user space's pipeline uses, too: its bands, highest rate first, each with the time when its bucket was
 * or will be empty, and what it has acted on. See meter.h. */
#define MAX_METERS 16384
#define METER_BANDS 4
struct band { s64 due; u64 cost, tolerance, packets, bytes; };
struct meter {
  u32 n_bands, per_packet;
  struct band band[METER_BANDS];
  u64 reserved[3];
};

/* What a meter has dropped at one place of one flow, by CPU; bytes as they came in. */
#define MAX_PASSES 16384
struct dropped { u64 packets, bytes; };

/* A port. What is on its way to user space is counted as load, so that frames of any size take about the memory it says;
 * those of an internal interface go there by themselves. What was taken has left again. The first is all ports together. */
#define PUNT_LOAD(bytes) (1 + (bytes) / 512)
/* What PORTS has of a port: its place, and above that how often it was another's before, so that late frames of that are known. */
#define SLOT_BITS 12
#define SLOT_OF(mark) ((mark) & ((1u << SLOT_BITS) - 1))
struct port { u64 sent, dropped, taken, internal; };

enum stat { STAT_MISS, STAT_DEEP, STAT_ERROR, STAT_TOO_LONG, STAT_PUNT_DROP, STAT_UNSEEN, STAT_BEHIND, STATS = 16 };

/* What is done with packets for the observers that a flow shows them to; those that account come first. */
#define MAX_WATCHES 8192
#define MAX_SIGHTS 6
enum sight_kind { SIGHT_SAMPLE = 1, SIGHT_ACCOUNT = 2 };
struct sight {
  u8 kind, slot; /* slot: of the observer's counters */
  u16 header_bytes;
  u32 threshold; /* looked at with a chance of (this + 1) / 2^32 */
};
struct watch {
  u32 n, accounts; /* sights, and how many of them account */
  struct sight sight[MAX_SIGHTS];
  u64 reserved;
};

/* What an observer was shown, by CPU: packets that could have been picked, samples and accounts without room. */
#define MAX_OBSERVED 256
struct seen { u64 pool, drops, lost, reserved; };

/* The first says which map of accounts is in use; then for each CPU: odd while it is at work on one. */
struct turn { u64 value, apart[7]; };

#define SAMPLE_RING (1 << 21)
#define MAX_HEADER 512
struct sample {
  u64 at;
  u32 watch, length; /* of the frame, without the tag beside it */
  u16 place, tci, tpid, gso_size;
  u32 times, kept;
  u8 header[MAX_HEADER];
};

#define MAX_ACCOUNTS 65536
struct account_key {
  u32 watch;
  u16 place, kind; /* EtherType */
  u64 word[7];     /* protocol and ToS; addresses; ports: as words 4 to 10 of a key */
};
struct account { u64 packets, octets, first, last, flags, eth[2]; }; /* eth: destination, source */
