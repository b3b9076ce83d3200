/* What uv_guest.c and test_uv_wasi.c agree on. */
#ifndef SYNOD_TESTS_COMPONENT_UV_TESTS_H
#define SYNOD_TESTS_COMPONENT_UV_TESTS_H

enum uv_test {
    UV_TEST_TIMERS,
    UV_TEST_ECHO,
    UV_TEST_ECHO_IPV6,
    UV_TEST_LARGE,
    UV_TEST_PAUSE,
    UV_TEST_REFUSED,
    UV_TEST_NAMES,
    UV_TEST_LISTEN,
    UV_TEST_CANCEL,
    UV_TEST_LINGER,
    UV_TEST_RESET,
    UV_TEST_DATAGRAMS,
    UV_TEST_ROUND_TRIPS,
    UV_TEST_CONNECTIONS,
};

/* What the server does with a connection is what its first byte says. */
#define UV_SERVER_ECHO 'e' /* sends everything back; closes at the end */
#define UV_SERVER_SLOW 's' /* reads nothing for a while, then everything, and counts the bytes after the first */
#define UV_SERVER_TOTAL                                                                                                     \
    't' /* reads a count (8 bytes); answers with a zero byte if that is what the last slow one counted; closes */
#define UV_SERVER_RESET 'r' /* resets the connection */

enum { UV_LINGER_BYTES = 64 * 1024 * 1024 }; /* more than a socket takes */

#endif
