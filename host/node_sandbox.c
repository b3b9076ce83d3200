/* WASI for a node: what its component may reach beyond the imports of wit/.
 *
 * Files. One folder, the node's own data folder, which it knows as "."; no folder where storage is the host's. There is no
 * way out of it: neither "..", nor an absolute path, nor a link.
 *
 * Sockets, where the network is in the sandbox:
 *
 *   1. The node may bind and listen at its own addresses of the configuration: at `address` over TCP (and UDP where its
 * network is that), at `client` over TCP. Port 0 there, which only tests have, means any port at that address.
 *   2. It may connect and send to the `address` of every other node, and to no other.
 *   3. Any peer may connect to its ports, as with a network in the host: frames say whom they are from, and that is
 * checked (P12).
 *   4. A socket may be bound to any port that the system chooses: that is what the system does by itself when a connection
 * is made, and asks here first. Listening on such a socket is refused by 1.
 *
 * Names. Numeric addresses of the configuration are known at once. Host names are looked up here when they are needed for
 * the first time. They are looked up again when the guest wants to go to an address that is not known: the guest has looked
 * the name up itself by then, and the name may stand for another machine today. That happens at most once a second, on a
 * thread that may wait. A name that is not found keeps the addresses it had. The guest may look up names only if the
 * configuration has any. (WASI cannot say: only these names. What a guest asks a name server leaves the sandbox; with
 * numeric addresses throughout, nothing does.)
 *
 * Small writes. A guest's sockets never hold them back until others are acknowledged, as the host's do not; Linux
 * acknowledges up to 40 ms later. WASI 0.2 has no word for it, and Wasmtime keeps the descriptors to itself. But before a
 * guest connects or listens, this file is asked. So it goes through all descriptors of the process then: of its TCP sockets,
 * all are meant to be so. Those that are accepted have it from the one that listens.
 *
 * What is refused is logged, the first hundred times. Files and names are refused by Wasmtime alone, without a word. */
#include <arpa/inet.h>
#include <dirent.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/memory.h"
#include "host/node_wasm_internal.h"

enum { ADDRESSES_MAX = 16, LOOK_UP_S = 1, SAID_MAX = 100 };
/* Uses of a site. */
enum { LISTENS_TCP = 1, BINDS_UDP = 2, CONNECTS_TCP = 4, SENDS_UDP = 8 };

struct address {
    uint8_t family; /* as in struct typed_socket */
    uint8_t bytes[16];
};

/* An endpoint of the configuration. */
struct site {
    char host[sizeof((struct endpoint *)0)->host];
    uint16_t port;
    uint8_t uses;
    bool numeric;
    struct address addresses[ADDRESSES_MAX];
    size_t count;
};

/* Shared by the life and by the checks of its sockets, which may outlive it. */
struct sandbox {
    pthread_mutex_t waiting; /* held by the check that looks names up; the others use what it finds. Guards `looked_up` */
    time_t looked_up;        /* monotonic seconds; 0: never */
    pthread_mutex_t lock;    /* guards what follows */
    struct surroundings *surroundings; /* NULL: it is not wanted any more */
    unsigned refs, said;
    struct site *sites; /* of each, `addresses` and `count` may change */
    size_t count;
    bool names;
};

/* ---- addresses ---- */

/* Up to ADDRESSES_MAX addresses of a host into `out`. Waits for name servers, unless it has to be numeric. */
static size_t look_up(const char *host, bool numeric, struct address *out)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = numeric ? AI_NUMERICHOST : 0};
    struct addrinfo *found;
    size_t count = 0;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return 0;
    for (const struct addrinfo *a = found; a != NULL && count < ADDRESSES_MAX; a = a->ai_next) {
        struct address *address = &out[count];
        memset(address, 0, sizeof *address);
        if (a->ai_family == AF_INET) {
            address->family = 4;
            memcpy(address->bytes, &((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr, 4);
            count++;
        } else if (a->ai_family == AF_INET6) {
            address->family = 6;
            memcpy(address->bytes, &((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr, 16);
            count++;
        }
    }
    freeaddrinfo(found);
    return count;
}

static bool is_time_to_look_up(struct sandbox *s)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!s->names || (s->looked_up != 0 && now.tv_sec < s->looked_up + LOOK_UP_S))
        return false;
    s->looked_up = now.tv_sec;
    return true;
}

static void look_up_names(struct sandbox *s)
{
    struct address addresses[ADDRESSES_MAX];
    for (size_t i = 0; i < s->count; i++) {
        struct site *p = &s->sites[i];
        size_t count = p->numeric ? 0 : look_up(p->host, false, addresses);
        if (count == 0)
            continue;
        pthread_mutex_lock(&s->lock);
        memcpy(p->addresses, addresses, count * sizeof *addresses);
        p->count = count;
        pthread_mutex_unlock(&s->lock);
    }
}

/* ---- checks ---- */

static bool is_at(const struct site *p, const struct typed_socket *socket)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->addresses[i].family == socket->family && memcmp(p->addresses[i].bytes, socket->address, 16) == 0)
            return true;
    return false;
}

static bool is_any(const struct typed_socket *socket)
{
    static const uint8_t any[16];
    return socket->port == 0 && memcmp(socket->address, any, sizeof any) == 0;
}

