/* uv_getaddrinfo over wasi:sockets/ip-name-lookup. Addresses come one by one, in the order of the host's resolver, which
 * also takes numeric ones. Numeric ones are recognized here and cost nothing. */
#include "components/shim.h"
#include "components/wasi/uv_internal.h"

static void lookup_add(uv_getaddrinfo_t *r, const struct sockaddr_storage *address, int size)
{
    struct {
        struct addrinfo info;
        struct sockaddr_storage address;
    } *found = memory_new(1, sizeof *found);
    found->address = *address;
    found->info.ai_family = address->ss_family;
    found->info.ai_socktype = r->socktype;
    found->info.ai_addrlen = (socklen_t)size;
    found->info.ai_addr = (struct sockaddr *)&found->address;
    *r->end = &found->info;
    r->end = &found->info.ai_next;
}

void uv_freeaddrinfo(struct addrinfo *found)
{
    while (found != NULL) {
        struct addrinfo *next = found->ai_next;
        free(found);
        found = next;
    }
}

/* Adds the address that the text is, if it is one. */
static bool lookup_numeric(uv_getaddrinfo_t *r, const char *text)
{
    struct sockaddr_storage address;
    if (uv_ip4_addr(text, r->port, (struct sockaddr_in *)&address) == 0)
        lookup_add(r, &address, sizeof(struct sockaddr_in));
    else if (uv_ip6_addr(text, r->port, (struct sockaddr_in6 *)&address) == 0)
        lookup_add(r, &address, sizeof(struct sockaddr_in6));
    else
        return false;
    return true;
}

/* Takes the addresses that have arrived. Returns 0 when these are all, UV_EAGAIN when more may come, or an error. */
static int lookup_take(uv_getaddrinfo_t *r)
{
    const wasi_sockets_ip_name_lookup_borrow_resolve_address_stream_t stream = {r->lookup};
    wasi_sockets_ip_name_lookup_option_ip_address_t next;
    wasi_sockets_ip_name_lookup_error_code_t error;
    while (wasi_sockets_ip_name_lookup_method_resolve_address_stream_resolve_next_address(stream, &next, &error)) {
        struct sockaddr_storage address;
        if (!next.is_some)
            return r->addrinfo != NULL ? 0 : UV_EAI_NONAME;
        int size = uv__host_from(&next.val, r->port, &address);
        if (r->family == AF_UNSPEC || r->family == address.ss_family)
            lookup_add(r, &address, size);
    }
    return uv__error(error);
}

/* Afterwards the request has nothing but what it found. */
static void lookup_close(uv_getaddrinfo_t *r)
{
    uv__watch_close(&r->answer);
    if (r->lookup != 0)
        wasi_sockets_ip_name_lookup_resolve_address_stream_drop_own(
            (wasi_sockets_ip_name_lookup_own_resolve_address_stream_t){r->lookup});
    r->lookup = 0;
}

static uv__resource subscribe(uv__resource from)
{
    return wasi_sockets_ip_name_lookup_method_resolve_address_stream_subscribe(
               (wasi_sockets_ip_name_lookup_borrow_resolve_address_stream_t){from})
        .__handle;
}

static void call_back(uv_req_t *request)
{
    uv_getaddrinfo_t *r = (uv_getaddrinfo_t *)request;
    struct addrinfo *found = r->addrinfo;
    if (r->status != 0) {
        uv_freeaddrinfo(found);
        found = NULL;
    }
    r->addrinfo = NULL;
    r->callback(r, r->status, found);
}

static void on_answer(void *owner)
{
    uv_getaddrinfo_t *r = owner;
    int status = lookup_take(r);
    if (status == UV_EAGAIN)
        return;
    lookup_close(r);
    uv__request_end(r->loop, (uv_req_t *)r, status);
}

/* A service can only be decimal digits here. */
static bool service_read(const char *text, uint16_t *port)
{
    uint32_t number = 0;
    for (; *text >= '0' && *text <= '9' && number <= UINT16_MAX; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    *port = (uint16_t)number;
    return *text == '\0' && number <= UINT16_MAX;
}

/* Begins a lookup; 0 when there is nothing to wait for, UV_EAGAIN when there is. */
static int lookup_begin(uv_getaddrinfo_t *r, const char *node, int flags)
{
    wasi_sockets_ip_name_lookup_own_resolve_address_stream_t stream;
    wasi_sockets_ip_name_lookup_error_code_t error;
    if (node == NULL) {
        lookup_numeric(r, flags & AI_PASSIVE ? "0.0.0.0" : "127.0.0.1");
        lookup_numeric(r, flags & AI_PASSIVE ? "::" : "::1");
        return 0;
    }
    if (lookup_numeric(r, node))
        return 0;
    wasi_library_string_t name = {(uint8_t *)(uintptr_t)node, strlen(node)};
    if (!wasi_sockets_ip_name_lookup_resolve_addresses(uv__network(r->loop), &name, &stream, &error))
        return error == WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_ARGUMENT ? UV_EAI_NONAME : uv__error(error);
    r->lookup = stream.__handle;
    return UV_EAGAIN;
}

static int lookup_now(uv_getaddrinfo_t *r, int status)
{
    while (status == UV_EAGAIN) {
        status = lookup_take(r);
        if (status == UV_EAGAIN)
            uv__block(subscribe(r->lookup));
    }
    lookup_close(r);
    if (status != 0) {
        uv_freeaddrinfo(r->addrinfo);
        r->addrinfo = NULL;
    }
    return status;
}

int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb callback, const char *node,
                   const char *service, const struct addrinfo *hints)
{
    uv_getaddrinfo_t *r = request;
    if (node == NULL && service == NULL)
        return UV_EINVAL;
    *r = (uv_getaddrinfo_t){.data = r->data, .loop = loop, .callback = callback, .end = &r->addrinfo};
    r->family = hints != NULL ? hints->ai_family : AF_UNSPEC;
    r->socktype = hints != NULL ? hints->ai_socktype : 0;
    if (service != NULL && !service_read(service, &r->port))
        return UV_EAI_SERVICE;
    int status = lookup_begin(r, node, hints != NULL ? hints->ai_flags : 0);
    if (callback == NULL)
        return lookup_now(r, status);
    uv__request_begin(loop, (uv_req_t *)r, NULL, call_back);
    if (status != UV_EAGAIN) {
        uv__request_done(loop, (uv_req_t *)r, status);
        return 0;
    }
    uv__watch_init(&r->answer, loop, r->lookup, subscribe, on_answer, r);
    uv__watch_start(&r->answer);
    return 0;
}

int uv_cancel(uv_req_t *request)
{
    uv_getaddrinfo_t *r = (uv_getaddrinfo_t *)request;
    if (request->call_back != call_back)
        return UV_EINVAL;
    if (r->lookup == 0) /* it is over */
        return UV_EBUSY;
    lookup_close(r);
    uv__request_done(r->loop, request, UV_EAI_CANCELED);
    return 0;
}
