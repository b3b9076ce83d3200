/* Addresses and errors. Host 7 of the simulated world is 192.0.2.7, or 2001:db8::7. */
#include "sim/uv_internal.h"

enum { HOST_MAX = 254 };

static const uint8_t v4_prefix[3] = {192, 0, 2};
static const uint8_t v6_prefix[15] = {0x20, 0x01, 0x0d, 0xb8};

/* ---- Errors ---- */

const char *uv_strerror(int error)
{
    static const struct {
        int error;
        const char *text;
    } texts[] = {
        {UV_EAI_CANCELED, "request canceled"},
        {UV_EAI_NONAME, "unknown node or service"},
        {UV_EAI_SERVICE, "service not available for socket type"},
        {UV_EOF, "end of file"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].error == error)
            return texts[i].text;
    return strerror(-error);
}

/* ---- Addresses ---- */

bool simuv_address_read(const struct sockaddr *address, uint32_t *host, uint16_t *port)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    const bool six = address->sa_family == AF_INET6;
    const uint8_t *bytes = six ? v6->sin6_addr.s6_addr : (const uint8_t *)&v4->sin_addr;
    if (!six && address->sa_family != AF_INET)
        return false;
    *host = bytes[six ? sizeof v6_prefix : sizeof v4_prefix];
    *port = ntohs(six ? v6->sin6_port : v4->sin_port);
    return memcmp(bytes, six ? v6_prefix : v4_prefix, six ? sizeof v6_prefix : sizeof v4_prefix) == 0 && *host > 0 &&
           *host <= HOST_MAX;
}

int simuv_address_write(uint32_t host, uint16_t port, struct sockaddr *name, int *size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    uint8_t bytes[4] = {v4_prefix[0], v4_prefix[1], v4_prefix[2], (uint8_t)host};
    memcpy(&address.sin_addr, bytes, sizeof bytes);
    memcpy(name, &address, (size_t)*size < sizeof address ? (size_t)*size : sizeof address);
    *size = sizeof address;
    return 0;
}

/* ---- Text ---- */

int uv_ip4_addr(const char *text, int port, struct sockaddr_in *address)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, text, &address->sin_addr) == 1 ? 0 : UV_EINVAL;
}

int uv_ip6_addr(const char *text, int port, struct sockaddr_in6 *address)
{
    *address = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    return inet_pton(AF_INET6, text, &address->sin6_addr) == 1 ? 0 : UV_EINVAL;
}

static int name(int family, const void *host, char *out, size_t size)
{
    return inet_ntop(family, host, out, (socklen_t)size) != NULL ? 0 : UV_EINVAL;
}

int uv_ip4_name(const struct sockaddr_in *address, char *out, size_t size)
{
    return name(AF_INET, &address->sin_addr, out, size);
}

int uv_ip6_name(const struct sockaddr_in6 *address, char *out, size_t size)
{
    return name(AF_INET6, &address->sin6_addr, out, size);
}

/* ---- Lookups ---- */

static struct addrinfo *found_new(const struct sockaddr_storage *address, socklen_t size, int socktype)
{
    struct {
        struct addrinfo info;
        struct sockaddr_storage address;
    } *found = memory_new(1, sizeof *found);
    found->address = *address;
    found->info.ai_family = address->ss_family;
    found->info.ai_socktype = socktype;
    found->info.ai_addrlen = size;
    found->info.ai_addr = (struct sockaddr *)&found->address;
    return &found->info;
}

void uv_freeaddrinfo(struct addrinfo *found)
{
    while (found != NULL) {
        struct addrinfo *next = found->ai_next;
        free(found);
        found = next;
    }
}

static void call_back(uv_req_t *request)
{
    uv_getaddrinfo_t *r = (uv_getaddrinfo_t *)request;
    struct addrinfo *found = r->addrinfo;
    r->addrinfo = NULL;
    r->callback(r, r->status, found);
}

int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb callback, const char *node,
                   const char *service, const struct addrinfo *hints)
{
    struct sockaddr_storage address;
    const int socktype = hints != NULL ? hints->ai_socktype : 0, port = service != NULL ? atoi(service) : 0;
    *request = (uv_getaddrinfo_t){.data = request->data, .callback = callback};
    if (node == NULL)
        return UV_EINVAL;
    if (uv_ip4_addr(node, port, (struct sockaddr_in *)&address) == 0)
        request->addrinfo = found_new(&address, sizeof(struct sockaddr_in), socktype);
    else if (uv_ip6_addr(node, port, (struct sockaddr_in6 *)&address) == 0)
        request->addrinfo = found_new(&address, sizeof(struct sockaddr_in6), socktype);
    const int status = request->addrinfo != NULL ? 0 : UV_EAI_NONAME;
    if (callback == NULL)
        return status;
    simuv_request_begin(loop, (uv_req_t *)request, NULL, call_back);
    simuv_request_done(loop, (uv_req_t *)request, status);
    return 0;
}

int uv_cancel(uv_req_t *request)
{
    return request->call_back == call_back ? UV_EBUSY : UV_EINVAL; /* a lookup is over when it has begun */
}
