/* What a test asks of sandbox_guest.c and loop_guest.c. */
#ifndef SYNOD_TESTS_COMPONENT_SANDBOX_ORDERS_H
#define SYNOD_TESTS_COMPONENT_SANDBOX_ORDERS_H

#include <stdint.h>

/* For sandbox_guest.c, in the argument of a turn: sandbox_order(). It returns 0, or 1 + the error code of WASI. */
enum sandbox_order {
    ORDER_TCP_CONNECT,
    ORDER_TCP_LISTEN,
    ORDER_UDP_BIND,
    ORDER_UDP_SEND, /* from a socket at any port */
    ORDER_LOOK_UP,  /* the argument is the number of a name */
    ORDER_OPEN,     /* the argument is the number of a path */
    ORDER_LINK,     /* makes a link to the parent folder, and opens a file through it */
    ORDER_COUNT, /* environment variables and arguments, in the place of an error; and preopened folders that are not "." */
};

/* With an IPv4 address on loopback: 127.0.0.`host`; 0 for `host`: 0.0.0.0. */
static inline uint64_t sandbox_order(enum sandbox_order order, uint64_t host, uint64_t argument)
{
    return (uint64_t)order | argument << 8 | host << 24;
}

static const char *const sandbox_names[] = {"localhost", "127.0.0.1"};
static const char *const sandbox_paths[] = {"inside",   "../outside", "/etc/passwd", "folder/../../outside",
                                            "link-out", "link-in"};

/* For loop_guest.c: the kind of the settings' packet. */
enum loop_order {
    LOOP_UNTIL_ZERO, /* waits, lets the host's loop run, and ends when that returns 0 */
    LOOP_FAIL,
    LOOP_COMPUTE,       /* for ever, after the host's loop has run once */
    LOOP_COMPUTE_FIRST, /* the same without that */
    LOOP_WAIT,          /* for half a second, then as LOOP_UNTIL_ZERO */
    LOOP_WAIT_ON,       /* for ever, half a second at a time */
    LOOP_CANNOT_GO_ON,
    LOOP_IDENTITY, /* succeeds when all of the interface answers as expected */
    LOOP_BAD_PEER, /* asks about a peer with half an instance id */
    LOOP_NO_WAIT,  /* asks 100000 times whether the host's loop has something to do */
};

#endif
