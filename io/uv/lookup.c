/* uv_getaddrinfo. Numeric addresses are recognized here and cost nothing. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "io/uv/core.h"

void uvcore_lookup_add(uv_getaddrinfo_t *r, const struct sockaddr_storage *address, size_t size)
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
        uvcore_lookup_add(r, &address, sizeof(struct sockaddr_in));
    else if (uv_ip6_addr(text, r->port, (struct sockaddr_in6 *)&address) == 0)
        uvcore_lookup_add(r, &address, sizeof(struct sockaddr_in6));
    else
        return false;
    return true;
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
static int begin(uv_getaddrinfo_t *r, const char *node, int flags)
{
    if (node == NULL) {
        lookup_numeric(r, flags & AI_PASSIVE ? "0.0.0.0" : "127.0.0.1");
        lookup_numeric(r, flags & AI_PASSIVE ? "::" : "::1");
        return 0;
    }
    return lookup_numeric(r, node) ? 0 : uvsys_lookup_begin(r, node);
}

static int look_up_now(uv_getaddrinfo_t *r, int status)
{
    if (status == UV_EAGAIN)
        status = uvsys_lookup_wait(r);
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
    const int status = begin(r, node, hints != NULL ? hints->ai_flags : 0);
    if (callback == NULL)
        return look_up_now(r, status);
    uvcore_request_begin(loop, (uv_req_t *)r, NULL, call_back);
    if (status == UV_EAGAIN)
        uvsys_lookup_watch(r);
    else
        uvcore_request_done(loop, (uv_req_t *)r, status);
    return 0;
}

int uv_cancel(uv_req_t *request)
{
    uv_getaddrinfo_t *r = (uv_getaddrinfo_t *)request;
    if (request->call_back != call_back)
        return UV_EINVAL;
    if (!uvsys_lookup_cancel(r))
        return UV_EBUSY;
    uvcore_request_done(r->loop, request, UV_EAI_CANCELED);
    return 0;
}
