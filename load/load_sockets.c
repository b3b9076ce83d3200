/* load/load_sockets.h over epoll. */
#include "load/load_sockets.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"

enum { EVENTS_MAX = 128, READ_BYTES = 64 * 1024 };

struct load_socket {
    int fd; /* -1: closed */
    bool connecting;
    char *out; /* what the system has not taken */
    size_t out_at, out_len, out_capacity;
};

struct load_sockets {
    const struct load_socket_events *events;
    void *owner;
    int epoll;
    uint32_t count;
    char *in; /* READ_BYTES */
    struct load_socket sockets[];
};

uint64_t load_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool load_resolve(const char *host, uint16_t port, struct load_address *out, char *error, size_t error_size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int rc = getaddrinfo(host, NULL, &hints, &found);
    if (rc != 0) {
        snprintf(error, error_size, "cannot look up %.200s: %s", host, gai_strerror(rc));
        return false;
    }
    *out = (struct load_address){.port = port, .is_ipv6 = found->ai_family == AF_INET6};
    if (out->is_ipv6) {
        const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)found->ai_addr;
        memcpy(out->bytes, &address->sin6_addr, sizeof out->bytes);
        out->scope = address->sin6_scope_id;
    } else {
        memcpy(out->bytes, &((const struct sockaddr_in *)found->ai_addr)->sin_addr, 4);
    }
    freeaddrinfo(found);
    return true;
}

struct load_sockets *load_sockets_new(const struct load_socket_events *events, void *owner, uint32_t count)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return NULL;
    struct load_sockets *s = memory_new(1, sizeof *s + count * sizeof s->sockets[0]);
    s->events = events;
    s->owner = owner;
    s->epoll = epoll;
    s->count = count;
    s->in = memory_new(1, READ_BYTES);
    for (uint32_t i = 0; i < count; i++)
        s->sockets[i].fd = -1;
    return s;
}

void load_sockets_free(struct load_sockets *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        load_sockets_close(s, i);
        free(s->sockets[i].out);
    }
    close(s->epoll);
    free(s->in);
    free(s);
}

/* False: errno says why. */
static bool watch(struct load_sockets *s, uint32_t i, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = i};
    return epoll_ctl(s->epoll, operation, s->sockets[i].fd, &event) == 0;
}

static socklen_t system_address(const struct load_address *from, struct sockaddr_storage *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(from->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(from->port), .sin6_scope_id = from->scope};
    memcpy(&in.sin_addr, from->bytes, sizeof in.sin_addr);
    memcpy(&in6.sin6_addr, from->bytes, sizeof in6.sin6_addr);
    memcpy(out, from->is_ipv6 ? (const void *)&in6 : &in, from->is_ipv6 ? sizeof in6 : sizeof in);
    return from->is_ipv6 ? sizeof in6 : sizeof in;
}

enum load_socket_result load_sockets_connect(struct load_sockets *s, uint32_t i, const struct load_address *address,
                                             const char **why)
{
    struct load_socket *of = &s->sockets[i];
    struct sockaddr_storage to;
    socklen_t size = system_address(address, &to);
    int one = 1, rc = -1;
    of->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (of->fd >= 0) {
        setsockopt(of->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        rc = connect(of->fd, (const struct sockaddr *)&to, size);
    }
    of->connecting = rc != 0 && errno == EINPROGRESS;
    if ((rc == 0 || of->connecting) && watch(s, i, EPOLL_CTL_ADD, rc == 0 ? EPOLLIN : EPOLLOUT))
        return rc == 0 ? SOCKET_DONE : SOCKET_LATER;
    *why = strerror(errno);
    return SOCKET_FAILED;
}

enum load_socket_result load_sockets_send(struct load_sockets *s, uint32_t i, const char *bytes, size_t size,
                                          const char **why)
{
    struct load_socket *to = &s->sockets[i];
    ssize_t n = send(to->fd, bytes, size, MSG_NOSIGNAL);
    bool sound = n >= 0 || errno == EAGAIN || errno == EINTR;
    size_t taken = n < 0 ? 0 : (size_t)n;
    if (sound && taken == size)
        return SOCKET_DONE;
    if (!sound || !watch(s, i, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT)) {
        *why = strerror(errno);
        return SOCKET_FAILED;
    }
    to->out_at = 0;
    to->out_len = size - taken;
    to->out = memory_reserve(to->out, &to->out_capacity, to->out_len, 1);
    memcpy(to->out, bytes + taken, to->out_len);
    return SOCKET_LATER;
}

void load_sockets_close(struct load_sockets *s, uint32_t i)
{
    struct load_socket *of = &s->sockets[i];
    if (of->fd >= 0)
        close(of->fd); /* that also removes it from the epoll */
    of->fd = -1;
    of->connecting = false;
    of->out_len = 0;
}

/* ---- Waiting ---- */

static void on_connected(struct load_sockets *s, uint32_t i)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(s->sockets[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    s->sockets[i].connecting = false;
    if (error == 0 && !watch(s, i, EPOLL_CTL_MOD, EPOLLIN))
        error = errno;
    if (error == 0)
        s->events->connected(s->owner, i);
    else
        s->events->lost(s->owner, i, strerror(error));
}

static void on_writable(struct load_sockets *s, uint32_t i)
{
    struct load_socket *to = &s->sockets[i];
    ssize_t n = send(to->fd, to->out + to->out_at, to->out_len, MSG_NOSIGNAL);
    if (n > 0) {
        to->out_at += (size_t)n;
        to->out_len -= (size_t)n;
    }
    if (to->out_len == 0 && watch(s, i, EPOLL_CTL_MOD, EPOLLIN))
        s->events->sent(s->owner, i);
}

static void on_readable(struct load_sockets *s, uint32_t i)
{
    ssize_t n = recv(s->sockets[i].fd, s->in, READ_BYTES, 0);
    if (n > 0)
        s->events->received(s->owner, i, s->in, (size_t)n);
    else if (n == 0)
        s->events->lost(s->owner, i, "connection closed by the server");
    else if (errno != EAGAIN && errno != EINTR)
        s->events->lost(s->owner, i, strerror(errno));
}

void load_sockets_wait(struct load_sockets *s, uint32_t timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(s->epoll, events, EVENTS_MAX, (int)timeout_ms);
    for (int e = 0; e < n; e++) {
        uint32_t i = events[e].data.u32, what = events[e].events;
        if (s->sockets[i].connecting) {
            on_connected(s, i);
            continue;
        }
        if ((what & EPOLLOUT) != 0 && s->sockets[i].out_len > 0)
            on_writable(s, i);
        if ((what & ~(uint32_t)EPOLLOUT) != 0 && s->sockets[i].fd >= 0 && !s->sockets[i].connecting)
            on_readable(s, i);
    }
}
