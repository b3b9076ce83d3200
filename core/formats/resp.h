/* RESP, the Redis serialization protocol: requests to arguments, replies to bytes. No I/O.
 *
 * A request is an array of bulk strings, or an inline command (one line, blanks between arguments, quotes as in Redis):
 *
 *    *2\r\n $3\r\n GET\r\n $1\r\n k\r\n          GET k\r\n
 *
 * A reply's first byte says what it is. Version 3 (after HELLO 3) adds types; those used here:
 *
 *    version 2            version 3
 *    +OK\r\n              +OK\r\n              status
 *    -ERR text\r\n        -ERR text\r\n        error
 *    :7\r\n               :7\r\n               integer
 *    $5\r\nhello\r\n      $5\r\nhello\r\n      bytes
 *    $-1\r\n              _\r\n                nil
 *    *2\r\n ...           *2\r\n ...           array, its elements follow
 *    *2\r\n ...           ~2\r\n ...           set
 *    *4\r\n ...           %2\r\n ...           map of 2 pairs, keys and values follow by turns
 *    $9\r\nsome text\r\n  =13\r\ntxt:some text\r\n   text for a person */
#ifndef SYNOD_CORE_FORMATS_RESP_H
#define SYNOD_CORE_FORMATS_RESP_H

#include "core/formats/batch.h"

/* ---- Requests ---- */

struct resp_limits {
    uint32_t args_max;
    uint32_t bytes_max; /* of one request in all; a longer one is skipped, not kept */
    /* of one request that is skipped; a longer one is an error. 0: so is any request that is too long to be kept */
    uint32_t skip_max;
};

struct resp_span {
    uint32_t at; /* from the beginning of the request */
    uint32_t len;
};

enum { RESP_SPANS_INSIDE = 6, RESP_ERROR_MAX = 96 };

/* What the parser does with the current request, and, if it skips it, what comes next. */
enum resp_mode { RESP_KEEPS, RESP_SKIPS_LENGTH, RESP_SKIPS_BYTES, RESP_SKIPS_END, RESP_SKIPS_LINE };

/* How far the parser is with a request that has not arrived completely. Zero-initialized: at the beginning. */
struct resp_parser {
    enum resp_mode mode;
    uint32_t expected; /* arguments of the array begun; 0: no array begun */
    uint32_t done;
    uint32_t at;      /* bytes understood (of a line: searched); while skipping: since the last RESP_SKIPPED */
    uint32_t wanted;  /* bytes that the request will take at least, by the lengths read so far */
    uint64_t skipped; /* of a request that is too long: bytes returned by RESP_SKIPPED */
    uint64_t left;    /* of the argument being skipped */
    uint32_t spans_capacity;
    struct resp_span *spans; /* those that do not fit `inside`; NULL: none */
    struct resp_span inside[RESP_SPANS_INSIDE];
};

/* A parsed request. One serves any number of parsers: its memory is used again. */
struct resp_request {
    struct bytes *args; /* point into the bytes given; those of an inline command into `text` */
    size_t argc;        /* 0: an empty request, to be ignored */
    size_t capacity;
    uint8_t *text; /* an inline command without its quotes */
    size_t text_capacity;
    size_t size;                /* bytes of the request; for RESP_SKIPPED: bytes that are done with */
    char error[RESP_ERROR_MAX]; /* for RESP_BAD: what is wrong, without "ERR Protocol error: " */
};

enum resp_result { RESP_WHOLE, RESP_PARTIAL, RESP_SKIPPED, RESP_TOO_LONG, RESP_BAD };

/* Parses the request that begins at data[0].
 *   RESP_WHOLE     `request` has it, and the parser is at the beginning again. The same bytes may be parsed again.
 *   RESP_PARTIAL   call again with the same bytes (at any address) and more after them
 *   RESP_SKIPPED   the request is longer than bytes_max: its first request->size bytes are done with; call again with those
 *                  that follow
 *   RESP_TOO_LONG  the request that is longer than bytes_max ends after request->size bytes; `error` says so, and the parser
 *                  is at the beginning again
 *   RESP_BAD       the parser cannot find the next request; the connection must be closed */
enum resp_result resp_parse(struct resp_parser *p, const struct resp_limits *limits, const uint8_t *data, size_t len,
                            struct resp_request *request);

/* Memory that the parser keeps for the current request, beside its bytes. */
size_t resp_parser_bytes(const struct resp_parser *p);
void resp_parser_close(struct resp_parser *p);
void resp_request_close(struct resp_request *request);

/* ---- Replies ---- */

/* A growing buffer; zero-initialized is empty. */
struct resp_buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

void resp_raw(struct resp_buffer *b, const void *bytes, size_t len);
/* Line breaks in statuses and errors become blanks. An error begins with its code: "ERR no such thing". */
void resp_status(struct resp_buffer *b, struct bytes text);
void resp_error(struct resp_buffer *b, struct bytes text);
void resp_integer(struct resp_buffer *b, int64_t value);
void resp_bytes(struct resp_buffer *b, const void *bytes, size_t len);
void resp_nil(struct resp_buffer *b, int version);
void resp_array(struct resp_buffer *b, size_t elements);
/* What comes without being asked for: in version 2 it looks like an array. */
void resp_push(struct resp_buffer *b, int version, size_t elements);
void resp_map(struct resp_buffer *b, int version, size_t pairs);
void resp_set(struct resp_buffer *b, int version, size_t elements);
void resp_text(struct resp_buffer *b, int version, const void *text, size_t len);
/* The same for C strings. */
void resp_status_text(struct resp_buffer *b, const char *text);
void resp_error_text(struct resp_buffer *b, const char *text);
void resp_string(struct resp_buffer *b, const char *text);

/* Encodes the next packed reply (core/formats/batch.h) with all elements of an array, and moves `*offset` after it. False:
 * there is none, or its bytes are malformed; then nothing is added. */
bool resp_reply(struct resp_buffer *b, int version, const struct payload *replies, size_t *offset);

void resp_buffer_close(struct resp_buffer *b);

#endif
