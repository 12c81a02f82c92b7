/* Meters: the same as pipeline/src/rate.rs, which says what this is about, on the same cells. tests/meter.rs holds the two to
 * each other, so nothing here needs the kernel. */
#pragma once
#include "layout.h"

#define TIME_BITS 4  /* behind the point of times in nanoseconds */
#define COST_BITS 16 /* behind the point of costs, in units of time */
#define METER_TRIES 4

/* Whether a band's rate is exceeded; if not, the amount is charged for. */
static inline_always int exceeds(struct band *band, u64 amount, s64 now) {
  s64 cost = (amount * band->cost + (1 << (COST_BITS - 1))) >> COST_BITS;
  s64 full = now - band->tolerance;
  s64 due = *(volatile s64 *)&band->due;
  for (u32 i = 0; i < METER_TRIES; i++) {
    if (now <= due) return 1;
    s64 next = (due > full ? due : full) + cost;
    s64 was = __sync_val_compare_and_swap(&band->due, due, next);
    if (was == due) return 0;
    due = was;
  }
  if (now <= due) return 1;
  /* Others were faster each time. None of them has left it behind `full`, so what is charged still adds up. */
  __sync_fetch_and_add(&band->due, cost);
  return 0;
}

/* Takes a packet into account; nonzero: it is to be dropped. Bands come highest rate first: the first one exceeded acts. */
static inline_always int exceeds_any(struct meter *meter, u64 bytes, u64 now) {
  u64 amount = meter->per_packet ? 1 : bytes;
  struct band *acting = 0;
  for (u32 i = 0; i < METER_BANDS; i++) {
    if (i >= meter->n_bands) break;
    struct band *band = &meter->band[i];
    if (exceeds(band, amount, now << TIME_BITS) && !acting) acting = band;
  }
  if (!acting) return 0;
  __sync_fetch_and_add(&acting->packets, 1);
  __sync_fetch_and_add(&acting->bytes, bytes);
  return 1;
}
