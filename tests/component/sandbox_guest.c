/* A node that is none: it tries what its sandbox might not allow, an attempt a turn (sandbox_orders.h). */
#include "tests/component/sandbox_orders.h"

#include <stdlib.h>
#include <string.h>

#include "world.h"

typedef wasi_sockets_network_ip_socket_address_t address_t;

static sandbox_guest_world_string_t text(const char *s) { return (sandbox_guest_world_string_t){(uint8_t *)s, strlen(s)}; }

static address_t address(uint64_t host, uint64_t port)
{
    address_t a = {.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4};
    a.val.ipv4.port = (uint16_t)port;
    a.val.ipv4.address.f0 = host == 0 ? 0 : 127;
    a.val.ipv4.address.f3 = (uint8_t)host;
    return a;
}

static wasi_sockets_tcp_borrow_network_t network(void)
{
    static wasi_sockets_instance_network_own_network_t one;
    static bool known;
    if (!known)
        one = wasi_sockets_instance_network_instance_network();
    known = true;
    return wasi_sockets_network_borrow_network(one);
}

static void block(wasi_io_poll_own_pollable_t pollable)
{
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
    wasi_io_poll_pollable_drop_own(pollable);
}

static uint64_t connect_to(uint64_t host, uint64_t port)
{
    wasi_sockets_tcp_own_tcp_socket_t made;
    wasi_sockets_tcp_error_code_t error;
    wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t streams;
    address_t to = address(host, port);
    if (!wasi_sockets_tcp_create_socket_create_tcp_socket(WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4, &made, &error))
        return 1u + error;
    wasi_sockets_tcp_borrow_tcp_socket_t tcp = wasi_sockets_tcp_borrow_tcp_socket(made);
    bool done = wasi_sockets_tcp_method_tcp_socket_start_connect(tcp, network(), &to, &error);
    while (done && !wasi_sockets_tcp_method_tcp_socket_finish_connect(tcp, &streams, &error)) {
        done = error == WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK;
        if (done)
            block(wasi_sockets_tcp_method_tcp_socket_subscribe(tcp));
    }
    if (done) {
        wasi_io_streams_input_stream_drop_own(streams.f0);
        wasi_io_streams_output_stream_drop_own(streams.f1);
    }
    wasi_sockets_tcp_tcp_socket_drop_own(made);
    return done ? 0 : 1u + error;
}

static uint64_t listen_at(uint64_t host, uint64_t port)
{
    wasi_sockets_tcp_own_tcp_socket_t made;
    wasi_sockets_tcp_error_code_t error;
    address_t at = address(host, port);
    if (!wasi_sockets_tcp_create_socket_create_tcp_socket(WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4, &made, &error))
        return 1u + error;
    wasi_sockets_tcp_borrow_tcp_socket_t tcp = wasi_sockets_tcp_borrow_tcp_socket(made);
    bool done = wasi_sockets_tcp_method_tcp_socket_start_bind(tcp, network(), &at, &error) &&
                wasi_sockets_tcp_method_tcp_socket_finish_bind(tcp, &error) &&
                wasi_sockets_tcp_method_tcp_socket_start_listen(tcp, &error) &&
                wasi_sockets_tcp_method_tcp_socket_finish_listen(tcp, &error);
    wasi_sockets_tcp_tcp_socket_drop_own(made);
    return done ? 0 : 1u + error;
}

/* Leaves the socket in `*out`. */
static uint64_t bind_udp(uint64_t host, uint64_t port, wasi_sockets_udp_own_udp_socket_t *out)
{
    wasi_sockets_udp_error_code_t error;
    address_t at = address(host, port);
    if (!wasi_sockets_udp_create_socket_create_udp_socket(WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4, out, &error))
        return 1u + error;
    wasi_sockets_udp_borrow_udp_socket_t udp = wasi_sockets_udp_borrow_udp_socket(*out);
    if (wasi_sockets_udp_method_udp_socket_start_bind(udp, network(), &at, &error) &&
        wasi_sockets_udp_method_udp_socket_finish_bind(udp, &error))
        return 0;
    wasi_sockets_udp_udp_socket_drop_own(*out);
    return 1u + error;
}

static uint64_t bind_and_close_udp(uint64_t host, uint64_t port)
{
    wasi_sockets_udp_own_udp_socket_t made;
    uint64_t failed = bind_udp(host, port, &made);
    if (failed == 0)
        wasi_sockets_udp_udp_socket_drop_own(made);
    return failed;
}

static uint64_t send_to(uint64_t host, uint64_t port)
{
    wasi_sockets_udp_own_udp_socket_t made;
    wasi_sockets_udp_error_code_t error;
    wasi_sockets_udp_tuple2_own_incoming_datagram_stream_own_outgoing_datagram_stream_t streams;
    wasi_sockets_udp_outgoing_datagram_t datagram = {.data = {(uint8_t *)"hello", 5}};
    wasi_sockets_udp_list_outgoing_datagram_t one = {&datagram, 1};
    uint64_t sent = 0, failed = bind_udp(0, 0, &made);
    if (failed != 0)
        return failed;
    if (!wasi_sockets_udp_method_udp_socket_stream(wasi_sockets_udp_borrow_udp_socket(made), NULL, &streams, &error))
        __builtin_trap();
    wasi_sockets_udp_borrow_outgoing_datagram_stream_t out = wasi_sockets_udp_borrow_outgoing_datagram_stream(streams.f1);
    datagram.remote_address.is_some = true;
    datagram.remote_address.val = address(host, port);
    bool done = wasi_sockets_udp_method_outgoing_datagram_stream_check_send(out, &sent, &error) && sent > 0 &&
                wasi_sockets_udp_method_outgoing_datagram_stream_send(out, &one, &sent, &error);
    wasi_sockets_udp_incoming_datagram_stream_drop_own(streams.f0);
    wasi_sockets_udp_outgoing_datagram_stream_drop_own(streams.f1);
    wasi_sockets_udp_udp_socket_drop_own(made);
    return done && sent == 1 ? 0 : 1u + error;
}

