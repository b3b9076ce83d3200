/* Shows what is in the journal of a data folder, record by record, and where damage begins. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/verbs.h"
#include "core/formats/decision.h"
#include "core/formats/record.h"
#include "host/options.h"
#include "io/journal_store.h"

/* What is printed, and what has been seen. */
struct inspection {
    uint64_t from, count; /* records to print: from this lsn on, so many (0: all) */
    char segment[64];
    uint64_t segments, groups, records;
};

static void on_segment(void *context, const char *name, uint64_t bytes)
{
    struct inspection *i = context;
    snprintf(i->segment, sizeof i->segment, "%s", name);
    i->segments++;
    printf("%s  %" PRIu64 " bytes\n", name, bytes);
}

static void print_record(const struct packet *packet)
{
    char text[DECISION_TEXT_MAX];
    struct log_record record;
    size_t len = record_decode(packet, &record) ? decision_record(&record, text) : 0;
    if (len > 0)
        printf("  %12" PRIu64 "  %.*s  (%u bytes)\n", packet->id, (int)len, text, packet->len);
    else
        printf("  %12" PRIu64 "  of kind %u, which this program does not know  (%u bytes)\n", packet->id, packet->kind,
               packet->len);
}

static bool is_wanted(const struct inspection *i, uint64_t lsn)
{
    return lsn >= i->from && (i->count == 0 || lsn - i->from < i->count);
}

static void on_carried(void *context, const struct packet *record)
{
    const struct inspection *i = context;
    if (i->from > 1 || i->count > 0)
        return;
    printf(" carried over from segments that are no longer needed:\n");
    print_record(record);
}

static void on_group(void *context, uint64_t offset, const struct journal_group *g)
{
    struct inspection *i = context;
    struct packet packet;
    i->groups++;
    i->records += g->count;
    const uint64_t end = g->first_lsn + g->count;
    if (!is_wanted(i, g->first_lsn) && !(g->first_lsn < i->from && i->from < end))
        return;
    printf(" offset %" PRIu64 ": %s of life %u\n", offset, g->count > 0 ? "a group" : "a mark", g->incarnation);
    uint32_t at = 0, index = 0;
    while (journal_group_next(g, &at, &index, &packet))
        if (is_wanted(i, packet.id))
            print_record(&packet);
}

static void on_end(void *context, uint64_t next_lsn, uint64_t offset, uint64_t torn)
{
    const struct inspection *i = context;
    printf("the end: record %" PRIu64 " would be next, at offset %" PRIu64 " of %s\n", next_lsn, offset, i->segment);
    if (torn > 0)
        printf("a torn tail of %" PRIu64 " bytes follows: a write that was cut off, which the next start overwrites\n",
               torn);
}

static bool inspect(const char *folder, struct inspection *i, struct problem *problem)
{
    struct journal_store_options options = {.disk = disk_posix(), .folder = folder};
    const struct journal_view view = {
        .segment = on_segment, .carried = on_carried, .group = on_group, .end = on_end, .context = i};
    if (!data_folder_look(options.disk, folder, &options.identity, problem))
        return false;
    printf("node %u of cluster '%s', life %u\n", options.identity.node, options.identity.cluster,
           options.identity.incarnation);
    bool sound = journal_store_look(&options, &view, problem);
    printf("%s %" PRIu64 " records in %" PRIu64 " groups of %" PRIu64 " segments\n",
           sound ? "sound:" : "sound up to there:", i->records, i->groups, i->segments);
    return sound;
}

int verb_journal(int argc, char **argv)
{
    struct inspection i = {.from = 1};
    const struct option_row rows[] = {
        {"from", 0, OPTION_NUMBER, .value = "LSN", .target = &i.from, .min = 1, .max = UINT64_MAX,
         .text = "first record to print"},
        {"count", 0, OPTION_NUMBER, .value = "N", .target = &i.count, .min = 0, .max = UINT64_MAX,
         .text = "how many records to print (0: all)"},
    };
    const struct command_help help = {
        .command = "synod journal",
        .operands = "inspect FOLDER",
        .operands_min = 2,
        .operands_max = 2,
        .description =
            "Prints the records in the journal of a data folder (<data>/node-<ID>), and says where damage begins. It changes\n"
            "nothing, and needs no configuration. All of the journal is checked, whatever is printed. While a node runs on the\n"
            "folder, its last write may look as if it had been cut off.\n",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
        .exit_codes = "  0  the journal is sound\n  2  wrong command line\n"
                      "  3  it is damaged, or a part of it is missing: a node would not start on it\n",
        .examples = "  synod journal inspect data/node-1\n"
                    "  synod journal inspect data/node-1 --from 4711 --count 20\n",
    };
    const char *folder;
    struct problem problem;
    int code = options_parse_word(&help, "inspect", argc, argv, &folder);
    if (code != OPTIONS_GO_ON)
        return code;
    if (inspect(folder, &i, &problem))
        return EXIT_OK;
    fflush(stdout);
    fprintf(stderr, "%s\n", problem.text);
    return problem.exit_code;
}
