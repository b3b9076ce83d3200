/* Exercises the parts through their core headers. The same code is linked with the parts themselves and, in a component,
 * with the shims that reach them through imports; that both answer alike is what test_shims.c checks. */
#ifndef SYNOD_TESTS_COMPONENT_DRIVES_H
#define SYNOD_TESTS_COMPONENT_DRIVES_H

#include <stdint.h>

enum drive {
    DRIVE_PROPOSER,
    DRIVE_ACCEPTOR,
    DRIVE_LEARNER,
    DRIVE_FAILURE_DETECTOR,
    DRIVE_LEADER_DETECTOR,
    DRIVE_STATE_MACHINE,
    DRIVE_SERIALIZER,
    DRIVES
};

/* Goes `rounds` times through the part's functions and returns a hash of all that they answered. */
uint64_t drive(uint32_t part, uint64_t rounds);

#endif