static uint64_t look_up(const char *name)
{
    wasi_sockets_ip_name_lookup_own_resolve_address_stream_t stream;
    wasi_sockets_ip_name_lookup_option_ip_address_t found;
    wasi_sockets_ip_name_lookup_error_code_t error;
    sandbox_guest_world_string_t wanted = text(name);
    if (!wasi_sockets_ip_name_lookup_resolve_addresses(network(), &wanted, &stream, &error))
        return 1u + error;
    wasi_sockets_ip_name_lookup_borrow_resolve_address_stream_t s =
        wasi_sockets_ip_name_lookup_borrow_resolve_address_stream(stream);
    block(wasi_sockets_ip_name_lookup_method_resolve_address_stream_subscribe(s));
    bool done = wasi_sockets_ip_name_lookup_method_resolve_address_stream_resolve_next_address(s, &found, &error);
    wasi_sockets_ip_name_lookup_resolve_address_stream_drop_own(stream);
    return done ? 0 : 1u + error;
}

/* The folder that it has; traps when there is none. */
static wasi_filesystem_types_borrow_descriptor_t root(void)
{
    static wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t folders;
    if (folders.len == 0)
        wasi_filesystem_preopens_get_directories(&folders);
    if (folders.len == 0)
        __builtin_trap();
    return wasi_filesystem_types_borrow_descriptor(folders.ptr[0].f0);
}

static uint64_t open_file(const char *path)
{
    wasi_filesystem_types_own_descriptor_t opened;
    wasi_filesystem_types_error_code_t error;
    sandbox_guest_world_string_t name = text(path);
    if (!wasi_filesystem_types_method_descriptor_open_at(root(), WASI_FILESYSTEM_TYPES_PATH_FLAGS_SYMLINK_FOLLOW, &name, 0,
                                                         WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_READ, &opened, &error))
        return 1u + error;
    wasi_filesystem_types_descriptor_drop_own(opened);
    return 0;
}

static uint64_t open_through_link(void)
{
    wasi_filesystem_types_error_code_t error;
    sandbox_guest_world_string_t to = text(".."), name = text("up");
    if (!wasi_filesystem_types_method_descriptor_symlink_at(root(), &to, &name, &error))
        return 1u + error;
    return open_file("up/outside");
}

static uint64_t count(void)
{
    sandbox_guest_world_list_tuple2_string_string_t environment;
    sandbox_guest_world_list_string_t arguments;
    wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t folders;
    wasi_cli_environment_get_environment(&environment);
    wasi_cli_environment_get_arguments(&arguments);
    wasi_filesystem_preopens_get_directories(&folders);
    uint64_t all = environment.len + arguments.len;
    for (size_t i = 0; i < folders.len; i++)
        all += i > 0 || folders.ptr[i].f1.len != 1 || folders.ptr[i].f1.ptr[0] != '.';
    return all;
}

uint64_t exports_synod_paxos_runner_turn(uint64_t order, uint64_t news, uint64_t durable)
{
    (void)news;
    (void)durable;
    uint64_t host = order >> 24, argument = order >> 8 & 0xffff;
    switch ((enum sandbox_order)(order & 0xff)) {
    case ORDER_TCP_CONNECT:
        return connect_to(host, argument);
    case ORDER_TCP_LISTEN:
        return listen_at(host, argument);
    case ORDER_UDP_BIND:
        return bind_and_close_udp(host, argument);
    case ORDER_UDP_SEND:
        return send_to(host, argument);
    case ORDER_LOOK_UP:
        return look_up(sandbox_names[argument]);
    case ORDER_OPEN:
        return open_file(sandbox_paths[argument]);
    case ORDER_LINK:
        return open_through_link();
    case ORDER_COUNT:
        return count();
    }
    __builtin_trap();
}

bool exports_synod_paxos_runner_start(exports_synod_paxos_runner_list_packet_t *config, sandbox_guest_world_string_t *err)
{
    (void)err;
    exports_synod_paxos_runner_list_packet_free(config);
    return true;
}

void exports_synod_paxos_runner_status(exports_synod_paxos_runner_list_packet_t *ret) { *ret = (__typeof__(*ret)){NULL, 0}; }

/* Gives the settings, followed by an instance id of ones: so the test says what the data folder is. */
void exports_synod_paxos_identity_open(exports_synod_paxos_identity_list_packet_t *ret)
{
    synod_paxos_settings_get((synod_paxos_settings_list_packet_t *)ret);
}

uint64_t exports_synod_paxos_identity_accept_peer(exports_synod_paxos_identity_list_packet_t *peer)
{
    if (peer->len != 1 || peer->ptr->len != 24 || peer->ptr->id == 9)
        __builtin_trap();
    const uint64_t *words = peer->ptr->words.ptr;
    uint64_t accepted = peer->ptr->id == 3 && peer->ptr->kind == 8 && words[0] == 1 && words[1] == 2 && words[2] == 9;
    exports_synod_paxos_identity_list_packet_free(peer);
    return accepted;
}

void exports_synod_paxos_identity_close(void) {}
