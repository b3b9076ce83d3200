/* The functions of load/protocol.h that the load generator's worker calls, by the import of `interface client-serializer`.
 * Keys and values are made here, bytes there. */
#include <string.h>

#include "components/packet.h"
#include "core/base/memory.h"
#include "core/formats/batch.h"
#include "core/formats/decimal.h"
#include "load/protocol_internal.h"

typedef synod_paxos_client_serializer_list_packet_t packets;
SAME_LIST(struct packet_list, packets);

enum { REQUEST_BYTES_MAX = 192 }; /* of any request, beyond its value */

bool request_maker_init(struct request_maker *m, uint8_t protocol, uint8_t command, size_t value_size, uint64_t keyspace)
{
    *m = (struct request_maker){.protocol = protocol, .command = command, .keyspace = keyspace, .value_size = value_size};
    m->size_max = REQUEST_BYTES_MAX + value_size;
    m->scratch = memory_new(value_size, 1);
    return protocol == PROTOCOL_RESP;
}

void request_maker_close(struct request_maker *m)
{
    free(m->scratch);
    *m = (struct request_maker){0};
}

static struct bytes text(const char *of) { return (struct bytes){(uint8_t *)of, strlen(of)}; }

static void add_request(struct batch_builder *batch, const struct request_maker *m, const struct request_id *request)
{
    enum { SESSION_ARGS = 3 };
    char key[KEY_SIZE + 1];
    uint8_t session[DECIMAL_MAX], session_number[DECIMAL_MAX];
    const bool sets = request_sets(m, request->number);
    key_of(request_key(m, request->number), key);
    if (sets)
        value_of(request->number, m->scratch, m->value_size);
    const struct bytes args[] = {text("SESSION"),
                                 {session, decimal_write_unsigned(request->session, session)},
                                 {session_number, decimal_write_unsigned(request->session_number, session_number)},
                                 text(sets                         ? "SET"
                                      : m->command == COMMAND_INCR ? "INCR"
                                                                   : "GET"),
                                 text(key),
                                 {(uint8_t *)m->scratch, m->value_size}};
    const size_t first = request->session != 0 ? 0 : SESSION_ARGS, end = SESSION_ARGS + (sets ? 3 : 2);
    batch_add(batch, args + first, end - first);
}

size_t requests_make(const struct request_maker *m, const struct request_id *requests, size_t count, char *out)
{
    static struct batch_builder batch;
    static struct arena results;
    packets encoded;
    batch_begin(&batch);
    for (size_t i = 0; i < count; i++)
        add_request(&batch, m, &requests[i]);
    const struct payload value = batch_end(&batch);
    struct packet packet = {.kind = (uint32_t)count, .len = value.len, .words = value.words};
    packets list = {(synod_paxos_client_serializer_packet_t *)&packet, 1};
    shim_results_begin(&results);
    synod_paxos_client_serializer_encode(&list, &encoded);
    shim_results_end();
    invariant(encoded.len == 1 && encoded.ptr[0].len <= count * m->size_max &&
              encoded.ptr[0].words.len == words_for(encoded.ptr[0].len));
    memcpy(out, encoded.ptr[0].words.ptr, encoded.ptr[0].len);
    return encoded.ptr[0].len;
}

ptrdiff_t answers_read(uint8_t protocol, const char *bytes, size_t len, struct answer_list *answers)
{
    static struct arena results;
    static struct words words;
    static size_t capacity;
    synod_paxos_client_serializer_decoded_t decoded;
    (void)protocol;
    struct packet packet = {.len = (uint32_t)len};
    words.ptr = memory_reserve(words.ptr, &capacity, words_for(packet.len), sizeof *words.ptr);
    memcpy(words.ptr, bytes, len);
    packet.words = (struct words){words.ptr, words_for(packet.len)};
    packets list = {(synod_paxos_client_serializer_packet_t *)&packet, 1};
    shim_results_begin(&results);
    synod_paxos_client_serializer_decode(&list, &decoded);
    shim_results_end();
    invariant(decoded.used.len == 1);
    answers->len = decoded.answers.len;
    answers->ptr = memory_reserve(answers->ptr, &answers->capacity, answers->len, sizeof *answers->ptr);
    for (size_t i = 0; i < answers->len; i++) {
        const synod_paxos_client_serializer_packet_t *p = &decoded.answers.ptr[i];
        answers->ptr[i] = (struct answer){.kind = (uint8_t)p->kind, .text = (const char *)p->words.ptr, .text_len = p->len};
    }
    return decoded.used.ptr[0] == UINT32_MAX ? -1 : (ptrdiff_t)decoded.used.ptr[0];
}
