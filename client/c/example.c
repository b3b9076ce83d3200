/* Commands that are executed once, from C.
 *
 *     cc example.c $(pkg-config --cflags --libs synod-client) -o example
 *     ./example 10.0.0.1:6379,10.0.0.2:6379                     counts a visit
 *     ./example 10.0.0.1:6379,10.0.0.2:6379 16 < commands       executes a command a line, up to 16 at a time */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <synod_client.h>

enum { ADDRESSES_MAX = 64, WORDS_MAX = 64, LINE_MAX_BYTES = 64 * 1024 };

static void print_reply(const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        printf("%lld\n", reply->integer);
        break;
    case REDIS_REPLY_NIL:
        printf("(nil)\n");
        break;
    case REDIS_REPLY_ARRAY:
        printf("%zu values\n", (size_t)reply->elements);
        for (size_t i = 0; i < reply->elements; i++)
            print_reply(reply->element[i]);
        break;
    default: /* a status, a text, or what is wrong with the command */
        printf("%.*s\n", (int)reply->len, reply->str);
    }
}

/* Prints the reply to the oldest command, or what became of it. 0: the session is fine. */
static int next_reply(struct synod_client *client)
{
    redisReply *reply;
    const enum synod_result result = synod_client_get_reply(client, &reply);
    if (result == SYNOD_OK)
        print_reply(reply);
    else
        printf("%s; %s\n", synod_result_text(result), synod_client_problem(client));
    fflush(stdout);
    freeReplyObject(reply);
    return result == SYNOD_OK ? 0 : 1;
}

static int count_a_visit(struct synod_client *client)
{
    redisReply *reply;
    const enum synod_result result = synod_client_command(client, &reply, "INCR %s", "visits");
    if (result != SYNOD_OK) {
        fprintf(stderr, "%s; %s\n", synod_result_text(result), synod_client_problem(client));
        return 1;
    }
    print_reply(reply);
    freeReplyObject(reply);
    return 0;
}

/* Sends up to `window` commands before it wants the reply to the first of them. */
static int execute_lines(struct synod_client *client, size_t window)
{
    static char line[LINE_MAX_BYTES];
    int wrong = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *words[WORDS_MAX];
        char *rest = NULL;
        int count = 0;
        for (char *word = strtok_r(line, " \n", &rest); word != NULL && count < WORDS_MAX;
             word = strtok_r(NULL, " \n", &rest))
            words[count++] = word;
        if (count == 0)
            continue;
        const enum synod_result result = synod_client_append_argv(client, count, words, NULL);
        if (result != SYNOD_OK) {
            fprintf(stderr, "%s\n", synod_result_text(result));
            return 1;
        }
        if (synod_client_pending(client) == window)
            wrong |= next_reply(client);
    }
    while (synod_client_pending(client) > 0)
        wrong |= next_reply(client);
    return wrong;
}

int main(int argc, char **argv)
{
    const char *addresses[ADDRESSES_MAX];
    struct synod_options options = {.addresses = addresses};
    struct synod_client *client;
    char *rest = NULL;
    options.window = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;
    if (argc < 2 || argc > 3 || options.window == 0) {
        fprintf(stderr, "usage: example HOST:PORT,... [WINDOW]\n");
        return 2;
    }
    for (char *one = strtok_r(argv[1], ",", &rest); one != NULL && options.address_count < ADDRESSES_MAX;
         one = strtok_r(NULL, ",", &rest))
        addresses[options.address_count++] = one;
    const enum synod_result result = synod_client_open(&options, &client);
    if (result != SYNOD_OK) {
        fprintf(stderr, "%s\n", synod_result_text(result));
        return 2;
    }
    const int code = argc == 3 ? execute_lines(client, options.window) : count_a_visit(client);
    synod_client_close(client);
    return code;
}
