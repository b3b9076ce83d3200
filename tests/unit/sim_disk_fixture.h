/* What the tests of the simulated disk share: one without faults. */
#ifndef SYNOD_TESTS_UNIT_SIM_DISK_FIXTURE_H
#define SYNOD_TESTS_UNIT_SIM_DISK_FIXTURE_H

#include "sim/disk.h"

enum { PAGE = 4096, SECTOR = 512, ALWAYS = 1000000, SEEDS = 150 };

struct fixture {
    struct faults faults;
    struct disk_sim *sim;
    struct disk *disk;
};

static inline void begin(struct fixture *f, uint64_t seed)
{
    f->faults = (struct faults){0};
    f->sim = disk_sim_new(seed, 1, &f->faults);
    f->disk = disk_sim_disk(f->sim);
}

#endif
