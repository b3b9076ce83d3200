/* Texts of errors and addresses. */
#include "io/uv/core.h"

/* libuv's texts, so that a node's log says the same wherever its network is. */
const char *uv_strerror(int error)
{
    static const struct {
        int error;
        const char *text;
    } texts[] = {
        {UV_EACCES, "permission denied"},
        {UV_EADDRINUSE, "address already in use"},
        {UV_EADDRNOTAVAIL, "address not available"},
        {UV_EAFNOSUPPORT, "address family not supported"},
        {UV_EAGAIN, "resource temporarily unavailable"},
        {UV_EALREADY, "connection already in progress"},
        {UV_EBUSY, "resource busy or locked"},
        {UV_ECANCELED, "operation canceled"},
        {UV_ECONNABORTED, "software caused connection abort"},
        {UV_ECONNREFUSED, "connection refused"},
        {UV_ECONNRESET, "connection reset by peer"},
        {UV_EHOSTUNREACH, "host is unreachable"},
        {UV_EINVAL, "invalid argument"},
        {UV_EISCONN, "socket is already connected"},
        {UV_EMFILE, "too many open files"},
        {UV_EMSGSIZE, "message too long"},
        {UV_ENOBUFS, "no buffer space available"},
        {UV_ENOMEM, "not enough memory"},
        {UV_ENOTCONN, "socket is not connected"},
        {UV_ENOTSUP, "operation not supported on socket"},
        {UV_EPIPE, "broken pipe"},
        {UV_ETIMEDOUT, "connection timed out"},
        {UV_EAI_AGAIN, "temporary failure"},
        {UV_EAI_CANCELED, "request canceled"},
        {UV_EAI_FAIL, "permanent failure"},
        {UV_EAI_NONAME, "unknown node or service"},
        {UV_EAI_SERVICE, "service not available for socket type"},
        {UV_EOF, "end of file"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].error == error)
            return texts[i].text;
    return "unknown error";
}

/* ---- Addresses ---- */

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
