/* Addresses and errors, between C and WASI. */
#include "components/wasi/uv_internal.h"

/* ---- Errors ---- */

int uv__error(wasi_sockets_network_error_code_t code)
{
    static const int errors[] = {
        [WASI_SOCKETS_NETWORK_ERROR_CODE_UNKNOWN] = UV_UNKNOWN,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_ACCESS_DENIED] = UV_EACCES,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_NOT_SUPPORTED] = UV_ENOTSUP,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_ARGUMENT] = UV_EINVAL,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_OUT_OF_MEMORY] = UV_ENOMEM,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_TIMEOUT] = UV_ETIMEDOUT,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_CONCURRENCY_CONFLICT] = UV_EALREADY,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_NOT_IN_PROGRESS] = UV_EINVAL,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK] = UV_EAGAIN,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_INVALID_STATE] = UV_EINVAL,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_NEW_SOCKET_LIMIT] = UV_EMFILE,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_ADDRESS_NOT_BINDABLE] = UV_EADDRNOTAVAIL,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_ADDRESS_IN_USE] = UV_EADDRINUSE,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_REMOTE_UNREACHABLE] = UV_EHOSTUNREACH,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_REFUSED] = UV_ECONNREFUSED,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_RESET] = UV_ECONNRESET,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_ABORTED] = UV_ECONNABORTED,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_DATAGRAM_TOO_LARGE] = UV_EMSGSIZE,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_NAME_UNRESOLVABLE] = UV_EAI_NONAME,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_TEMPORARY_RESOLVER_FAILURE] = UV_EAI_AGAIN,
        [WASI_SOCKETS_NETWORK_ERROR_CODE_PERMANENT_RESOLVER_FAILURE] = UV_EAI_FAIL,
    };
    return code < sizeof errors / sizeof errors[0] ? errors[code] : UV_UNKNOWN;
}

/* ---- WASI's records ---- */

/* An IPv4 address is four bytes in both; an IPv6 address eight numbers here, sixteen bytes in network order there. */
static void v6_swap(const void *from, void *to)
{
    const uint8_t *bytes = from;
    uint8_t *swapped = to;
    for (size_t i = 0; i < 16; i++)
        swapped[i] = bytes[i ^ 1];
}

bool uv__address_to(const struct sockaddr *from, wasi_sockets_network_ip_socket_address_t *to)
{
    *to = (wasi_sockets_network_ip_socket_address_t){0};
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        to->tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4;
        to->val.ipv4.port = ntohs(v4->sin_port);
        memcpy(&to->val.ipv4.address, &v4->sin_addr, sizeof v4->sin_addr);
        return true;
    }
    if (from->sa_family != AF_INET6)
        return false;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
    to->tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV6;
    to->val.ipv6.port = ntohs(v6->sin6_port);
    to->val.ipv6.flow_info = v6->sin6_flowinfo;
    to->val.ipv6.scope_id = v6->sin6_scope_id;
    v6_swap(&v6->sin6_addr, &to->val.ipv6.address);
    return true;
}

static int v4_from(const wasi_sockets_network_ipv4_address_t *host, uint16_t port, struct sockaddr_in *to)
{
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&to->sin_addr, host, sizeof to->sin_addr);
    return sizeof *to;
}

static int v6_from(const wasi_sockets_network_ipv6_address_t *host, uint16_t port, struct sockaddr_in6 *to)
{
    *to = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    v6_swap(host, &to->sin6_addr);
    return sizeof *to;
}

int uv__host_from(const wasi_sockets_network_ip_address_t *from, uint16_t port, struct sockaddr_storage *to)
{
    if (from->tag == WASI_SOCKETS_NETWORK_IP_ADDRESS_IPV4)
        return v4_from(&from->val.ipv4, port, (struct sockaddr_in *)to);
    return v6_from(&from->val.ipv6, port, (struct sockaddr_in6 *)to);
}

int uv__address_from(const wasi_sockets_network_ip_socket_address_t *from, struct sockaddr_storage *to)
{
    if (from->tag == WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4)
        return v4_from(&from->val.ipv4.address, from->val.ipv4.port, (struct sockaddr_in *)to);
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
    int size = v6_from(&from->val.ipv6.address, from->val.ipv6.port, v6);
    v6->sin6_flowinfo = from->val.ipv6.flow_info;
    v6->sin6_scope_id = from->val.ipv6.scope_id;
    return size;
}

int uv__name_from(const wasi_sockets_network_ip_socket_address_t *from, struct sockaddr *name_out, int *size)
{
    struct sockaddr_storage address;
    int len = uv__address_from(from, &address);
    memcpy(name_out, &address, (size_t)(*size < len ? *size : len));
    *size = len;
    return 0;
}
