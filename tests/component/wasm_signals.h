/* Wasmtime turns signals of guests' code into traps; cmocka puts handlers of its own around every test, and takes the
 * signals for crashes. A test whose guest traps on purpose gives Wasmtime's back: wasm_signals_keep() in main() after the
 * first engine was made, wasm_signals_restore() first thing in the test. */
#ifndef SYNOD_TESTS_WASM_SIGNALS_H
#define SYNOD_TESTS_WASM_SIGNALS_H

#include <signal.h>

enum { WASM_SIGNALS = 4 };
static const int wasm_signals[WASM_SIGNALS] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
static struct sigaction wasm_signals_kept[WASM_SIGNALS];

static inline void wasm_signals_keep(void)
{
    for (int i = 0; i < WASM_SIGNALS; i++)
        sigaction(wasm_signals[i], NULL, &wasm_signals_kept[i]);
}

static inline void wasm_signals_restore(void)
{
    for (int i = 0; i < WASM_SIGNALS; i++)
        sigaction(wasm_signals[i], &wasm_signals_kept[i], NULL);
}

#endif
