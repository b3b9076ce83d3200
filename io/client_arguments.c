/* The arguments of commands, for COMMAND DOCS. In the table of client_docs.c they are a text, of arguments with blanks
 * between:
 *
 *    name:type                       key:key
 *    TOKEN name:type                 EX seconds:integer
 *    TOKEN                           NX                   a word by itself; its name is the same in small letters
 *    name(argument|argument...)      condition(NX|XX)     one of these
 *    name{argument argument...}      key_value{key:key value:string}
 *
 * After each there may be, in this order: @N, the key specification that it belongs to; ? if it may be left out; + if there
 * may be several; ^version, since when Redis has it. Only texts of that table are read here: they are taken to be right. */
#include <ctype.h>
#include <string.h>

#include "io/client_internal.h"

struct span {
    const char *at, *end;
};

struct argument {
    struct span token, name, type, inner, since; /* empty: it has none */
    char separator;                              /* in `inner`, of what it consists of; 0: it is simple */
    char key;                                    /* a digit; 0: none */
    bool optional, multiple;
};

static size_t length(struct span s) { return (size_t)(s.end - s.at); }

/* Takes bytes up to one of `ends`, or all. */
static struct span until(struct span *text, const char *ends)
{
    struct span found = {text->at, text->at};
    while (found.end < text->end && strchr(ends, *found.end) == NULL)
        found.end++;
    text->at = found.end;
    return found;
}

static bool is_token(struct span s)
{
    for (const char *c = s.at; c < s.end; c++)
        if (islower((unsigned char)*c))
            return false;
    return length(s) > 0;
}

/* What is between brackets; `text` begins with the first one. */
static struct span between(struct span *text)
{
    int depth = 0;
    struct span found = {text->at + 1, text->at + 1};
    do {
        depth += *text->at == '(' || *text->at == '{';
        depth -= *text->at == ')' || *text->at == '}';
        text->at++;
    } while (depth > 0);
    found.end = text->at - 1;
    return found;
}

static bool take(struct span *text, char mark)
{
    const bool is_there = text->at < text->end && *text->at == mark;
    text->at += is_there;
    return is_there;
}

static struct argument read_argument(struct span *text)
{
    struct argument a = {.separator = '\0'};
    a.name = until(text, ":({@?+^| ");
    if (is_token(a.name))
        a.token = a.name;
    if (is_token(a.name) && take(text, ' '))
        a.name = until(text, ":({");
    if (take(text, ':')) {
        a.type = until(text, "@?+^| ");
    } else if (text->at < text->end && (*text->at == '(' || *text->at == '{')) {
        a.separator = *text->at == '(' ? '|' : ' ';
        a.inner = between(text);
    }
    a.key = take(text, '@') ? *text->at++ : '\0';
    a.optional = take(text, '?');
    a.multiple = take(text, '+');
    if (take(text, '^'))
        a.since = until(text, "| ");
    return a;
}

static void pair(struct resp_buffer *out, const char *name, struct span value)
{
    resp_string(out, name);
    resp_bytes(out, value.at, length(value));
}

static const char *type_of(const struct argument *a)
{
    return a->separator == '|' ? "oneof" : a->separator == ' ' ? "block" : length(a->type) == 0 ? "pure-token" : NULL;
}

static void write_name(struct span name, struct resp_buffer *out)
{
    char text[32];
    size_t len = 0;
    for (; len < sizeof text && name.at + len < name.end; len++)
        text[len] = (char)tolower((unsigned char)name.at[len]);
    resp_string(out, "name");
    resp_bytes(out, text, len);
}

static void write_all(struct span text, char separator, int version, struct resp_buffer *out);

static void write_one(const struct argument *a, int version, struct resp_buffer *out)
{
    const size_t flags = (size_t)a->optional + a->multiple;
    const char *type = type_of(a);
    resp_map(out, version,
             2 + (size_t)(a->key != '\0') + (length(a->token) > 0) + (length(a->since) > 0) + (flags > 0) +
                 (a->separator != '\0'));
    write_name(a->name, out);
    pair(out, "type", type != NULL ? (struct span){type, type + strlen(type)} : a->type);
    if (a->key != '\0') {
        resp_string(out, "key_spec_index");
        resp_integer(out, a->key - '0');
    }
    if (length(a->token) > 0)
        pair(out, "token", a->token);
    if (length(a->since) > 0)
        pair(out, "since", a->since);
    if (flags > 0) {
        resp_string(out, "flags");
        resp_set(out, version, flags);
        if (a->optional)
            resp_status_text(out, "optional");
        if (a->multiple)
            resp_status_text(out, "multiple");
    }
    if (a->separator != '\0') {
        resp_string(out, "arguments");
        write_all(a->inner, a->separator, version, out);
    }
}

static void write_all(struct span text, char separator, int version, struct resp_buffer *out)
{
    size_t count = 0;
    for (struct span left = text; left.at < left.end; count++) {
        read_argument(&left);
        take(&left, separator);
    }
    resp_array(out, count);
    while (text.at < text.end) {
        const struct argument a = read_argument(&text);
        take(&text, separator);
        write_one(&a, version, out);
    }
}

void client_arguments_write(const char *text, int version, struct resp_buffer *out)
{
    write_all((struct span){text, text + strlen(text)}, ' ', version, out);
}
