/* A trap of the compiler is an illegal instruction (x86) or a breakpoint (ARM). Wasmtime handles the same signals: a signal
 * that comes while no guarded call runs goes to the handler from before. */
#include "sim/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static const int signals[] = {SIGILL, SIGTRAP};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

static struct sigaction before[SIGNALS];
static sigjmp_buf back;
static volatile sig_atomic_t guarded;

static void on_trap(int number, siginfo_t *info, void *context)
{
    if (guarded)
        siglongjmp(back, 1);
    for (size_t i = 0; i < SIGNALS; i++) {
        if (signals[i] != number)
            continue;
        if ((before[i].sa_flags & SA_SIGINFO) != 0 && before[i].sa_sigaction != NULL)
            before[i].sa_sigaction(number, info, context);
        else
            sigaction(number, &before[i], NULL); /* it happens again, to that handler */
    }
}

void guard_install(void)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction now;
        sigaction(signals[i], &action, &now);
        if ((now.sa_flags & SA_SIGINFO) == 0 || now.sa_sigaction != on_trap)
            before[i] = now;
    }
}

bool guard_call(void (*function)(void *context), void *context)
{
    if (sigsetjmp(back, 0) != 0) { /* SA_NODEFER: there is no signal mask to restore */
        guarded = 0;
        return false;
    }
    guarded = 1;
    function(context);
    guarded = 0;
    return true;
}
