/* Addresses. Host 7 of the simulated world is 192.0.2.7, or 2001:db8::7. */
#include "sim/uv_internal.h"

enum { HOST_MAX = 254 };

static const uint8_t v4_prefix[3] = {192, 0, 2};
static const uint8_t v6_prefix[15] = {0x20, 0x01, 0x0d, 0xb8};

bool simuv_address_read(const struct sockaddr *address, struct datagram_end *end)
{
    static const uint8_t any[sizeof(struct in6_addr)];
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    const bool six = address->sa_family == AF_INET6;
    const uint8_t *bytes = six ? v6->sin6_addr.s6_addr : (const uint8_t *)&v4->sin_addr;
    const size_t prefix = six ? sizeof v6_prefix : sizeof v4_prefix;
    if (!six && address->sa_family != AF_INET)
        return false;
    *end = (struct datagram_end){.host = bytes[prefix], .port = ntohs(six ? v6->sin6_port : v4->sin_port), .v6 = six};
    if (memcmp(bytes, any, prefix + 1) == 0)
        return true;
    return memcmp(bytes, six ? v6_prefix : v4_prefix, prefix) == 0 && end->host > 0 && end->host <= HOST_MAX;
}

int simuv_address_write(struct datagram_end end, struct sockaddr *name, int *size)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    uint8_t *bytes = end.v6 ? v6->sin6_addr.s6_addr : (uint8_t *)&v4->sin_addr;
    const size_t prefix = end.v6 ? sizeof v6_prefix : sizeof v4_prefix, len = end.v6 ? sizeof *v6 : sizeof *v4;
    address.ss_family = end.v6 ? AF_INET6 : AF_INET;
    *(end.v6 ? &v6->sin6_port : &v4->sin_port) = htons(end.port);
    memcpy(bytes, end.v6 ? v6_prefix : v4_prefix, prefix);
    bytes[prefix] = (uint8_t)end.host;
    memcpy(name, &address, (size_t)*size < len ? (size_t)*size : len);
    *size = (int)len;
    return 0;
}

/* ---- Names: node-7 is host 7 ---- */

int uvsys_lookup_begin(uv_getaddrinfo_t *r, const char *name)
{
    unsigned host;
    if (sscanf(name, "node-%3u", &host) != 1 || host == 0 || host > HOST_MAX)
        return UV_EAI_NONAME;
    for (size_t six = 0; six < 2; six++) {
        struct sockaddr_storage address = {0};
        int size = sizeof address;
        simuv_address_write((struct datagram_end){host, r->port, six == 1}, (struct sockaddr *)&address, &size);
        uvcore_lookup_add(r, &address, (size_t)size);
    }
    return 0;
}

int uvsys_lookup_wait(uv_getaddrinfo_t *r)
{
    (void)r;
    return UV_EAI_NONAME;
}

void uvsys_lookup_watch(uv_getaddrinfo_t *r) { (void)r; }

bool uvsys_lookup_cancel(uv_getaddrinfo_t *r)
{
    (void)r;
    return false; /* a lookup is over when it has begun */
}
