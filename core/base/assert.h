/* An assertion that does no I/O. A broken invariant traps, and the host drops the instance. Input from outside never reaches
 * one. Invariants stay in release builds. */
#ifndef SYNOD_CORE_BASE_ASSERT_H
#define SYNOD_CORE_BASE_ASSERT_H

#define invariant(condition)                                                                                                \
    do {                                                                                                                    \
        if (__builtin_expect(!(condition), 0))                                                                              \
            __builtin_trap();                                                                                               \
    } while (0)

#endif
