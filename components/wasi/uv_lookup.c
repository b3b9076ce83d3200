/* Lookups over wasi:sockets/ip-name-lookup. Addresses come one by one, in the order of the host's resolver, which also takes
 * numeric ones. */
#include "components/shim.h"
#include "components/wasi/uv_internal.h"

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
            uvcore_lookup_add(r, &address, (size_t)size);
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

static void on_answer(void *owner)
{
    uv_getaddrinfo_t *r = owner;
    int status = lookup_take(r);
    if (status == UV_EAGAIN)
        return;
    lookup_close(r);
    uvcore_request_end(r->loop, (uv_req_t *)r, status);
}

int uvsys_lookup_begin(uv_getaddrinfo_t *r, const char *node)
{
    wasi_sockets_ip_name_lookup_own_resolve_address_stream_t stream;
    wasi_sockets_ip_name_lookup_error_code_t error;
    wasi_library_string_t name = {(uint8_t *)(uintptr_t)node, strlen(node)};
    if (!wasi_sockets_ip_name_lookup_resolve_addresses(uv__network(r->loop), &name, &stream, &error))
        return error == WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_ARGUMENT ? UV_EAI_NONAME : uv__error(error);
    r->lookup = stream.__handle;
    return UV_EAGAIN;
}

int uvsys_lookup_wait(uv_getaddrinfo_t *r)
{
    int status;
    while ((status = lookup_take(r)) == UV_EAGAIN)
        uv__block(subscribe(r->lookup));
    lookup_close(r);
    return status;
}

void uvsys_lookup_watch(uv_getaddrinfo_t *r)
{
    uv__watch_init(&r->answer, r->loop, r->lookup, subscribe, on_answer, r);
    uv__watch_start(&r->answer);
}

bool uvsys_lookup_cancel(uv_getaddrinfo_t *r)
{
    const bool waits = r->lookup != 0;
    if (waits)
        lookup_close(r);
    return waits;
}
