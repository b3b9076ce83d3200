/* An assertion that costs no I/O: a broken invariant traps (the host drops the instance), input from outside never
 * reaches one. Kept in release builds. */
#ifndef SYNOD_CORE_BASE_ASSERT_H
#define SYNOD_CORE_BASE_ASSERT_H

#define invariant(condition)                                                                                                \
    do {                                                                                                                    \
        if (__builtin_expect(!(condition), 0))                                                                              \
            __builtin_trap();                                                                                               \
    } while (0)

#endif
