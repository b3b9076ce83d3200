/* drives.c as a component: there every call of a part goes through an import. */
#include "tests/component/drives.h"
#include "world.h"

uint64_t exports_parts_driver_world_run(uint32_t part, uint64_t rounds) { return drive(part, rounds); }
