/* Carries out what tests/meter.rs says, by the program's own code: a line "m <packets?> <bands> <due cost tolerance>..." is a
 * meter, a line "p <bytes> <now>" a packet, answered by whether it is dropped and by all bands' due times and counters. */
#include <stdio.h>
#include "meter.h"

int main(void) {
  struct meter meter = {};
  char what;
  while (scanf(" %c", &what) == 1) {
    if (what == 'm') {
      meter = (struct meter){};
      if (scanf("%u %u", &meter.per_packet, &meter.n_bands) != 2 || meter.n_bands > METER_BANDS) return 1;
      for (u32 i = 0; i < meter.n_bands; i++) {
        struct band *band = &meter.band[i];
        if (scanf("%lld %llu %llu", &band->due, &band->cost, &band->tolerance) != 3) return 1;
      }
      continue;
    }
    u64 bytes, now;
    if (scanf("%llu %llu", &bytes, &now) != 2) return 1;
    printf("%d", exceeds_any(&meter, bytes, now));
    for (u32 i = 0; i < meter.n_bands; i++) {
      const struct band *band = &meter.band[i];
      printf(" %lld %llu %llu", band->due, band->packets, band->bytes);
    }
    printf("\n");
  }
  return 0;
}