static bool allows(const struct sandbox *s, const struct typed_socket *socket)
{
    static const uint8_t uses[] = {
        [TYPED_TCP_BIND] = LISTENS_TCP, [TYPED_TCP_LISTEN] = LISTENS_TCP, [TYPED_TCP_CONNECT] = CONNECTS_TCP,
        [TYPED_UDP_BIND] = BINDS_UDP,   [TYPED_UDP_SEND] = SENDS_UDP,     [TYPED_UDP_RECEIVE] = 0};
    if (socket->wish == TYPED_TCP_ACCEPT || socket->wish == TYPED_UDP_RECEIVE)
        return true;
    if ((socket->wish == TYPED_TCP_BIND || socket->wish == TYPED_UDP_BIND) && is_any(socket))
        return true;
    for (size_t i = 0; i < s->count; i++) {
        const struct site *p = &s->sites[i];
        uint8_t use = p->uses & uses[socket->wish];
        bool any_port = p->port == 0 && (use & (LISTENS_TCP | BINDS_UDP)) != 0;
        if (use != 0 && (any_port || p->port == socket->port) && is_at(p, socket))
            return true;
    }
    return false;
}

static void say_refused(struct sandbox *s, const struct typed_socket *socket)
{
    static const char *const wishes[] = {[TYPED_TCP_BIND] = "a TCP socket at",
                                         [TYPED_TCP_LISTEN] = "to listen at",
                                         [TYPED_TCP_CONNECT] = "a TCP connection to",
                                         [TYPED_UDP_BIND] = "a UDP socket at",
                                         [TYPED_UDP_SEND] = "to send datagrams to"};
    char address[INET6_ADDRSTRLEN], text[256];
    inet_ntop(socket->family == 4 ? AF_INET : AF_INET6, socket->address, address, sizeof address);
    pthread_mutex_lock(&s->lock);
    if (s->surroundings != NULL && s->said < SAID_MAX) {
        snprintf(text, sizeof text, "the sandbox refused %s %s port %u%s", wishes[socket->wish], address, socket->port,
                 ++s->said == SAID_MAX ? ", and says no more of what it refuses" : "");
        s->surroundings->operations->refused(s->surroundings, text);
    }
    pthread_mutex_unlock(&s->lock);
}

static bool check_known(struct sandbox *s, const struct typed_socket *socket)
{
    pthread_mutex_lock(&s->lock);
    bool allowed = allows(s, socket);
    pthread_mutex_unlock(&s->lock);
    return allowed;
}

/* The same; where it may wait, names are looked up again if that may help, and what is refused is said. */
static bool check(struct sandbox *s, const struct typed_socket *socket, bool may_wait)
{
    if (!may_wait)
        return check_known(s, socket);
    pthread_mutex_lock(&s->waiting);
    bool allowed = check_known(s, socket);
    if (!allowed && is_time_to_look_up(s)) {
        look_up_names(s);
        allowed = check_known(s, socket);
    }
    pthread_mutex_unlock(&s->waiting);
    if (!allowed)
        say_refused(s, socket);
    return allowed;
}

static void hold_nothing_back(void)
{
    const int on = 1;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        setsockopt(atoi(entry->d_name), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* refused if it is no TCP socket */
    closedir(folder);
}

/* A typed_socket_check. */
static bool check_socket(void *env, const struct typed_socket *socket, bool may_wait)
{
    const bool allowed = check(env, socket, may_wait);
    if (allowed && (socket->wish == TYPED_TCP_CONNECT || socket->wish == TYPED_TCP_LISTEN))
        hold_nothing_back();
    return allowed;
}

/* ---- from beginning to end ---- */

static void add_site(struct sandbox *s, const struct endpoint *endpoint, uint8_t uses)
{
    if (endpoint->host[0] == '\0')
        return;
    struct site *p = &s->sites[s->count++];
    memcpy(p->host, endpoint->host, sizeof p->host);
    p->port = endpoint->port;
    p->uses = uses;
    p->count = look_up(p->host, true, p->addresses);
    p->numeric = p->count > 0;
    s->names = s->names || !p->numeric;
}

static void add_sites(struct sandbox *s, const struct config *config, const struct config_node *self)
{
    bool udp = self->network == NETWORK_GUEST_UDP;
    s->sites = memory_new(config->node_count + 1, sizeof *s->sites);
    add_site(s, &self->address, LISTENS_TCP | (udp ? BINDS_UDP : 0));
    add_site(s, &self->client, LISTENS_TCP);
    for (size_t i = 0; i < config->node_count; i++)
        if (&config->nodes[i] != self)
            add_site(s, &config->nodes[i].address, CONNECTS_TCP | (udp ? SENDS_UDP : 0));
}

static void release(void *env)
{
    struct sandbox *s = env;
    pthread_mutex_lock(&s->lock);
    bool last = --s->refs == 0;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->waiting);
    free(s->sites);
    free(s);
}

bool node_sandbox_open(struct node_wasm *w, struct problem *problem)
{
    const struct config_node *self = config_find(w->options.config, w->options.node);
    struct sandbox *s = w->sandbox = memory_new(1, sizeof *s);
    pthread_mutex_init(&s->waiting, NULL);
    pthread_mutex_init(&s->lock, NULL);
    s->surroundings = w->options.surroundings;
    s->refs = 2; /* the life, and the checks */
    bool sockets = self != NULL && config_network_is_in_guest(self);
    if (sockets)
        add_sites(s, w->options.config, self);
    const struct typed_wasi wasi = {
        .folder = w->options.folder,
        .tcp = sockets,
        .udp = sockets && self->network == NETWORK_GUEST_UDP,
        .names = s->names,
        .check = check_socket,
        .release = release,
        .env = s,
    };
    char *message = NULL;
    if (typed_wasi_set(w->context, &wasi, &message) == TYPED_OK)
        return true;
    problem_set(problem, EXIT_DATA, "%s: %s", w->options.folder != NULL ? w->options.folder : "WASI", message);
    typed_message_free(message);
    return false;
}

void node_sandbox_close(struct sandbox *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->surroundings = NULL;
    pthread_mutex_unlock(&s->lock);
    release(s);
}
